//! The port of the clocks.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// Time on a monotonic clock: the difference of two values is an elapsed time.
pub type Uptime = Duration;

/// The wall clock, and two times that do not follow its jumps. Tests use a clock that they move by hand.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// Time since a fixed moment of the process. For everything that is short-lived.
    fn uptime(&self) -> Uptime {
        Duration::from_millis(u64::try_from(self.now().as_millis()).unwrap_or(0))
    }

    /// The settled time: it follows a jump of the wall clock only after the jump has lasted. For everything that
    /// cannot be undone.
    fn settled(&self) -> Timestamp {
        self.now()
    }
}
