//! Nonces of token requests. A nonce is valid once with a timestamp, as in Ably's service. The timestamp check
//! refuses requests that are older than the window. So each nonce is remembered for a bounded time, and memory is
//! bounded.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;

use crate::{protocol::ErrorInfo, time::Timestamp};

/// How far a token request's timestamp may be from the server's clock.
pub const WINDOW: Duration = Duration::from_secs(120);
const CAPACITY: usize = 200_000;

#[derive(Default)]
struct Seen {
    set: HashSet<Arc<str>>,
    order: VecDeque<(Timestamp, Arc<str>)>,
}

#[derive(Default)]
pub struct Nonces(Mutex<Seen>);

impl Nonces {
    /// Marks a nonce of an otherwise valid request as used. `at` is the timestamp that was signed.
    ///
    /// # Errors
    /// 40105 if the nonce was used before. 42910 if the memory for nonces is full.
    pub fn spend(&self, key_name: &str, nonce: &str, at: &str, now: Timestamp) -> Result<(), ErrorInfo> {
        let entry: Arc<str> = format!("{key_name}\n{at}\n{nonce}").into();
        let mut seen = self.0.lock();
        while let Some((at, _)) = seen.order.front()
            && now.since(*at) > 2 * WINDOW
        {
            if let Some((_, old)) = seen.order.pop_front() {
                seen.set.remove(&old);
            }
        }
        if seen.set.contains(&entry) {
            return Err(ErrorInfo::nonce_replayed("the nonce was used before"));
        }
        if seen.set.len() >= CAPACITY {
            return Err(ErrorInfo::rate_exceeded("too many token requests"));
        }
        seen.order.push_back((now, entry.clone()));
        seen.set.insert(entry);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_valid_once_and_forgotten_when_its_timestamp_has_expired() {
        let nonces = Nonces::default();
        let start = Timestamp::from_millis(1_000_000);
        nonces.spend("a.b", "0123456789abcdef", "1", start).unwrap();
        assert_eq!(nonces.spend("a.b", "0123456789abcdef", "1", start).unwrap_err().code, 40105);
        nonces.spend("a.b", "0123456789abcdef", "2", start).unwrap();
        nonces.spend("a.c", "0123456789abcdef", "1", start).unwrap();
        nonces.spend("a.b", "0123456789abcdef", "1", start + 3 * WINDOW).unwrap();
        assert_eq!(nonces.0.lock().set.len(), 1);
    }
}
