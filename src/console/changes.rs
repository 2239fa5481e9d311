//! Changes made by the console and by commands: who changed what, and when. The log has all of them. The latest are
//! also in the store, so that the console shows them after a restart.

use std::{borrow::Cow, collections::VecDeque, sync::Arc};

use serde::{Deserialize, Serialize};
use tandem_actors::{
    domain::time::Timestamp,
    journal::Journal,
    keys,
    ports::{self, Store},
    records,
};
use tokio::sync::Mutex;

use crate::http::OperatorChange;

/// Changes that are kept.
const KEPT: usize = 500;
/// The name of their row in the store.
const ROW: &str = "changes";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConsoleChange {
    pub at: Timestamp,
    pub by: String,
    /// As `released from quarantine`.
    pub what: Cow<'static, str>,
    /// The changed session, user, channel or breaker.
    pub of: String,
    /// The outcome.
    pub outcome: String,
}

impl From<OperatorChange> for ConsoleChange {
    fn from(change: OperatorChange) -> Self {
        let OperatorChange { at, by, what, outcome } = change;
        Self { at, by, what: what.into(), of: THE_NODE.to_owned(), outcome }
    }
}

/// What a change is of that concerns nothing smaller.
pub const THE_NODE: &str = "The node";

pub struct Changes {
    journal: Journal,
    /// The newest first. Locked while they are written, so that an older list never replaces a newer one.
    kept: Mutex<VecDeque<ConsoleChange>>,
}

impl Changes {
    /// Reads the changes of earlier runs.
    pub fn read(store: &Arc<dyn Store>, journal: Journal) -> Self {
        let stored = store.get(&keys::console(ROW)).and_then(|row| row.map(|row| records::decode(&row)).transpose());
        let kept = stored.unwrap_or_else(|error| {
            tracing::error!(%error, "the changes that were made by the console cannot be read; the log has them");
            None
        });
        Self { journal, kept: Mutex::new(kept.unwrap_or_default()) }
    }

    pub async fn note(&self, change: ConsoleChange) {
        let ConsoleChange { by, what, of, outcome, .. } = &change;
        tracing::info!(by, %what, of, outcome, "changed by the console");
        self.list(change).await;
    }

    /// Lists a change that the log has already.
    pub async fn list(&self, change: ConsoleChange) {
        let mut kept = self.kept.lock().await;
        kept.truncate(KEPT - 1);
        kept.push_front(change);
        let row = ports::Change::Put(keys::console(ROW), records::encode(&*kept));
        if let Err(error) = self.journal.write(vec![row]).await {
            tracing::warn!(%error, "a change will not be shown by the console after a restart; the log has it");
        }
    }

    /// The newest first.
    pub async fn latest(&self) -> Vec<ConsoleChange> {
        self.kept.lock().await.iter().cloned().collect()
    }
}
