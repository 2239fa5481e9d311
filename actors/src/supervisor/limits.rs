//! How much a session may wait for, and how often it may crash.

use std::time::Duration;

use crate::backoff::Backoff;

/// SupervisionLimits of supervision. Setting names under `[sessions]`.
#[derive(Clone, Debug)]
pub struct SupervisionLimits {
    /// Messages that may wait for one session.
    pub mailbox: usize,
    /// More crashes than this within `crash_window` quarantine the session.
    pub max_crashes: usize,
    pub crash_window: Duration,
    /// The first restart is immediate, the second waits this long, each further one twice as long; with jitter.
    pub backoff: Duration,
    pub backoff_max: Duration,
    /// An actor that takes nothing from a waiting inbox for this long is replaced.
    pub answer_within: Duration,
}

impl Default for SupervisionLimits {
    fn default() -> Self {
        Self {
            mailbox: 1_024,
            max_crashes: 5,
            crash_window: Duration::from_secs(60),
            backoff: Duration::from_millis(20),
            backoff_max: Duration::from_secs(2),
            answer_within: Duration::from_secs(10),
        }
    }
}

impl SupervisionLimits {
    /// The pause before the restart after the next one, with jitter.
    pub(super) fn pause(&self, exponent: usize) -> Duration {
        let failures = u32::try_from(exponent).unwrap_or(u32::MAX).saturating_add(1);
        Backoff::new(self.backoff, self.backoff_max).upper_half(failures)
    }
}
