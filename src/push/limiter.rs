//! The rate limit of the project: each recipient of each request pays, retries included. `Retry-After` pauses all
//! requests.

use std::time::Duration;

use parking_lot::Mutex;
use tandem_actors::ports::Uptime;
use tokio::time::Instant;

pub struct Limiter {
    each: Duration,
    /// How much may be spent at once after a pause, as time.
    burst: Duration,
    /// When everything spent so far is paid for.
    paid: Mutex<Option<Instant>>,
    paused_until: Mutex<Uptime>,
}

impl Limiter {
    pub fn new(per_second: u32) -> Self {
        Self {
            each: Duration::from_secs(1) / per_second.max(1),
            burst: Duration::from_millis(200),
            paid: Mutex::new(None),
            paused_until: Mutex::new(Duration::ZERO),
        }
    }

    /// Spends, and returns when the recipients may be sent to.
    fn spend(&self, recipients: usize, now: Instant) -> Instant {
        let mut paid = self.paid.lock();
        let full = now.checked_sub(self.burst).unwrap_or(now);
        let price = self.each * u32::try_from(recipients).unwrap_or(u32::MAX);
        let after = paid.map_or(full, |paid| paid.max(full)) + price;
        *paid = Some(after);
        after.max(now)
    }

    /// Waits until this many recipients may be sent to.
    pub async fn pay(&self, recipients: usize) {
        let until = self.spend(recipients, Instant::now());
        tokio::time::sleep_until(until).await;
    }

    /// Returns what was paid for and not sent.
    pub fn refund(&self, recipients: usize) {
        let price = self.each * u32::try_from(recipients).unwrap_or(0);
        let mut paid = self.paid.lock();
        *paid = paid.and_then(|paid| paid.checked_sub(price));
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
        let last = (0..100).map(|_| limiter.spend(100, start)).last().unwrap();
        let took = last.duration_since(start).as_secs_f64();
        assert!((took - 20.0).abs() < 20.0 * 0.05, "{took}");
    }

    #[test]
    fn a_pause_allows_no_more_than_the_burst() {
        let limiter = Limiter::new(500);
        let start = Instant::now();
        assert_eq!(limiter.spend(100, start), start);
        let rested = start + Duration::from_secs(3600);
        assert_eq!(limiter.spend(100, rested), rested);
        assert_eq!(limiter.spend(100, rested), rested + Duration::from_millis(200));
        limiter.refund(100);
        assert_eq!(limiter.spend(50, rested), rested + Duration::from_millis(100));
    }
}
