//! Explains how each event was delivered to each partner, and why, from the decisions stored beside the event.

use serde::Serialize;

use super::Damage;
use crate::{
    domain::{
        ids::{Seq, SessionId, UserId},
        time::Timestamp,
    },
    ports::{Store, StoreError},
    rows::{keys, pages::pages, records::EventRow},
    stored,
};

/// An event, and the delivery decisions for each partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedEvent {
    /// The event.
    pub seq: Seq,
    /// The name on the channel.
    pub event: &'static str,
    /// When it happened.
    pub at: Timestamp,
    /// The user who caused it.
    pub by: Option<UserId>,
    /// One decision or more for each partner.
    pub decisions: Vec<ExplainedDecision>,
}

/// A delivery decision for one partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedDecision {
    /// The partner.
    pub user: UserId,
    /// When it was decided.
    pub at: Timestamp,
    /// `publish`, `push`, `publish_and_push`, `resolve` or `nothing`.
    pub legs: String,
    /// Why, in stable words.
    pub reason: String,
}

/// The delivery decisions of a session's announced events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// In the order of `seq`.
    pub events: Vec<ExplainedEvent>,
    /// Records that cannot be read, each with its problem.
    pub unreadable: Vec<String>,
}

/// Reads the decisions for all announced events of a session, or for the event `only`. It reads the store and does not
/// wake the session, so it also works in quarantine and for a store that no node has open. Unreadable records are
/// named.
///
/// # Errors
/// If the store fails.
pub fn explain(store: &dyn Store, session: &SessionId, only: Option<Seq>) -> Result<Explanation, StoreError> {
    let mut explanation = Explanation::default();
    if let Some(damage) = stored::read(store, session)?.damage {
        explanation.unreadable.push(damage.to_string());
    }
    match only {
        Some(seq) => explanation.add(store, session, seq)?,
        None => {
            for page in pages(store, keys::visible_events(session)) {
                for seq in page?.iter().filter_map(|(key, _)| keys::seq_of(key)) {
                    explanation.add(store, session, seq)?;
                }
            }
        }
    }
    explanation.unreadable.sort();
    explanation.unreadable.dedup();
    Ok(explanation)
}

impl Explanation {
    fn add(&mut self, store: &dyn Store, session: &SessionId, seq: Seq) -> Result<(), StoreError> {
        let Some(row) = store.get(&keys::event(session, seq))? else { return Ok(()) };
        let EventRow { event, routing, .. } = match EventRow::decode(&row) {
            Ok(row) => row,
            Err(problem) => {
                let damage = Damage { record: format!("event {seq}"), problem: problem.to_string() };
                self.unreadable.push(damage.to_string());
                return Ok(());
            }
        };
        let Some(name) = event.name() else { return Ok(()) };
        let decisions = routing.into_iter().map(|decided| ExplainedDecision {
            user: decided.user,
            at: decided.at,
            legs: decided.legs.into_owned(),
            reason: decided.reason.into_owned(),
        });
        let decisions = decisions.collect();
        self.events.push(ExplainedEvent { seq, event: name, at: event.at, by: event.by, decisions });
        Ok(())
    }
}
