//! Rows of events that are being rewritten: with a late delivery decision, without an erased partner's text, or deleted
//! because later events have replaced them. The store shows the change only when the commit is durable. So a second
//! rewrite must start from the rows here: the store would bring back erased text or a replaced event.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{SessionActor, output_gate::Ticket};
use crate::{
    domain::ids::Seq,
    ports::{Change, StoreError},
    rows::{
        keys,
        records::{self, EventRow},
    },
};

/// The newest version of each rewritten row, and the commit that it becomes durable with. `None` if it was taken out.
#[derive(Debug, Default)]
pub(super) struct RewrittenRows(BTreeMap<Seq, (Ticket, Option<Bytes>)>);

impl SessionActor {
    /// Writes the row of a stored event again, with the next commit.
    pub(super) fn rewrite_event(&mut self, row: &EventRow, changes: &mut Vec<Change>) {
        let (seq, bytes) = (row.event.seq, records::encode(row));
        changes.push(Change::Put(keys::event(self.inbox.session(), seq), bytes.clone()));
        self.note_rewritten(seq, Some(bytes));
    }

    /// Takes a stored event out of the log, with the next commit.
    pub(super) fn take_event_out(&mut self, seq: Seq, changes: &mut Vec<Change>) {
        changes.push(Change::Delete(keys::event(self.inbox.session(), seq)));
        self.note_rewritten(seq, None);
    }

    fn note_rewritten(&mut self, seq: Seq, row: Option<Bytes>) {
        self.rewritten.0.retain(|_, (ticket, _)| !self.gate.is_durable(*ticket));
        self.rewritten.0.insert(seq, (self.gate.next_ticket(), row));
    }

    /// Whether the store still shows rows before their newest version.
    pub(super) fn is_rewriting(&self) -> bool {
        self.rewritten.0.values().any(|(ticket, _)| !self.gate.is_durable(*ticket))
    }

    /// The newest row of a durable event, also if it is still being written.
    pub(super) fn event_row(&self, seq: Seq) -> Result<Option<EventRow>, StoreError> {
        let stored = match self.rewritten.0.get(&seq) {
            Some((_, newest)) => newest.clone(),
            None => self.deps.store.get(&keys::event(self.inbox.session(), seq))?,
        };
        stored.map(|row| EventRow::decode(&row)).transpose()
    }
}
