//! Asks for the receipts of accepted pushes. A receipt appears some minutes after the send and disappears after a day.
//! A request changes nothing, so it is repeated after any failure. One task asks, so that no receipt is requested twice
//! at the same time.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tandem_actors::{
    domain::time::Timestamp,
    keys::Key,
    ports::{Change, Direction, StoreError},
    records,
};

use super::{
    answer::{self, Receipt},
    outcome::{self, Fault, Final, MESSAGE_RATE_EXCEEDED, Next, RetryPace},
    rows::{self, Delivery, DeliveryState, ReceiptDue},
    sender::Sender,
    settle,
};

/// Receipts that one request may ask for.
const BATCH: usize = 1000;

struct DueReceipts {
    rows: Vec<(Key, ReceiptDue)>,
    next_due: Option<Timestamp>,
}

impl Sender {
    pub(super) async fn poll_receipts(self: Arc<Self>) {
        let mut failures = 0;
        while !self.is_stopping() {
            let now = self.alarm.now();
            let due = match self.due_receipts(now) {
                Ok(due) => due,
                Err(error) => {
                    tracing::error!(%error, "due receipts could not be read");
                    self.rest(Duration::from_secs(1)).await;
                    continue;
                }
            };
            if due.rows.is_empty() {
                self.wait_for_receipts(due.next_due).await;
                continue;
            }
            if self.ask(due.rows, now).await {
                failures = 0;
            } else {
                failures += 1;
                self.rest_until(now + RetryPace::Unreachable.backoff().upper_half(failures)).await;
            }
        }
    }

    async fn wait_for_receipts(&self, next_due: Option<Timestamp>) {
        tokio::select! {
            biased;
            () = self.alarm.until_some(next_due) => {}
            () = self.new_receipts.notified() => {}
            () = self.stopped() => {}
        }
    }

    fn due_receipts(&self, now: Timestamp) -> Result<DueReceipts, StoreError> {
        let prefix = rows::receipts();
        let page = self.store.scan(&prefix, None, Direction::Forward, BATCH)?;
        let mut due = DueReceipts { rows: Vec::new(), next_due: None };
        for (key, value) in page {
            match rows::time_in(&key, &prefix) {
                Some(at) if at > now => {
                    due.next_due = Some(at);
                    break;
                }
                _ => due.rows.push((key, records::decode(&value)?)),
            }
        }
        Ok(due)
    }

    /// Requests receipts and takes them in. Returns false if that failed.
    async fn ask(&self, due: Vec<(Key, ReceiptDue)>, now: Timestamp) -> bool {
        let answer = {
            let slot = tokio::select! {
                biased;
                slot = self.slots.acquire() => slot,
                () = self.stopped() => return true,
            };
            let tickets: Vec<_> = due.iter().map(|(_, receipt)| receipt.ticket.as_str()).collect();
            let answer = self.expo.receipts(&tickets).await;
            drop(slot);
            answer::read_receipts(&answer)
        };
        let answered = answer.is_some();
        let receipts = answer.unwrap_or_default();
        let result = self.take_in(due, &receipts, answered, now).await;
        if let Err(error) = &result {
            tracing::error!(%error, "receipts could not be processed");
        }
        answered && result.is_ok()
    }

    async fn take_in(
        &self,
        due: Vec<(Key, ReceiptDue)>,
        receipts: &HashMap<String, Receipt>,
        answered: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut changes, mut unregistered) = (Vec::new(), Vec::new());
        for (key, mut receipt) in due {
            let (id, device) = (&receipt.address.id, &receipt.address.device);
            let Some(row) = self.store.get(&rows::delivery(id, device))? else {
                changes.push(Change::Delete(key));
                continue;
            };
            let mut delivery: Delivery = records::decode(&row)?;
            let is_lost = now.since(receipt.sent_at) >= self.config.receipt_lost_after;
            match receipts.get(&receipt.ticket) {
                Some(known) => {
                    metrics::histogram!("tandem_push_receipt_lag_seconds")
                        .record(now.since(receipt.sent_at).as_secs_f64());
                    if self.take_in_one(&mut delivery, known, now, &mut changes) {
                        unregistered.push((id.user.clone(), device.clone(), receipt.sent_at));
                    }
                    changes.push(Change::Delete(key));
                }
                None if is_lost => {
                    let request_id = delivery.request_id();
                    tracing::warn!(request_id, session = %id.session, seq = id.seq, "a push's receipt never came");
                    changes.extend([settle::end(&mut delivery, Final::ReceiptLost, now), Change::Delete(key)]);
                }
                None if answered => {
                    receipt.asked += 1;
                    let due = self.next_asking(receipt.sent_at, now);
                    delivery.state = DeliveryState::AwaitingReceipt { ticket: receipt.ticket.clone(), due };
                    changes.extend([
                        Change::Delete(key),
                        Change::Put(rows::receipt(due, &receipt.ticket), records::encode(&receipt)),
                        Change::Put(delivery.key(), records::encode(&delivery)),
                    ]);
                }
                None => {}
            }
        }
        if !changes.is_empty() {
            self.commit(changes).await.map_err(StoreError::caused_by)?;
        }
        for (user, device, sent_at) in unregistered {
            self.devices.mark_unregistered(user, device, sent_at).await.map_err(StoreError::caused_by)?;
        }
        Ok(())
    }

    /// Takes one receipt in. Returns whether it says that the device is unregistered.
    fn take_in_one(
        &self,
        delivery: &mut Delivery,
        receipt: &Receipt,
        now: Timestamp,
        changes: &mut Vec<Change>,
    ) -> bool {
        let refusal = match receipt {
            Receipt::Delivered => None,
            Receipt::Refused(code) => Some(code),
        };
        let action = outcome::after_receipt(refusal);
        if action.alert {
            let (request_id, session, seq) = (delivery.request_id(), &delivery.id.session, delivery.id.seq);
            let device = delivery.device.as_str();
            tracing::warn!(request_id, %session, seq, device, ?refusal, "a receipt needs attention");
        }
        if refusal.is_some_and(|code| code.as_str() == MESSAGE_RATE_EXCEEDED) {
            self.throttle(&delivery.device, RetryPace::DeviceThrottled.backoff().ceiling(1));
        }
        if action.fault == Some(Fault::Project)
            && let Ok(reach) = self.devices.reach(&delivery.id.user)
            && let Some(device) = reach.find(&delivery.device)
        {
            self.breakers.project(&self.scope(device)).failed(self.alarm.uptime(), Duration::ZERO, &refusal);
        }
        if let Next::End(end) = action.next {
            changes.push(settle::end(delivery, end, now));
        }
        action.device_unregistered
    }

    fn next_asking(&self, sent_at: Timestamp, now: Timestamp) -> Timestamp {
        let next = self.config.receipt_schedule.iter().map(|after| sent_at + *after).find(|at| *at > now);
        next.unwrap_or(sent_at + self.config.receipt_lost_after).min(sent_at + self.config.receipt_lost_after)
    }
}
