//! The machine's clock and its randomness, behind their ports.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::Rng;
use tandem_actors::{
    domain::time::Timestamp,
    ports::{Clock, Ids},
};

pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        };
        Timestamp::from_millis(millis)
    }
}

/// `c` and 24 characters of `[a-z0-9]`: 124 bits from a cryptographic generator.
pub struct RandomIds;

impl Ids for RandomIds {
    fn fresh(&self) -> String {
        const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let mut generator = rand::rng();
        let random = (0..24).map(|_| char::from(ALPHABET[generator.random_range(0..ALPHABET.len())]));
        std::iter::once('c').chain(random).collect()
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
