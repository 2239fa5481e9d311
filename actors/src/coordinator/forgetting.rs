//! Takes what erased accounts and removed sessions held out of the store's files. An erasure replaces and deletes rows;
//! the files still hold what was there before. The store rewrites itself for it, so the erasures of some hours are
//! taken together, and the removals of some days.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Coordinator;
use crate::{
    domain::time::Timestamp,
    journal::CommitError,
    ports::{Change, StoreError},
    rows::{
        keys::{self, Key},
        pages::{PAGE, pages},
    },
};

const TICK: Duration = Duration::from_secs(1);
/// The rewrite begins after this part of the promised time. A large store needs the rest for the rewrite.
const PART: u32 = 4;
/// The pause between two log lines that say that it takes too long.
const TELL_EVERY: Duration = Duration::from_secs(60 * 60);

/// The rewrite that the store is doing.
struct UnderWay {
    /// The store's number for the rewrite.
    upto: u64,
    /// The notes of the erasures that it serves.
    notes: Vec<Key>,
    began: Instant,
}

#[derive(Default)]
pub(super) struct Forgetting {
    under_way: Option<UnderWay>,
    told: Option<Instant>,
}

impl Coordinator {
    /// Runs until the process ends.
    pub(super) async fn run_forgetting(&self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut forgetting = Forgetting::default();
        loop {
            ticks.tick().await;
            if let Err(error) = self.forgetting_step(&mut forgetting).await {
                tracing::warn!(%error, "what erased accounts held stays in the store's files for now");
                forgetting.under_way = None;
            }
        }
    }

    pub(super) async fn forgetting_step(&self, forgetting: &mut Forgetting) -> Result<(), CommitError> {
        let oldest = self.oldest_erasure()?;
        let age = oldest.map_or(Duration::ZERO, |at| self.deps.clock.settled().since(at));
        metrics::gauge!("tandem_erasure_age_seconds").set(age.as_secs_f64());
        let within = self.deps.retention.erased;
        if age > within && forgetting.told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            forgetting.told = Some(Instant::now());
            tracing::warn!(
                ?within,
                "what erased accounts held is in the store's files for longer than retention.erased"
            );
        }
        match &forgetting.under_way {
            None if oldest.is_some() && age >= within / PART => forgetting.under_way = self.begin_to_forget()?,
            None => {}
            Some(UnderWay { upto, .. }) if self.store().forgotten() < *upto => {
                // The files are rewritten with later commits, so an empty commit is made in case there are no others.
                self.deps.journal.write(vec![Change::Put(keys::meta("forgetting"), Bytes::new())]).await?;
            }
            Some(_) => {
                let Some(UnderWay { notes, began, .. }) = forgetting.under_way.take() else { return Ok(()) };
                let (accounts, millis) = (accounts(&notes), began.elapsed().as_millis() as u64);
                let sessions = notes.iter().filter(|note| keys::user_of_erasure(note).is_none()).count();
                for some in notes.chunks(PAGE) {
                    self.deps.journal.write(some.iter().cloned().map(Change::Delete).collect()).await?;
                }
                if accounts > 0 {
                    tracing::info!(accounts, millis, "what erased accounts held is in no file of the store any more");
                }
                if sessions > 0 {
                    tracing::info!(sessions, millis, "what removed sessions held is in no file of the store any more");
                }
                metrics::counter!("tandem_erasures_total").increment(accounts as u64);
            }
        }
        Ok(())
    }

    fn begin_to_forget(&self) -> Result<Option<UnderWay>, StoreError> {
        let mut notes = Vec::new();
        for page in pages(self.store(), keys::erasures()) {
            notes.extend(page?.into_iter().map(|(key, _)| key));
        }
        let upto = self.store().forget_history()?;
        Ok(upto.map(|upto| UnderWay { upto, notes, began: Instant::now() }))
    }

    fn oldest_erasure(&self) -> Result<Option<Timestamp>, StoreError> {
        let first = self.store().scan(&keys::erasures(), None, crate::ports::Direction::Forward, 1)?;
        Ok(first.first().and_then(|(key, _)| keys::time_of_erasure(key)))
    }
}

/// Each session of an erased account has a note of its own.
fn accounts(notes: &[Key]) -> usize {
    let mut users: Vec<_> = notes.iter().filter_map(keys::user_of_erasure).collect();
    users.sort_unstable();
    users.dedup();
    users.len()
}
