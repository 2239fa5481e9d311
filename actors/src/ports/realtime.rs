//! The port of the realtime provider: publishing to connected partners, and their presence.

use std::time::Duration;

use bytes::Bytes;

use super::BoxFuture;
use crate::domain::{
    ids::{Seq, SessionId, UserId},
    time::Timestamp,
};

/// A channel, by what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The channel of both partners.
    Session(SessionId),
    /// The channel of one user.
    User(UserId),
}

/// One message for one channel. Publishing the same `id` again has no effect.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Where it is published.
    pub channel: Channel,
    /// Built from session and `seq`.
    pub id: String,
    /// The event's name.
    pub name: &'static str,
    /// A JSON object: ids, stages and times only.
    pub data: Bytes,
    /// When the event happened.
    pub at: Timestamp,
}

/// Why a provider did not publish or answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RealtimeError {
    /// A retry may succeed.
    #[error("realtime provider unavailable: {reason}")]
    Unavailable {
        /// The problem, in words.
        reason: String,
        /// When to try again.
        retry_after: Option<Duration>,
    },
    /// A retry cannot succeed.
    #[error("realtime provider refused: {reason}")]
    Refused {
        /// The provider's reason.
        reason: String,
    },
}

/// A connection of a partner in a session's presence set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceMember {
    /// The partner.
    pub user: UserId,
    /// The provider's name for the connection.
    pub connection: String,
    /// When it entered.
    pub at: Timestamp,
}

/// A realtime provider, which carries events to connected partners: the embedded endpoint, or Ably's cloud.
pub trait Realtime: Send + Sync + 'static {
    /// Publishes in order. After an error none, some or all of the messages are published.
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<Result<(), RealtimeError>>;

    /// The session's presence set, over all configured presence channels.
    fn members(&self, session: &SessionId) -> BoxFuture<Result<Vec<PresenceMember>, RealtimeError>>;

    /// The same set, from a provider that has it in memory.
    fn members_in_memory(&self, session: &SessionId) -> Option<Vec<PresenceMember>> {
        let _ = session;
        None
    }

    /// A user has durably left a session: the rights of the user's connections on its channels end. A provider that
    /// cannot do that lets the user's tokens expire.
    fn rights_ended(&self, session: &SessionId, user: &UserId) {
        let _ = (session, user);
    }

    /// The session of these users was removed: its history is deleted, and the rights of their connections on its
    /// channels end. A provider that is elsewhere keeps its history as long as it keeps all others.
    fn forget(&self, session: &SessionId, users: Vec<UserId>) -> BoxFuture<Result<(), RealtimeError>> {
        let _ = (session, users);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Who reported a change of presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PresenceSource {
    /// The embedded endpoint.
    Embedded,
    /// Ably's cloud, by webhook.
    Webhook,
    /// Ably's cloud, when asked.
    Rest,
    /// The client, over HTTP.
    Heartbeat,
}

/// A connection entered or left a session's presence set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceChange {
    /// The partner.
    pub user: UserId,
    /// The reporter's name for the connection.
    pub connection: String,
    /// Whether the connection is present from now on.
    pub present: bool,
    /// The connection left without a message: it broke, or a heartbeat ran out. Its last messages may not have
    /// arrived.
    pub vanished: bool,
    /// When it happened. Repeated and reordered reports are recognised by it.
    pub at: Timestamp,
    /// Who reported it.
    pub source: PresenceSource,
}

/// Where realtime providers report to. The coordinator implements it.
pub trait PresenceSink: Send + Sync + 'static {
    /// A connection has entered or left the session's presence set.
    fn presence(&self, session: &SessionId, change: PresenceChange);

    /// A live connection of `user` has received the session channel's message with this `seq`: it answered a ping that
    /// was written after the message.
    fn delivered(&self, session: &SessionId, user: &UserId, seq: Seq);
}
