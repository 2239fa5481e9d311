//! Writes lines to stderr on a thread of its own. A slow, stuck or missing reader never delays a request or the
//! process: lines beyond [`MOST`] bytes and lines that cannot be written are dropped and counted.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Write},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that may wait for the reader.
const MOST: usize = 1 << 20;
/// How long a line waits while a non-blocking file accepts nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the end of the process waits for the last lines.
const AT_THE_END: Duration = Duration::from_millis(500);

static STDERR: LazyLock<&'static Lines> = LazyLock::new(|| Lines::start(io::stderr()));

/// Lines that wait for one output.
#[derive(Default)]
struct Lines {
    queue: Mutex<Queue>,
    arrived: Condvar,
    written: Condvar,
    lost: AtomicU64,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Box<[u8]>>,
    bytes: usize,
    /// The thread is writing a line.
    busy: bool,
}

impl Lines {
    fn start(output: impl Write + Send + 'static) -> &'static Self {
        let lines: &'static Self = Box::leak(Box::default());
        let thread = std::thread::Builder::new().name("stderr".into()).spawn(move || lines.run(output));
        if thread.is_err() {
            // Without the thread, the queue is full from the beginning, so that each line counts as dropped.
            lines.queue.lock().bytes = MOST;
        }
        lines
    }

    fn push(&self, line: &[u8]) {
        let mut queue = self.queue.lock();
        if queue.bytes + line.len() > MOST {
            drop(queue);
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.bytes += line.len();
        queue.lines.push_back(line.into());
        drop(queue);
        self.arrived.notify_one();
    }

    fn run(&self, mut output: impl Write) {
        loop {
            let line = {
                let mut queue = self.queue.lock();
                queue.busy = false;
                while queue.lines.is_empty() {
                    self.written.notify_all();
                    self.arrived.wait(&mut queue);
                }
                queue.busy = true;
                let line = queue.lines.pop_front().unwrap_or_default();
                queue.bytes -= line.len();
                line
            };
            if write_patiently(&mut output, &line).is_err() {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits until everything is written, but not longer than `within`.
    fn flush(&self, within: Duration) {
        let deadline = Instant::now() + within;
        let mut queue = self.queue.lock();
        while (queue.busy || !queue.lines.is_empty()) && !self.written.wait_until(&mut queue, deadline).timed_out() {}
    }
}

/// Like `write_all`, also for a non-blocking file: Node.js makes a shared terminal non-blocking.
fn write_patiently(output: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !line.is_empty() {
        match output.write(line) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => line = &line[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes a line to stderr. Never waits, never fails.
pub fn say(line: impl std::fmt::Display) {
    STDERR.push(format!("{line}\n").as_bytes());
}

/// The number of dropped lines since the start.
pub fn lost_lines() -> u64 {
    STDERR.lost.load(Ordering::Relaxed)
}

/// Waits a moment for the last lines. Called before the process ends.
pub fn flush() {
    STDERR.flush(AT_THE_END);
}

/// The writer of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogLines;

impl MakeWriter<'_> for LogLines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

/// The subscriber writes each event in one piece.
impl Write for LogLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        STDERR.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    type Take = Box<dyn FnMut(&[u8]) -> io::Result<usize> + Send>;
    /// Fails, blocks or accepts what is written, as the test says.
    struct Reader(Take);

    impl Write for Reader {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            (self.0)(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(reader: impl FnMut(&[u8]) -> io::Result<usize> + Send + 'static) -> &'static Lines {
        Lines::start(Reader(Box::new(reader)))
    }

    #[test]
    fn lines_arrive_in_order_also_in_pieces_and_through_a_file_that_does_not_block() {
        let (told, heard) = mpsc::channel();
        let mut turns = 0;
        let lines = lines(move |line| {
            turns += 1;
            if turns % 2 == 1 {
                return Err(ErrorKind::WouldBlock.into());
            }
            told.send(line[0]).map(|()| 1).map_err(io::Error::other)
        });
        lines.push(b"one\n");
        lines.push(b"two\n");
        lines.flush(PATIENCE * 10);
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), b"one\ntwo\n");
        assert_eq!(lines.lost.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_missing_reader_costs_only_lines() {
        for kind in [ErrorKind::BrokenPipe, ErrorKind::StorageFull] {
            let lines = lines(move |_| Err(kind.into()));
            (0..3).for_each(|_| lines.push(b"a line\n"));
            lines.flush(PATIENCE * 10);
            assert_eq!(lines.lost.load(Ordering::Relaxed), 3);
        }
    }

    #[test]
    fn a_stuck_reader_costs_lines_and_no_time() {
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let lines = lines(move |line| {
            let _ended = may_go_on.recv();
            Ok(line.len())
        });
        let line = vec![b'x'; MOST / 4];
        (0..9).for_each(|_| lines.push(&line));
        // One may be in the thread's hands.
        assert!((4..=5).contains(&lines.lost.load(Ordering::Relaxed)));
        lines.flush(Duration::from_millis(10));
        drop(go_on);
    }
}
