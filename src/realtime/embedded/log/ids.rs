//! The ids that publishers chose, by which a repetition is recognised: for as long as a client may try again, also when the entry itself has
//! left the memory.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::Entry;
use crate::realtime::embedded::protocol::frame::PublishResult;

/// The most that are remembered for one channel: some hundred publishes a second for two minutes.
const MOST: usize = 50_000;

#[derive(Debug, Default)]
pub struct Ids {
    published: HashMap<Arc<str>, PublishResult>,
    /// Oldest first, with their entries' times.
    order: VecDeque<(i64, Arc<str>)>,
}

impl Ids {
    pub fn remember(&mut self, entry: &Entry) {
        let Some(id) = entry.chosen_id() else { return };
        if self.order.len() >= MOST {
            self.forget_first();
        }
        self.order.push_back((entry.at, id.clone()));
        self.published.insert(id.clone(), entry.published());
    }

    pub fn published(&self, id: &str) -> Option<&PublishResult> {
        self.published.get(id)
    }

    /// Forgets those from before `horizon`.
    pub fn prune(&mut self, horizon: i64) {
        while self.order.front().is_some_and(|(at, _)| *at < horizon) {
            self.forget_first();
        }
        if self.order.is_empty() && self.order.capacity() > 0 {
            *self = Self::default();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, id)) = self.order.pop_front() {
            self.published.remove(&id);
        }
    }
}
