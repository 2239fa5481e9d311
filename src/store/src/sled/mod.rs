//! The engine sled 0.34.7, with the syncs that it lacks:
//!
//! - sled's flush ends in `sync_file_range`, which promises neither the drive's cache nor the file's length: an
//!   fdatasync of `db` follows each one.
//! - `conf`, new `snap.*` files and the directories are fsynced at open; sled does not.
//! - A leftover `snap.*.generating` makes sled refuse to open, or read half a snapshot: removed first.
//! - Pages above 128 KiB would go to blob files, which sled never syncs: rows are kept so small that none arises
//!   ([`chunks`]).
//! - A failed write can leave sled's flush asleep for good: woken by the [`watchdog`].
//!
//! # What one sync window may hold
//!
//! A segment's header says up to where the log was stable when the segment was begun. Recovery skips everything below
//! that position without a check. sled considers its own `sync_file_range` as stable. So a header that was written
//! since the last fdatasync may refer to records that were also written since then. A power cut can keep the header and
//! lose the records: rows vanish, or the database does not open. (Simulated, with batches that span segments: in 1 of
//! 100 cuts.)
//!
//! It cannot happen within a batch, because nothing is stable before the batch is complete. But reading writes, too:
//! sled splits and merges pages when they are read. Therefore readers are locked out from before a batch until after
//! its sync. Before they are let in, the writer reads the pages of the batch itself, and syncs after each read that
//! wrote something. So readers find no pages to split or merge.

mod chunks;
mod snapshot;
mod watchdog;

use std::{
    error::Error,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use sled::IVec;
use tandem_actors::{
    keys::Key,
    ports::{Change, Direction, StoreError},
};

use self::{chunks::LongValues, watchdog::Watchdog};
use super::{
    Options,
    disk::{Disk, sync_tree},
    fence::LONGEST_WAIT,
    identity::Identity,
    rows::{Bounds, Rows, RowsOpenError},
};

pub(super) const DATABASE: &str = "db";
/// Bytes of rows in one batch: readers wait while it is written.
const BATCH: usize = 32 << 10;

pub(super) struct SledRows {
    // Before `db`: sled closes its file with the last handle, and the watchdog has one.
    _watchdog: Watchdog,
    flushing: Arc<watchdog::Progress>,
    db: sled::Db,
    /// Held for writing while a batch is written and synced.
    readers: RwLock<()>,
    long: Mutex<LongValues>,
    path: PathBuf,
    /// `db` again: sled keeps its own handle to itself.
    file: File,
    identity: Identity,
    disk: Arc<dyn Disk>,
    blobs_seen: AtomicU64,
}

impl SledRows {
    /// Whether there is a database.
    pub fn exists(path: &Path) -> bool {
        let filled = |name| fs::metadata(path.join(name)).is_ok_and(|file| file.len() > 0);
        filled(DATABASE) && filled("conf")
    }

    /// Opens the database in `path`, or makes it in an empty directory. The caller holds the directory's lock.
    pub fn open(path: &Path, options: &Options) -> Result<Self, RowsOpenError> {
        remove_unfinished_snapshots(path)?;
        snapshot::remove_rest(path)?;
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(options.cache_mib.max(1) << 20)
            .mode(sled::Mode::LowSpace)
            .flush_every_ms(None);
        let db = open_patiently(&config, path)?;
        let long = LongValues::load(&db).map_err(|error| RowsOpenError::Unreadable(error.to_string()))?;
        sync_tree(options.disk.as_ref(), path)?;
        let file = File::open(path.join(DATABASE))?;
        let identity = Identity::of(&file, &path.join(DATABASE))?;
        let flushing = Arc::new(watchdog::Progress::default());
        Ok(Self {
            _watchdog: Watchdog::start(db.clone(), flushing.clone()),
            flushing,
            db,
            readers: RwLock::new(()),
            long: Mutex::new(long),
            path: path.to_owned(),
            file,
            identity,
            disk: options.disk.clone(),
            blobs_seen: AtomicU64::new(0),
        })
    }

    fn write_batch(&self, batch: sled::Batch, keys: &[IVec]) -> Result<(), StoreError> {
        let _no_readers = self.readers.write();
        self.sync_if_anything_was_written()?;
        self.db.apply_batch(batch).map_err(StoreError::caused_by)?;
        let started = Instant::now();
        // sled's flush waits until everything reserved in its log so far is written, so the batch just applied is
        // covered.
        self.flush()?;
        self.sync()?;
        metrics::histogram!("tandem_store_flush_seconds").record(started.elapsed());
        for key in keys {
            self.stored(key)?;
            self.sync_if_anything_was_written()?;
        }
        self.check_blobs()
    }

    fn sync_if_anything_was_written(&self) -> Result<(), StoreError> {
        if self.flush()? > 0 { self.sync() } else { Ok(()) }
    }

    /// Returns how many bytes were not written yet.
    fn flush(&self) -> Result<usize, StoreError> {
        self.flushing.during(|| self.db.flush()).map_err(StoreError::caused_by)
    }

    fn sync(&self) -> Result<(), StoreError> {
        let path = self.path.join(DATABASE);
        let failed =
            |error: io::Error| io::Error::new(error.kind(), format!("cannot sync {}: {error}", path.display()));
        self.disk.sync_data(&self.file, &path).map_err(failed).map_err(StoreError::caused_by)
    }

    /// sled never syncs blob files. There should be none. If there is one, it is synced before the group is
    /// acknowledged.
    fn check_blobs(&self) -> Result<(), StoreError> {
        let blobs = self.path.join("blobs");
        let changed = fs::metadata(&blobs).and_then(|directory| directory.modified()).map_err(StoreError::caused_by)?;
        let changed = changed.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        if self.blobs_seen.swap(changed, Ordering::Relaxed) == changed {
            return Ok(());
        }
        let some = fs::read_dir(&blobs).map_err(StoreError::caused_by)?.next().is_some();
        if some {
            tracing::warn!("sled wrote a blob file: rows are larger than they should be");
            sync_tree(self.disk.as_ref(), &blobs).map_err(StoreError::caused_by)?;
        }
        Ok(())
    }

    /// Waits until no batch is being written, but not for a stalled disk.
    fn no_writer(&self) -> Result<RwLockReadGuard<'_, ()>, StoreError> {
        self.readers.try_read_for(LONGEST_WAIT).ok_or_else(StoreError::stalled)
    }

    fn stored(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        self.db.get(key).map_err(StoreError::caused_by)
    }

    fn value(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let key = key.as_bytes();
        self.stored(key)?.map(|head| self.whole(key, &head)).transpose()
    }

    fn whole(&self, key: &[u8], head: &IVec) -> Result<Bytes, StoreError> {
        chunks::join(key, head, |chunk| self.stored(chunk))
    }
}

impl Rows for SledRows {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let _no_writer = self.no_writer()?;
        self.value(key)
    }

    fn get_all(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let _no_writer = self.no_writer()?;
        keys.iter().map(|key| self.value(key)).collect()
    }

    fn range(&self, bounds: &Bounds, direction: Direction, limit: usize) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let _no_writer = self.no_writer()?;
        let rows = self.db.range::<&[u8], _>(bounds.range());
        let whole = |row: sled::Result<(IVec, IVec)>| {
            let (key, head) = row.map_err(StoreError::caused_by)?;
            Ok((Key::from_bytes(&*key), self.whole(&key, &head)?))
        };
        match direction {
            Direction::Forward => rows.take(limit).map(whole).collect(),
            Direction::Backward => rows.rev().take(limit).map(whole).collect(),
        }
    }

    fn write(&self, changes: &[&Change]) -> Result<(), StoreError> {
        let (batch, keys) = self.long.lock().split(changes);
        self.write_batch(batch, &keys)
    }

    fn fill(&self, changes: &[&Change]) -> Result<(), StoreError> {
        let (batch, keys) = self.long.lock().split(changes);
        self.db.apply_batch(batch).map_err(StoreError::caused_by)?;
        // As after a batch: later readers then find no pages to split or merge.
        keys.iter().try_for_each(|key| self.stored(key).map(drop))
    }

    fn complete(&self) -> Result<(), StoreError> {
        self.flush()?;
        self.sync()?;
        self.check_blobs()
    }

    fn batch_bytes(&self) -> usize {
        BATCH
    }

    fn check_identity(&self) -> Result<(), StoreError> {
        self.identity.check()
    }

    fn settle(&self) -> Result<(), StoreError> {
        self.sync_if_anything_was_written()
    }

    fn shorten_next_start(&self) -> std::io::Result<bool> {
        snapshot::advance(&self.path, &*self.disk)
    }
}

/// The error of the disk, if sled has failed because of one.
pub(super) fn io_error<'a>(source: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    match source.downcast_ref()? {
        sled::Error::Io(error) => Some(error),
        _ => None,
    }
}

/// Opens sled, and waits while its file is locked: sled's threads can keep the lock for a moment after its last handle
/// is gone, and a process that is just being started inherits it. (Another process can hold the lock only if somebody
/// has removed the directory's lock.) sled's own error does not say that the file is locked, so we ask the file.
fn open_patiently(config: &sled::Config, path: &Path) -> Result<sled::Db, RowsOpenError> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        while is_locked(path)? {
            if Instant::now() >= deadline {
                return Err(RowsOpenError::Locked);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        match config.open() {
            Ok(db) => return Ok(db),
            Err(sled::Error::Io(_)) if is_locked(path)? => {}
            Err(sled::Error::Io(error)) => return Err(RowsOpenError::Io(error)),
            Err(error) => return Err(RowsOpenError::Unreadable(error.to_string())),
        }
    }
}

/// Whether another handle holds the lock of the database.
fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match File::open(path.join(DATABASE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn remove_unfinished_snapshots(path: &Path) -> std::io::Result<()> {
    for entry in path.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::info!(file = %name, "removing a snapshot that was being written when the process ended");
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_leaves_nothing_behind() {
        let directory = tempfile::tempdir().expect("a directory");
        let rows = SledRows::open(directory.path(), &Options::default()).expect("a database");
        let key = Key::from_bytes(*b"xa");
        let stored = |size: usize| {
            rows.write(&[&Change::Put(key.clone(), vec![1; size].into())]).expect("written");
            rows.db.len()
        };
        assert_eq!([stored(5 * 4096), stored(2 * 4096 + 1), stored(4096), stored(4097)], [5, 3, 1, 2]);
        rows.write(&[&Change::Delete(key)]).expect("written");
        assert!(rows.db.is_empty());
    }

    /// A start after a kill finds everything that was written, also after the snapshot was made.
    #[test]
    fn a_snapshot_beside_the_open_database_is_good() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        drop(SledRows::open(path, &Options::default()).expect("a database"));
        let mut expected = std::collections::BTreeMap::new();
        let mut made = 0;
        for life in 0..4_u32 {
            let rows = SledRows::open(path, &Options::default()).expect("a database");
            for round in 0..6_u32 {
                let numbers = (0..400).map(|number| (number * 7 + round * 131 + life * 17) % 3_000);
                let changes = numbers.map(|number| {
                    let key = Key::from_bytes(format!("x{number:05}").as_bytes());
                    let size = (number * 13 + round) as usize % 900;
                    if (number + round) % 5 == 0 {
                        Change::Delete(key)
                    } else {
                        Change::Put(key, vec![round as u8; size].into())
                    }
                });
                let changes: Vec<_> = changes.collect();
                for change in &changes {
                    match change {
                        Change::Put(key, value) => expected.insert(key.clone(), value.clone()),
                        Change::Delete(key) => expected.remove(key),
                    };
                }
                rows.write(&changes.iter().collect::<Vec<_>>()).expect("written");
                if round % 2 == 1 {
                    made += u32::from(rows.shorten_next_start().expect("a snapshot"));
                }
            }
            let found = rows.scan(&Key::from_bytes(*b"x"), None, Direction::Forward, usize::MAX).expect("a scan");
            assert!(found.into_iter().eq(expected.clone()), "life {life}, in use");
            drop(rows);
            let rows = SledRows::open(path, &Options::default()).expect("a database");
            let found = rows.scan(&Key::from_bytes(*b"x"), None, Direction::Forward, usize::MAX).expect("a scan");
            assert!(found.into_iter().eq(expected.clone()), "life {life}, opened again");
        }
        assert!(made >= 8, "{made} snapshots were made");
        assert!(!path.join("advancing").exists());
    }
}
