//! The table of slots, in shards, so that threads rarely contend.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
};

use parking_lot::Mutex;

use super::slot::Slot;
use crate::domain::ids::SessionId;

const SHARDS: usize = 64;

/// Hashes are the same in each process, so that a simulation can be repeated. This is safe because clients cannot
/// choose session ids.
type FixedState = BuildHasherDefault<DefaultHasher>;

pub(super) struct Slots {
    shards: Vec<Mutex<HashMap<SessionId, Arc<Slot>, FixedState>>>,
    hasher: FixedState,
}

impl Default for Slots {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: FixedState::default() }
    }
}

impl Slots {
    fn shard(&self, session: &SessionId) -> &Mutex<HashMap<SessionId, Arc<Slot>, FixedState>> {
        &self.shards[self.hasher.hash_one(session) as usize % SHARDS]
    }

    pub(super) fn get_or_insert(&self, session: &SessionId) -> Arc<Slot> {
        let mut shard = self.shard(session).lock();
        if let Some(slot) = shard.get(session) {
            return slot.clone();
        }
        let slot = Arc::new(Slot::new(session.clone()));
        shard.insert(session.clone(), slot.clone());
        slot
    }

    pub(super) fn get(&self, session: &SessionId) -> Option<Arc<Slot>> {
        self.shard(session).lock().get(session).cloned()
    }

    pub(super) fn contains(&self, session: &SessionId) -> bool {
        self.shard(session).lock().contains_key(session)
    }

    /// Removes this slot. Another slot of the same session stays.
    pub(super) fn forget(&self, slot: &Arc<Slot>) {
        let mut shard = self.shard(&slot.session).lock();
        if shard.get(&slot.session).is_some_and(|found| Arc::ptr_eq(found, slot)) {
            shard.remove(&slot.session);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Calls `visit` for each slot. No shard is locked during the call.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&Arc<Slot>)) {
        for shard in &self.shards {
            let slots: Vec<_> = shard.lock().values().cloned().collect();
            slots.iter().for_each(&mut visit);
        }
    }
}
