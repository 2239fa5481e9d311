//! What was changed by the console: who did what, and when. The log has every line; the console shows the latest.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tandem_actors::domain::time::Timestamp;

/// Changes that are shown.
const KEPT: usize = 500;

#[derive(Clone, Debug)]
pub struct Change {
    pub at: Timestamp,
    pub by: String,
    /// As `released from quarantine`.
    pub what: &'static str,
    /// The session, user, channel or breaker.
    pub of: String,
    /// How it ended.
    pub outcome: String,
}

#[derive(Default)]
pub struct Changes(Mutex<VecDeque<Change>>);

impl Changes {
    pub fn note(&self, change: Change) {
        let Change { by, what, of, outcome, .. } = &change;
        tracing::info!(by, what, of, outcome, "changed by the console");
        let mut kept = self.0.lock();
        kept.truncate(KEPT - 1);
        kept.push_front(change);
    }

    /// The newest first.
    pub fn latest(&self) -> Vec<Change> {
        self.0.lock().iter().cloned().collect()
    }
}
