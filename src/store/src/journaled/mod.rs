//! The store: a journal and an engine. A commit is durable when it is in the journal. The engine gets all rows a little
//! later.
//!
//! ```text
//! commit ─ fences ─ journal: one record, one fdatasync ─ recent rows ─ verdicts
//!                                                             │
//!                                                   indexer: engine, checkpoint, old segments are used again
//! ```
//!
//! A read prefers recent rows to the engine's rows, and sees only durable rows.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz_tests;
mod group;
mod index;
mod pace;
mod rekeying;
mod rewrite;
mod start;

use std::{
    io::ErrorKind,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use tandem_actors::{
    domain::{ids::SessionId, time::Timestamp},
    keys::{self, Key},
    ports::{Change, Claim, Commit, Direction, OwnerEpoch, Store, StoreError, Verdict},
};
use tandem_wal::{Keeper, Wal, WalError};

#[cfg(feature = "simulation")]
pub(super) use self::index::Driver;
use self::index::{Indexer, Stop};
pub use self::rekeying::Rekeying;
pub(super) use self::{
    group::{decode_stored as decode_group, time_stored as time_of_group},
    start::{RecoveredStore, commits_in, open_journal, sessions_in},
};
use super::{
    JournalOptions,
    acknowledged::LastAcknowledged,
    cipher::AROUND_GROUP,
    digests::CheckedRows,
    fence::{Fences, head_of},
    recent::{Origin, Recent},
    room::Room,
    rows::{Bounds, Rows, check_key},
    seal::RowCoding,
};

/// How long a commit waits for the engine before it is refused. It is shorter than the time after which a disk counts
/// as stalled.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a backup waits for the engine.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct JournaledStore {
    rows: Arc<CheckedRows>,
    recent: Arc<Recent>,
    indexer: Arc<Indexer>,
    thread: Mutex<Option<JoinHandle<()>>>,
    fences: Fences,
    failed: OnceLock<StoreError>,
    room: Room,
    /// Names the journal.
    log: u64,
    now: fn() -> Timestamp,
    writer: Mutex<Writer>,
    erased_upto: AtomicU64,
    /// Held while groups of the journal are copied.
    history: RwLock<()>,
}

/// The state of the one writer.
struct Writer {
    wal: Wal,
    log: u64,
    coding: RowCoding,
    /// The last group that was acknowledged, for the next start.
    acknowledged: Option<LastAcknowledged>,
    /// Changes of the start that wait because the disk was full.
    first: Vec<Change>,
    segment: Option<u64>,
}

impl JournaledStore {
    fn check_alive(&self) -> Result<(), StoreError> {
        let failed = self.failed.get().or_else(|| self.indexer.failed.get());
        failed.map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Refuses a group that cannot be written, before the fences change.
    fn admit(&self, writer: &mut Writer, group: &[Commit]) -> Result<(), StoreError> {
        group.iter().flat_map(|commit| &commit.changes).try_for_each(|change| check_key(key_of(change)))?;
        let most: usize =
            group.iter().map(|commit| group::MOST_AROUND + group::most_bytes(&commit.changes)).sum::<usize>()
                + group::MOST_AROUND
                + group::most_bytes(&writer.first)
                + AROUND_GROUP;
        if !self.room.admits(most as u64) {
            return Err(StoreError::no_room());
        }
        let limit = self.indexer.options.recent_bytes;
        let fits = || (self.recent.amount().bytes as u64) < limit;
        if !fits() && !self.indexer.wait_until(fits, PATIENCE) {
            return Err(StoreError::busy("the engine does not keep up with the journal"));
        }
        let pause = || self.indexer.pace.pause(&self.recent.amount(), limit, most);
        let wait = pause();
        if !wait.is_zero() {
            metrics::histogram!("tandem_journal_pause_seconds").record(wait);
            self.indexer.wait_until(|| pause().is_zero(), wait);
        }
        self.reserve(writer, most)
    }

    fn reserve(&self, writer: &mut Writer, bytes: usize) -> Result<(), StoreError> {
        let mut reserved = writer.wal.reserve(bytes);
        if let Err(WalError::Full { .. }) = reserved {
            let again = || {
                reserved = writer.wal.reserve(bytes);
                !matches!(reserved, Err(WalError::Full { .. }))
            };
            self.indexer.wait_until(again, PATIENCE);
        }
        if writer.wal.segment() != writer.segment {
            writer.segment = writer.wal.segment();
            self.indexer.ask();
        }
        reserved.map_err(|error| match error {
            WalError::Full { .. } => StoreError::busy(error),
            error if error.is_no_room() => StoreError::no_room(),
            error => StoreError::new(format_args!("journal: {error}")),
        })
    }

    /// Writes the accepted commits, together with changes of the start that wait.
    fn write(&self, writer: &mut Writer, group: &[Commit], verdicts: &[Verdict]) -> Result<(), StoreError> {
        let written = || {
            let judged = group.iter().zip(verdicts).filter(|(_, verdict)| **verdict == Verdict::Written);
            judged.map(|(commit, _)| commit)
        };
        let first = std::mem::take(&mut writer.first);
        if first.is_empty() && written().all(|commit| commit.changes.is_empty()) {
            return self.check_in_place(writer);
        }
        let next = writer.wal.last() + 1;
        let record = writer.wal.begin();
        let begin = record.len();
        let mut encoder =
            group::Encoder::begin(record, (self.now)(), written().count() + usize::from(!first.is_empty()));
        if !first.is_empty() {
            encoder.commit(None, &first);
        }
        written().for_each(|commit| encoder.commit(commit.fence.as_ref(), &commit.changes));
        if let Some(cipher) = writer.coding.cipher() {
            cipher.encrypt_group(writer.log, next, record, begin);
        }
        let bytes = record.len() as u64;
        let started = Instant::now();
        let number = writer.wal.append();
        // A missing file explains a failure better than the error of the write.
        writer.wal.check_in_place().map_err(not_in_place)?;
        let number = number.map_err(|error| StoreError::new(format_args!("journal: {error}")))?;
        debug_assert_eq!(number, next, "the group is encrypted under its number");
        metrics::histogram!("tandem_journal_sync_seconds").record(started.elapsed());
        if written().flat_map(|commit| &commit.changes).any(keys::is_erasure) {
            self.erased_upto.store(number, Ordering::Release);
        }
        let changes = first.iter().chain(written().flat_map(|commit| &commit.changes));
        self.recent.take(number, bytes, changes, |key| self.rows.digests.excludes(key));
        if let Some(acknowledged) = &writer.acknowledged
            && let Err(error) = acknowledged.record(number)
        {
            tracing::warn!(%error, file = %acknowledged.path().display(), "the number of the last acknowledged group cannot be stored, so a loss of groups would not be noticed");
        }
        let amount = self.recent.amount();
        let JournalOptions { checkpoint_bytes, .. } = self.indexer.options;
        if amount.active as u64 >= checkpoint_bytes || amount.journal >= checkpoint_bytes.saturating_mul(2) {
            self.indexer.ask();
        }
        Ok(())
    }

    /// The last durable group.
    pub fn last(&self) -> u64 {
        self.writer.lock().wal.last()
    }

    pub fn log(&self) -> u64 {
        self.log
    }

    /// The last group with an erasure in this run. 0 without one.
    pub fn erased_upto(&self) -> u64 {
        self.erased_upto.load(Ordering::Acquire)
    }

    /// Waits for a checkpoint that includes this group.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn reach_checkpoint(&self, group: u64) -> Result<(), StoreError> {
        let is_reached = self.checkpoint() >= group || self.indexer.wait_for_checkpoint(group, CHECKPOINT_PATIENCE);
        self.check_alive()?;
        is_reached.then_some(()).ok_or_else(|| StoreError::busy("the engine does not keep up with the journal"))
    }

    /// Postpones the removal of erased values from the files until the guard is dropped.
    pub fn hold_history(&self) -> RwLockReadGuard<'_, ()> {
        self.history.read()
    }

    /// The last group whose changes are all in the engine.
    pub fn checkpoint(&self) -> u64 {
        self.indexer.checkpoint_group()
    }

    /// The engine's rows. They are a little behind, and change while they are read.
    pub fn engine(&self) -> &CheckedRows {
        &self.rows
    }

    /// Access to the journal's groups, and control over how long they are kept.
    pub fn keeper(&self) -> &Keeper {
        &self.indexer.keeper
    }

    fn check_in_place(&self, writer: &Writer) -> Result<(), StoreError> {
        writer.wal.check_in_place().map_err(not_in_place)?;
        self.rows.check_identity()?;
        let (usage, amount) = (self.indexer.keeper.usage(), self.recent.amount());
        metrics::gauge!("tandem_journal_segment_bytes").set(usage.bytes as f64);
        metrics::gauge!("tandem_journal_recent_bytes").set(amount.bytes as f64);
        let age = amount.since.map_or(Duration::ZERO, |since| since.elapsed());
        metrics::gauge!("tandem_journal_checkpoint_age_seconds").set(age.as_secs_f64());
        Ok(())
    }

    /// Does one round of the work of the index's thread. With `must` it makes a checkpoint even if none is due.
    #[cfg(feature = "simulation")]
    pub fn step(&self, must: bool) {
        self.indexer.step(must);
    }

    fn end(&self, how: Stop) {
        self.indexer.stop(how);
        if let Some(thread) = self.thread.lock().take() {
            // The thread has logged its own errors.
            let _outcome = thread.join();
        }
    }
}

fn not_in_place(error: WalError) -> StoreError {
    match error {
        WalError::Io { path, source, .. } if source.kind() == ErrorKind::NotFound => {
            StoreError::new(format_args!("{} was removed while it was in use", path.display()))
        }
        error => StoreError::new(format_args!("journal: {error}")),
    }
}

fn key_of(change: &Change) -> &Key {
    match change {
        Change::Put(key, _) | Change::Delete(key) => key,
    }
}

impl Store for JournaledStore {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        match self.recent.get(key) {
            Some(recent) => Ok(recent),
            None => self.rows.get(key)?.map(|stored| self.rows.check.value(key, stored)).transpose(),
        }
    }

    fn get_all(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let mut values: Vec<_> = keys.iter().map(|key| self.recent.get(key)).collect();
        let older = keys.iter().zip(&values).filter(|(_, recent)| recent.is_none());
        let older: Vec<Key> = older.map(|(key, _)| key.clone()).collect();
        let mut stored = older.iter().zip(self.rows.get_all(&older)?);
        for value in values.iter_mut().filter(|value| value.is_none()) {
            let Some((key, stored)) = stored.next() else { break };
            *value = Some(stored.map(|stored| self.rows.check.value(key, stored)).transpose()?);
        }
        Ok(values.into_iter().map(Option::flatten).collect())
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
            let Some(bounds) = Bounds::of(prefix, after.as_ref(), direction) else { return Ok(Vec::new()) };
            let engine = |limit| self.rows.range(&bounds, direction, limit);
            let merged = self.recent.scan(&bounds, direction, limit, engine)?;
            let Some((last, ..)) = merged.last() else { return Ok(Vec::new()) };
            let last = last.clone();
            let mut rows = Vec::with_capacity(merged.len());
            for (key, value, origin) in merged {
                let value = match origin {
                    Origin::Recent => Some(value),
                    Origin::Engine => self.rows.check.value_in_scan(&key, value)?,
                };
                rows.extend(value.map(|value| (key, value)));
            }
            // An empty page would mean that no rows follow.
            if !rows.is_empty() {
                return Ok(rows);
            }
            after = Some(last);
        }
    }

    fn claim(&self, session: &SessionId) -> Result<Claim, StoreError> {
        let claim = self.fences.claim(session, || head_of(self, session))?;
        // A group that failed while the claim waited may or may not be in the log.
        self.check_alive().map(|()| claim)
    }

    fn release(&self, session: &SessionId, epoch: OwnerEpoch) {
        self.fences.release(session, epoch);
    }

    fn commit(&self, group: &[Commit]) -> Result<Vec<Verdict>, StoreError> {
        self.check_alive()?;
        let mut writer = self.writer.lock();
        let writes_nothing = group.iter().all(|commit| commit.changes.is_empty());
        if !writes_nothing {
            self.admit(&mut writer, group)?;
        }
        let verdicts = self.fences.judge(group);
        let outcome =
            if writes_nothing { self.check_in_place(&writer) } else { self.write(&mut writer, group, &verdicts) };
        if let Err(error) = &outcome {
            tracing::error!(%error, "the store failed: nothing more is acknowledged");
            self.failed.get_or_init(|| error.clone());
        }
        self.fences.settle();
        outcome.map(|()| verdicts)
    }

    fn forget_history(&self) -> Result<Option<u64>, StoreError> {
        self.check_alive()?;
        let Some(_nobody_copies) = self.history.try_write() else { return Ok(None) };
        let leave = || {
            let mut writer = self.writer.lock();
            writer.wal.leave_segment();
            writer.wal.last()
        };
        let last = self.indexer.forget_history(leave);
        last.map(Some).map_err(|error| StoreError::new(format_args!("journal: {error}")))
    }

    fn forgotten(&self) -> u64 {
        self.indexer.forgotten()
    }

    fn close(&self) {
        self.end(Stop::Orderly);
        self.rows.close();
    }
}

impl Drop for JournaledStore {
    fn drop(&mut self) {
        self.end(Stop::AtOnce);
    }
}
