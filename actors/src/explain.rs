//! "Why did this partner get a push?": the decisions as they were stored beside each event.

use serde::Serialize;

use crate::{
    coordinator::Coordinator,
    domain::{
        ids::{Seq, SessionId, UserId},
        time::Timestamp,
    },
    keys,
    ports::{Direction, StoreError},
    records::{self, EventRow},
};

/// How one event was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    pub seq: Seq,
    /// The name on the channel.
    pub event: &'static str,
    pub at: Timestamp,
    pub by: Option<UserId>,
    pub decisions: Vec<ExplainedDecision>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedDecision {
    pub user: UserId,
    pub at: Timestamp,
    pub legs: String,
    pub reason: String,
}

impl Coordinator {
    /// The announced events of a session, or the one with this `seq`, with every decision made of them. Read from the store
    /// without waking the session: it also answers for one in quarantine.
    pub fn explain(&self, session: &SessionId, only: Option<Seq>) -> Result<Vec<Explained>, StoreError> {
        explain(self.store(), session, only)
    }
}

/// As [`Coordinator::explain`], for a store that no node has open.
pub fn explain(
    store: &dyn crate::ports::Store,
    session: &SessionId,
    only: Option<Seq>,
) -> Result<Vec<Explained>, StoreError> {
    let rows = match only {
        Some(seq) => store.get(&keys::event(session, seq))?.into_iter().collect(),
        None => {
            let rows = store.scan(&keys::events(session), None, Direction::Forward, usize::MAX)?;
            rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>()
        }
    };
    let mut explained = Vec::new();
    for row in rows {
        let EventRow { event, routing } = records::decode(&row)?;
        let Some(name) = event.name() else { continue };
        let decisions = routing.into_iter().map(|decided| ExplainedDecision {
            user: decided.user,
            at: decided.at,
            legs: decided.legs.into_owned(),
            reason: decided.reason.into_owned(),
        });
        explained.push(Explained {
            seq: event.seq,
            event: name,
            at: event.at,
            by: event.by,
            decisions: decisions.collect(),
        });
    }
    Ok(explained)
}
