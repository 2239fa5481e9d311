//! A circuit breaker that only delays: after enough failures in a row nothing is tried for a while, then one trial decides.

use std::{fmt, sync::Arc, time::Duration};

use dashmap::DashMap;
use parking_lot::Mutex;
use tandem_actors::ports::Uptime;

use super::reach::Platform;

pub struct Breaker {
    name: &'static str,
    trips_after: u32,
    first_wait: Duration,
    longest_wait: Duration,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Uptime, level: u32 },
    Trial { until: Uptime, level: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    All,
    /// One, to see whether it works.
    Trial,
    NobodyFor(Duration),
}

/// A trial that was given and never told its outcome is given again after it.
const TRIAL_LASTS: Duration = Duration::from_secs(60);

impl Breaker {
    pub fn new(name: &'static str, trips_after: u32, first_wait: Duration, longest_wait: Duration) -> Self {
        Self { name, trips_after, first_wait, longest_wait, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Who may pass; takes nothing.
    pub fn look(&self, now: Uptime) -> Pass {
        match *self.state.lock() {
            State::Closed { .. } => Pass::All,
            State::Open { until, .. } | State::Trial { until, .. } if now < until => {
                Pass::NobodyFor(until.saturating_sub(now))
            }
            State::Open { .. } | State::Trial { .. } => Pass::Trial,
        }
    }

    /// Passes, or not; a trial is given to one.
    pub fn pass(&self, now: Uptime) -> Pass {
        let pass = self.look(now);
        let mut state = self.state.lock();
        if let (Pass::Trial, State::Open { level, .. } | State::Trial { level, .. }) = (pass, *state) {
            *state = State::Trial { until: now + TRIAL_LASTS, level };
        }
        pass
    }

    pub fn succeeded(&self) {
        let mut state = self.state.lock();
        match *state {
            // What was under way when it opened says nothing about what comes.
            State::Open { .. } => {}
            State::Trial { .. } => {
                tracing::info!(breaker = self.name, "closed: it works again");
                *state = State::Closed { failures: 0 };
            }
            State::Closed { .. } => *state = State::Closed { failures: 0 },
        }
        drop(state);
        self.show();
    }

    /// `at_least` is what the other side asked for; `cause` is logged if the breaker opens.
    pub fn failed(&self, now: Uptime, at_least: Duration, cause: &dyn fmt::Debug) {
        let mut state = self.state.lock();
        *state = match *state {
            State::Closed { failures } if failures + 1 < self.trips_after => State::Closed { failures: failures + 1 },
            State::Closed { .. } => self.open(now, at_least, 0, cause),
            State::Trial { level, .. } => self.open(now, at_least, level + 1, cause),
            State::Open { until, level } => State::Open { until: until.max(now + at_least), level },
        };
        drop(state);
        self.show();
    }

    fn open(&self, now: Uptime, at_least: Duration, level: u32, cause: &dyn fmt::Debug) -> State {
        let ceiling = self.first_wait.saturating_mul(1 << level.min(16)).min(self.longest_wait);
        let wait = ceiling.mul_f64(rand::random_range(0.5..1.0)).max(at_least);
        tracing::warn!(breaker = self.name, ?cause, ?wait, level, "too many failures: nothing is tried for a while");
        State::Open { until: now + wait, level }
    }

    fn show(&self) {
        let open = !matches!(*self.state.lock(), State::Closed { .. });
        metrics::gauge!("tandem_breaker_open", "breaker" => self.name).set(if open { 1.0 } else { 0.0 });
    }
}

/// Whose credentials Expo uses: a project's, one set for each platform.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// As far as Expo has told; a node mostly serves one.
    pub project: Option<Arc<str>>,
    pub platform: Option<Platform>,
}

/// All breakers of the sender.
pub struct Breakers {
    /// Whether the service answers.
    pub service: Breaker,
    /// Whether it lets this node in.
    pub access: Breaker,
    projects: DashMap<Scope, Arc<Breaker>>,
}

impl Default for Breakers {
    fn default() -> Self {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        Self {
            service: Breaker::new("service", 5, 2 * second, minute),
            access: Breaker::new("access", 1, 30 * second, 10 * minute),
            projects: DashMap::new(),
        }
    }
}

impl Breakers {
    pub fn project(&self, scope: &Scope) -> Arc<Breaker> {
        let new = || Breaker::new("project", 3, Duration::from_secs(30), Duration::from_secs(30 * 60)).into();
        self.projects.entry(scope.clone()).or_insert_with(new).clone()
    }

    /// What both breakers of the whole node say.
    pub fn look(&self, now: Uptime) -> Pass {
        match (self.service.look(now), self.access.look(now)) {
            (Pass::NobodyFor(one), Pass::NobodyFor(other)) => Pass::NobodyFor(one.max(other)),
            (shut @ Pass::NobodyFor(_), _) | (_, shut @ Pass::NobodyFor(_)) => shut,
            (Pass::All, Pass::All) => Pass::All,
            _ => Pass::Trial,
        }
    }

    pub fn trial(&self, now: Uptime) {
        self.service.pass(now);
        self.access.pass(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_failures_in_a_row_waits_longer_each_time_and_closes_on_one_success() {
        let breaker = Breaker::new("test", 3, Duration::from_secs(2), Duration::from_secs(8));
        let now = Duration::ZERO;
        let none = Duration::ZERO;
        breaker.failed(now, none, &"a test");
        breaker.failed(now, none, &"a test");
        breaker.succeeded();
        breaker.failed(now, none, &"a test");
        breaker.failed(now, none, &"a test");
        assert_eq!(breaker.pass(now), Pass::All);
        breaker.failed(now, none, &"a test");
        let mut at = now;
        for longest in [2, 4, 8, 8] {
            let Pass::NobodyFor(wait) = breaker.pass(at) else { panic!("open") };
            assert!(wait <= Duration::from_secs(longest) && wait >= Duration::from_secs(longest) / 2, "{wait:?}");
            at += wait;
            assert_eq!(breaker.pass(at), Pass::Trial);
            assert!(matches!(breaker.pass(at), Pass::NobodyFor(_)), "one trial at a time");
            breaker.failed(at, none, &"a test");
        }
        let Pass::NobodyFor(wait) = breaker.look(at) else { panic!("open") };
        let until = at + wait;
        breaker.succeeded();
        assert_eq!(breaker.look(at), Pass::NobodyFor(wait), "a straggler's success does not close it");
        assert_eq!(breaker.pass(until), Pass::Trial);
        breaker.succeeded();
        assert_eq!(breaker.pass(until), Pass::All);
    }

    #[test]
    fn what_the_other_side_asks_for_is_a_lower_bound() {
        let breaker = Breaker::new("test", 1, Duration::from_secs(2), Duration::from_secs(8));
        let now = Duration::ZERO;
        breaker.failed(now, Duration::from_secs(100), &"a test");
        assert_eq!(breaker.look(now), Pass::NobodyFor(Duration::from_secs(100)));
    }

    #[test]
    fn a_trial_that_never_told_is_given_again() {
        let breaker = Breaker::new("test", 1, Duration::from_secs(2), Duration::from_secs(8));
        let now = Duration::ZERO;
        breaker.failed(now, Duration::from_secs(10), &"a test");
        let later = now + Duration::from_secs(10);
        assert_eq!(breaker.pass(later), Pass::Trial);
        assert_eq!(breaker.pass(later + TRIAL_LASTS), Pass::Trial);
    }
}
