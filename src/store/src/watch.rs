//! Watches the disk while the node runs: its free space, whether the database is still at its path, and whether writes
//! return. Each finding is logged once, and is shown by the metrics and by `/ready`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use parking_lot::Mutex;
use tandem_actors::{journal::Journal, ports::Commit};

use super::{Location, RoomLeft, Space, room::Room};

const LOOK_EVERY: Duration = Duration::from_secs(1);
const ASK_EVERY: Duration = Duration::from_millis(250);
const MIB: u64 = 1 << 20;

/// A thread that repeats a task until this is dropped.
struct RepeatingThread {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RepeatingThread {
    fn start(name: &str, every: Duration, mut work: impl FnMut() + Send + 'static) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let run = move || {
            while !stopped.load(Ordering::Acquire) {
                work();
                std::thread::park_timeout(every);
            }
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(run)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for RepeatingThread {
    /// Does not wait for the thread, which may hang on a stalled disk.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
        }
    }
}

/// Watches the free space, and whether the database is still at its path.
pub struct DiskWatch {
    space: Arc<Mutex<Option<Space>>>,
    _thread: RepeatingThread,
}

impl DiskWatch {
    /// Checks now, and then every second.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(location: &Location, min_free: u64, journal: Journal) -> std::io::Result<Self> {
        let space = Arc::new(Mutex::new(None));
        let mut look =
            Look { room: Room::new(&location.path, min_free), journal, space: space.clone(), told: RoomLeft::Enough };
        look.at_the_disk();
        let thread = RepeatingThread::start("store-disk", LOOK_EVERY, move || look.at_the_disk())?;
        Ok(Self { space, _thread: thread })
    }

    /// The last measurement. `None` if the disk cannot be measured.
    pub fn space(&self) -> Option<Space> {
        *self.space.lock()
    }
}

struct Look {
    room: Room,
    journal: Journal,
    space: Arc<Mutex<Option<Space>>>,
    told: RoomLeft,
}

impl Look {
    fn at_the_disk(&mut self) {
        let space = self.room.measure().ok();
        if let Some(space) = space {
            metrics::gauge!("tandem_store_free_bytes").set(space.free as f64);
            metrics::gauge!("tandem_store_min_free_bytes").set(space.floor as f64);
            self.heed(space);
        }
        // Updated last, so that `/ready` shows what is already in force.
        *self.space.lock() = space;
        // An empty group writes nothing, but checks that the files are still at their paths.
        if self.journal.is_alive() && self.journal.stalled().is_none() {
            self.journal.append(Commit { fence: None, changes: Vec::new() }, Box::new(|_| ()));
        }
    }

    fn heed(&mut self, space: Space) {
        let left = space.left();
        let (free_mib, floor_mib) = (space.free / MIB, space.floor / MIB);
        if left == RoomLeft::Nothing {
            self.journal.set_no_room(true);
        } else if space.has_room_again() {
            self.journal.set_no_room(false);
        }
        let left = if self.journal.obstacle() == Some(tandem_actors::journal::Obstacle::NoRoom) {
            RoomLeft::Nothing
        } else {
            left
        };
        if left == self.told {
            return;
        }
        match left {
            RoomLeft::Nothing => tracing::error!(
                free_mib,
                floor_mib,
                "the disk is almost full: nothing is written until there is room again; what is stored can be read"
            ),
            RoomLeft::Little => tracing::warn!(free_mib, floor_mib, "little space is left on the disk; free some"),
            RoomLeft::Enough => tracing::info!(free_mib, "there is enough space on the disk again"),
        }
        self.told = left;
    }
}

/// Renews the lease of a database while this node has nothing to write.
pub struct DatabaseWatch {
    _thread: RepeatingThread,
}

impl DatabaseWatch {
    /// # Errors
    /// If the system gives no thread.
    pub fn start(journal: Journal) -> std::io::Result<Self> {
        // An empty group writes nothing, but renews the lease if it is due.
        let renew = move || {
            if journal.is_alive() && journal.stalled().is_none() {
                journal.append(Commit { fence: None, changes: Vec::new() }, Box::new(|_| ()));
            }
        };
        Ok(Self { _thread: RepeatingThread::start("store-database", LOOK_EVERY, renew)? })
    }
}

/// Watches that writes return.
pub struct StallWatch {
    _thread: RepeatingThread,
}

impl StallWatch {
    /// # Errors
    /// If the system gives no thread.
    pub fn start(journal: Journal) -> std::io::Result<Self> {
        let mut longest: Option<Duration> = None;
        let ask = move || {
            let stalled = journal.stalled();
            metrics::gauge!("tandem_store_write_stalled_seconds").set(stalled.unwrap_or_default().as_secs_f64());
            match (longest, stalled) {
                (None, Some(lasts)) => tracing::error!(
                    seconds = lasts.as_secs(),
                    "the store does not answer: a write has not returned, nothing more is taken until it does"
                ),
                (Some(lasted), None) => tracing::info!(seconds = lasted.as_secs(), "the store answers again"),
                _ => {}
            }
            longest = stalled;
        };
        Ok(Self { _thread: RepeatingThread::start("store-stall", ASK_EVERY, ask)? })
    }
}
