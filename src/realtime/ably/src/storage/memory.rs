//! Rows in memory, for tests.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Change, Direction, Done, RowKey, Storage, StorageError};

/// Rows that are lost when the process ends.
#[derive(Debug, Default)]
pub struct MemoryStorage(Mutex<BTreeMap<RowKey, Bytes>>);

impl Storage for MemoryStorage {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        Ok(self.0.lock().get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(RowKey, Bytes)>, StorageError> {
        let rows = self.0.lock();
        let beyond = after.map_or(Unbounded, Excluded);
        let row = |(key, value): (&RowKey, &Bytes)| (key.clone(), value.clone());
        let is_inside = |(key, _): &(&RowKey, &Bytes)| key.starts_with(prefix);
        Ok(match direction {
            Direction::Forward => {
                rows.range::<[u8], _>((beyond, Unbounded)).filter(is_inside).take(limit).map(row).collect()
            }
            Direction::Backward => {
                rows.range::<[u8], _>((Unbounded, beyond)).rev().filter(is_inside).take(limit).map(row).collect()
            }
        })
    }

    fn write(&self, changes: Vec<Change>, done: Done) {
        let mut rows = self.0.lock();
        for change in changes {
            match change {
                Change::Put(key, value) => drop(rows.insert(key, value)),
                Change::Delete(key) => drop(rows.remove(&key)),
            }
        }
        drop(rows);
        done(Ok(()));
    }

    fn has_room(&self) -> bool {
        true
    }
}
