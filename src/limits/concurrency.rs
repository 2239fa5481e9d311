//! How many requests run at a time. If more run than the machine can serve, they only wait for each other. So the limit
//! follows the time that requests take: it falls while half of them take longer than a target, and rises while requests
//! wait for their turn.

use std::time::{Duration, Instant};

/// A limit lasts this long at least, and as many requests as `SAMPLES`.
const WINDOW: Duration = Duration::from_millis(100);
const SAMPLES: usize = 16;
/// Times that are kept in one window.
const MOST_SAMPLES: usize = 1_024;
/// The limit never falls below this, so that a group of the journal has many commands.
const FEWEST: usize = 16;
/// The time of a request beyond what a slow disk takes: half of the flush that is under way, and its own.
const TARGET: Duration = Duration::from_millis(5);
/// Windows with the fewest requests after which their time is that of the disk. Before, what a machine under load has
/// put off still has to be done.
const SETTLED: u32 = 20;

pub(super) struct ConcurrencyLimit {
    most: usize,
    limit: usize,
    /// The time of a request where few run. It is long if the disk is slow.
    usual: Duration,
    times: Vec<Duration>,
    began: Instant,
    /// Whether a request had to wait in this window.
    was_reached: bool,
    /// Windows since the limit fell to the fewest.
    at_fewest: u32,
}

impl ConcurrencyLimit {
    pub fn new(most: usize) -> Self {
        let (times, began) = (Vec::new(), Instant::now());
        Self { most, limit: most, usual: Duration::ZERO, times, began, was_reached: false, at_fewest: 0 }
    }

    pub fn get(&self) -> usize {
        self.limit
    }

    /// A request had to wait, or was refused.
    pub fn reached(&mut self) {
        self.was_reached = true;
    }

    #[cfg(test)]
    pub fn was_reached(&self) -> bool {
        self.was_reached
    }

    /// A request has ended that took this long.
    pub fn record(&mut self, took: Duration, now: Instant) {
        if self.times.len() < MOST_SAMPLES {
            self.times.push(took);
        }
        if self.times.len() < SAMPLES || now.duration_since(self.began) < WINDOW {
            return;
        }
        let middle = self.times.len() / 2;
        let median = *self.times.select_nth_unstable(middle).1;
        self.adapt(median);
        self.times.clear();
        self.began = now;
        self.was_reached = false;
    }

    fn adapt(&mut self, median: Duration) {
        let fewest = FEWEST.min(self.most);
        let target = TARGET + self.usual * 3 / 2;
        if median < self.usual || !self.was_reached {
            self.usual = (self.usual * 7 + median) / 8;
        }
        self.at_fewest = if self.limit == fewest { self.at_fewest + 1 } else { 0 };
        if median > target {
            if self.at_fewest > SETTLED {
                // They do not wait for each other, but for the disk.
                self.usual = self.usual.max(median * 2 / 3);
            }
            let part = target.as_secs_f64() / median.as_secs_f64();
            self.limit = ((self.limit as f64 * part.max(0.5)) as usize).max(fewest);
        } else if self.was_reached {
            self.limit = (self.limit + self.limit / 8 + 1).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit after some seconds in which each request takes what `time` says for the limit.
    fn settled(limit: &mut ConcurrencyLimit, waits: bool, time: impl Fn(usize) -> Duration) -> usize {
        let mut now = limit.began;
        for _ in 0..100 {
            now += WINDOW;
            if waits {
                limit.reached();
            }
            for _ in 0..SAMPLES {
                limit.record(time(limit.get()), now);
            }
        }
        limit.get()
    }

    fn millis(millis: usize) -> Duration {
        Duration::from_millis(millis as u64)
    }

    #[test]
    fn it_falls_until_requests_are_fast_enough_again() {
        let mut limit = ConcurrencyLimit::new(512);
        // The machine serves eight requests in a millisecond.
        let reached = settled(&mut limit, true, |running| millis(running) / 8);
        assert!((16..=64).contains(&reached), "{reached}");
        assert_eq!(settled(&mut limit, true, |_| millis(1)), 512, "and rises again");
    }

    #[test]
    fn it_stays_where_no_request_waits() {
        let mut limit = ConcurrencyLimit::new(512);
        assert_eq!(settled(&mut limit, false, |_| millis(2)), 512);
    }

    #[test]
    fn a_slow_disk_does_not_lower_it() {
        let mut limit = ConcurrencyLimit::new(512);
        settled(&mut limit, false, |_| millis(8));
        assert_eq!(settled(&mut limit, true, |_| millis(16)), 512, "a request waits for another flush before its own");
        let mut limit = ConcurrencyLimit::new(512);
        assert_eq!(settled(&mut limit, true, |_| millis(80)), 512, "few requests take as long as many");
    }

    #[test]
    fn few_are_left_alone() {
        let mut limit = ConcurrencyLimit::new(3);
        assert_eq!(settled(&mut limit, true, |_| millis(900)), 3);
    }
}
