//! sled 0.34.7, hardened: what sled itself leaves to the kernel's mercy is done here.
//!
//! - sled's flush ends in `sync_file_range`, which promises neither the drive's cache nor the file's length: an fdatasync of `db`
//!   follows each one, before anybody is told.
//! - `conf`, new `snap.*` files and the directories are fsynced at open; sled does not.
//! - A leftover `snap.*.generating` makes sled refuse to open, or read half a snapshot: removed first.
//! - Pages above 128 KiB would go to blob files, which sled never syncs: rows are kept so small that none arises ([`chunks`]).
//! - Changes can be read back from sled before they are durable: readers get the rows as they were ([`overlay`]).
//! - A failed write can leave sled's flush asleep for good: woken by the [`watchdog`].
//!
//! There is one writer (the journal's thread), and no background flush: nothing may write between flush and fdatasync.

mod chunks;
mod overlay;
mod watchdog;

use std::{
    fs::{self, File},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::RwLock;
use sled::IVec;
use tandem_actors::{
    keys::Key,
    ports::{Change, Direction, StoreError},
};

use self::{overlay::Overlay, watchdog::Watchdog};
use super::{
    Options,
    disk::{Disk, sync_tree},
    rows::{Bounds, Rows, RowsOpenError},
};

const DATABASE: &str = "db";

pub(super) struct SledRows {
    // Before `db`: sled closes its file with the last handle, and the watchdog has one.
    _watchdog: Watchdog,
    flushing: Arc<watchdog::Progress>,
    db: sled::Db,
    /// What a group in flight has changed. Held for writing while a group is applied, so that readers see all of one or nothing.
    overlay: RwLock<Overlay>,
    path: PathBuf,
    /// `db` again: sled keeps its own handle to itself.
    file: File,
    disk: Arc<dyn Disk>,
    blobs_seen: AtomicU64,
}

impl SledRows {
    /// Whether there is a database that can be opened rather than made.
    pub fn exists(path: &Path) -> bool {
        let filled = |name| fs::metadata(path.join(name)).is_ok_and(|file| file.len() > 0);
        filled(DATABASE) && filled("conf")
    }

    /// Opens the database in `path`, or makes one in an empty directory. The caller holds the directory's lock.
    pub fn open(path: &Path, options: &Options) -> Result<Self, RowsOpenError> {
        remove_unfinished_snapshots(path)?;
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(options.cache_mib.max(1) << 20)
            .mode(sled::Mode::LowSpace)
            .flush_every_ms(None);
        let db = open_patiently(&config)?;
        sync_tree(options.disk.as_ref(), path)?;
        let file = File::open(path.join(DATABASE))?;
        let flushing = Arc::new(watchdog::Progress::default());
        Ok(Self {
            _watchdog: Watchdog::start(db.clone(), flushing.clone()),
            flushing,
            db,
            overlay: RwLock::default(),
            path: path.to_owned(),
            file,
            disk: options.disk.clone(),
            blobs_seen: AtomicU64::new(0),
        })
    }

    fn flush(&self) -> Result<(), StoreError> {
        let started = Instant::now();
        // sled's flush waits until everything reserved in its log so far is written, so the batch just applied is covered.
        self.flushing.during(|| self.db.flush()).map_err(StoreError::new)?;
        self.disk
            .sync_data(&self.file, &self.path.join(DATABASE))
            .map_err(|error| StoreError::new(format_args!("cannot sync {}: {error}", self.path.display())))?;
        metrics::histogram!("tandem_store_flush_seconds").record(started.elapsed());
        self.check_blobs()
    }

    /// Blob files are never synced by sled. None should ever be there; if one is, it is made durable before the group is.
    fn check_blobs(&self) -> Result<(), StoreError> {
        let blobs = self.path.join("blobs");
        let changed = fs::metadata(&blobs).and_then(|directory| directory.modified()).map_err(StoreError::new)?;
        let changed = changed.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        if self.blobs_seen.swap(changed, Ordering::Relaxed) == changed {
            return Ok(());
        }
        let some = fs::read_dir(&blobs).map_err(StoreError::new)?.next().is_some();
        if some {
            tracing::warn!("sled wrote a blob file: rows are larger than they should be");
            sync_tree(self.disk.as_ref(), &blobs).map_err(StoreError::new)?;
        }
        Ok(())
    }

    /// The durable value stored under sled's own key.
    fn physical(&self, overlay: &Overlay, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        match overlay.before(key) {
            Some(before) => Ok(before.clone()),
            None => self.db.get(key).map_err(StoreError::new),
        }
    }

    fn value(&self, overlay: &Overlay, key: &[u8], head: &IVec) -> Result<Bytes, StoreError> {
        chunks::join(key, head, |chunk| self.physical(overlay, chunk))
    }
}

impl Rows for SledRows {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let overlay = self.overlay.read();
        let head = self.physical(&overlay, key.as_bytes())?;
        head.map(|head| self.value(&overlay, key.as_bytes(), &head)).transpose()
    }

    fn scan(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let Some(bounds) = Bounds::of(prefix, after, direction) else { return Ok(Vec::new()) };
        let overlay = self.overlay.read();
        let heads = overlay.scan(&self.db, &bounds, direction, limit).map_err(StoreError::new)?;
        heads.into_iter().map(|(key, head)| Ok((Key::from_bytes(&*key), self.value(&overlay, &key, &head)?))).collect()
    }

    fn write(&self, changes: &[&Change]) -> Result<(), StoreError> {
        let (batch, before) = chunks::split(changes, |key| self.db.get(key).map_err(StoreError::new))?;
        {
            let mut overlay = self.overlay.write();
            *overlay = Overlay::new(before);
            self.db.apply_batch(batch).map_err(StoreError::new)?;
        }
        self.flush()?;
        self.overlay.write().clear();
        Ok(())
    }
}

/// sled's threads can outlive its last handle for a moment, and its lock on the file with them. Another process cannot hold
/// that lock: this one holds the directory's.
fn open_patiently(config: &sled::Config) -> Result<sled::Db, RowsOpenError> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        // sled asserts much of what it reads.
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()))
            .map_err(|_| RowsOpenError::Unreadable("sled panicked while it read the file".into()))?;
        match opened {
            Ok(db) => return Ok(db),
            Err(sled::Error::Io(error))
                if error.to_string().contains("could not acquire lock") && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(sled::Error::Io(error)) => return Err(RowsOpenError::Io(error)),
            Err(error) => return Err(RowsOpenError::Unreadable(error.to_string())),
        }
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
}
