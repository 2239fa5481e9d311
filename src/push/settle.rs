//! Turns the outcome of an attempt into changes: the delivery's next state, and the index row that belongs to it.

use std::time::Duration;

use tandem_actors::{domain::time::Timestamp, ports::Change, records};

use super::{
    breakers::CredentialScope,
    outcome::{self, Fault, Final, Next, Outcome, OutcomeAction, RetryPace},
    rows::{self, Delivery, DeliveryState, ReceiptDue},
    sender::Sender,
};

/// Ends a delivery.
pub(super) fn end(delivery: &mut Delivery, end: Final, now: Timestamp) -> Change {
    let code = match &end {
        Final::Rejected { code, .. } => code.label(),
        _ => "",
    };
    metrics::counter!("tandem_push_outcomes_total", "outcome" => end.label(), "code" => code).increment(1);
    if delivery.possible_duplicate {
        metrics::counter!("tandem_push_possible_duplicates_total").increment(1);
    }
    let (session, seq) = (&delivery.id.session, delivery.id.seq);
    tracing::debug!(request_id = delivery.request_id(), %session, seq, outcome = end.label(), code, "push ended");
    delivery.state = DeliveryState::Done { outcome: end, at: now };
    Change::Put(delivery.key(), records::encode(delivery))
}

/// Makes a delivery wait until then.
pub(super) fn wait(mut delivery: Delivery, until: Timestamp) -> Vec<Change> {
    delivery.state = DeliveryState::Waiting { until };
    let address = delivery.address();
    vec![
        Change::Put(rows::waiting(until, &address), records::encode(&address)),
        Change::Put(delivery.key(), records::encode(&delivery)),
    ]
}

impl Sender {
    /// Settles an attempt. `scope` is absent if the service gave no ticket. `at_least` is the wait that the service
    /// asked for.
    pub(super) fn settle(
        &self,
        mut delivery: Delivery,
        outcome: Outcome,
        scope: Option<&CredentialScope>,
        at_least: Duration,
        now: Timestamp,
    ) -> (OutcomeAction, Vec<Change>) {
        let action = outcome::after_attempt(&outcome, delivery.tally.unknown);
        let code = match &outcome {
            Outcome::Rejected { code } => code.label(),
            _ => "",
        };
        metrics::counter!("tandem_push_attempts_total", "outcome" => outcome.label(), "code" => code).increment(1);
        let (request_id, session, seq) = (delivery.request_id(), &delivery.id.session, delivery.id.seq);
        tracing::debug!(request_id, %session, seq, outcome = outcome.label(), code, "push attempt settled");
        if action.alert {
            let device = delivery.device.as_str();
            tracing::warn!(request_id, %session, seq, device, ?outcome, "a push needs attention");
        }
        if let Some(scope) = scope {
            let breaker = self.breakers.project(scope);
            match (&outcome, action.fault) {
                (Outcome::Accepted { .. }, _) => breaker.succeeded(),
                (_, Some(Fault::Project)) => breaker.failed(self.alarm.uptime(), Duration::ZERO, &outcome),
                _ => {}
            }
        }
        let was_unknown = matches!(outcome, Outcome::Unknown { .. });
        delivery.tally.unknown += u32::from(was_unknown);
        delivery.tally.failures =
            if matches!(action.next, Next::Again(_)) { delivery.tally.failures.saturating_add(1) } else { 0 };
        delivery.end_attempt(outcome, now);
        let mut changes = vec![Change::Delete(rows::in_flight(&delivery.address()))];
        match action.next.clone() {
            Next::End(outcome) => changes.push(end(&mut delivery, outcome, now)),
            Next::AskForReceipt { ticket } => {
                let sent_at = delivery.started_at().unwrap_or(now);
                let due = sent_at + self.config.receipt_schedule.first().copied().unwrap_or_default();
                let row = ReceiptDue { address: delivery.address(), ticket: ticket.clone(), sent_at, asked: 0 };
                changes.push(Change::Put(rows::receipt(due, &ticket), records::encode(&row)));
                delivery.state = DeliveryState::AwaitingReceipt { ticket, due };
                changes.push(Change::Put(delivery.key(), records::encode(&delivery)));
            }
            Next::Again(pace) => {
                delivery.possible_duplicate |= pace == RetryPace::OnceMore;
                let wait = at_least + pace.backoff().full_jitter(delivery.tally.failures);
                if pace == RetryPace::DeviceThrottled {
                    self.throttle(&delivery.device, wait);
                }
                changes.extend(self::wait(delivery, now + wait));
            }
        }
        (action, changes)
    }
}
