//! A token bucket in whole numbers. It holds a burst and fills at a rate. The caller passes the time.

use std::time::{Duration, Instant};

/// The caller chooses the unit: frames, bytes, connections.
#[derive(Debug)]
pub struct Bucket {
    per_second: u64,
    burst: u64,
    /// In thousandths of a unit, so that a slow rate fills, too. A negative number is a debt.
    left: i64,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn new(per_second: u64, burst: u64, now: Instant) -> Self {
        Self { per_second, burst, left: thousands(burst), at: now }
    }

    fn fill(&mut self, now: Instant) {
        let millis = u64::try_from(now.saturating_duration_since(self.at).as_millis()).unwrap_or(u64::MAX);
        if millis > 0 {
            self.at = now;
            let fresh = i64::try_from(millis.saturating_mul(self.per_second)).unwrap_or(i64::MAX);
            self.left = self.left.saturating_add(fresh).min(thousands(self.burst));
        }
    }

    /// Takes units if all of them are there. An amount above the burst empties a full bucket.
    pub fn take(&mut self, units: u64, now: Instant) -> bool {
        self.fill(now);
        let wanted = thousands(units.min(self.burst));
        let there = self.left >= wanted;
        if there {
            self.left -= wanted;
        }
        there
    }

    /// Takes units in any case, and returns the time until the debt is paid.
    pub fn owe(&mut self, units: u64, now: Instant) -> Duration {
        self.fill(now);
        self.left = self.left.saturating_sub(thousands(units));
        Duration::from_millis(self.left.min(0).unsigned_abs().div_ceil(self.per_second.max(1)))
    }

    /// Whether it is full, like a fresh one.
    pub fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.left >= thousands(self.burst)
    }
}

fn thousands(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX).saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_available_at_once_and_refills_at_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 20, start);
        assert!(bucket.take(20, start) && !bucket.take(1, start));
        let later = start + Duration::from_millis(100);
        assert!(bucket.take(1, later) && !bucket.take(1, later));
        assert!(!bucket.is_full(start + Duration::from_secs(1)));
        assert!(bucket.is_full(start + Duration::from_secs(4)));
    }

    #[test]
    fn an_amount_above_the_burst_waits_for_a_full_bucket() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 20, start);
        assert!(bucket.take(500, start) && !bucket.take(500, start + Duration::from_secs(1)));
        assert!(bucket.take(500, start + Duration::from_secs(2)));
    }

    #[test]
    fn a_debt_is_the_time_to_wait() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, 10, start);
        assert_eq!(bucket.owe(10, start), Duration::ZERO);
        assert_eq!(bucket.owe(5, start), Duration::from_millis(50));
        assert_eq!(bucket.owe(1, start + Duration::from_millis(50)), Duration::from_millis(10));
    }

    #[test]
    fn a_slow_rate_fills_in_small_steps() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1, 1, start);
        assert!(bucket.take(1, start));
        let at = |millis| start + Duration::from_millis(millis);
        assert!((1..100).all(|step| !bucket.take(1, at(step * 10))) && bucket.take(1, at(1_001)));
    }
}
