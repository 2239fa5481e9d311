//! At most one live session for each pair of users. A request that creates a session for a known person holds the
//! pair's lock from the check to the commit.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::domain::ids::UserId;

const LOCKS: usize = 256;

#[derive(Clone)]
pub(crate) struct PairLocks(Arc<(RandomState, Vec<Arc<Mutex<()>>>)>);

impl Default for PairLocks {
    fn default() -> Self {
        Self(Arc::new((RandomState::new(), (0..LOCKS).map(|_| Arc::default()).collect())))
    }
}

impl PairLocks {
    /// Locks the pair. The order of the two does not matter; other pairs may share the lock.
    pub(super) async fn lock(&self, one: &UserId, other: &UserId) -> OwnedMutexGuard<()> {
        let (hasher, locks) = &*self.0;
        let pair = (one.min(other), one.max(other));
        locks[hasher.hash_one(pair) as usize % LOCKS].clone().lock_owned().await
    }
}
