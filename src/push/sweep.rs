//! Deletes records after their retention, and measures how old the oldest waiting push is.

use std::{sync::Arc, time::Duration};

use tandem_actors::{
    domain::time::Timestamp,
    keys::{self, Key},
    ports::{Change, Direction, StoreError},
    records::{self, PushJob},
};

use super::{
    rows::{self, Address, Delivery, DeliveryState, PushId},
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
            let age = self.oldest_waiting().map_or(Duration::ZERO, |at| now.since(at));
            metrics::gauge!("tandem_push_oldest_waiting_seconds").set(age.as_secs_f64());
            let receipts = self.first(&rows::receipts()).map_or(Duration::ZERO, |at| now.since(at));
            metrics::gauge!("tandem_push_receipts_overdue_seconds").set(receipts.as_secs_f64());
            let in_flight = self.config.max_in_flight.saturating_sub(self.slots.available_permits());
            metrics::gauge!("tandem_push_in_flight").set(in_flight as f64);
            self.rest(SHOW_EVERY).await;
        }
    }

    /// The time of the oldest waiting push, among those that are due next. A delivery that waits for a retry counts
    /// from its first attempt.
    fn oldest_waiting(&self) -> Option<Timestamp> {
        let page = |prefix: &Key| self.store.scan(prefix, None, Direction::Forward, PAGE).unwrap_or_default();
        let jobs = page(&keys::push_jobs());
        let jobs = jobs.iter().filter_map(|(_, row)| Some(records::decode::<PushJob>(row).ok()?.created_at));
        let waiting = page(&rows::all_waiting());
        let waiting = waiting.iter().filter_map(|(_, row)| {
            let Address { id, device } = records::decode(row).ok()?;
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
