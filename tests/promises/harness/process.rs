//! The binary as a child process, watched from its two outputs.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use super::wait::{DEADLINE, eventually};

/// Every setting reaches the binary through here: nothing of the tester's own environment may decide.
pub fn tandem() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TANDEM_") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a process printed so far, and whether that was all.
#[derive(Clone, Default)]
pub struct Printed(Arc<Mutex<(Vec<u8>, bool)>>);

impl Printed {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("nobody panics with it").0).into_owned()
    }

    /// Everything, once the process has closed this output.
    pub async fn all(&self) -> String {
        eventually("the end of an output", || async {
            let ended = self.0.lock().expect("nobody panics with it").1;
            ended.then(|| self.text())
        })
        .await
    }

    pub fn follow(&self, mut output: impl Read + Send + 'static) {
        let printed = self.0.clone();
        thread::spawn(move || {
            let mut chunk = [0; 8192];
            while let Ok(read @ 1..) = output.read(&mut chunk) {
                printed.lock().expect("nobody panics with it").0.extend_from_slice(&chunk[..read]);
            }
            printed.lock().expect("nobody panics with it").1 = true;
        });
    }
}

/// A running process. Dropping it kills it, as a power cut would.
pub struct Running {
    child: Child,
    first_line: Mutex<mpsc::Receiver<String>>,
    pub stderr: Printed,
}

impl Running {
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the binary starts");
        let (stdout, errors) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let stderr = Printed::default();
        stderr.follow(errors);
        let (send, first_line) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines();
            if let Some(Ok(line)) = lines.next() {
                let _ = send.send(line);
            }
            for _ in lines {}
        });
        Self { child, first_line: Mutex::new(first_line), stderr }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The first line on stdout, or how the process ended without one.
    pub async fn first_line(&mut self) -> Result<String, ExitStatus> {
        eventually("the first line on stdout", || {
            let line = self.first_line.get_mut().expect("nobody panics with it").try_recv();
            let ended = self.child.try_wait().expect("a child can be waited for");
            async move {
                match (line, ended) {
                    (Ok(line), _) => Some(Ok(line)),
                    (Err(_), Some(status)) => Some(Err(status)),
                    (Err(_), None) => None,
                }
            }
        })
        .await
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIGTERM can be sent");
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        let sent = Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIGHUP can be sent");
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("SIGKILL can be sent");
        self.child.wait().expect("a killed child ends");
    }

    pub async fn ended(&mut self) -> ExitStatus {
        eventually("the process ends", || {
            let ended = self.child.try_wait().expect("a child can be waited for");
            async move { ended }
        })
        .await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a command that ends by itself ended.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// Refused: not a panic, not a success, and said in one line.
    #[track_caller]
    pub fn refused_with_one_line(&self) -> &str {
        assert!(self.code.is_some_and(|code| code != 0 && code != 101), "{self:?}");
        let lines: Vec<_> = self.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        assert_eq!(lines.len(), 1, "one clear line on stderr: {self:?}");
        assert!(self.stdout.is_empty(), "nothing on stdout: {self:?}");
        lines[0]
    }
}

/// Runs a subcommand to its end.
pub async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Finished {
    let mut command = tandem();
    command.args(arguments).envs(environment.iter().copied());
    let mut child = command.spawn().expect("the binary starts");
    let (stdout, stderr) = (Printed::default(), Printed::default());
    stdout.follow(child.stdout.take().expect("piped"));
    stderr.follow(child.stderr.take().expect("piped"));
    let started = std::time::Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if started.elapsed() > 2 * DEADLINE {
            let _ = child.kill();
            panic!("tandem {arguments:?} does not end\n{}\n{}", stdout.text(), stderr.text());
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    Finished { code: status.code(), stdout: stdout.all().await, stderr: stderr.all().await }
}
