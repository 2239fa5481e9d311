//! Ids that publishers chose. They identify a repetition for as long as a client may retry, even after the entry has
//! left memory.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::Entry;
use crate::protocol::frame::PublishResult;

/// The largest number of ids of one channel: some hundred publishes a second for two minutes.
const MOST: usize = 50_000;

/// Bytes of memory of an id beside its text.
const OVERHEAD: usize = 160;

#[derive(Debug)]
pub struct Ids {
    published: HashMap<Arc<str>, PublishResult>,
    /// Oldest first, each with the time of its entry.
    order: VecDeque<(i64, Arc<str>)>,
    bytes: usize,
    most_bytes: usize,
}

impl Ids {
    /// Keeps ids of at most this many bytes.
    pub fn new(most_bytes: usize) -> Self {
        Self { published: HashMap::new(), order: VecDeque::new(), bytes: 0, most_bytes }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps ids of at most `most_bytes` now.
    pub fn remember(&mut self, entry: &Entry, most_bytes: usize) {
        let Some(id) = entry.chosen_id() else { return };
        self.bytes += id.len() + OVERHEAD;
        let most = self.most_bytes.min(most_bytes);
        while !self.order.is_empty() && (self.order.len() >= MOST || self.bytes > most) {
            self.forget_first();
        }
        self.order.push_back((entry.at, id.clone()));
        self.published.insert(id.clone(), entry.published());
    }

    pub fn published(&self, id: &str) -> Option<&PublishResult> {
        self.published.get(id)
    }

    /// Forgets the id of an entry that was not published after all.
    pub fn forget(&mut self, entry: &Entry) {
        let Some(id) = entry.chosen_id() else { return };
        if let Some(index) = self.order.iter().rposition(|(_, known)| known == id) {
            self.order.remove(index);
            self.published.remove(id);
            self.bytes -= id.len() + OVERHEAD;
        }
    }

    /// Forgets the ids from before `horizon`.
    pub fn prune(&mut self, horizon: i64) {
        while self.order.front().is_some_and(|(at, _)| *at < horizon) {
            self.forget_first();
        }
        if self.order.is_empty() && self.order.capacity() > 0 {
            (self.order, self.published) = (VecDeque::new(), HashMap::new());
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, id)) = self.order.pop_front() {
            self.published.remove(&id);
            self.bytes -= id.len() + OVERHEAD;
        }
    }
}
