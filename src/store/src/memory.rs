//! A store in memory for unit tests and benches, with the same contract. It can be told to fail.

use std::{
    collections::BTreeMap,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::RwLock;
use tandem_actors::{
    domain::ids::SessionId,
    keys::Key,
    ports::{Change, Claim, Commit, Direction, OwnerEpoch, Store, StoreError, Verdict},
};

use super::{
    fence::{Fences, head_of},
    rows::Bounds,
};

/// Rows in memory. The fences are the same as on disk.
pub struct MemoryStore {
    rows: RwLock<BTreeMap<Key, Bytes>>,
    fences: Fences,
    fail_next: AtomicBool,
    failed: OnceLock<StoreError>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            rows: RwLock::default(),
            fences: Fences::new(1),
            fail_next: AtomicBool::new(false),
            failed: OnceLock::new(),
        }
    }
}

impl MemoryStore {
    /// The next commit fails, and so does everything after it.
    pub fn fail_next_commit(&self) {
        self.fail_next.store(true, Ordering::SeqCst);
    }

    fn write(&self, changes: impl Iterator<Item = Change>) {
        let mut rows = self.rows.write();
        for change in changes {
            match change {
                Change::Put(key, value) => rows.insert(key, value),
                Change::Delete(key) => rows.remove(&key),
            };
        }
    }
}

impl Store for MemoryStore {
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
        Ok(bounds.page_of(&self.rows.read(), direction, limit))
    }

    fn claim(&self, session: &SessionId) -> Result<Claim, StoreError> {
        let claim = self.fences.claim(session, || head_of(self, session))?;
        self.failed.get().map_or(Ok(claim), |error| Err(error.clone()))
    }

    fn release(&self, session: &SessionId, epoch: OwnerEpoch) {
        self.fences.release(session, epoch);
    }

    fn commit(&self, group: &[Commit]) -> Result<Vec<Verdict>, StoreError> {
        if self.fail_next.load(Ordering::SeqCst) {
            self.failed.get_or_init(|| StoreError::new("told to fail"));
        }
        if let Some(error) = self.failed.get() {
            return Err(error.clone());
        }
        let verdicts = self.fences.judge(group);
        let written = group.iter().zip(&verdicts).filter(|(_, verdict)| **verdict == Verdict::Written);
        self.write(written.flat_map(|(commit, _)| commit.changes.iter().cloned()));
        self.fences.settle();
        Ok(verdicts)
    }
}
