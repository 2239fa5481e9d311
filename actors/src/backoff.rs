//! Waits between two tries: they double with each failure and have jitter, so that many callers do not come back at the
//! same moment. A wait is a function of the number of failures, because that number is often stored.

use std::time::Duration;

use crate::chance;

/// The first wait doubles with each further failure in a row, up to the longest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// The first wait, and the longest.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// Always the same wait.
    pub const fn constant(wait: Duration) -> Self {
        Self::new(wait, wait)
    }

    /// The longest wait after so many failures in a row. Zero failures count as one.
    pub fn ceiling(self, failures: u32) -> Duration {
        self.first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.longest)
    }

    /// A wait from zero to the ceiling. For callers that are many.
    pub fn full_jitter(self, failures: u32) -> Duration {
        self.ceiling(failures).mul_f64(chance::fraction())
    }

    /// A wait from half of the ceiling to the ceiling. For callers that must not try again at once.
    pub fn upper_half(self, failures: u32) -> Duration {
        self.ceiling(failures).mul_f64(0.5 + chance::fraction() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_one() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!([0, 1, 2, 3, 7, 400].map(|failures| backoff.ceiling(failures).as_secs()), [1, 1, 2, 4, 60, 60]);
    }

    #[test]
    fn jitter_stays_below_the_ceiling() {
        let backoff = Backoff::constant(Duration::from_secs(10));
        for _ in 0..1_000 {
            assert!(backoff.full_jitter(3) <= Duration::from_secs(10));
            assert!((Duration::from_secs(5)..=Duration::from_secs(10)).contains(&backoff.upper_half(3)));
        }
    }
}
