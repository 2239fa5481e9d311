//! Acknowledgements on their way out. One ACK frame may answer many publishes, and to a client that publishes on without waiting for its
//! answers each frame is a wake-up more: such a client's ACKs are held for a moment and go out together. Whoever waits for an answer
//! before the next publish gets it at once; which of the two a client is, shows when an ACK is held for once.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::realtime::embedded::protocol::{Action, Format, Outbound, frame::PublishResult};

/// How long ACKs are held.
const HOLD: Duration = Duration::from_millis(4);
/// ACKs that go out at once before one is held to see whether the client waits for it; doubled each time that it does.
const PATIENCE: u32 = 16;
const MAX_PATIENCE: u32 = 4_096;
/// Publishes within a hold that show that the client does not wait for the answer to the first.
const STREAM: usize = 3;
/// Publishes that one ACK frame answers at most.
const MOST: usize = 256;

#[derive(Debug)]
struct Batch {
    first: u64,
    results: Vec<PublishResult>,
    /// None: it is to go out with the next write.
    held_until: Option<Instant>,
}

#[derive(Debug)]
pub struct Acks {
    batch: Option<Batch>,
    /// ACKs that still go out at once.
    at_once: u32,
    patience: u32,
}

impl Default for Acks {
    fn default() -> Self {
        Self { batch: None, at_once: PATIENCE, patience: PATIENCE }
    }
}

impl Acks {
    /// Adds one, with the serials of what was published. False if it does not continue what is there: that has to go out first.
    pub fn add(&mut self, msg_serial: u64, serials: &mut Vec<String>, now: Instant) -> bool {
        if let Some(batch) = &mut self.batch {
            let next = batch.first + batch.results.len() as u64;
            if next != msg_serial || batch.results.len() >= MOST {
                return false;
            }
            batch.results.push(PublishResult { serials: std::mem::take(serials) });
            return true;
        }
        let held = self.at_once == 0;
        self.at_once = self.at_once.saturating_sub(1);
        self.batch = Some(Batch {
            first: msg_serial,
            results: vec![PublishResult { serials: std::mem::take(serials) }],
            held_until: held.then(|| now + HOLD),
        });
        true
    }

    pub fn is_empty(&self) -> bool {
        self.batch.is_none()
    }

    /// Until when they are held; none if they go out with the next write.
    pub fn held_until(&self) -> Option<Instant> {
        self.batch.as_ref().and_then(|batch| batch.held_until)
    }

    /// Nothing else came to be written in time: they go out.
    pub fn release(&mut self) {
        let Some(batch) = &mut self.batch else { return };
        batch.held_until = None;
        if batch.results.len() >= STREAM {
            self.patience = PATIENCE;
        } else {
            self.at_once = self.patience;
            self.patience = (self.patience * 2).min(MAX_PATIENCE);
        }
    }

    /// The frame that acknowledges everything there is.
    pub fn take(&mut self, format: Format) -> Option<Bytes> {
        let Batch { first, results, .. } = self.batch.take()?;
        let count = u32::try_from(results.len()).unwrap_or(u32::MAX);
        // Presence that changed nothing has no serials, and alone no results.
        let res = results.iter().any(|result| !result.serials.is_empty()).then_some(results);
        let frame = Outbound { msg_serial: Some(first), count: Some(count), res, ..Outbound::new(Action::Ack) };
        Some(frame.encode(format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(acks: &mut Acks, msg_serial: u64, now: Instant) -> bool {
        acks.add(msg_serial, &mut vec![format!("serial-{msg_serial}")], now)
    }

    fn taken(acks: &mut Acks) -> serde_json::Value {
        acks.take(Format::Json).map_or(serde_json::Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap())
    }

    /// Takes all that go out at once.
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
    fn one_frame_answers_all_that_follow_each_other() {
        let (mut acks, now) = (Acks::default(), Instant::now());
        assert!(add(&mut acks, 7, now) && add(&mut acks, 8, now));
        assert!(!add(&mut acks, 10, now), "9 is missing");
        let frame = taken(&mut acks);
        assert_eq!((frame["msgSerial"].as_u64(), frame["count"].as_u64()), (Some(7), Some(2)));
        assert_eq!(frame["res"][1]["serials"][0], "serial-8");
        assert_eq!(taken(&mut acks), serde_json::Value::Null);
    }

    #[test]
    fn a_client_that_waits_for_its_answers_is_kept_waiting_ever_more_rarely() {
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
    fn a_client_that_publishes_on_gets_its_answers_together() {
        let (mut acks, now) = (Acks::default(), Instant::now());
        exhaust(&mut acks, now);
        for round in 0..3 {
            assert!(add(&mut acks, 1, now) && add(&mut acks, 2, now));
            acks.release();
            assert_eq!(taken(&mut acks)["count"], 3, "{round}");
            add(&mut acks, 0, now);
            assert!(acks.held_until().is_some(), "and the next are held again");
        }
    }
}
