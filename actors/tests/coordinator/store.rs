//! A store in memory that can be held up, and that counts what it is asked.

use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tandem_actors::{
    domain::ids::{Seq, SessionId},
    keys::{self, Key},
    ports::{Change, Claim, Commit, Direction, OwnerEpoch, Store, StoreError, Verdict},
};

#[derive(Default)]
pub struct TestStore {
    rows: Mutex<BTreeMap<Key, Bytes>>,
    owners: Mutex<HashMap<SessionId, (OwnerEpoch, Seq)>>,
    held: Mutex<bool>,
    freed: Condvar,
    fail_next: AtomicBool,
    fence_next: AtomicBool,
    pub flushes: AtomicU64,
    pub commits: AtomicU64,
    /// Rows that were given out.
    pub rows_read: AtomicU64,
}

impl TestStore {
    /// From now on a flush does not end.
    pub fn hold(&self) {
        *self.held.lock() = true;
    }

    pub fn free(&self) {
        *self.held.lock() = false;
        self.freed.notify_all();
    }

    pub fn fail_next_commit(&self) {
        self.fail_next.store(true, Ordering::SeqCst);
    }

    /// The next group is refused as if somebody else owned its sessions.
    pub fn fence_next_commit(&self) {
        self.fence_next.store(true, Ordering::SeqCst);
    }

    pub fn rows_under(&self, prefix: &Key) -> Vec<(Key, Bytes)> {
        self.scan(prefix, None, Direction::Forward, usize::MAX).expect("memory does not fail")
    }
}

impl Store for TestStore {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.rows_read.fetch_add(1, Ordering::SeqCst);
        Ok(self.rows.lock().get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let rows = self.rows.lock();
        let inside = rows.iter().filter(|(key, _)| key.as_bytes().starts_with(prefix.as_bytes()));
        let clone = |(key, row): (&Key, &Bytes)| (key.clone(), row.clone());
        let found: Vec<_> = match direction {
            Direction::Forward => {
                inside.filter(|(key, _)| after.is_none_or(|after| *key > after)).take(limit).map(clone).collect()
            }
            Direction::Backward => {
                inside.rev().filter(|(key, _)| after.is_none_or(|after| *key < after)).take(limit).map(clone).collect()
            }
        };
        self.rows_read.fetch_add(found.len() as u64, Ordering::SeqCst);
        Ok(found)
    }

    fn claim(&self, session: &SessionId) -> Result<Claim, StoreError> {
        let last = self.scan(&keys::events(session), None, Direction::Backward, 1)?;
        let head = last.first().map_or(0, |(key, _)| {
            Seq::from_be_bytes(*key.as_bytes().last_chunk().expect("an event's key ends in its number"))
        });
        let mut owners = self.owners.lock();
        let epoch = owners.get(session).map_or(1, |(epoch, _)| epoch + 1);
        owners.insert(session.clone(), (epoch, head));
        Ok(Claim { epoch, head })
    }

    fn release(&self, _: &SessionId, _: OwnerEpoch) {}

    fn commit(&self, group: &[Commit]) -> Result<Vec<Verdict>, StoreError> {
        let mut held = self.held.lock();
        while *held {
            self.freed.wait(&mut held);
        }
        drop(held);
        if self.fail_next.swap(false, Ordering::SeqCst) {
            return Err(StoreError::new("told to fail"));
        }
        if self.fence_next.swap(false, Ordering::SeqCst) {
            return Ok(vec![Verdict::Fenced; group.len()]);
        }
        self.flushes.fetch_add(1, Ordering::SeqCst);
        self.commits.fetch_add(group.len() as u64, Ordering::SeqCst);
        let mut owners = self.owners.lock();
        let mut verdicts = Vec::new();
        for commit in group {
            if let Some(fence) = &commit.fence {
                let owner = owners.get_mut(&fence.session).expect("claimed before");
                if *owner != (fence.epoch, fence.expected) {
                    verdicts.push(Verdict::Fenced);
                    continue;
                }
                owner.1 = fence.next;
            }
            let mut rows = self.rows.lock();
            for change in &commit.changes {
                match change {
                    Change::Put(key, row) => drop(rows.insert(key.clone(), row.clone())),
                    Change::Delete(key) => drop(rows.remove(key)),
                }
            }
            verdicts.push(Verdict::Written);
        }
        Ok(verdicts)
    }
}
