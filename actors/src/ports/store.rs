//! The port of the store: durable rows.

use std::{error::Error, fmt, sync::Arc};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::domain::ids::{Seq, SessionId};

/// A key of an event has 35 bytes. Keys are made and copied with each command, and compared in maps. That is
/// faster without a place elsewhere.
const INLINE: usize = 40;

/// A row's key, or the beginning of many rows' keys.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(SmallVec<[u8; INLINE]>);

impl Clone for Key {
    /// The derived one would copy byte by byte.
    fn clone(&self) -> Self {
        Self::from_bytes(self)
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Key {
    /// A key of these bytes, for adapters that read keys back, and for rooms that lay out rows under their own prefix.
    pub fn from_bytes(bytes: impl AsRef<[u8]>) -> Self {
        Self(SmallVec::from_slice(bytes.as_ref()))
    }

    /// The bytes that the store orders rows by.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn of_parts(prefix: u8, parts: &[&[u8]]) -> Self {
        let mut bytes = SmallVec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
        bytes.push(prefix);
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        Self(bytes)
    }
}

impl fmt::Debug for Key {
    /// The kind and a length: keys hold user ids.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}, {} bytes)", self.0.first().map(|b| char::from(*b)), self.0.len())
    }
}

/// Grows with every claim of a session, so that an actor that was replaced cannot append any more.
pub type OwnerEpoch = u64;

/// One change of one row.
#[derive(Clone, Debug)]
pub enum Change {
    /// Writes a row, whether or not there was one.
    Put(Key, Bytes),
    /// Deletes a row if there is one.
    Delete(Key),
}

/// The condition under which a commit is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The session that the commit belongs to.
    pub session: SessionId,
    /// The epoch of the committing owner.
    pub epoch: OwnerEpoch,
    /// The `seq` of the session's last stored event (0: none).
    pub expected: Seq,
    /// The `seq` of the last event in this commit; `expected` if it holds none.
    pub next: Seq,
}

/// Rows that are written together or not at all.
#[derive(Clone, Debug)]
pub struct Commit {
    /// `None` for rows that belong to no session's log.
    pub fence: Option<Fence>,
    /// The rows, in order.
    pub changes: Vec<Change>,
}

/// The outcome of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The commit is durable.
    Written,
    /// Another owner claimed the session since, or the log is not where this owner believes it to be. Nothing was
    /// written.
    Fenced,
}

/// What an owner gets when it claims a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The epoch of the new owner.
    pub epoch: OwnerEpoch,
    /// The `seq` of the last stored event, 0 for none.
    pub head: Seq,
}

/// The direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From small keys to large ones.
    Forward,
    /// From large keys to small ones.
    Backward,
}

/// How much of the store an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// The store failed. The last write may or may not be there. Nothing more may be acknowledged.
    Failed,
    /// The disk is almost full. Nothing was written. Writes resume when there is room again.
    NoRoom,
    /// The engine is too far behind the journal. Nothing was written. Writes resume when it has caught up.
    Busy,
    /// The disk or the database has not answered for too long. The present write may still become durable.
    Stalled,
    /// The node stops and does not wait for a database that is away. The last write may or may not be there.
    Stopping,
    /// One row is damaged. All others are as they were.
    Damaged,
}

impl StoreFault {
    /// Whether the store is unchanged, and the same operation can succeed later.
    pub fn passes(self) -> bool {
        matches!(self, Self::NoRoom | Self::Busy | Self::Stalled | Self::Stopping)
    }
}

/// Why a store operation failed. The text is for the operator.
#[derive(Clone, Debug, thiserror::Error)]
#[error("store: {text}")]
pub struct StoreError {
    text: Arc<str>,
    fault: StoreFault,
    advice: Option<&'static str>,
    #[source]
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// The store failed for another reason.
    pub fn new(error: impl fmt::Display) -> Self {
        Self::with(StoreFault::Failed, error)
    }

    /// The store failed because of `source`, which stays readable as the source of this error.
    pub fn caused_by(source: impl Error + Send + Sync + 'static) -> Self {
        let error = Self::new(&source);
        Self { source: Some(Arc::new(source)), ..error }
    }

    /// The disk is almost full.
    pub fn no_room() -> Self {
        Self::with(StoreFault::NoRoom, "the disk is almost full; nothing is written until there is room again")
    }

    /// The engine is too far behind the journal.
    pub fn busy(error: impl std::fmt::Display) -> Self {
        Self::with(StoreFault::Busy, error)
    }

    /// The disk does not answer.
    pub fn stalled() -> Self {
        Self::with(StoreFault::Stalled, "the disk does not answer")
    }

    /// The database does not answer. It may do so again at any time.
    pub fn away(error: impl fmt::Display) -> Self {
        Self::with(StoreFault::Stalled, error)
    }

    /// The node stops before the store could answer.
    pub fn stopping(error: impl fmt::Display) -> Self {
        Self::with(StoreFault::Stopping, error)
    }

    /// `record` names the row, without anything that a person wrote.
    pub fn damaged(record: impl fmt::Display) -> Self {
        Self::with(StoreFault::Damaged, format_args!("{record} is damaged: its checksum is wrong"))
    }

    /// `record` names the row that is not as it was last written.
    pub fn outdated(record: impl fmt::Display) -> Self {
        Self::with(StoreFault::Damaged, format_args!("{record} is damaged: it is not what was written last"))
    }

    fn with(fault: StoreFault, error: impl fmt::Display) -> Self {
        Self { text: error.to_string().into(), fault, advice: None, source: None }
    }

    /// Adds what the operator can do.
    #[must_use]
    pub fn advising(self, advice: &'static str) -> Self {
        Self { advice: Some(advice), ..self }
    }

    /// What the operator can do, if that is special to this error.
    pub fn advice(&self) -> Option<&'static str> {
        self.advice
    }

    /// What went wrong, for the operator.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How much of the store the error is about.
    pub fn fault(&self) -> StoreFault {
        self.fault
    }
}

/// An ordered, durable map of rows.
pub trait Store: Send + Sync + 'static {
    /// The value of one row.
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError>;

    /// The values of several rows, in the order of `keys`. A remote store reads them in one round trip.
    fn get_all(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>, StoreError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// The rows whose keys begin with `prefix`, strictly beyond `after` in the given direction if there is one, at most
    /// `limit`.
    fn scan(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError>;

    /// Makes the caller the session's owner: later commits with an earlier epoch are refused.
    fn claim(&self, session: &SessionId) -> Result<Claim, StoreError>;

    /// The owner gives the session up, so that the store can forget it. It has no effect if another owner has claimed
    /// the session.
    fn release(&self, session: &SessionId, epoch: OwnerEpoch);

    /// Writes a group as one atomic batch and returns when it is durable. It decides for each commit in order, on the
    /// state that the earlier ones leave. Only the journal's thread calls it. After [`StoreFault::NoRoom`] and
    /// [`StoreFault::Busy`] it may be called again.
    fn commit(&self, group: &[Commit]) -> Result<Vec<Verdict>, StoreError>;

    /// Begins to remove replaced and deleted values from the store's files. Returns the number of this removal. It is
    /// done when [`Self::forgotten`] has reached the number, which needs some more commits. `None` if it cannot begin
    /// at present. It may wait for the disk for a moment. A store that does not manage files is done at once.
    fn forget_history(&self) -> Result<Option<u64>, StoreError> {
        Ok(Some(0))
    }

    /// The number of the last removal that is done: see [`Self::forget_history`].
    fn forgotten(&self) -> u64 {
        0
    }

    /// The node stops. A write that waits for a database to come back fails now, with [`StoreFault::Stopping`].
    fn stop_waiting(&self) {}

    /// Closes the files, so that the next start has nothing to repair. Nothing can be read or written after it.
    fn close(&self) {}
}
