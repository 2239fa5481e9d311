//! The one loop that takes what is due and hands it out in batches: as fast as the rate allows, at most a few requests at
//! once, and not at all while a breaker is open. What waits, waits in rows, not in memory.

use std::{collections::HashSet, sync::Arc, time::Duration};

use dashmap::DashMap;
use parking_lot::Mutex;
use tandem_actors::{
    domain::time::Timestamp,
    journal::Journal,
    keys::Key,
    ports::{Change, Direction, PushCheck, Store, StoreError, Uptime},
    records,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use super::{
    alarm::Alarm,
    answer,
    breakers::Breakers,
    collect::{Candidate, Origin, Plan},
    config::Config,
    devices::Devices,
    expo::Expo,
    limiter::Limiter,
    outcome::{Cause, Outcome},
    pace::Paces,
    rows::{self, Address, Delivery},
    texts::Texts,
    tokens::DeviceId,
};
use crate::breaker::Pass;

/// Recipients that one request may have.
const BATCH: usize = 100;
/// After something of our own failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What the sender's tasks share.
pub(super) struct Sender {
    pub config: Config,
    pub texts: Texts,
    pub store: Arc<dyn Store>,
    pub journal: Journal,
    pub alarm: Alarm,
    pub check: Arc<dyn PushCheck>,
    pub devices: Arc<Devices>,
    pub expo: Expo,
    pub limiter: Limiter,
    pub breakers: Breakers,
    /// Requests that may be under way.
    pub slots: Arc<Semaphore>,
    /// Rows that a batch is working on.
    pub claimed: Mutex<HashSet<Key>>,
    /// How often each user was told of each session lately.
    pub(super) paces: Paces,
    /// Devices that were told to slow down.
    pub throttled: DashMap<DeviceId, Uptime>,
    /// The project of devices that were refused for being of another one than their batch.
    pub projects: DashMap<DeviceId, Arc<str>>,
    /// Somebody may have something to do.
    pub work: Notify,
    pub new_receipts: Notify,
    pub stopping: watch::Sender<bool>,
}

/// How the next batch may be sent.
enum Gate {
    Flow,
    Trial,
    Shut(Timestamp),
}

impl Sender {
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives as long as this does.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    pub async fn dispatch(self: Arc<Self>) {
        while !self.is_stopping() {
            match self.recover().await {
                Ok(()) => break,
                Err(error) => {
                    tracing::error!(%error, "attempts that were cut off could not be read");
                    self.rest(PAUSE_AFTER_FAILURE).await;
                }
            }
        }
        while !self.is_stopping() {
            match self.gate() {
                Gate::Shut(until) => self.wait(Some(until), false).await,
                Gate::Flow => self.dispatch_some(self.batch_size()).await,
                Gate::Trial => self.dispatch_trial().await,
            }
        }
        // Whatever is under way ends before this does.
        let all = u32::try_from(self.config.max_in_flight).unwrap_or(1);
        drop(self.slots.acquire_many(all).await);
    }

    fn gate(&self) -> Gate {
        let (now, uptime) = (self.alarm.now(), self.alarm.uptime());
        if let Some(wait) = self.limiter.paused(uptime) {
            return Gate::Shut(now + wait);
        }
        match self.breakers.look(uptime) {
            Pass::All => Gate::Flow,
            Pass::Trial => Gate::Trial,
            Pass::NobodyFor(wait) => Gate::Shut(now + wait),
        }
    }

    /// No more than a second's worth, so that a slow rate does not send in lumps.
    fn batch_size(&self) -> usize {
        BATCH.min(self.config.rate.try_into().unwrap_or(BATCH))
    }

    async fn dispatch_some(self: &Arc<Self>, size: usize) {
        let Some(slot) = self.slot().await else { return };
        let Some(plan) = self.next_plan(size).await else { return };
        let mut candidates = plan.candidates;
        if candidates.is_empty() {
            drop(slot);
            return self.wait(plan.next_due, true).await;
        }
        let recipients = |candidates: &[Candidate]| candidates.iter().map(|one| one.sends.len()).sum::<usize>();
        if recipients(&candidates) < size && !self.config.linger.is_zero() {
            tokio::time::sleep(self.config.linger).await;
            let room = size - recipients(&candidates);
            if let Some(more) = self.next_plan(room).await {
                // A push for more devices than there is room for goes alone.
                let (fitting, late): (Vec<_>, Vec<_>) = {
                    let mut left = room;
                    more.candidates.into_iter().partition(|candidate| {
                        let fits = candidate.sends.len() <= left;
                        left -= if fits { candidate.sends.len() } else { 0 };
                        fits
                    })
                };
                late.iter().for_each(|candidate| self.give_back(candidate));
                candidates.extend(fitting);
            }
        }
        drop(tokio::spawn(self.clone().send_batch(candidates, slot, false)));
    }

    /// One push shows whether the service works again; a harmless question goes first, so that a push is not risked on a
    /// service that does not even answer.
    async fn dispatch_trial(self: &Arc<Self>) {
        let Some(slot) = self.slot().await else { return };
        let Some(plan) = self.next_plan(1).await else { return };
        if plan.candidates.is_empty() {
            drop(slot);
            return self.wait(plan.next_due, true).await;
        }
        self.breakers.begin_trial(self.alarm.uptime());
        if !answer::is_available(&self.expo.probe().await) {
            plan.candidates.iter().for_each(|candidate| self.give_back(candidate));
            let cause = format_args!("{} does not answer a trial", self.config.base_url);
            self.breakers.service.failed(self.alarm.uptime(), Duration::ZERO, &cause);
            return;
        }
        self.clone().send_batch(plan.candidates, slot, true).await;
    }

    /// `None` when stopping.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            slot = self.slots.clone().acquire_owned() => slot.ok(),
            () = self.stopped() => None,
        }
    }

    /// What is due; closes what needs no sending. `None` if that failed, after a pause.
    async fn next_plan(&self, room: usize) -> Option<Plan> {
        loop {
            let failure = match self.collect(room, self.alarm.now()) {
                Ok(plan) if plan.closures.is_empty() => return Some(plan),
                Ok(mut plan) => match self.journal.write(std::mem::take(&mut plan.closures)).await {
                    Ok(()) => {
                        self.unclaim(&plan.closed);
                        if !plan.candidates.is_empty() {
                            return Some(plan);
                        }
                        // A whole page may have been closed: there may be more behind it.
                        if self.is_stopping() {
                            return None;
                        }
                        continue;
                    }
                    Err(error) => {
                        plan.candidates.iter().for_each(|candidate| self.give_back(candidate));
                        self.unclaim(&plan.closed);
                        error.to_string()
                    }
                },
                Err(error) => error.to_string(),
            };
            tracing::error!(error = failure, "due pushes could not be read or closed");
            self.rest(PAUSE_AFTER_FAILURE).await;
            return None;
        }
    }

    /// A push that was planned is not sent now: it can be planned again.
    pub(super) fn give_back(&self, candidate: &Candidate) {
        if matches!(candidate.origin, Origin::Jobs { .. }) {
            self.paces.undo(&candidate.id);
        }
        self.unclaim(&candidate.claimed);
    }

    pub fn unclaim(&self, keys: &[Key]) {
        let mut claimed = self.claimed.lock();
        for key in keys {
            claimed.remove(key);
        }
    }

    /// Until then, or until there is work, or the end.
    async fn wait(&self, until: Option<Timestamp>, for_work: bool) {
        let due = async {
            match until {
                Some(until) => self.alarm.until(until).await,
                None => std::future::pending().await,
            }
        };
        let work = async {
            match for_work {
                true => self.work.notified().await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = work => {}
            () = self.stopped() => {}
        }
    }

    pub async fn rest(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.stopped() => {}
        }
    }

    /// Attempts that were under way when the process ended: nobody knows what became of them.
    async fn recover(&self) -> Result<(), StoreError> {
        const PAGE: usize = 200;
        loop {
            let page = self.store.scan(&rows::all_in_flight(), None, Direction::Forward, PAGE)?;
            if page.is_empty() {
                return Ok(());
            }
            let now = self.alarm.now();
            let mut changes: Vec<Change> = Vec::new();
            for (key, value) in &page {
                let address: Address = records::decode(value)?;
                changes.push(Change::Delete(key.clone()));
                let Some(row) = self.store.get(&rows::delivery(&address.id, &address.device))? else { continue };
                let delivery: Delivery = records::decode(&row)?;
                let outcome = Outcome::Unknown { why: Cause::ProcessEnded };
                changes.extend(self.settle(delivery, outcome, None, Duration::ZERO, now).1);
            }
            tracing::warn!(attempts = page.len(), "attempts were cut off: whether they were accepted is unknown");
            self.journal.write(changes).await.map_err(StoreError::caused_by)?;
        }
    }
}
