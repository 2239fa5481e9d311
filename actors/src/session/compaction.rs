//! Compaction: takes events that later ones have replaced out of the log, a few at a time and with each snapshot. Most
//! of them are so recent that the engine behind the journal never gets them. Without them a reader of the log gets the
//! same state. Their numbers are kept in rows of their own.

use std::collections::BTreeMap;

use super::SessionActor;
use crate::{
    domain::ids::Seq,
    ports::{Change, StoreError},
    rows::{
        compacted::{Gaps, block_of},
        keys,
        records::{self, SNAPSHOT_VERSION, Snapshot},
    },
};

/// How many replaced events are taken out together. The row of their numbers is then written once.
const TOGETHER: usize = 8;

/// The rows of gaps that were read or written since the activation. The store may not show the latest ones yet.
#[derive(Debug, Default)]
pub(super) struct KnownGaps(BTreeMap<Seq, Gaps>);

impl SessionActor {
    /// Adds a snapshot of the state, and takes replaced events out of the log.
    pub(super) fn snapshot(&mut self, changes: &mut Vec<Change>) {
        self.compact(changes);
        self.snapshot_seq = self.seq();
        let snapshot = Snapshot { v: SNAPSHOT_VERSION, session: self.session.as_ref() };
        changes.push(Change::Put(keys::snapshot(self.inbox.session()), records::encode(&snapshot)));
    }

    /// Takes replaced events out of the log, if there are enough of them.
    pub(super) fn compact_if_some(&mut self, changes: &mut Vec<Change>) {
        if self.session.as_ref().is_some_and(|session| session.superseded().len() >= TOGETHER) {
            self.compact(changes);
        }
    }

    fn compact(&mut self, changes: &mut Vec<Change>) {
        if let Err(error) = self.take_out(changes) {
            // They stay noted in the state.
            tracing::warn!(session = %self.inbox.session(), %error, "replaced events stay in the log for now");
        }
    }

    fn take_out(&mut self, changes: &mut Vec<Change>) -> Result<(), StoreError> {
        let Some(session) = &self.session else { return Ok(()) };
        let id = self.inbox.session().clone();
        let mut blocks: BTreeMap<Seq, Vec<Seq>> = BTreeMap::new();
        for seq in session.superseded() {
            blocks.entry(block_of(*seq)).or_default().push(*seq);
        }
        for block in blocks.keys() {
            if !self.gaps.0.contains_key(block) {
                let row = self.deps.store.get(&keys::compacted(&id, *block))?;
                let gaps = row.map(|row| records::decode(&row)).transpose()?.unwrap_or_default();
                self.gaps.0.insert(*block, gaps);
            }
        }
        for (block, seqs) in blocks {
            for seq in &seqs {
                self.take_event_out(*seq, changes);
            }
            let gaps = self.gaps.0.entry(block).or_default();
            seqs.into_iter().for_each(|seq| gaps.add(seq));
            changes.push(Change::Put(keys::compacted(&id, block), records::encode(gaps)));
        }
        if let Some(session) = &mut self.session {
            session.forget_superseded();
        }
        Ok(())
    }
}
