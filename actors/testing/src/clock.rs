//! Clocks.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use tandem_actors::{
    domain::time::Timestamp,
    ports::{Clock, Uptime},
};

/// A clock that a test moves by hand.
#[derive(Debug)]
pub struct ManualClock {
    /// The true time, in milliseconds since 1970.
    time: AtomicI64,
    /// The error of the wall clock, in milliseconds.
    wrong_by: AtomicI64,
}

impl ManualClock {
    /// Starts at `time`.
    pub fn at(time: Timestamp) -> Self {
        Self { time: AtomicI64::new(time.as_millis()), wrong_by: AtomicI64::new(0) }
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).expect("a test does not last that long");
        self.time.fetch_add(millis, Ordering::SeqCst);
    }

    /// Moves the wall clock by this many milliseconds. No time passes.
    pub fn jump(&self, by: i64) {
        self.wrong_by.fetch_add(by, Ordering::SeqCst);
    }

    fn time(&self) -> i64 {
        self.time.load(Ordering::SeqCst)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.time() + self.wrong_by.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Uptime {
        Duration::from_millis(self.time().unsigned_abs())
    }

    fn settled(&self) -> Timestamp {
        Timestamp::from_millis(self.time())
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
    }
}
