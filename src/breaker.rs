//! A circuit breaker that only delays. After enough failures in a row, it lets no request through for a while. Then one
//! trial request decides whether it closes.

use std::{fmt, time::Duration};

use parking_lot::Mutex;
use tandem_actors::{backoff::Backoff, ports::Uptime};

pub struct Breaker {
    /// The label in logs and metrics.
    name: &'static str,
    /// Failures in a row that open the breaker.
    trips_after: u32,
    wait: Backoff,
    state: Mutex<BreakerState>,
    /// Why it opened last.
    cause: Mutex<Option<String>>,
}

/// A breaker, as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerReport {
    pub name: &'static str,
    pub is_open: bool,
    /// The time until a trial may begin. `None`: a trial may begin now, or all requests are allowed.
    pub next_trial_in: Option<Duration>,
    /// Failed trials since it opened.
    pub failed_trials: u32,
    /// Why it opened.
    pub cause: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum BreakerState {
    Closed {
        failures: u32,
    },
    /// `level` counts the failed trials since the breaker opened.
    Open {
        until: Uptime,
        level: u32,
    },
    /// One trial request is under way.
    Trial {
        until: Uptime,
        level: u32,
    },
}

/// Which requests are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    All,
    /// One request, to see whether the service works again.
    Trial,
    /// No request for this long.
    NoneFor(Duration),
}

/// If a trial does not report its outcome within this time, another trial may begin.
const TRIAL_LASTS: Duration = Duration::from_secs(60);

impl Breaker {
    pub fn new(name: &'static str, trips_after: u32, first_wait: Duration, longest_wait: Duration) -> Self {
        debug_assert!(trips_after > 0 && first_wait <= longest_wait);
        let wait = Backoff::new(first_wait, longest_wait);
        Self {
            name,
            trips_after,
            wait,
            state: Mutex::new(BreakerState::Closed { failures: 0 }),
            cause: Mutex::new(None),
        }
    }

    pub fn report(&self, now: Uptime) -> BreakerReport {
        let state = *self.state.lock();
        let (is_open, failed_trials) = match state {
            BreakerState::Closed { .. } => (false, 0),
            BreakerState::Open { level, .. } | BreakerState::Trial { level, .. } => (true, level),
        };
        let next_trial_in = match state.allowance(now) {
            Allowance::NoneFor(wait) => Some(wait),
            Allowance::All | Allowance::Trial => None,
        };
        let cause = self.cause.lock().clone().filter(|_| is_open);
        BreakerReport { name: self.name, is_open, next_trial_in, failed_trials, cause }
    }

    /// Closes it, because an operator has repaired the cause.
    pub fn reset(&self) {
        let mut state = self.state.lock();
        *state = BreakerState::Closed { failures: 0 };
        self.show(*state);
    }

    /// Which requests are allowed. Does not begin a trial.
    pub fn allowance(&self, now: Uptime) -> Allowance {
        self.state.lock().allowance(now)
    }

    /// Asks whether a request is allowed. If the answer is a trial, the caller has begun it.
    pub fn admit(&self, now: Uptime) -> Allowance {
        let mut state = self.state.lock();
        let allowance = state.allowance(now);
        if let (Allowance::Trial, BreakerState::Open { level, .. } | BreakerState::Trial { level, .. }) =
            (allowance, *state)
        {
            *state = BreakerState::Trial { until: now + TRIAL_LASTS, level };
        }
        allowance
    }

    pub fn succeeded(&self) {
        let mut state = self.state.lock();
        match *state {
            // The request began before the breaker opened, so its success says nothing about the next one.
            BreakerState::Open { .. } => {}
            BreakerState::Trial { .. } => {
                tracing::info!(breaker = self.name, "the breaker closed: the service works again");
                *state = BreakerState::Closed { failures: 0 };
            }
            BreakerState::Closed { .. } => *state = BreakerState::Closed { failures: 0 },
        }
        self.show(*state);
    }

    /// `at_least` is the wait that the service asked for. `cause` is logged if the breaker opens.
    pub fn failed(&self, now: Uptime, at_least: Duration, cause: &dyn fmt::Debug) {
        let mut state = self.state.lock();
        *state = match *state {
            BreakerState::Closed { failures } if failures + 1 < self.trips_after => {
                BreakerState::Closed { failures: failures + 1 }
            }
            BreakerState::Closed { .. } => self.open(now, at_least, 0, cause),
            BreakerState::Trial { level, .. } => self.open(now, at_least, level + 1, cause),
            BreakerState::Open { until, level } => BreakerState::Open { until: until.max(now + at_least), level },
        };
        self.show(*state);
    }

    fn open(&self, now: Uptime, at_least: Duration, level: u32, cause: &dyn fmt::Debug) -> BreakerState {
        let wait = self.wait.upper_half(level + 1).max(at_least);
        *self.cause.lock() = Some(format!("{cause:?}"));
        tracing::warn!(breaker = self.name, ?cause, ?wait, level, "the breaker opened after too many failures");
        BreakerState::Open { until: now + wait, level }
    }

    fn show(&self, state: BreakerState) {
        let is_open = !matches!(state, BreakerState::Closed { .. });
        metrics::gauge!("tandem_breaker_open", "breaker" => self.name).set(if is_open { 1.0 } else { 0.0 });
    }
}

impl BreakerState {
    fn allowance(self, now: Uptime) -> Allowance {
        match self {
            BreakerState::Closed { .. } => Allowance::All,
            BreakerState::Open { until, .. } | BreakerState::Trial { until, .. } if now < until => {
                Allowance::NoneFor(until.saturating_sub(now))
            }
            BreakerState::Open { .. } | BreakerState::Trial { .. } => Allowance::Trial,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_failures_in_a_row_and_closes_after_a_successful_trial() {
        let breaker = Breaker::new("test", 3, Duration::from_secs(2), Duration::from_secs(8));
        let now = Duration::ZERO;
        let none = Duration::ZERO;
        breaker.failed(now, none, &"a test");
        breaker.failed(now, none, &"a test");
        breaker.succeeded();
        breaker.failed(now, none, &"a test");
        breaker.failed(now, none, &"a test");
        assert_eq!(breaker.admit(now), Allowance::All);
        breaker.failed(now, none, &"a test");
        let mut at = now;
        for longest in [2, 4, 8, 8] {
            let Allowance::NoneFor(wait) = breaker.admit(at) else { panic!("open") };
            assert!(wait <= Duration::from_secs(longest) && wait >= Duration::from_secs(longest) / 2, "{wait:?}");
            at += wait;
            assert_eq!(breaker.admit(at), Allowance::Trial);
            assert!(matches!(breaker.admit(at), Allowance::NoneFor(_)), "one trial at a time");
            breaker.failed(at, none, &"a test");
        }
        let Allowance::NoneFor(wait) = breaker.allowance(at) else { panic!("open") };
        let until = at + wait;
        breaker.succeeded();
        assert_eq!(
            breaker.allowance(at),
            Allowance::NoneFor(wait),
            "the success of an earlier request does not close it"
        );
        assert_eq!(breaker.admit(until), Allowance::Trial);
        breaker.succeeded();
        assert_eq!(breaker.admit(until), Allowance::All);
    }

    #[test]
    fn an_open_breaker_reports_its_cause_and_can_be_reset() {
        let breaker = Breaker::new("test", 1, Duration::from_secs(2), Duration::from_secs(8));
        assert!(!breaker.report(Duration::ZERO).is_open);
        breaker.failed(Duration::ZERO, Duration::from_secs(5), &"a test");
        let report = breaker.report(Duration::ZERO);
        assert_eq!((report.is_open, report.next_trial_in), (true, Some(Duration::from_secs(5))));
        assert_eq!(report.cause.as_deref(), Some("\"a test\""));
        breaker.reset();
        assert_eq!(breaker.admit(Duration::ZERO), Allowance::All);
        assert_eq!(breaker.report(Duration::ZERO).cause, None);
    }

    #[test]
    fn the_wait_that_the_service_asks_for_is_a_lower_bound() {
        let breaker = Breaker::new("test", 1, Duration::from_secs(2), Duration::from_secs(8));
        let now = Duration::ZERO;
        breaker.failed(now, Duration::from_secs(100), &"a test");
        assert_eq!(breaker.allowance(now), Allowance::NoneFor(Duration::from_secs(100)));
    }

    #[test]
    fn a_trial_without_an_outcome_is_repeated() {
        let breaker = Breaker::new("test", 1, Duration::from_secs(2), Duration::from_secs(8));
        let now = Duration::ZERO;
        breaker.failed(now, Duration::from_secs(10), &"a test");
        let later = now + Duration::from_secs(10);
        assert_eq!(breaker.admit(later), Allowance::Trial);
        assert_eq!(breaker.admit(later + TRIAL_LASTS), Allowance::Trial);
    }
}
