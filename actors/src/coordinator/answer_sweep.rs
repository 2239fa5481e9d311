//! Deletes expired answers. An index by time finds them, so that a step reads only the rows that it deletes.

use std::time::Duration;

use tokio::time::sleep;

use super::Coordinator;
use crate::{
    domain::time::Timestamp,
    journal::CommitError,
    ports::{Change, Direction, StoreError},
    rows::{
        keys::{self, Key},
        pages::{PAGE, pages},
        records,
    },
    stored::idempotency::StoredAnswer,
};

const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// The pause between two steps leaves the journal to commands.
const PAUSE: Duration = Duration::from_millis(20);

impl Coordinator {
    /// Runs until the process ends.
    pub(crate) async fn run_answer_sweep(self) {
        if let Err(error) = self.index_old_answers().await {
            tracing::warn!(%error, "stored answers of earlier versions stay until the next start");
        }
        loop {
            match self.sweep_step(self.deps.clock.settled()).await {
                Ok(true) => sleep(PAUSE).await,
                Ok(false) => sleep(SWEEP_EVERY).await,
                Err(error) => {
                    tracing::warn!(%error, "old stored answers were not removed");
                    sleep(SWEEP_EVERY).await;
                }
            }
        }
    }

    /// Deletes some of the expired answers. True if there may be more.
    pub(crate) async fn sweep_step(&self, now: Timestamp) -> Result<bool, CommitError> {
        let page = self.store().scan(&keys::answers_by_time(), None, Direction::Forward, PAGE)?;
        let mut changes = Vec::new();
        for (key, _) in page {
            match keys::parse_answer_by_time(&key) {
                Some((at, _)) if now.since(at) < self.deps.retention.answers => break,
                Some((at, answer)) => {
                    changes.push(Change::Delete(key));
                    // There may be a newer answer under the same key.
                    if self.stored_at(&answer)? == Some(at) {
                        changes.push(Change::Delete(answer));
                    }
                }
                None => changes.push(Change::Delete(key)),
            }
        }
        if changes.is_empty() {
            return Ok(false);
        }
        self.deps.journal.write(changes).await.map(|()| true)
    }

    fn stored_at(&self, answer: &Key) -> Result<Option<Timestamp>, StoreError> {
        let row = self.store().get(answer)?;
        Ok(row.and_then(|row| records::decode::<StoredAnswer>(&row).ok()).map(|stored| stored.at))
    }

    /// Adds the answers of earlier versions to the index by time. It runs once in the life of a store.
    pub(crate) async fn index_old_answers(&self) -> Result<(), CommitError> {
        let done = keys::meta("answers_by_time");
        if self.store().get(&done)?.is_some() {
            return Ok(());
        }
        for page in pages(self.store(), keys::idempotent_answers()) {
            let page = page?;
            let by_time = page.iter().filter_map(|(key, row)| {
                let at = records::decode::<StoredAnswer>(row).ok()?.at;
                Some(Change::Put(keys::by_time(key, at), bytes::Bytes::new()))
            });
            self.deps.journal.write(by_time.collect()).await?;
            sleep(PAUSE).await;
        }
        self.deps.journal.write(vec![Change::Put(done, bytes::Bytes::from_static(&[1]))]).await
    }
}
