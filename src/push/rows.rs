//! The rows of the push sender. A **record** holds the decision about one push, a **delivery** its progress on one
//! device. Index rows list deliveries in flight, deliveries that wait for a retry, due receipts, and records by the
//! time they may be deleted. Each change of state moves its index row in the same commit. So a killed process leaves
//! each delivery in exactly one index.
//!
//! Enums that hold a time are not internally tagged, because serde would read the time as if it came from JSON.

use serde::{Deserialize, Serialize};
use tandem_actors::{
    RequestId,
    domain::{
        ids::{Seq, SessionId, UserId},
        time::Timestamp,
    },
    keys::{self, Key},
    records::PushJob,
};

use super::{
    outcome::{Final, Outcome},
    tokens::DeviceId,
};

/// One push: an event for one user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct PushId {
    pub(crate) session: SessionId,
    pub(crate) user: UserId,
    pub(crate) seq: Seq,
}

impl PushId {
    pub(crate) fn of(job: &PushJob) -> Self {
        Self { session: job.session.clone(), user: job.user.clone(), seq: job.seq }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PushRecord {
    pub(crate) id: PushId,
    pub(crate) event: String,
    /// Why the session's actor chose a push.
    pub(crate) reason: String,
    pub(crate) created_at: Timestamp,
    pub(crate) decision: Decision,
    pub(crate) decided_at: Timestamp,
    /// After this time, it is not tried any more.
    pub(crate) expires_at: Timestamp,
}

/// What the sender decided about a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Decision {
    /// Sent to this many devices. Each has a delivery.
    Sent { devices: u32 },
    /// Waits for the end of quiet hours, for the pace, or for the session to answer.
    Held { until: Timestamp, why: String },
    /// A newer push to the same user about the same session replaces it.
    Coalesced { into: Seq },
    /// Not wanted any more, or not deliverable.
    Dropped { why: String },
    /// It could not be sent in time.
    Expired,
}

impl Decision {
    /// For metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Decision::Sent { .. } => "sent",
            Decision::Held { .. } => "held",
            Decision::Coalesced { .. } => "coalesced",
            Decision::Dropped { .. } => "dropped",
            Decision::Expired => "expired",
        }
    }
}

/// One push to one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) id: PushId,
    pub(crate) device: DeviceId,
    pub(crate) event: String,
    /// The request that caused the event, for the log. Absent for timers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<RequestId>,
    pub(crate) expires_at: Timestamp,
    pub(crate) state: DeliveryState,
    /// The first attempt may have arrived before the second was sent.
    #[serde(default)]
    pub(crate) possible_duplicate: bool,
    /// The latest attempts, the oldest first; at most [`Delivery::KEPT`].
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) tally: Tally,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum DeliveryState {
    /// A request is under way, or was when the process ended.
    Started,
    Waiting {
        until: Timestamp,
    },
    /// Accepted; `due` is when the receipt is asked for next.
    AwaitingReceipt {
        ticket: String,
        due: Timestamp,
    },
    Done {
        outcome: Final,
        at: Timestamp,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) started_at: Timestamp,
    #[serde(default)]
    pub(crate) ended_at: Option<Timestamp>,
    /// Absent while it is under way.
    #[serde(default)]
    pub(crate) outcome: Option<Outcome>,
}

/// What the action table needs of earlier attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) attempts: u32,
    pub(crate) unknown: u32,
    /// In a row, for the backoff.
    pub(crate) failures: u32,
}

impl Delivery {
    const KEPT: usize = 20;

    pub(crate) fn start(&mut self, now: Timestamp) {
        self.state = DeliveryState::Started;
        self.tally.attempts += 1;
        if self.attempts.len() >= Self::KEPT {
            // The first attempts show how it began. During an outage, those in the middle are all alike.
            self.attempts.remove(Self::KEPT / 4);
        }
        debug_assert!(self.attempts.len() < Self::KEPT);
        self.attempts.push(Attempt { started_at: now, ended_at: None, outcome: None });
    }

    pub(crate) fn end_attempt(&mut self, outcome: Outcome, now: Timestamp) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.ended_at = Some(now);
            attempt.outcome = Some(outcome);
        }
    }

    /// As in the log.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.request_id.as_ref().map(RequestId::as_str)
    }

    pub(crate) fn started_at(&self) -> Option<Timestamp> {
        self.attempts.last().map(|attempt| attempt.started_at)
    }

    pub(crate) fn key(&self) -> Key {
        delivery(&self.id, &self.device)
    }

    pub(crate) fn address(&self) -> Address {
        Address { id: self.id.clone(), device: self.device.clone() }
    }
}

/// How index rows refer to a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) id: PushId,
    pub(crate) device: DeviceId,
}

/// A receipt to request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceiptDue {
    pub(crate) address: Address,
    pub(crate) ticket: String,
    pub(crate) sent_at: Timestamp,
    /// Answers so far without this receipt.
    pub(crate) asked: u32,
}

pub(crate) fn record(id: &PushId) -> Key {
    keys::push(&[b"s", id.session.as_str().as_bytes(), b"\0", &id.seq.to_be_bytes(), id.user.as_str().as_bytes()])
}

/// All records of a session, by `seq`.
pub(crate) fn records_of(session: &SessionId) -> Key {
    keys::push(&[b"s", session.as_str().as_bytes(), b"\0"])
}

pub(crate) fn delivery(id: &PushId, device: &DeviceId) -> Key {
    keys::push(&[&in_push(b'x', id), device.as_str().as_bytes()].map(|part| part as &[u8]))
}

/// All deliveries of a push.
pub(crate) fn deliveries(id: &PushId) -> Key {
    keys::push(&[&in_push(b'x', id)])
}

pub(crate) fn in_flight(address: &Address) -> Key {
    keys::push(&[&in_push(b'f', &address.id), address.device.as_str().as_bytes()].map(|part| part as &[u8]))
}

/// All deliveries whose request is under way.
pub fn all_in_flight() -> Key {
    keys::push(&[b"f"])
}

pub(crate) fn waiting(until: Timestamp, address: &Address) -> Key {
    let behind = in_push(b'\0', &address.id);
    keys::push(&[b"w", &until.as_millis().to_be_bytes(), &behind, address.device.as_str().as_bytes()])
}

/// All deliveries that wait for a retry, by time.
pub fn all_waiting() -> Key {
    keys::push(&[b"w"])
}

pub(crate) fn receipt(due: Timestamp, ticket: &str) -> Key {
    keys::push(&[b"r", &due.as_millis().to_be_bytes(), ticket.as_bytes()])
}

/// All receipts to request, by time.
pub fn receipts() -> Key {
    keys::push(&[b"r"])
}

/// The index row of a record that may be deleted at `at`.
pub(crate) fn forgettable(at: Timestamp, id: &PushId) -> Key {
    keys::push(&[b"z", &at.as_millis().to_be_bytes(), &in_push(b'\0', id)])
}

pub(crate) fn all_forgettable() -> Key {
    keys::push(&[b"z"])
}

/// When a user was notified of a session lately.
pub(crate) fn session_pace(session: &SessionId, user: &UserId) -> Key {
    keys::push(&[b"c", session.as_str().as_bytes(), b"\0", user.as_str().as_bytes()])
}

/// When users were notified of a session lately.
pub(crate) fn session_paces(session: &SessionId) -> Key {
    keys::push(&[b"c", session.as_str().as_bytes(), b"\0"])
}

/// When a user was notified of any session lately.
pub(crate) fn user_pace(user: &UserId) -> Key {
    keys::push(&[b"y", user.as_str().as_bytes()])
}

/// A user's devices and preferences.
pub(crate) fn devices(user: &UserId) -> Key {
    keys::push(&[b"u", user.as_str().as_bytes()])
}

/// The devices and preferences of all users.
pub fn all_devices() -> Key {
    keys::push(&[b"u"])
}

/// The user of a key under [`all_devices`].
pub fn user_of(key: &Key) -> Option<UserId> {
    let behind = key.as_bytes().get(all_devices().as_bytes().len()..)?;
    std::str::from_utf8(behind).ok()?.parse().ok()
}

/// The counts of the guard against mass unregistration.
pub(crate) fn guard() -> Key {
    keys::push(&[b"g"])
}

fn in_push(kind: u8, id: &PushId) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(id.session.as_str().as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(&id.seq.to_be_bytes());
    bytes.extend_from_slice(id.user.as_str().as_bytes());
    bytes.push(0);
    bytes
}

/// The time in a key whose prefix is followed by a time: waiting deliveries, receipts, deletable records, and jobs.
pub(crate) fn time_in(key: &Key, prefix: &Key) -> Option<Timestamp> {
    let behind = key.as_bytes().get(prefix.as_bytes().len()..)?;
    let millis = behind.first_chunk::<8>()?;
    Some(Timestamp::from_millis(i64::from_be_bytes(*millis)))
}
