//! Limits for the inbox and the crashes of a session.

use std::time::Duration;

use crate::backoff::Backoff;

/// Limits of supervision. The setting names are those under `[sessions]`.
#[derive(Clone, Debug)]
pub struct SupervisionLimits {
    /// Messages that may wait for one session.
    pub mailbox: usize,
    /// More crashes than this within `crash_window` quarantine the session.
    pub max_crashes: usize,
    /// The window in which crashes are counted.
    pub crash_window: Duration,
    /// The first restart is immediate. The second waits this long, and each further restart twice as long, with
    /// jitter.
    pub backoff: Duration,
    /// The longest pause before a restart.
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
    /// The pause before restart number `exponent + 2`, with jitter.
    pub(super) fn pause(&self, exponent: usize) -> Duration {
        let failures = u32::try_from(exponent).unwrap_or(u32::MAX).saturating_add(1);
        Backoff::new(self.backoff, self.backoff_max).upper_half(failures)
    }
}
