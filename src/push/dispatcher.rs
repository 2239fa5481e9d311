//! The loop that sends due pushes in batches: as fast as the rate allows, a few requests at a time, and nothing while a
//! breaker is open. Pushes wait in rows, not in memory.

use std::{sync::Arc, time::Duration};

use tandem_actors::{
    domain::time::Timestamp,
    ports::{Change, Direction, StoreError},
    records,
};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    answer,
    batch::BatchKind,
    candidate::{Candidate, Plan},
    outcome::{Cause, Outcome},
    rows::{self, Address, Delivery},
    sender::Sender,
};
use crate::breaker::Allowance;

/// Recipients that one request may have.
const BATCH: usize = 100;
/// The clock counts milliseconds: a shorter wait would be none at all.
const TICK: Duration = Duration::from_millis(1);
/// The pause after the store or the journal failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How the next batch may be sent.
enum Mode {
    Batches,
    /// One push, to see whether the service works again.
    Trial,
    Wait {
        until: Timestamp,
    },
}

impl Sender {
    pub async fn dispatch(self: Arc<Self>) {
        while !self.is_stopping() {
            match self.recover().await {
                Ok(()) => break,
                Err(error) => {
                    tracing::error!(%error, "interrupted attempts could not be read");
                    self.rest(PAUSE_AFTER_FAILURE).await;
                }
            }
        }
        while !self.is_stopping() {
            match self.mode() {
                Mode::Wait { until } => tokio::select! {
                    () = self.rest_until(until) => {}
                    () = self.repaired.notified() => {}
                },
                Mode::Batches => self.dispatch_some(self.batch_size()).await,
                Mode::Trial => self.dispatch_trial().await,
            }
        }
        // All requests under way end before this task does.
        let all = u32::try_from(self.config.max_in_flight).unwrap_or(1);
        drop(self.slots.acquire_many(all).await);
    }

    fn mode(&self) -> Mode {
        let (now, uptime) = (self.alarm.now(), self.alarm.uptime());
        if let Some(wait) = self.limiter.paused(uptime) {
            return Mode::Wait { until: now + wait.max(TICK) };
        }
        match self.breakers.allowance(uptime) {
            Allowance::All => Mode::Batches,
            Allowance::Trial => Mode::Trial,
            Allowance::NoneFor(wait) => Mode::Wait { until: now + wait.max(TICK) },
        }
    }

    /// At most as many recipients as the rate allows in one second, so that a slow rate does not send in bursts.
    fn batch_size(&self) -> usize {
        BATCH.min(self.config.rate.try_into().unwrap_or(BATCH))
    }

    async fn dispatch_some(self: &Arc<Self>, size: usize) {
        let Some(slot) = self.slot().await else { return };
        let Some(plan) = self.next_plan(size).await else { return };
        let mut candidates = plan.candidates;
        if candidates.is_empty() {
            drop(slot);
            return self.wait_for_work(plan.next_due).await;
        }
        let recipients = |candidates: &[Candidate]| candidates.iter().map(|one| one.sends.len()).sum::<usize>();
        if recipients(&candidates) < size && !self.config.linger.is_zero() {
            tokio::time::sleep(self.config.linger).await;
            let room = size - recipients(&candidates);
            if let Some(more) = self.next_plan(room).await {
                // A push with more devices than there is room for is sent in a batch of its own.
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
        drop(tokio::spawn(self.clone().send_batch(candidates, slot, BatchKind::Regular)));
    }

    /// Sends one push, to see whether the service works again. A request without consequences goes first, so that no
    /// push is risked while the service does not answer at all.
    async fn dispatch_trial(self: &Arc<Self>) {
        let Some(slot) = self.slot().await else { return };
        let Some(plan) = self.next_plan(1).await else { return };
        if plan.candidates.is_empty() {
            drop(slot);
            return self.wait_for_work(plan.next_due).await;
        }
        self.breakers.begin_trial(self.alarm.uptime());
        if !answer::is_available(&self.expo.probe().await) {
            plan.candidates.iter().for_each(|candidate| self.give_back(candidate));
            let cause = format_args!("{} does not answer a trial", self.config.base_url);
            self.breakers.service.failed(self.alarm.uptime(), Duration::ZERO, &cause);
            return;
        }
        self.clone().send_batch(plan.candidates, slot, BatchKind::Trial).await;
    }

    /// `None` when stopping.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            slot = self.slots.clone().acquire_owned() => slot.ok(),
            () = self.stopped() => None,
        }
    }

    /// Plans the due rows, and writes the pushes that are closed without sending. `None` after a failure and a pause.
    async fn next_plan(&self, room: usize) -> Option<Plan> {
        loop {
            let failure = match self.collect(room, self.alarm.now()) {
                Ok(plan) if plan.closures.is_empty() => return Some(plan),
                Ok(mut plan) => match self.commit(std::mem::take(&mut plan.closures)).await {
                    Ok(()) => {
                        self.unclaim(&plan.closed);
                        if !plan.candidates.is_empty() {
                            return Some(plan);
                        }
                        // All rows of a page were closed. There may be another page.
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

    /// Waits until a row is due, until there is new work, or until the stop.
    async fn wait_for_work(&self, next_due: Option<Timestamp>) {
        tokio::select! {
            biased;
            () = self.alarm.until_some(next_due) => {}
            () = self.work.notified() => {}
            () = self.devices.released() => {}
            () = self.stopped() => {}
        }
    }

    /// Settles the attempts that were under way when the process ended. Their outcome is unknown.
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
            tracing::warn!(attempts = page.len(), "attempts were interrupted: whether they were accepted is unknown");
            self.commit(changes).await.map_err(StoreError::caused_by)?;
        }
    }
}
