//! Time.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// Time spent, by a clock that nobody sets: the difference between two of them is how long it took.
pub type Uptime = Duration;

/// The wall clock, and what does not follow its jumps. Tests give one that they move by hand.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;

    /// Since some moment that stays the same while the process runs. For everything that is short-lived.
    fn uptime(&self) -> Uptime {
        Duration::from_millis(u64::try_from(self.now().as_millis()).unwrap_or(0))
    }

    /// The time that has certainly come: a jump of the wall clock is believed when it has lasted. For what cannot be taken back.
    fn settled(&self) -> Timestamp {
        self.now()
    }
}
