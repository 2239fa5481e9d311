//! Events to connected partners, and who is present.

use std::time::Duration;

use bytes::Bytes;

use super::BoxFuture;
use crate::domain::{
    ids::{Seq, SessionId, UserId},
    time::Timestamp,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    Session(SessionId),
    User(UserId),
}

/// One message for one channel. Publishing the same `id` again has no effect.
#[derive(Clone, Debug)]
pub struct Publication {
    pub channel: Channel,
    /// Made of session and `seq`.
    pub id: String,
    pub name: &'static str,
    /// A JSON object: ids, stages and times only.
    pub data: Bytes,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RealtimeError {
    /// May work later.
    #[error("realtime provider unavailable: {reason}")]
    Unavailable { reason: String, retry_after: Option<Duration> },
    /// Will never work as it is.
    #[error("realtime provider refused: {reason}")]
    Refused { reason: String },
}

/// One of a partner's connections that is in a session's presence set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceMember {
    pub user: UserId,
    pub connection: String,
    pub at: Timestamp,
}

/// Whoever carries events to connected partners: the embedded endpoint, or Ably's cloud.
pub trait Realtime: Send + Sync + 'static {
    /// In order. An error means that none, some or all of them were published.
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<Result<(), RealtimeError>>;

    /// Who is in the session's presence set, over all configured presence channels.
    fn members(&self, session: &SessionId) -> BoxFuture<Result<Vec<PresenceMember>, RealtimeError>>;

    /// The same, from a provider that has it in memory.
    fn members_in_memory(&self, session: &SessionId) -> Option<Vec<PresenceMember>> {
        let _ = session;
        None
    }

    /// A user has left a session, durably: what the user's connections have of its channels is to end. Providers that cannot do that
    /// let the user's tokens run out.
    fn rights_ended(&self, session: &SessionId, user: &UserId) {
        let _ = (session, user);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PresenceSource {
    Embedded,
    Webhook,
    Rest,
    Heartbeat,
}

/// A connection entered or left a session's presence set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceChange {
    pub user: UserId,
    pub connection: String,
    pub present: bool,
    /// It left without saying so: a dead connection, a heartbeat that ran out. What was sent to it last may have reached nobody.
    pub vanished: bool,
    /// Repeated and reordered changes are told apart by it.
    pub at: Timestamp,
    pub source: PresenceSource,
}

/// Where realtime providers report to. Served by the coordinator.
pub trait PresenceSink: Send + Sync + 'static {
    fn presence(&self, session: &SessionId, change: PresenceChange);

    /// A live connection of `user` has received the session channel's message with this `seq`: it answered a ping that
    /// was written after the message.
    fn delivered(&self, session: &SessionId, user: &UserId, seq: Seq);
}
