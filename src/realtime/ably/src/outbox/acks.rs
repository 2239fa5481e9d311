//! Batches acknowledgements. One ACK frame can answer many publishes. A client that publishes without waiting for
//! replies gets its ACKs together, held for a moment, because each frame wakes it up. A client that waits for a reply
//! before its next publish gets its ACK at once. We detect which one by holding one ACK.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::protocol::{Action, Format, Outbound, frame::PublishResult};

/// How long an ACK is held.
const HOLD: Duration = Duration::from_millis(8);
/// A client that waits for replies has stopped publishing by the last part of a hold.
const HALF: Duration = Duration::from_millis(4);
/// ACKs that go out at once before one is held as a test. Doubled each time the client turns out to wait.
const PATIENCE: u32 = 16;
const MAX_PATIENCE: u32 = 4_096;
/// The same after a test in which the client did not wait. It may only have been slow.
const TRUST: u32 = 2;
/// The largest number of publishes that one ACK frame answers.
const MOST: usize = 256;

#[derive(Debug)]
struct Batch {
    first: u64,
    results: Vec<PublishResult>,
    /// When the newest result was added.
    latest: Instant,
    /// None: the batch goes out with the next write.
    held_until: Option<Instant>,
}

#[derive(Debug)]
pub struct Acks {
    batch: Option<Batch>,
    /// The remaining ACKs that go out at once.
    at_once: u32,
    patience: u32,
}

impl Default for Acks {
    fn default() -> Self {
        Self { batch: None, at_once: PATIENCE, patience: PATIENCE }
    }
}

impl Acks {
    /// Adds a result. False if it does not continue the batch, which must go out first.
    pub fn add(&mut self, msg_serial: u64, result: &PublishResult, now: Instant) -> bool {
        if let Some(batch) = &mut self.batch {
            let next = batch.first + batch.results.len() as u64;
            if next != msg_serial || batch.results.len() >= MOST {
                return false;
            }
            batch.results.push(result.clone());
            batch.latest = now;
            return true;
        }
        let held = self.at_once == 0;
        self.at_once = self.at_once.saturating_sub(1);
        self.batch = Some(Batch {
            first: msg_serial,
            results: vec![result.clone()],
            latest: now,
            held_until: held.then(|| now + HOLD),
        });
        true
    }

    pub fn is_empty(&self) -> bool {
        self.batch.is_none()
    }

    /// The end of the hold. None if the batch goes out with the next write.
    pub fn held_until(&self) -> Option<Instant> {
        self.batch.as_ref().and_then(|batch| batch.held_until)
    }

    /// Ends the hold: no other frame took the batch along.
    pub fn release(&mut self) {
        let Some(batch) = &mut self.batch else { return };
        let Some(held_until) = batch.held_until.take() else { return };
        if batch.latest + HALF >= held_until {
            self.patience = TRUST;
        } else {
            self.at_once = self.patience;
            self.patience = (self.patience * 2).min(MAX_PATIENCE);
        }
    }

    /// Takes the batch as one ACK frame.
    pub fn take(&mut self, format: Format) -> Option<Bytes> {
        let Batch { first, results, .. } = self.batch.take()?;
        let count = u32::try_from(results.len()).unwrap_or(u32::MAX);
        // Presence events that change nothing have no serials. A frame with only those has no results.
        let res = results.iter().any(|result| result.messages > 0).then_some(results);
        let frame = Outbound { msg_serial: Some(first), count: Some(count), res, ..Outbound::new(Action::Ack) };
        Some(frame.encode(format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(acks: &mut Acks, msg_serial: u64, now: Instant) -> bool {
        let result = PublishResult { serial: Some(format!("serial-{msg_serial}").into()), messages: 1 };
        acks.add(msg_serial, &result, now)
    }

    fn taken(acks: &mut Acks) -> serde_json::Value {
        acks.take(Format::Json).map_or(serde_json::Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap())
    }

    /// Takes all ACKs that go out at once.
    fn exhaust(acks: &mut Acks, now: Instant) -> u32 {
        let mut count = 0;
        loop {
            add(acks, 0, now);
            if acks.held_until().is_some() {
                return count;
            }
            acks.take(Format::Json);
            count += 1;
        }
    }

    #[test]
    fn one_ack_frame_covers_consecutive_serials() {
        let (mut acks, now) = (Acks::default(), Instant::now());
        assert!(add(&mut acks, 7, now) && add(&mut acks, 8, now));
        assert!(!add(&mut acks, 10, now), "9 is missing");
        let frame = taken(&mut acks);
        assert_eq!((frame["msgSerial"].as_u64(), frame["count"].as_u64()), (Some(7), Some(2)));
        assert_eq!(frame["res"][1]["serials"][0], "serial-8:0000");
        assert_eq!(taken(&mut acks), serde_json::Value::Null);
    }

    #[test]
    fn acks_are_held_ever_more_rarely_for_a_client_that_waits_for_them() {
        let (mut acks, now) = (Acks::default(), Instant::now());
        for at_once in [PATIENCE, PATIENCE, 2 * PATIENCE, 4 * PATIENCE] {
            assert_eq!(exhaust(&mut acks, now), at_once);
            assert_eq!(acks.held_until(), Some(now + HOLD));
            acks.release();
            assert_eq!(acks.held_until(), None);
            acks.take(Format::Json);
        }
    }

    #[test]
    fn a_client_that_does_not_wait_gets_its_acks_together() {
        let (mut acks, now) = (Acks::default(), Instant::now());
        exhaust(&mut acks, now);
        for round in 0..3 {
            assert!(add(&mut acks, 1, now + HOLD / 4) && add(&mut acks, 2, now + HALF));
            acks.release();
            assert_eq!(taken(&mut acks)["count"], 3, "{round}");
            add(&mut acks, 0, now);
            assert!(acks.held_until().is_some(), "and the next are held again");
        }
    }

    #[test]
    fn a_client_that_waits_after_a_burst_gets_its_ack_at_once() {
        let (mut acks, now) = (Acks::default(), Instant::now());
        exhaust(&mut acks, now);
        assert!((1..8).all(|msg_serial| add(&mut acks, msg_serial, now + HOLD / 8)));
        acks.release();
        assert_eq!(taken(&mut acks)["count"], 8);
        add(&mut acks, 0, now);
        assert!(acks.held_until().is_none());
    }
}
