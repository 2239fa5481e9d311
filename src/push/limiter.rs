//! The rate limit of the project: each recipient of each request counts, retries included. `Retry-After` pauses all
//! requests.

use std::time::Duration;

use parking_lot::Mutex;
use tandem_actors::ports::Uptime;
use tokio::time::Instant;

pub struct Limiter {
    each: Duration,
    /// How many may be sent at once after a pause, as time.
    burst: Duration,
    /// When the rate allows everything that was reserved so far.
    reserved_until: Mutex<Option<Instant>>,
    paused_until: Mutex<Uptime>,
}

impl Limiter {
    pub fn new(per_second: u32) -> Self {
        Self {
            each: Duration::from_secs(1) / per_second.max(1),
            burst: Duration::from_millis(200),
            reserved_until: Mutex::new(None),
            paused_until: Mutex::new(Duration::ZERO),
        }
    }

    /// Reserves sends, and returns when they may begin.
    fn reserve(&self, recipients: usize, now: Instant) -> Instant {
        let mut until = self.reserved_until.lock();
        let full = now.checked_sub(self.burst).unwrap_or(now);
        let span = self.each * u32::try_from(recipients).unwrap_or(u32::MAX);
        let after = until.map_or(full, |until| until.max(full)) + span;
        *until = Some(after);
        after.max(now)
    }

    /// Waits until this many recipients may be sent to.
    pub async fn acquire(&self, recipients: usize) {
        let until = self.reserve(recipients, Instant::now());
        tokio::time::sleep_until(until).await;
    }

    /// Gives back reservations that were not sent.
    pub fn release(&self, recipients: usize) {
        let span = self.each * u32::try_from(recipients).unwrap_or(0);
        let mut until = self.reserved_until.lock();
        *until = until.and_then(|until| until.checked_sub(span));
    }

    pub fn pause(&self, until: Uptime) {
        let mut paused = self.paused_until.lock();
        *paused = (*paused).max(until);
    }

    /// How long the pause lasts, if there is one.
    pub fn paused(&self, now: Uptime) -> Option<Duration> {
        Some(self.paused_until.lock().saturating_sub(now)).filter(|wait| !wait.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_take_as_long_as_the_rate_says() {
        let limiter = Limiter::new(500);
        let start = Instant::now();
        let last = (0..100).map(|_| limiter.reserve(100, start)).last().unwrap();
        let took = last.duration_since(start).as_secs_f64();
        assert!((took - 20.0).abs() < 20.0 * 0.05, "{took}");
    }

    #[test]
    fn a_pause_allows_no_more_than_the_burst() {
        let limiter = Limiter::new(500);
        let start = Instant::now();
        assert_eq!(limiter.reserve(100, start), start);
        let rested = start + Duration::from_secs(3600);
        assert_eq!(limiter.reserve(100, rested), rested);
        assert_eq!(limiter.reserve(100, rested), rested + Duration::from_millis(200));
        limiter.release(100);
        assert_eq!(limiter.reserve(50, rested), rested + Duration::from_millis(100));
    }
}
