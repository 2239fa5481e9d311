//! The machine's clock and random ids, as the coordinator's ports.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rand::Rng;
use tandem_actors::{
    domain::{ids, time::Timestamp},
    ports::{Clock, Ids, Uptime},
    settling::SettledClock,
};

/// The machine's clock, which may be set while the node runs.
pub struct SystemClock {
    started: Instant,
    settling: Mutex<SettledClock>,
}

impl SystemClock {
    /// A jump of the wall clock counts after `believed_after`. `known` is the last settled time of the node's previous
    /// run.
    pub fn new(known: Option<Timestamp>, believed_after: Duration) -> Self {
        let settling = SettledClock::new(known, wall(), Duration::ZERO, believed_after);
        Self { started: Instant::now(), settling: Mutex::new(settling) }
    }
}

fn wall() -> Timestamp {
    let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    };
    Timestamp::from_millis(millis)
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        wall()
    }

    fn uptime(&self) -> Uptime {
        self.started.elapsed()
    }

    fn settled(&self) -> Timestamp {
        self.settling.lock().look(wall(), self.started.elapsed())
    }
}

/// `c` and 24 characters of `[a-z0-9]`: 124 bits from a cryptographic generator.
pub struct RandomIds;

impl Ids for RandomIds {
    fn fresh(&self) -> String {
        let mut generator = rand::rng();
        ids::from_numbers(std::iter::repeat_with(|| generator.random_range(0..ids::ALPHABET_SIZE)))
    }
}

#[cfg(test)]
mod tests {
    use tandem_actors::domain::ids::SessionId;

    use super::*;

    #[test]
    fn fresh_ids_are_valid_and_differ() {
        let (one, other) = (RandomIds.fresh(), RandomIds.fresh());
        assert!(one.parse::<SessionId>().is_ok());
        assert_ne!(one, other);
    }
}
