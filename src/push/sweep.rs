//! Deletes records after their retention, and measures how old the oldest waiting push is.

use std::{sync::Arc, time::Duration};

use tandem_actors::{
    domain::{ids::UserId, time::Timestamp},
    keys::{self, Key},
    ports::{Change, Direction, StoreError},
    records::{self, PushJob},
};

use super::{
    decide::QUIET_HOURS,
    rows::{self, Address, Decision, Delivery, DeliveryState, PushId, PushRecord},
    sender::Sender,
};

const PAGE: usize = 200;
const EVERY: Duration = Duration::from_secs(60 * 60);
const SHOW_EVERY: Duration = Duration::from_secs(10);

impl Sender {
    pub(super) async fn sweep(self: Arc<Self>) {
        while !self.is_stopping() {
            let now = self.alarm.now();
            self.paces.forget_old(&self.config, now);
            match self.forget(now).await {
                Ok(true) => {}
                Ok(false) => self.rest_until(now + EVERY).await,
                Err(error) => {
                    tracing::error!(%error, "old pushes could not be forgotten");
                    self.rest_until(now + EVERY).await;
                }
            }
        }
    }

    /// Deletes one page of records. Returns true if there may be another page.
    async fn forget(&self, now: Timestamp) -> Result<bool, StoreError> {
        let prefix = rows::all_forgettable();
        let page = self.store.scan(&prefix, None, Direction::Forward, PAGE)?;
        let due = |key: &Key| rows::time_in(key, &prefix).is_none_or(|at| at <= now);
        let due: Vec<_> = page.into_iter().take_while(|(key, _)| due(key)).collect();
        let mut changes = Vec::new();
        for (key, value) in &due {
            let id: PushId = records::decode(value)?;
            changes.push(Change::Delete(key.clone()));
            let deliveries = self.store.scan(&rows::deliveries(&id), None, Direction::Forward, PAGE)?;
            let is_over = |row: &[u8]| {
                records::decode::<Delivery>(row).map_or(true, |one| matches!(one.state, DeliveryState::Done { .. }))
            };
            if deliveries.iter().all(|(_, row)| is_over(row)) {
                changes.push(Change::Delete(rows::record(&id)));
                changes.push(Change::Delete(rows::session_pace(&id.session, &id.user)));
                changes.extend(deliveries.into_iter().map(|(key, _)| Change::Delete(key)));
            } else {
                changes.push(Change::Put(rows::forgettable(now + EVERY, &id), value.clone()));
            }
        }
        if !changes.is_empty() {
            self.commit(changes).await.map_err(StoreError::caused_by)?;
        }
        Ok(due.len() == PAGE)
    }

    pub(super) async fn show(self: Arc<Self>) {
        while !self.is_stopping() {
            let now = self.alarm.now();
            let age = self.oldest_waiting(now).map_or(Duration::ZERO, |at| now.since(at));
            metrics::gauge!("tandem_push_oldest_waiting_seconds").set(age.as_secs_f64());
            let receipts = self.first(&rows::receipts()).map_or(Duration::ZERO, |at| now.since(at));
            metrics::gauge!("tandem_push_receipts_overdue_seconds").set(receipts.as_secs_f64());
            let in_flight = self.config.max_in_flight.saturating_sub(self.slots.available_permits());
            metrics::gauge!("tandem_push_in_flight").set(in_flight as f64);
            self.rest(SHOW_EVERY).await;
        }
    }

    /// The time of the oldest waiting push, among those that are due next. A delivery that waits for a retry counts
    /// from its first attempt. A push that quiet hours hold does not count. After that it counts from their end.
    fn oldest_waiting(&self, now: Timestamp) -> Option<Timestamp> {
        let page = |prefix: &Key| self.store.scan(prefix, None, Direction::Forward, PAGE).unwrap_or_default();
        let is_quiet = |user: &UserId| self.devices.reach(user).is_ok_and(|reach| reach.quiet_until(now).is_some());
        let prefix = keys::push_jobs();
        let jobs = page(&prefix);
        let jobs = jobs.iter().filter_map(|(key, row)| {
            let job: PushJob = records::decode(row).ok()?;
            let record = self.store.get(&rows::record(&PushId::of(&job))).ok()?;
            let decision = record.and_then(|row| Some(records::decode::<PushRecord>(&row).ok()?.decision));
            let was_quiet = matches!(decision, Some(Decision::Held { why, .. }) if why == QUIET_HOURS);
            let since = if was_quiet { rows::time_in(key, &prefix)? } else { job.created_at };
            (since <= now && !is_quiet(&job.user)).then_some(since)
        });
        let waiting = page(&rows::all_waiting());
        let waiting = waiting.iter().filter_map(|(_, row)| {
            let Address { id, device } = records::decode(row).ok()?;
            if is_quiet(&id.user) {
                return None;
            }
            let delivery: Delivery = records::decode(&self.store.get(&rows::delivery(&id, &device)).ok()??).ok()?;
            delivery.attempts.first().map(|attempt| attempt.started_at)
        });
        jobs.chain(waiting).min()
    }

    fn first(&self, prefix: &Key) -> Option<Timestamp> {
        let rows = self.store.scan(prefix, None, Direction::Forward, 1).ok()?;
        rows.first().and_then(|(key, _)| rows::time_in(key, prefix))
    }
}
