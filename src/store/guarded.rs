//! What every engine's store has in common: sessions have one owner, and after a failure nothing is acknowledged any more.

use std::sync::OnceLock;

use bytes::Bytes;
use tandem_actors::{
    domain::ids::{Seq, SessionId},
    keys::{self, Key},
    ports::{Change, Claim, Commit, Direction, OwnerEpoch, Store, StoreError, Verdict},
    records,
};

use super::{
    fence::Fences,
    rows::{RESERVED, Rows},
};

/// [`Rows`] as a [`Store`].
pub(super) struct Guarded<R> {
    rows: R,
    fences: Fences,
    failed: OnceLock<StoreError>,
}

impl<R: Rows> Guarded<R> {
    /// Takes a node epoch that was never used before, durably.
    pub fn start(rows: R) -> Result<Self, StoreError> {
        let key = keys::meta("node_epoch");
        let last = rows.get(&key)?.map_or(Ok(0), |row| records::decode::<u32>(&row))?;
        let epoch = last + 1;
        rows.write(&[&Change::Put(key, records::encode(&epoch))])?;
        Ok(Self { rows, fences: Fences::new(epoch), failed: OnceLock::new() })
    }

    pub fn rows(&self) -> &R {
        &self.rows
    }

    fn check_alive(&self) -> Result<(), StoreError> {
        self.failed.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn head(&self, session: &SessionId) -> Result<Seq, StoreError> {
        let events = keys::events(session);
        let last = self.rows.scan(&events, None, Direction::Backward, 1)?;
        let Some((key, _)) = last.first() else { return Ok(0) };
        let seq = key.as_bytes()[events.as_bytes().len()..].try_into();
        seq.map(Seq::from_be_bytes).map_err(|_| StoreError::new("an event's key must end in a seq of 8 bytes"))
    }

    fn write(&self, changes: &[&Change]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        if changes.iter().any(|change| key_of(change).as_bytes().first().is_none_or(|first| *first >= RESERVED)) {
            return Err(StoreError::new("a key must begin with a byte below 0xfe"));
        }
        self.rows.write(changes)
    }
}

fn key_of(change: &Change) -> &Key {
    match change {
        Change::Put(key, _) | Change::Delete(key) => key,
    }
}

impl<R: Rows> Store for Guarded<R> {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.rows.get(key)
    }

    fn scan(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError> {
        self.rows.scan(prefix, after, direction, limit)
    }

    fn claim(&self, session: &SessionId) -> Result<Claim, StoreError> {
        let claim = self.fences.claim(session, || self.head(session))?;
        // A group that failed while the claim waited may or may not be in the log.
        self.check_alive().map(|()| claim)
    }

    fn release(&self, session: &SessionId, epoch: OwnerEpoch) {
        self.fences.release(session, epoch);
    }

    fn commit(&self, group: &[Commit]) -> Result<Vec<Verdict>, StoreError> {
        self.check_alive()?;
        let verdicts = self.fences.judge(group);
        let changes: Vec<&Change> = group
            .iter()
            .zip(&verdicts)
            .filter(|(_, verdict)| **verdict == Verdict::Written)
            .flat_map(|(commit, _)| &commit.changes)
            .collect();
        let outcome = self.write(&changes);
        if let Err(error) = &outcome {
            tracing::error!(%error, "the store failed: nothing more is acknowledged");
            self.failed.get_or_init(|| error.clone());
        }
        self.fences.settle();
        outcome.map(|()| verdicts)
    }
}
