//! Periodic work: due timers wake their sessions ([`super::timers`]), frozen actors are replaced, expired answers are
//! deleted ([`super::answer_sweep`]), sessions that are over for long are removed ([`super::removal`]), and what erased
//! accounts and removed sessions held leaves the store's files ([`super::forgetting`]).

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Coordinator;
use crate::{
    domain::time::Timestamp,
    ports::{Change, Store, StoreError},
    rows::keys::{self, Key},
};

const TICK: Duration = Duration::from_secs(1);
/// How often the settled time is stored. The next start accepts a clock that is not much later than the stored time.
const STORE_TIME_EVERY: Duration = Duration::from_secs(60);
const REMIND_EVERY: Duration = Duration::from_secs(30);

const TIME: &str = "time";

/// The settled time of the node's last run.
///
/// # Errors
/// If the store fails.
pub fn stored_time(store: &dyn Store) -> Result<Option<Timestamp>, StoreError> {
    let row = store.get(&keys::meta(TIME))?;
    let millis = row.and_then(|row| row.first_chunk::<8>().map(|bytes| i64::from_be_bytes(*bytes)));
    Ok(millis.map(Timestamp::from_millis))
}

impl Coordinator {
    /// Runs until the process ends.
    pub async fn run_maintenance(self) {
        let answers = self.clone().run_answer_sweep();
        tokio::join!(self.run_every_second(), self.run_timers(), answers, self.run_removals(), self.run_forgetting());
    }

    async fn run_every_second(&self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reminded_at: Option<Instant> = None;
        let mut remind_after: Option<Key> = None;
        let mut stored_at: Option<Instant> = None;
        loop {
            ticks.tick().await;
            self.supervisor.replace_frozen();
            if stored_at.is_none_or(|at| at.elapsed() >= STORE_TIME_EVERY) {
                stored_at = Some(Instant::now());
                self.store_time().await;
            }
            if reminded_at.is_none_or(|at| at.elapsed() >= REMIND_EVERY) {
                reminded_at = Some(Instant::now());
                remind_after = self.remind_of_account_work(remind_after.as_ref()).unwrap_or_else(|error| {
                    tracing::error!(%error, "waiting account work cannot be read");
                    None
                });
            }
        }
    }

    /// Stores the settled time for the next start.
    async fn store_time(&self) {
        let now = self.deps.clock.settled().as_millis().to_be_bytes();
        let row = Change::Put(keys::meta(TIME), Bytes::copy_from_slice(&now));
        if let Err(error) = self.deps.journal.write(vec![row]).await {
            tracing::warn!(%error, "the current time could not be stored");
        }
    }
}
