//! Explains a push from its rows: the decision, every attempt on every device, tickets and receipts. For operators. It
//! contains no push token and no text.

use serde::Serialize;
use tandem_actors::{
    domain::{
        ids::{Seq, SessionId, UserId},
        time::Timestamp,
    },
    journal::{CommitError, Journal},
    keys,
    ports::{Change, Direction, Store, StoreError},
    records::{self, PushJob},
};

use super::{
    outcome::{Final, Outcome, RejectedBy},
    rows::{self, Attempt, Decision, Delivery, DeliveryState, PushId, PushRecord},
};

/// One push, for one event and one user.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedPush {
    /// The event's number.
    pub seq: Seq,
    /// Who was to be notified.
    pub user: UserId,
    /// The event's name on the channel.
    pub event: String,
    /// Why the session's actor chose a push.
    pub reason: String,
    /// When the event was committed.
    pub created_at: Timestamp,
    /// Absent while the push waits for its turn.
    pub decision: Option<ExplainedPushDecision>,
    /// Absent while the push waits for its turn.
    pub decided_at: Option<Timestamp>,
    /// After this time it is not tried any more.
    pub expires_at: Option<Timestamp>,
    /// One for each device that it was sent to.
    pub deliveries: Vec<ExplainedDelivery>,
}

impl ExplainedPush {
    /// Whether nothing more is tried.
    pub fn is_over(&self) -> bool {
        let decided = !matches!(self.decision, None | Some(ExplainedPushDecision::Held { .. }));
        decided && self.deliveries.iter().all(|delivery| !matches!(delivery.state, "started" | "waiting"))
    }
}

/// [`Decision`], as an operator reads it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum ExplainedPushDecision {
    /// Sent to this many devices. The deliveries explain the rest.
    #[serde(rename = "send")]
    Sent {
        devices: u32,
    },
    Held {
        until: Timestamp,
        why: String,
    },
    Coalesced {
        into: Seq,
    },
    Dropped {
        why: String,
    },
    Expired,
}

impl From<Decision> for ExplainedPushDecision {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Sent { devices } => Self::Sent { devices },
            Decision::Held { until, why } => Self::Held { until, why },
            Decision::Coalesced { into } => Self::Coalesced { into },
            Decision::Dropped { why } => Self::Dropped { why },
            Decision::Expired => Self::Expired,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedDelivery {
    /// The beginning of the token's digest.
    pub device: String,
    /// `started`, `waiting`, `awaitingReceipt` or `done`.
    pub state: &'static str,
    /// When it is tried again, or when its receipt is requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Final>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    pub possible_duplicate: bool,
    pub attempts_made: u32,
    /// The latest attempts.
    pub attempts: Vec<ExplainedAttempt>,
}

impl ExplainedDelivery {
    /// Expo has taken it.
    pub fn was_accepted(&self) -> bool {
        self.attempts.iter().any(|attempt| matches!(attempt.outcome, Some(Outcome::Accepted { .. })))
    }

    /// Whether a receipt told its end.
    pub fn has_receipt(&self) -> bool {
        let by_receipt = Some(Final::Delivered) == self.outcome || Some(Final::ReceiptLost) == self.outcome;
        by_receipt || matches!(self.outcome, Some(Final::Rejected { by: RejectedBy::Receipt, .. }))
    }
}

/// [`Attempt`], as an operator reads it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedAttempt {
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Absent while it is under way.
    pub outcome: Option<Outcome>,
}

impl From<Attempt> for ExplainedAttempt {
    fn from(Attempt { started_at, ended_at, outcome }: Attempt) -> Self {
        Self { started_at, ended_at, outcome }
    }
}

const PAGE: usize = 500;
/// Waiting jobs that are searched.
const WAITING: usize = 10_000;

/// All pushes of a session, or those of one event, by `seq`.
pub fn explain(store: &dyn Store, session: &SessionId, seq: Option<Seq>) -> Result<Vec<ExplainedPush>, StoreError> {
    let mut told = Vec::new();
    let prefix = rows::records_of(session);
    let mut after = None;
    loop {
        let page = store.scan(&prefix, after.as_ref(), Direction::Forward, PAGE)?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|(key, _)| key.clone());
        for (_, row) in page {
            let record: PushRecord = records::decode(&row)?;
            if seq.is_none_or(|seq| seq == record.id.seq) {
                told.push(tell(store, record)?);
            }
        }
        if is_last {
            break;
        }
    }
    // The key names the session: other sessions' jobs are not decoded.
    for (key, row) in store.scan(&keys::push_jobs(), None, Direction::Forward, WAITING)? {
        if keys::session_of_push_job(&key).as_ref() != Some(session) {
            continue;
        }
        let job: PushJob = records::decode(&row)?;
        let is_asked_for = seq.is_none_or(|seq| seq == job.seq);
        if is_asked_for && !told.iter().any(|one| one.seq == job.seq && one.user == job.user) {
            told.push(ExplainedPush {
                seq: job.seq,
                user: job.user,
                event: job.event,
                reason: job.reason,
                created_at: job.created_at,
                decision: None,
                decided_at: None,
                expires_at: None,
                deliveries: Vec::new(),
            });
        }
    }
    told.sort_by_key(|one| one.seq);
    Ok(told)
}

fn tell(store: &dyn Store, record: PushRecord) -> Result<ExplainedPush, StoreError> {
    let rows = store.scan(&rows::deliveries(&record.id), None, Direction::Forward, PAGE)?;
    let deliveries = rows.iter().map(|(_, row)| records::decode::<Delivery>(row).map(explained_delivery));
    Ok(ExplainedPush {
        deliveries: deliveries.collect::<Result<_, _>>()?,
        seq: record.id.seq,
        user: record.id.user,
        event: record.event,
        reason: record.reason,
        created_at: record.created_at,
        decision: Some(record.decision.into()),
        decided_at: Some(record.decided_at),
        expires_at: Some(record.expires_at),
    })
}

fn explained_delivery(delivery: Delivery) -> ExplainedDelivery {
    let blank = ExplainedDelivery {
        device: delivery.device.as_str().into(),
        state: "started",
        due: None,
        ticket: None,
        outcome: None,
        ended_at: None,
        possible_duplicate: delivery.possible_duplicate,
        attempts_made: delivery.tally.attempts,
        attempts: delivery.attempts.into_iter().map(ExplainedAttempt::from).collect(),
    };
    match delivery.state {
        DeliveryState::Started => blank,
        DeliveryState::Waiting { until } => ExplainedDelivery { state: "waiting", due: Some(until), ..blank },
        DeliveryState::AwaitingReceipt { ticket, due } => {
            ExplainedDelivery { state: "awaitingReceipt", due: Some(due), ticket: Some(ticket), ..blank }
        }
        DeliveryState::Done { outcome, at } => {
            ExplainedDelivery { state: "done", outcome: Some(outcome), ended_at: Some(at), ..blank }
        }
    }
}

/// Deletes the records of pushes to an erased user in these sessions.
pub async fn forget(
    store: &dyn Store,
    journal: &Journal,
    user: &UserId,
    sessions: &[SessionId],
) -> Result<(), CommitError> {
    let mut changes = vec![Change::Delete(rows::user_pace(user))];
    for session in sessions {
        changes.push(Change::Delete(rows::session_pace(session, user)));
        for told in explain(store, session, None)?.into_iter().filter(|told| told.user == *user) {
            let id = PushId { session: session.clone(), user: told.user, seq: told.seq };
            changes.push(Change::Delete(rows::record(&id)));
            let deliveries = store.scan(&rows::deliveries(&id), None, Direction::Forward, PAGE)?;
            changes.extend(deliveries.into_iter().map(|(key, _)| Change::Delete(key)));
        }
    }
    journal.write(changes).await
}
