//! Begins attempts. Each session is asked once more whether the push is wanted. The start of an attempt is durable
//! before the request is sent.

use std::time::Duration;

use futures_util::future::join_all;
use tandem_actors::{
    RequestId,
    backoff::Backoff,
    domain::time::Timestamp,
    keys,
    ports::{Change, PushVerdict},
    records,
};
use tracing::{Span, field::Empty};

use super::{
    breakers::CredentialScope,
    candidate::{Candidate, Origin},
    decide::NO_DEVICE,
    message::{self, Occasion, PushMessage},
    outcome::{ExpoCode, Final, MESSAGE_TOO_BIG, RejectedBy},
    reach::{Device, Reach},
    rows::{self, Decision, Delivery, PushRecord},
    sender::Sender,
    settle,
};
use crate::traces;

/// How long a session may take to say whether a push is still wanted.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause before a session that did not answer is asked again.
const SESSION_AGAIN: Backoff = Backoff::constant(Duration::from_secs(10));

/// A message whose attempt has durably started.
pub(super) struct StartedMessage {
    pub delivery: Delivery,
    pub device: Device,
    pub message: PushMessage,
    pub scope: CredentialScope,
    /// The span of the attempt, in the trace of the request that made the event.
    pub span: Span,
}

fn attempt_span(delivery: &Delivery) -> Span {
    let (session, seq) = (&delivery.id.session, delivery.id.seq);
    let span = tracing::debug_span!("push attempt", request_id = delivery.request_id(), %session, seq, outcome = Empty);
    if let Some(context) = delivery.request_id.as_ref().and_then(RequestId::trace_context) {
        traces::continue_trace(&span, context);
    }
    span
}

impl Sender {
    /// Asks the sessions, and writes the starts of the attempts. `reserved` is the number of recipients that the rate
    /// limit has admitted.
    pub(super) async fn start(&self, candidates: Vec<Candidate>, reserved: usize) -> Vec<StartedMessage> {
        let verdicts = join_all(candidates.iter().map(|candidate| async {
            let answer = self.check.check(&candidate.id.session, &candidate.id.user, candidate.id.seq);
            tokio::time::timeout(CHECK_TIMEOUT, answer).await.unwrap_or(PushVerdict::Later)
        }))
        .await;
        let now = self.alarm.now();
        let planned: Vec<_> = candidates
            .iter()
            .filter(|candidate| matches!(candidate.origin, Origin::Jobs { .. }))
            .map(|candidate| candidate.id.clone())
            .collect();
        let mut changes = Vec::new();
        let mut outgoing = Vec::new();
        for (mut candidate, verdict) in candidates.into_iter().zip(verdicts) {
            match verdict {
                PushVerdict::Send { unread, request_id } => match self.devices.reach(&candidate.id.user) {
                    Ok(reach) => {
                        candidate.name_request(request_id.as_ref());
                        self.begin(candidate, &reach, unread, now, &mut changes, &mut outgoing);
                    }
                    Err(error) => {
                        tracing::error!(%error, "the devices of a push could not be read");
                        self.postpone(candidate, now, &mut changes);
                    }
                },
                PushVerdict::Drop { reason } => self.drop_push(candidate, reason, now, &mut changes),
                PushVerdict::Later => self.postpone(candidate, now, &mut changes),
            }
        }
        self.limiter.release(reserved.saturating_sub(outgoing.len()));
        if let Err(error) = self.commit(changes).await {
            tracing::error!(%error, "pushes could not be started");
            self.limiter.release(outgoing.len());
            planned.iter().for_each(|id| self.paces.undo(id));
            self.rest(Duration::from_secs(1)).await;
            return Vec::new();
        }
        outgoing
    }

    /// `reach` is read again, because a device may have changed its owner since the push was planned.
    fn begin(
        &self,
        candidate: Candidate,
        reach: &Reach,
        unread: u32,
        now: Timestamp,
        changes: &mut Vec<Change>,
        outgoing: &mut Vec<StartedMessage>,
    ) {
        changes.extend(candidate.on_start);
        changes.extend(candidate.on_send);
        for (mut delivery, device) in candidate.sends {
            if !reach.find(&device.id()).is_some_and(|device| device.is_usable(now)) {
                changes.push(settle::end(&mut delivery, Final::Dropped { why: NO_DEVICE.into() }, now));
                continue;
            }
            let occasion = Occasion {
                session: &candidate.id.session,
                event: &candidate.event,
                seq: candidate.id.seq,
                unread,
                time_left: candidate.expires_at.since(now),
                possible_duplicate: delivery.possible_duplicate,
            };
            let message = PushMessage::new(&self.config, &self.texts, &device, &occasion);
            if message.size() > message::BUDGET {
                let outcome = Final::Rejected { code: ExpoCode::new(MESSAGE_TOO_BIG), by: RejectedBy::Budget };
                changes.push(settle::end(&mut delivery, outcome, now));
                continue;
            }
            delivery.start(now);
            let (session, seq) = (&delivery.id.session, delivery.id.seq);
            tracing::debug!(request_id = delivery.request_id(), %session, seq, "push attempt begins");
            let address = delivery.address();
            changes.push(Change::Put(delivery.key(), records::encode(&delivery)));
            changes.push(Change::Put(rows::in_flight(&address), records::encode(&address)));
            let scope = self.scope(&device);
            let span = attempt_span(&delivery);
            outgoing.push(StartedMessage { delivery, device, message, scope, span });
        }
    }

    /// The session says that the push is not wanted any more.
    fn drop_push(&self, candidate: Candidate, reason: &str, now: Timestamp, changes: &mut Vec<Change>) {
        changes.extend(candidate.on_start);
        if let Origin::Jobs { record, .. } = candidate.origin {
            self.paces.undo(&candidate.id);
            metrics::counter!("tandem_push_decisions_total", "decision" => "dropped").increment(1);
            let record = PushRecord { decision: Decision::Dropped { why: reason.into() }, ..*record };
            changes.push(Change::Put(rows::record(&record.id), records::encode(&record)));
            return;
        }
        for (mut delivery, _) in candidate.sends {
            changes.push(settle::end(&mut delivery, Final::Dropped { why: reason.into() }, now));
        }
    }

    /// The session could not be asked. The push waits some seconds.
    fn postpone(&self, candidate: Candidate, now: Timestamp, changes: &mut Vec<Change>) {
        let until = now + SESSION_AGAIN.upper_half(1);
        match candidate.origin {
            Origin::Jobs { newest, job, record, record_is_new } => {
                self.paces.undo(&candidate.id);
                let decision = Decision::Held { until, why: "the session could not be asked".into() };
                changes.extend(self.write_record(&PushRecord { decision, ..*record }, record_is_new, now));
                changes.push(Change::Delete(newest));
                let later = keys::push_job(until, &job.session, &job.user, job.seq);
                changes.push(Change::Put(later, records::encode(&job)));
            }
            Origin::Retry { row } => {
                changes.push(Change::Delete(row));
                changes.extend(candidate.sends.into_iter().flat_map(|(delivery, _)| settle::wait(delivery, until)));
            }
        }
    }
}
