//! A store without a disk, for unit tests and benches: the same contract, gone with the process, and it fails when told to.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use parking_lot::RwLock;
use tandem_actors::{
    domain::ids::SessionId,
    keys::Key,
    ports::{Change, Claim, Commit, Direction, OwnerEpoch, Store, StoreError, Verdict},
};

use super::{
    guarded::{Beside, Guarded},
    rows::{Bounds, Rows},
};

#[derive(Default)]
pub(super) struct MemoryRows {
    rows: RwLock<BTreeMap<Key, Bytes>>,
    fail_next: AtomicBool,
}

pub struct MemoryStore(Guarded<MemoryRows>);

impl Default for MemoryStore {
    fn default() -> Self {
        Self(Guarded::start(MemoryRows::default(), Beside::default()).expect("an empty map takes a row"))
    }
}

impl MemoryStore {
    /// The next commit fails, and so does everything after it.
    pub fn fail_next_commit(&self) {
        self.0.rows().fail_next.store(true, Ordering::SeqCst);
    }
}

impl Rows for MemoryRows {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        Ok(self.rows.read().get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let Some(bounds) = Bounds::of(prefix, after, direction) else { return Ok(Vec::new()) };
        let from = Key::from_bytes(bounds.from);
        let from = if bounds.beyond_from { Bound::Excluded(from) } else { Bound::Included(from) };
        let rows = self.rows.read();
        let range = rows.range((from, Bound::Excluded(Key::from_bytes(bounds.to))));
        let copy = |(key, value): (&Key, &Bytes)| (key.clone(), value.clone());
        Ok(match direction {
            Direction::Forward => range.take(limit).map(copy).collect(),
            Direction::Backward => range.rev().take(limit).map(copy).collect(),
        })
    }

    fn write(&self, changes: &[&Change]) -> Result<(), StoreError> {
        if self.fail_next.load(Ordering::SeqCst) {
            return Err(StoreError::new("told to fail"));
        }
        let mut rows = self.rows.write();
        for change in changes {
            match change {
                Change::Put(key, value) => rows.insert(key.clone(), value.clone()),
                Change::Delete(key) => rows.remove(key),
            };
        }
        Ok(())
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.0.get(key)
    }

    fn scan(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError> {
        self.0.scan(prefix, after, direction, limit)
    }

    fn claim(&self, session: &SessionId) -> Result<Claim, StoreError> {
        self.0.claim(session)
    }

    fn release(&self, session: &SessionId, epoch: OwnerEpoch) {
        self.0.release(session, epoch);
    }

    fn commit(&self, group: &[Commit]) -> Result<Vec<Verdict>, StoreError> {
        self.0.commit(group)
    }
}
