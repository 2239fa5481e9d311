//! What the heart needs of the outside, as traits. Each is served by one file of the shell.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    domain::{
        ids::{Seq, SessionId, UserId},
        time::Timestamp,
    },
    keys::Key,
};

pub use tandem_domain::Ids;

pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// Time spent, by a clock that nobody sets: the difference between two of them is how long it took.
pub type Uptime = Duration;

/// The wall clock, and what does not follow its jumps. Tests give one that they move by hand.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;

    /// Since some moment that stays the same while the process runs. For everything that is short-lived.
    fn uptime(&self) -> Uptime {
        Duration::from_millis(u64::try_from(self.now().as_millis()).unwrap_or(0))
    }

    /// The time that has certainly come: a jump of the wall clock is believed when it has lasted. For what cannot be taken back.
    fn settled(&self) -> Timestamp {
        self.now()
    }
}

// ---- store -------------------------------------------------------------------------------------------------------

/// Grows with every claim of a session: an actor that was replaced cannot append any more.
pub type OwnerEpoch = u64;

/// One change of one row.
#[derive(Clone, Debug)]
pub enum Change {
    Put(Key, Bytes),
    Delete(Key),
}

/// On what condition a commit is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    pub session: SessionId,
    pub epoch: OwnerEpoch,
    /// The `seq` of the session's last stored event (0: none).
    pub expected: Seq,
    /// The `seq` of the last event in this commit; `expected` if it holds none.
    pub next: Seq,
}

/// Rows that are written together or not at all.
#[derive(Clone, Debug)]
pub struct Commit {
    pub fence: Option<Fence>,
    pub changes: Vec<Change>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Written,
    /// Another owner claimed the session since, or the log is not where this owner believes it to be. Nothing was written.
    Fenced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub epoch: OwnerEpoch,
    /// The `seq` of the last stored event, 0 for none.
    pub head: Seq,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Backward,
}

/// How much of the store an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// The store failed. What was being written may or may not be there; nothing more may be acknowledged.
    Failed,
    /// The disk is almost full. Nothing was written; writes go on when there is room again.
    NoRoom,
    /// The disk has not answered for too long. What is being written may still become durable.
    Stalled,
    /// One row is damaged. All others are as they were.
    Damaged,
}

/// Why the store did not do what was asked. The text is for the operator.
#[derive(Clone, Debug, thiserror::Error)]
#[error("store: {text}")]
pub struct StoreError {
    text: Arc<str>,
    fault: StoreFault,
}

impl StoreError {
    /// The store failed.
    pub fn new(error: impl std::fmt::Display) -> Self {
        Self::with(StoreFault::Failed, error)
    }

    pub fn no_room() -> Self {
        Self::with(StoreFault::NoRoom, "the disk is almost full; nothing is written until there is room again")
    }

    pub fn stalled() -> Self {
        Self::with(StoreFault::Stalled, "the disk does not answer")
    }

    /// `record` names the row, without anything that a person wrote.
    pub fn damaged(record: impl std::fmt::Display) -> Self {
        Self::with(StoreFault::Damaged, format_args!("{record} is damaged: its checksum is wrong"))
    }

    fn with(fault: StoreFault, error: impl std::fmt::Display) -> Self {
        Self { text: error.to_string().into(), fault }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn fault(&self) -> StoreFault {
        self.fault
    }
}

/// An ordered, durable map of rows.
pub trait Store: Send + Sync + 'static {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError>;

    /// The rows whose keys begin with `prefix`, strictly beyond `after` in the given direction if there is one, at most `limit`.
    fn scan(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError>;

    /// Makes the caller the session's owner: later commits with an earlier epoch are refused.
    fn claim(&self, session: &SessionId) -> Result<Claim, StoreError>;

    /// The owner lets go, so that the store can forget about the session; without effect if somebody else has claimed it.
    fn release(&self, session: &SessionId, epoch: OwnerEpoch);

    /// Writes a group as one atomic batch and returns when it is durable. Commits are judged in order, each on the state that
    /// the earlier ones leave. Called by the journal's thread alone. After [`StoreFault::NoRoom`] it may be called again.
    fn commit(&self, group: &[Commit]) -> Result<Vec<Verdict>, StoreError>;

    /// Closes the files, so that the next start has nothing to mend. Nothing can be read or written after it.
    fn close(&self) {}
}

// ---- realtime ----------------------------------------------------------------------------------------------------

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
pub struct Member {
    pub user: UserId,
    pub connection: String,
    pub at: Timestamp,
}

/// Whoever carries events to connected partners: the embedded endpoint, or Ably's cloud.
pub trait Realtime: Send + Sync + 'static {
    /// In order. An error means that none, some or all of them were published.
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<Result<(), RealtimeError>>;

    /// Who is in the session's presence set, over all configured presence channels.
    fn members(&self, session: &SessionId) -> BoxFuture<Result<Vec<Member>, RealtimeError>>;

    /// The same, from a provider that has it in memory.
    fn members_in_memory(&self, session: &SessionId) -> Option<Vec<Member>> {
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

// ---- push --------------------------------------------------------------------------------------------------------

/// What the session's actor needs to know of a user to route.
pub trait Devices: Send + Sync + 'static {
    /// Whether the user has a push token that can be used.
    fn has_push_token(&self, user: &UserId) -> bool;
}

/// The push sender. Jobs are rows (`keys::push_job`); this only says that there are some.
pub trait Push: Send + Sync + 'static {
    fn jobs_committed(&self);
}

/// Whether a push is still wanted, asked just before it is sent. Served by the coordinator.
pub trait PushCheck: Send + Sync + 'static {
    fn check(&self, session: &SessionId, user: &UserId, seq: Seq) -> BoxFuture<PushVerdict>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushVerdict {
    /// `unread`: the user's sessions with something unseen, for the badge.
    Send { unread: u32 },
    /// The partner has come back, has seen it, or the session is over.
    Drop { reason: &'static str },
    /// The session could not be asked.
    Later,
}
