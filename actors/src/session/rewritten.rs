//! Rows of events that are written again: with a late decision, without an erased partner's words, or not at all once
//! later events have replaced them. The store shows such a row only once the commit is durable. A second write
//! starts from here: from the store, an erased word or a replaced event would come back.

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

    /// The row of an event that is durable, with what is being written over it.
    pub(super) fn event_row(&self, seq: Seq) -> Result<Option<EventRow>, StoreError> {
        let stored = match self.rewritten.0.get(&seq) {
            Some((_, newest)) => newest.clone(),
            None => self.deps.store.get(&keys::event(self.inbox.session(), seq))?,
        };
        stored.map(|row| EventRow::decode(&row)).transpose()
    }
}
