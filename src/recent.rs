//! A bounded cache for what every request asks: verified tokens, known users. Two generations instead of a list in
//! order of use: when the young one is full it becomes the old one, and what is asked for again moves over. A hit costs
//! one short lock on one of several shards.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
};

use parking_lot::Mutex;

const SHARDS: usize = 16;

/// Remembers at most about `capacity` entries, those used of late.
pub struct Recent<K, V> {
    shards: [Mutex<Generations<K, V>>; SHARDS],
    hasher: RandomState,
    /// What the young generation of one shard may hold.
    room: usize,
}

struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    pub fn new(capacity: usize) -> Self {
        let shard = || Mutex::new(Generations { young: HashMap::new(), old: HashMap::new() });
        Self {
            shards: std::array::from_fn(|_| shard()),
            hasher: RandomState::new(),
            room: (capacity / SHARDS / 2).max(1),
        }
    }

    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let mut shard = self.shard(key).lock();
        if let Some(value) = shard.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = shard.old.remove_entry(key)?;
        self.put(&mut shard, key, value.clone());
        Some(value)
    }

    pub fn insert(&self, key: K, value: V) {
        let mut shard = self.shard(&key).lock();
        shard.old.remove(&key);
        self.put(&mut shard, key, value);
    }

    pub fn remove<Q: Eq + Hash + ?Sized>(&self, key: &Q)
    where
        K: Borrow<Q>,
    {
        let mut shard = self.shard(key).lock();
        shard.young.remove(key);
        shard.old.remove(key);
    }

    fn put(&self, shard: &mut Generations<K, V>, key: K, value: V) {
        if shard.young.len() >= self.room && !shard.young.contains_key(&key) {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(key, value);
    }

    fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> &Mutex<Generations<K, V>> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_no_more_than_its_capacity_and_keeps_what_is_used() {
        let recent = Recent::new(160);
        recent.insert("kept".to_owned(), 0);
        for number in 1..10_000 {
            recent.insert(number.to_string(), number);
            assert_eq!(recent.get("kept"), Some(0), "an entry in use was dropped after {number}");
        }
        let held: usize = recent
            .shards
            .iter()
            .map(|shard| {
                let shard = shard.lock();
                shard.young.len() + shard.old.len()
            })
            .sum();
        assert!(held <= 160, "{held} entries are held");
        recent.remove("kept");
        assert_eq!(recent.get("kept"), None);
    }
}
