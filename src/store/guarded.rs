//! What every engine's store has in common: sessions have one owner, rows are sealed, the last of the disk is kept free, and after a
//! failure nothing is acknowledged any more.

use std::{collections::HashSet, sync::OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use tandem_actors::{
    domain::ids::{Seq, SessionId},
    keys::{self, Key},
    ports::{Change, Claim, Commit, Direction, OwnerEpoch, Store, StoreError, Verdict},
    records,
};

use super::{
    fence::Fences,
    head::Head,
    room::Room,
    rows::{RESERVED, Rows},
    seal::{seal, unseal},
};

/// What stands beside the rows.
#[derive(Default)]
pub(super) struct Beside {
    /// Where the last acknowledged group is kept in mind. None: in no file.
    pub head: Option<Head>,
    /// None: as much as there is.
    pub room: Option<Room>,
    /// Rows to be written with the first group.
    pub first: Vec<Change>,
}

/// [`Rows`] as a [`Store`].
pub(super) struct Guarded<R> {
    rows: R,
    fences: Fences,
    failed: OnceLock<StoreError>,
    /// Every row has a seal: the store began with them.
    all_sealed: bool,
    head: Option<Head>,
    room: Option<Room>,
    writer: Mutex<Writer>,
    damaged: Mutex<HashSet<Key>>,
}

/// What the writer alone needs.
struct Writer {
    /// The last group that was written.
    group: u64,
    /// Not written yet: there was no room at the start.
    first: Vec<Change>,
}

/// Why a store cannot be started.
#[derive(Debug)]
pub(super) enum StartError {
    Store(StoreError),
    /// Groups that were acknowledged and are not there.
    RolledBack {
        missing: u64,
    },
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn number_of_group() -> Key {
    keys::meta("group")
}

/// The row that says that all rows of a store are sealed.
pub(super) fn all_sealed() -> Key {
    keys::meta("sealed")
}

impl<R: Rows> Guarded<R> {
    /// Takes a node epoch that was never used before, durably; if the disk has no room, with the first group.
    pub fn start(rows: R, beside: Beside) -> Result<Self, StartError> {
        let Beside { mut head, room, mut first } = beside;
        let all_sealed = rows.get(&all_sealed())?.is_some();
        let number = |key: &Key| -> Result<Option<Bytes>, StoreError> {
            rows.get(key)?.map(|row| unseal(key, row, all_sealed)).transpose()
        };
        let decoded = |row: Option<Bytes>| row.map_or(Ok(0), |row| records::decode::<u64>(&row));
        let group = decoded(number(&number_of_group())?)?;
        if let Some(head) = &mut head {
            let acknowledged = head.read().map_err(StoreError::new)?;
            if acknowledged > group {
                return Err(StartError::RolledBack { missing: acknowledged - group });
            }
        }
        let key = keys::meta("node_epoch");
        let last = u32::try_from(decoded(number(&key)?)?).map_err(StoreError::new)?;
        let epoch = last + 1;
        first.push(Change::Put(key, records::encode(&epoch)));
        let store = Self {
            rows,
            fences: Fences::new(epoch),
            failed: OnceLock::new(),
            all_sealed,
            head,
            room,
            writer: Mutex::new(Writer { group, first }),
            damaged: Mutex::default(),
        };
        if store.admits(store.writer.lock().first.iter().map(bytes_of).sum()) {
            store.write(&[])?;
        }
        Ok(store)
    }

    pub fn rows(&self) -> &R {
        &self.rows
    }

    fn check_alive(&self) -> Result<(), StoreError> {
        self.failed.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn head(&self, session: &SessionId) -> Result<Seq, StoreError> {
        let events = keys::events(session);
        let last = self.scan(&events, None, Direction::Backward, 1)?;
        let Some((key, _)) = last.first() else { return Ok(0) };
        let seq = key.as_bytes()[events.as_bytes().len()..].try_into();
        seq.map(Seq::from_be_bytes).map_err(|_| StoreError::new("an event's key must end in a seq of 8 bytes"))
    }

    fn admits(&self, bytes: u64) -> bool {
        self.room.as_ref().is_none_or(|room| room.admits(bytes))
    }

    /// Writes the group, and what waits for the first one.
    fn write(&self, changes: &[&Change]) -> Result<(), StoreError> {
        if changes.iter().any(|change| key_of(change).as_bytes().first().is_none_or(|first| *first >= RESERVED)) {
            return Err(StoreError::new("a key must begin with a byte below 0xfe"));
        }
        let mut writer = self.writer.lock();
        let group = writer.group + 1;
        let number = Change::Put(number_of_group(), records::encode(&group));
        let first = std::mem::take(&mut writer.first);
        let sealed: Vec<Change> = changes.iter().copied().chain(&first).chain([&number]).map(seal).collect();
        // Files that are gone explain a failure better than the engine does.
        let written = self.rows.write(&sealed.iter().collect::<Vec<_>>());
        self.rows.check_identity()?;
        written?;
        writer.group = group;
        if let Some(head) = &self.head
            && let Err(error) = head.record(group)
        {
            tracing::warn!(%error, file = %head.path().display(), "a later loss of groups would not be noticed");
        }
        Ok(())
    }

    fn unsealed(&self, key: &Key, stored: Bytes) -> Result<Bytes, StoreError> {
        unseal(key, stored, self.all_sealed).map_err(|error| self.told(key, error))
    }

    /// A row as it was written; `None` for a damaged one that nobody has asked for by name. It is left out, so that it costs what it
    /// belongs to and not what is read with it. An event is never left out: its session would go on from a wrong place.
    fn intact(&self, (key, stored): (Key, Bytes)) -> Result<Option<(Key, Bytes)>, StoreError> {
        match self.unsealed(&key, stored) {
            Ok(value) => Ok(Some((key, value))),
            Err(error) if key.as_bytes().first() == Some(&b'e') => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Tells the operator, once for each row.
    fn told(&self, key: &Key, error: StoreError) -> StoreError {
        let mut damaged = self.damaged.lock();
        if damaged.len() < MOST_TOLD && damaged.insert(key.clone()) {
            metrics::counter!("tandem_store_damaged_rows_total").increment(1);
            tracing::error!(%error, "a stored row cannot be used; the rest is not touched by it");
        }
        error
    }
}

/// Damaged rows that are told, each once.
const MOST_TOLD: usize = 10_000;

fn key_of(change: &Change) -> &Key {
    match change {
        Change::Put(key, _) | Change::Delete(key) => key,
    }
}

fn bytes_of(change: &Change) -> u64 {
    let value = match change {
        Change::Put(_, value) => value.len(),
        Change::Delete(_) => 0,
    };
    (key_of(change).as_bytes().len() + value) as u64
}

impl<R: Rows> Store for Guarded<R> {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.rows.get(key)?.map(|stored| self.unsealed(key, stored)).transpose()
    }

    fn scan(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let mut after = after.cloned();
        loop {
            let stored = self.rows.scan(prefix, after.as_ref(), direction, limit)?;
            let Some((last, _)) = stored.last() else { return Ok(Vec::new()) };
            after = Some(last.clone());
            let mut rows = Vec::with_capacity(stored.len());
            for row in stored {
                rows.extend(self.intact(row)?);
            }
            // Nothing would say that nothing follows.
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
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
        let bytes = group.iter().flat_map(|commit| &commit.changes).map(bytes_of).sum();
        // Before the fences move.
        if bytes > 0 && !self.admits(bytes) {
            return Err(StoreError::no_room());
        }
        let verdicts = self.fences.judge(group);
        let changes: Vec<&Change> = group
            .iter()
            .zip(&verdicts)
            .filter(|(_, verdict)| **verdict == Verdict::Written)
            .flat_map(|(commit, _)| &commit.changes)
            .collect();
        let outcome = if changes.is_empty() { self.rows.check_identity() } else { self.write(&changes) };
        if let Err(error) = &outcome {
            tracing::error!(%error, "the store failed: nothing more is acknowledged");
            self.failed.get_or_init(|| error.clone());
        }
        self.fences.settle();
        outcome.map(|()| verdicts)
    }

    fn close(&self) {
        self.rows.close();
    }
}

#[cfg(test)]
mod tests {
    use crate::store::memory::MemoryRows;

    use super::*;

    fn put(key: &'static [u8], value: &'static [u8]) -> Change {
        Change::Put(Key::from_bytes(key), Bytes::from_static(value))
    }

    fn commit(store: &impl Store, change: Change) -> Result<Vec<Verdict>, StoreError> {
        store.commit(&[Commit { fence: None, changes: vec![change] }])
    }

    #[test]
    fn rows_of_earlier_versions_are_read_and_replaced_by_sealed_ones() {
        let rows = MemoryRows::default();
        let plain = put(b"xa", b"\x81\xa1a\x01");
        rows.write(&[&plain, &Change::Put(keys::meta("node_epoch"), records::encode(&7_u32))]).expect("written");
        let store = Guarded::start(rows, Beside::default()).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(store.claim(&"cabcdefghijklmnopqrstuvwx".parse().expect("an id")).expect("a claim").epoch >> 32, 8);
        let key = Key::from_bytes(*b"xa");
        assert_eq!(store.get(&key).expect("read").expect("there"), &b"\x81\xa1a\x01"[..]);
        commit(&store, put(b"xa", b"newer")).expect("written");
        assert_eq!(store.get(&key).expect("read").expect("there"), "newer");
        assert_eq!(store.rows().get(&key).expect("read").expect("there").len(), "newer".len() + 5);
    }

    #[test]
    fn a_store_without_room_is_read_and_written_again_when_there_is_some() {
        let _one_at_a_time = crate::debug::disk::LITTLE.lock();
        let directory = tempfile::tempdir().expect("a directory");
        let room = || Some(Room::new(directory.path(), 1 << 30));
        let rows = MemoryRows::default();
        rows.write(&[&put(b"xa", b"there")]).expect("written");
        crate::debug::disk::pretend_free(Some(0));
        let store = Guarded::start(rows, Beside { room: room(), ..Beside::default() });
        let store = store.unwrap_or_else(|error| panic!("it starts: {error:?}"));
        assert!(store.rows().get(&keys::meta("node_epoch")).expect("read").is_none(), "nothing is written");
        assert!(store.get(&Key::from_bytes(*b"xa")).expect("read").is_some());
        let refused = commit(&store, put(b"xb", b"refused")).expect_err("no room");
        assert_eq!(refused.fault(), tandem_actors::ports::StoreFault::NoRoom);
        store.commit(&[]).expect("an empty group needs no room");
        crate::debug::disk::pretend_free(None);
        std::thread::sleep(std::time::Duration::from_millis(300));
        commit(&store, put(b"xb", b"written")).expect("room again");
        assert!(store.rows().get(&keys::meta("node_epoch")).expect("read").is_some(), "what had waited is there, too");
    }
}
