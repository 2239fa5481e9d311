//! The store without files and threads, for a simulation. The journal has its real format on a disk of the caller. The
//! engine is in memory, and the caller controls its durability.

use std::{collections::BTreeMap, fmt, io, path::Path, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use tandem_actors::{
    domain::time::Timestamp,
    keys::Key,
    ports::{Change, Direction, Store, StoreError},
    records,
};

use crate::{
    Engine, JournalOptions, Location, Options, StoreOpenError,
    digests::{self, LoadError},
    journaled::{Driver, JournaledStore, open_journal},
    open_engine::OpenEngine,
    own_rows::{checkpoint_key, log_key, own_number},
    room::Room,
    rows::{Bounds, Rows},
    seal::{mark_all_sealed, seal},
};

/// Called before each write of the engine. Its error is the error of the write.
type BeforeWrite = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// The rows of an engine. They outlive the stores that use them. Clones share the rows.
#[derive(Clone)]
pub struct EngineRows {
    rows: Arc<Mutex<BTreeMap<Key, Bytes>>>,
    gate: BeforeWrite,
}

impl EngineRows {
    /// A new engine, for the journal with this number.
    pub fn new(log: u64) -> Self {
        let own = [seal(&Change::Put(log_key(), records::encode(&log))), mark_all_sealed()];
        let rows = own.into_iter().filter_map(|change| match change {
            Change::Put(key, value) => Some((key, value)),
            Change::Delete(_) => None,
        });
        Self { rows: Arc::new(Mutex::new(rows.collect())), gate: Arc::new(|| Ok(())) }
    }

    /// The same rows, with another hook before each write.
    pub fn behind(&self, gate: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { rows: self.rows.clone(), gate: Arc::new(gate) }
    }
}

impl fmt::Debug for EngineRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineRows").finish_non_exhaustive()
    }
}

impl Rows for EngineRows {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        Ok(self.rows.lock().get(key).cloned())
    }

    fn range(&self, bounds: &Bounds, direction: Direction, limit: usize) -> Result<Vec<(Key, Bytes)>, StoreError> {
        Ok(bounds.page_of(&self.rows.lock(), direction, limit))
    }

    fn write(&self, changes: &[&Change]) -> Result<(), StoreError> {
        (self.gate)().map_err(StoreError::caused_by)?;
        let mut rows = self.rows.lock();
        for change in changes {
            match change {
                Change::Put(key, value) => rows.insert(key.clone(), value.clone()),
                Change::Delete(key) => rows.remove(key),
            };
        }
        Ok(())
    }

    fn batch_bytes(&self) -> usize {
        // Several batches make a checkpoint.
        4_096
    }
}

/// An open store. It has no threads: its caller does their work.
pub struct SimulatedStore(Arc<JournaledStore>);

impl SimulatedStore {
    /// Opens the journal on `disk`, and reads the groups that the engine does not have yet.
    ///
    /// # Errors
    /// If the disk fails, or an acknowledged group is missing.
    pub fn open(
        rows: &EngineRows,
        disk: Arc<dyn tandem_wal::Disk>,
        journal: JournalOptions,
    ) -> Result<Self, StoreOpenError> {
        let location = Location { engine: Engine::Redb, path: "/store".into() };
        // The same bytes in every run.
        let now = || Timestamp::from_millis(1_800_000_000_000);
        let options = Options { journal, min_free: 0, journal_disk: Some(disk), now, ..Options::default() };
        let opened = OpenEngine::simulated(rows.clone(), location.clone(), options.clone());
        let digests = own_number(rows, &log_key()).and_then(|log| {
            let group = own_number(rows, &checkpoint_key())?.unwrap_or(0);
            digests::survey(rows, log.unwrap_or(0), group)
        });
        let digests = digests.map_err(|error| LoadError::Io(io::Error::other(error)));
        let opening = open_journal(&location, opened, digests, Path::new("/store/journal"), &options)?;
        let room = Room::new(Path::new("/store"), 0);
        let store = opening.start_driven_by(Driver::Caller, room, None, &options);
        store.map(|store| Self(Arc::new(store))).map_err(|error| StoreOpenError::Corrupt {
            path: location.path,
            engine: location.engine,
            reason: error.text().to_owned(),
        })
    }

    /// The store behind its port.
    pub fn port(&self) -> Arc<dyn Store> {
        self.0.clone()
    }

    /// Does one round of the work of the index's thread. With `must` it makes a checkpoint even if none is due.
    pub fn step(&self, must: bool) {
        self.0.step(must);
    }
}
