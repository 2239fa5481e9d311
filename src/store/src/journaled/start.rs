//! Opens a store: recovers the journal, and connects it with the engine.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tandem_actors::{
    domain::ids::SessionId,
    keys::{self, Key},
    ports::{Change, Commit, Direction, Store, StoreError, StoreFault},
    records,
};
use tandem_wal::{Wal, WalError};

use super::{
    JournaledStore, Writer,
    group::{self, NotUnderstood},
    index::{Driver, Indexer},
};
use crate::{
    Location, Options, StoreOpenError,
    acknowledged::LastAcknowledged,
    cipher::AROUND_GROUP,
    digests::{CheckedRows, Digests, LoadError, LoadedDigests},
    fence::Fences,
    open_engine::OpenEngine,
    own_rows::{checkpoint_key, log_key, own_number},
    recent::{Origin, Recent},
    room::Room,
    row_check::RowCheck,
    rows::{Bounds, Rows, Strictness},
    seal::RowCoding,
};

/// An engine and its recovered journal, before the store accepts commits.
pub(crate) struct RecoveredStore {
    pub rows: CheckedRows,
    recent: Arc<Recent>,
    wal: Wal,
    log: u64,
    /// The last group whose rows are all in the engine.
    checkpoint: u64,
}

/// Opens the journal of an open engine in `directory`, and reads the groups that the engine does not have yet.
pub(crate) fn open_journal(
    location: &Location,
    engine: OpenEngine,
    loaded: Result<LoadedDigests, LoadError>,
    directory: &Path,
    options: &Options,
) -> Result<RecoveredStore, StoreOpenError> {
    let unusable = |error: StoreError| StoreOpenError::Corrupt {
        path: location.path.clone(),
        engine: location.engine,
        reason: error.text().to_owned(),
    };
    let check = RowCheck::of(&engine).map_err(unusable)?;
    let coding = engine.row_coding();
    let number = |key: &Key| own_number(&engine, key);
    let checkpoint = number(&checkpoint_key()).map_err(unusable)?.unwrap_or(0);
    let Some(log) = number(&log_key()).map_err(unusable)? else {
        return Err(unusable(StoreError::new("it names no journal")));
    };
    let path = || location.path.clone();
    let journal = |error: WalError| match error {
        error if error.is_no_room() => StoreOpenError::Full { path: path(), doing: "open the journal" },
        error => StoreOpenError::Journal { path: path(), error },
    };
    let loaded = match loaded {
        Ok(loaded) if loaded.log == log => loaded,
        Ok(_) => return Err(StoreOpenError::DigestsForeign { path: path() }),
        Err(LoadError::Io(source)) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(StoreOpenError::of(&location.path, "read the digests", source));
        }
        Err(error) => return Err(StoreOpenError::Digests { path: path(), reason: error.to_string() }),
    };
    let checkpoint = checkpoint.min(loaded.group);
    let recent = Arc::new(Recent::default());
    let mut not_understood: Option<(u64, NotUnderstood)> = None;
    let opened =
        Wal::open(options.wal_disk(), directory, log, options.journal.segments(), checkpoint, |number, record| {
            let told = group::decode_stored(&coding, log, number, record, |commit| {
                recent.take(number, 0, commit.changes.iter(), |_| false);
            });
            // An empty group is one, too.
            recent.take(number, record.len() as u64, [].iter(), |_| false);
            if let Err(error) = told {
                not_understood.get_or_insert((number, error));
            }
        });
    let (wal, recovered) = opened.map_err(journal)?;
    if let Some((group, error)) = not_understood {
        let reason = format!("group {group} of the journal is not understood: {error}");
        return Err(StoreOpenError::JournalVersion { path: location.path.clone(), reason });
    }
    for path in &recovered.restored {
        tracing::warn!(file = %path.display(), "the header of a journal's segment is damaged; its groups are not");
    }
    if recovered.last > checkpoint {
        tracing::info!(
            groups = recovered.last - checkpoint,
            "read groups that the engine does not have yet from the journal"
        );
    }
    // The engine may have some of these rows.
    let has_right_sums = loaded.keyed == coding.cipher().is_some();
    let read = recent.freeze();
    let digests = Digests::new(loaded, read.clone(), options.disk.clone(), coding);
    let rows = CheckedRows { engine, digests, check, strictness: Strictness::Lenient };
    if let Some(Err(error)) = read.map(|generation| rows.begin(&generation, &|_| ())) {
        tracing::warn!(%error, "ranges of rows were not divided; scans take longer until the engine has all rows");
    }
    if !has_right_sums {
        rows.key_digests(&location.path).map_err(unusable)?;
    }
    Ok(RecoveredStore { rows, recent, wal, log, checkpoint })
}

impl RecoveredStore {
    pub fn with_strictness(mut self, strictness: Strictness) -> Self {
        self.rows.strictness = strictness;
        self
    }

    /// The last group in the journal.
    pub fn last(&self) -> u64 {
        self.wal.last()
    }

    /// Keeps the groups after this one, for the next backup.
    pub fn keep_beyond(&self, group: Option<u64>) {
        self.wal.keeper().keep_beyond(group);
    }

    /// Starts the store. Takes a node epoch that was never used before, durably. On a full disk the epoch is written
    /// with the first group.
    pub fn start(
        self,
        room: Room,
        acknowledged: Option<LastAcknowledged>,
        options: &Options,
    ) -> Result<JournaledStore, StoreError> {
        let store = self.start_driven_by(Driver::Thread, room, acknowledged, options)?;
        let thread = store.indexer.start().map_err(StoreError::caused_by)?;
        *store.thread.lock() = Some(thread);
        Ok(store)
    }

    pub(crate) fn start_driven_by(
        self,
        driver: Driver,
        room: Room,
        acknowledged: Option<LastAcknowledged>,
        options: &Options,
    ) -> Result<JournaledStore, StoreError> {
        let Self { rows, recent, wal, log, checkpoint } = self;
        let rows = Arc::new(rows);
        let indexer =
            Indexer::new(rows.clone(), recent.clone(), wal.keeper(), options.journal, checkpoint, wal.last(), driver);
        let writer =
            Writer { wal, log, coding: rows.engine.row_coding(), acknowledged, first: Vec::new(), segment: None };
        let mut store = JournaledStore {
            rows,
            recent,
            indexer,
            thread: Mutex::new(None),
            fences: Fences::new(0),
            failed: std::sync::OnceLock::new(),
            room,
            log,
            now: options.now,
            writer: Mutex::new(writer),
            erased_upto: AtomicU64::new(0),
            history: RwLock::new(()),
        };
        if !store.scan(&keys::erasures(), None, Direction::Forward, 1)?.is_empty() {
            store.erased_upto = AtomicU64::new(store.last());
        }
        let key = keys::meta("node_epoch");
        let last = store.get(&key)?;
        let last = last.map_or(Ok(0), |row| records::decode::<u32>(&row))?;
        let epoch = last + 1;
        store.fences = Fences::new(epoch);
        store.take_epoch(Change::Put(key, records::encode(&epoch)))?;
        Ok(store)
    }
}

impl JournaledStore {
    fn take_epoch(&self, epoch: Change) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        writer.first = vec![epoch];
        let bytes = group::MOST_AROUND + group::most_bytes(&writer.first) + AROUND_GROUP;
        if !self.room.admits(bytes as u64) {
            return Ok(());
        }
        match self.reserve(&mut writer, bytes) {
            Ok(()) => self.write(&mut writer, &[], &[]),
            // The journal or the disk is full. The store can be read, and the epoch is written later.
            Err(error) if error.fault() != StoreFault::Failed => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// All rows as an engine would store them, recent ones included.
impl Rows for RecoveredStore {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        match self.recent.get(key) {
            Some(recent) => Ok(recent.map(|value| self.encoded(key, value))),
            None => self.rows.get(key),
        }
    }

    fn range(&self, bounds: &Bounds, direction: Direction, limit: usize) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let engine = |limit| self.rows.range(bounds, direction, limit);
        let merged = self.recent.scan(bounds, direction, limit, engine)?;
        let as_stored = |(key, value, origin)| match origin {
            Origin::Engine => (key, value),
            Origin::Recent => {
                let value = self.encoded(&key, value);
                (key, value)
            }
        };
        Ok(merged.into_iter().map(as_stored).collect())
    }

    fn row_coding(&self) -> RowCoding {
        self.rows.engine.row_coding()
    }

    fn write(&self, _changes: &[&Change]) -> Result<(), StoreError> {
        Err(StoreError::new("it is open to be read"))
    }
}

impl RecoveredStore {
    fn encoded(&self, key: &Key, value: Bytes) -> Bytes {
        match self.row_coding().encode(&Change::Put(key.clone(), value)) {
            Change::Put(_, stored) => stored,
            Change::Delete(_) => Bytes::new(),
        }
    }
}

/// The commits of a good group.
pub(crate) fn commits_in(coding: &RowCoding, log: u64, group: u64, record: &[u8]) -> Vec<Commit> {
    let mut commits = Vec::new();
    // Nothing is passed on from a group of a later version.
    let _whole = group::decode_stored(coding, log, group, record, |commit| commits.push(commit));
    commits
}

/// The sessions of a damaged group, as far as the group can be read.
pub(crate) fn sessions_in(record: &[u8]) -> Vec<SessionId> {
    let mut sessions = Vec::new();
    let _ends_somewhere = group::decode(record, |commit| sessions.extend(commit.fence.map(|fence| fence.session)));
    sessions.sort();
    sessions.dedup();
    sessions
}
