//! The port of the storage: an ordered map of rows that outlives a restart and is written in the background.

#[cfg(test)]
mod memory;

use std::sync::Arc;

use bytes::Bytes;

/// Rows are ordered by the bytes of their keys.
pub type RowKey = Vec<u8>;

/// One change of one row.
#[derive(Clone, Debug)]
pub enum Change {
    /// Writes a row, and replaces an existing one.
    Put(RowKey, Bytes),
    /// Removes a row, if there is one.
    Delete(RowKey),
}

/// The order of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

/// Why a row was not read or written. The text is for the operator.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct StorageError(Arc<str>);

impl StorageError {
    /// The reason must not contain text of clients.
    pub fn new(reason: impl std::fmt::Display) -> Self {
        Self(reason.to_string().into())
    }
}

/// Hears once whether a write is durable.
pub type Done = Box<dyn FnOnce(Result<(), StorageError>) + Send>;

/// An ordered map of rows. Keys and values may have any length.
pub trait Storage: Send + Sync + 'static {
    /// # Errors
    /// If the row cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError>;

    /// At most `limit` rows whose keys begin with `prefix`. With `after`, only those strictly beyond it in the given
    /// direction.
    ///
    /// # Errors
    /// If a row cannot be read.
    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(RowKey, Bytes)>, StorageError>;

    /// Queues changes, which become durable together and after all that were queued before. Logs a failure itself.
    fn write(&self, changes: Vec<Change>, done: Done);

    /// Whether the queue takes more.
    fn has_room(&self) -> bool;
}

#[cfg(test)]
pub(crate) use self::memory::MemoryStorage;
