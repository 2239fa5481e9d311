//! The rate of messages of one connection: a bucket that holds the messages of one second.

use std::time::Instant;

use crate::protocol::ErrorInfo;

#[derive(Debug)]
pub struct MessageRate {
    per_second: f64,
    left: f64,
    at: Instant,
    refused: u32,
}

/// The connection ends after this many seconds' worth of refused frames in a row.
const PATIENCE: u32 = 3;

/// The decision about a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateDecision {
    Accepted,
    /// Refused. The next frame may be accepted.
    Refused(ErrorInfo),
    /// Refused, and the connection must end: the client ignores refusals.
    Flood(ErrorInfo),
}

impl MessageRate {
    pub fn new(per_second: u32) -> Self {
        Self { per_second: per_second.into(), left: per_second.into(), at: Instant::now(), refused: 0 }
    }

    pub fn admit(&mut self, messages: usize) -> RateDecision {
        self.admit_at(messages, Instant::now())
    }

    fn admit_at(&mut self, messages: usize, now: Instant) -> RateDecision {
        let filled = self.left + now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        self.at = now;
        self.left = filled.min(self.per_second);
        let wanted = messages.max(1) as f64;
        if self.left >= wanted || self.left >= self.per_second {
            self.left -= wanted;
            self.refused = 0;
            return RateDecision::Accepted;
        }
        self.refused = self.refused.saturating_add(1);
        let error = ErrorInfo::rate_exceeded(format!("more than {} messages per second were sent", self.per_second));
        if f64::from(self.refused) > f64::from(PATIENCE) * self.per_second {
            RateDecision::Flood(error)
        } else {
            RateDecision::Refused(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_of_one_second_is_accepted_and_then_the_rate_holds() {
        let mut rate = MessageRate::new(10);
        let start = rate.at;
        assert!((0..10).all(|_| rate.admit_at(1, start) == RateDecision::Accepted));
        assert!(matches!(rate.admit_at(1, start), RateDecision::Refused(error) if error.code == 42910));
        assert_eq!(rate.admit_at(1, start + Duration::from_millis(100)), RateDecision::Accepted);
        let flood: Vec<_> = (0..40).map(|_| rate.admit_at(1, start + Duration::from_millis(100))).collect();
        assert!(matches!(flood.last(), Some(RateDecision::Flood(_))));
    }
}
