//! The simulated time. Elapsed time is tokio's paused clock, which advances when nothing is left to do. The wall clock
//! follows it with an error, which a jump sets.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tandem_actors::{
    domain::time::Timestamp,
    ports::{Clock, Uptime},
    settling::SettledClock,
};
use tokio::time::Instant;

/// How long a jump of the wall clock has to last until it counts.
const BELIEVED_AFTER: Duration = Duration::from_secs(600);

/// The clock of one run of the node.
pub struct SimulatedClock {
    started: Instant,
    /// The true time at the start, in milliseconds since 1970.
    origin: i64,
    /// The error of the wall clock, in milliseconds.
    wrong_by: AtomicI64,
    settling: Mutex<Option<SettledClock>>,
}

impl SimulatedClock {
    /// To be called within the runtime of the run.
    pub fn new(origin: i64, wrong_by: i64) -> Self {
        Self { started: Instant::now(), origin, wrong_by: AtomicI64::new(wrong_by), settling: Mutex::new(None) }
    }

    /// `known` is the settled time of the run before.
    pub fn settle(&self, known: Option<Timestamp>) {
        *self.settling.lock() = Some(SettledClock::new(known, self.now(), self.uptime(), BELIEVED_AFTER));
    }

    /// The true time, in milliseconds since 1970.
    pub fn truth(&self) -> i64 {
        self.origin + i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    pub fn jump(&self, wrong_by: i64) {
        self.wrong_by.store(wrong_by, Ordering::Relaxed);
    }

    pub fn wrong_by(&self) -> i64 {
        self.wrong_by.load(Ordering::Relaxed)
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.truth() + self.wrong_by())
    }

    fn uptime(&self) -> Uptime {
        self.started.elapsed()
    }

    fn settled(&self) -> Timestamp {
        let now = self.now();
        self.settling.lock().as_mut().map_or(now, |settling| settling.look(now, self.uptime()))
    }
}
