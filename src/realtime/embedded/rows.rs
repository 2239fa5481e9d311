//! The endpoint's rows in the node's store: read from it, written through the journal.

use std::sync::Arc;

use bytes::Bytes;
use tandem_ably::storage::{Change, Direction, Done, RowKey, Storage, StorageError};
use tandem_actors::{
    journal::{CommitError, Journal},
    keys::{self, Key},
    ports::{self, Commit, Store},
};

pub struct JournalRows {
    pub store: Arc<dyn Store>,
    pub journal: Journal,
}

/// The byte that all keys of the endpoint begin with in the store.
const PREFIX: usize = 1;

fn key(key: &[u8]) -> Key {
    keys::realtime(&[key])
}

impl Storage for JournalRows {
    fn get(&self, row: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.store.get(&key(row)).map_err(StorageError::new)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(RowKey, Bytes)>, StorageError> {
        let direction = match direction {
            Direction::Forward => ports::Direction::Forward,
            Direction::Backward => ports::Direction::Backward,
        };
        let after = after.map(key);
        let rows = self.store.scan(&key(prefix), after.as_ref(), direction, limit).map_err(StorageError::new)?;
        Ok(rows.into_iter().map(|(key, value)| (key.as_bytes()[PREFIX..].to_vec(), value)).collect())
    }

    fn write(&self, changes: Vec<Change>, done: Done) {
        let change = |change| match change {
            Change::Put(row, value) => ports::Change::Put(key(&row), value),
            Change::Delete(row) => ports::Change::Delete(key(&row)),
        };
        let told = |result: Result<(), CommitError>| {
            done(result.map_err(|error| {
                match error {
                    // The journal's watch says why.
                    CommitError::Refused => tracing::debug!(%error, "realtime rows were not written"),
                    _ => tracing::error!(%error, "realtime rows were not written"),
                }
                StorageError::new(error)
            }));
        };
        let changes = changes.into_iter().map(change).collect();
        self.journal.append(Commit { fence: None, changes }, Box::new(told));
    }

    fn has_room(&self) -> bool {
        self.journal.has_room()
    }
}
