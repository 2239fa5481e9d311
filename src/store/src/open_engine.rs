//! An open database of an engine. Its directory stays locked until it is closed.

use std::{
    error::Error,
    io,
    os::unix::fs::MetadataExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tandem_actors::{
    keys::Key,
    ports::{Change, Direction, StoreError},
};

use super::{
    Engine, Location, Options, StoreOpenError,
    directory::{Directory, SwitchError},
    engine::{is_full, open_database},
    fence::LONGEST_WAIT,
    keyring::DataKeys,
    redb,
    rekey::{KeysInUse, keys_of, keys_of_plain_store, row_coding},
    room::Room,
    rows::{Bounds, Rows},
    seal::{RowCoding, encrypted},
    sled, spare,
};

/// If this many bytes were written, a sled database is opened once more after it is closed, which shortens the next
/// start.
const MUCH: u64 = 4 << 20;
/// After this many bytes sled makes a snapshot of its pages while the node runs.
const VERY_MUCH: u64 = 64 << 20;
/// The same while the node has much to do: a snapshot takes a core and the disk for about a second.
const TOO_MUCH: u64 = 4 * VERY_MUCH;

/// The open database of an engine, with its locked directory.
pub(super) struct OpenEngine {
    /// `None` after it was closed.
    rows: RwLock<Option<Box<dyn Rows>>>,
    location: Location,
    options: Options,
    written: AtomicU64,
    /// `None` without encryption.
    keys: Option<Mutex<KeysInUse>>,
    coding: RowCoding,
    // Dropped after the rows, so that the directory is unlocked after their files are closed. `None` for rows without a
    // directory.
    directory: Option<Directory>,
}

impl OpenEngine {
    /// Opens a complete database.
    pub fn open(location: &Location, directory: Directory, options: &Options) -> Result<Self, StoreOpenError> {
        let keys = keys_of(directory.root(), options)?;
        let database = directory.database(location.engine);
        let started = Instant::now();
        let rows = match open_database(location, &database, options) {
            Err(StoreOpenError::Full { .. }) if spare::give_up(directory.root()) => {
                open_database(location, &database, options)
            }
            opened => opened,
        };
        let rows = rows?;
        tracing::debug!(millis = started.elapsed().as_millis() as u64, "the engine's database is open");
        if keys.is_some() {
            DataKeys::make_both_equal(directory.root(), &*options.disk);
        }
        let opened = Self {
            rows: RwLock::new(Some(rows)),
            location: location.clone(),
            options: options.clone(),
            written: AtomicU64::new(0),
            coding: row_coding(keys.as_ref()),
            keys: keys.map(|keys| Mutex::new(KeysInUse::new(keys, options))),
            directory: Some(directory),
        };
        let is_encrypted = matches!(opened.get(&encrypted()), Ok(Some(_)));
        if is_encrypted && opened.keys.is_none() {
            return Err(StoreOpenError::KeysLost { path: location.path.clone() });
        }
        Ok(opened)
    }

    /// Rows without a directory.
    #[cfg(feature = "simulation")]
    pub fn simulated(rows: impl Rows, location: Location, options: Options) -> Self {
        let rows = RwLock::new(Some(Box::new(rows) as Box<dyn Rows>));
        Self {
            rows,
            location,
            options,
            written: AtomicU64::new(0),
            keys: None,
            coding: RowCoding::default(),
            directory: None,
        }
    }

    pub fn engine(&self) -> Engine {
        self.location.engine
    }

    /// The store's directory.
    pub fn path(&self) -> &Path {
        &self.location.path
    }

    /// Closes the database and opens it again. Readers wait.
    pub fn reopen(&self) -> Result<(), StoreOpenError> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let mut rows = self.rows.write();
        close_quietly(rows.take());
        let database = directory.database(self.location.engine);
        *rows = Some(open_database(&self.location, &database, &self.options)?);
        self.written.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Whether it has keys.
    pub fn is_encrypted(&self) -> bool {
        self.keys.is_some()
    }

    /// Whether there may be rows or groups that are not encrypted with the last data key.
    pub fn is_mixed(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.lock().keys.is_mixed)
    }

    /// Gives the store another operator's key and a fresh data key, durably. The data key is not used before
    /// [`Self::use_last_data_key`].
    pub fn rekey(&self, new: &Path) -> Result<(), StoreOpenError> {
        match (&self.keys, &self.directory) {
            (Some(keys), Some(directory)) => keys.lock().rekey(directory.root(), new, &self.options),
            _ => Err(StoreOpenError::NotEncrypted { path: self.location.path.clone() }),
        }
    }

    /// Encrypts with the last data key from now on.
    pub fn use_last_data_key(&self) {
        if let (Some(keys), Some(cipher)) = (&self.keys, self.coding.cipher()) {
            cipher.take(&keys.lock().keys);
        }
    }

    /// Begins to encrypt, if the settings ask for it and the store is not encrypted yet.
    pub fn take_keys(&mut self) -> Result<(), StoreOpenError> {
        if let (None, Some(directory)) = (&self.keys, &self.directory) {
            let keys = keys_of_plain_store(directory.root(), &self.options)?;
            self.coding = row_coding(keys.as_ref());
            self.keys = keys.map(|keys| Mutex::new(KeysInUse::new(keys, &self.options)));
        }
        Ok(())
    }

    /// Notes that everything is encrypted with the last data key.
    pub fn note_all_encrypted(&self) -> Result<(), StoreOpenError> {
        match (&self.keys, &self.directory) {
            (Some(keys), Some(directory)) => keys.lock().note_all_encrypted(directory.root(), &self.options),
            _ => Ok(()),
        }
    }

    /// Makes an empty database beside this one, which may replace it later. `None` for rows without a directory.
    pub fn begin_another(&self) -> Result<Option<Another>, StoreOpenError> {
        let Some(directory) = &self.directory else { return Ok(None) };
        let Some(path) = directory.begin_another(self.location.engine)? else { return Ok(None) };
        open_database(&self.location, &path, &self.options).map(|rows| Some(Another(Some(rows))))
    }

    /// Replaces this database by the other one, which has all rows durably. Readers do not wait.
    pub fn replace_by(&self, mut another: Another) -> Result<(), SwitchError> {
        let Some(directory) = &self.directory else { return Ok(()) };
        directory.switch(self.location.engine, &*self.options.disk)?;
        let former = std::mem::replace(&mut *self.rows.write(), another.0.take());
        close_quietly(former);
        self.written.store(VERY_MUCH, Ordering::Relaxed);
        self.remove_another();
        Ok(())
    }

    /// Removes the database that is not used: an incomplete one, or the former one.
    pub fn remove_another(&self) {
        let Some(directory) = &self.directory else { return };
        if let Err(error) = directory.remove_another(self.location.engine, &*self.options.disk) {
            tracing::warn!(%error, "a database that is not needed stays until the next start");
        }
    }

    /// Bytes of the database on the disk. 0 if they cannot be determined.
    pub fn disk_bytes(&self) -> u64 {
        let database = self.directory.as_ref().map(|directory| directory.database(self.location.engine));
        database.and_then(|path| bytes_below(&path).ok()).unwrap_or(0)
    }

    /// Whether the disk has space for this many more bytes.
    pub fn has_room_for(&self, bytes: u64) -> bool {
        let Some(directory) = &self.directory else { return false };
        let space = Room::new(directory.root(), self.options.min_free).measure();
        space.is_ok_and(|space| space.free >= space.floor.saturating_mul(2).saturating_add(bytes))
    }

    /// Lets the engine prepare a fast next start, if much was written. Must be called while nothing is written.
    pub fn shorten_next_start_if_much_was_written(&self, is_busy: bool) {
        if self.written.load(Ordering::Relaxed) < if is_busy { TOO_MUCH } else { VERY_MUCH } {
            return;
        }
        self.written.store(0, Ordering::Relaxed);
        let started = Instant::now();
        let rows = self.rows.read();
        match rows.as_ref().map_or(Ok(false), |rows| rows.shorten_next_start()) {
            Ok(true) => tracing::info!(
                millis = started.elapsed().as_millis() as u64,
                "the engine stored the places of its pages, so the next start is fast"
            ),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "the engine could not store the places of its pages; the next start is slower");
            }
        }
    }

    /// Whether the engine has failed because the disk is full. Engines do not always report this, so the disk is asked,
    /// too.
    pub fn has_no_room(&self, error: &StoreError) -> bool {
        let is_refused =
            io_kind(error).is_some_and(|kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge));
        is_refused || self.directory.as_ref().is_some_and(|directory| is_full(directory.root()))
    }

    fn with<T>(&self, doing: &str, work: impl FnOnce(&dyn Rows) -> Result<T, StoreError>) -> Result<T, StoreError> {
        // Another thread may be reopening it.
        let rows = self.rows.try_read_for(LONGEST_WAIT).ok_or_else(StoreError::stalled)?;
        let rows = rows.as_deref().ok_or_else(|| StoreError::new("it is closed"))?;
        catch_panic(doing, || work(rows))
    }
}

/// A database that is being filled, and may replace the present one.
pub(super) struct Another(Option<Box<dyn Rows>>);

impl Another {
    /// As [`Rows::fill`].
    pub fn fill(&self, changes: &[&Change]) -> Result<(), StoreError> {
        self.with(|rows| rows.fill(changes))
    }

    /// As [`Rows::complete`].
    pub fn complete(&self) -> Result<(), StoreError> {
        self.with(Rows::complete)
    }

    fn with<T>(&self, work: impl FnOnce(&dyn Rows) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let rows = self.0.as_deref().ok_or_else(|| StoreError::new("it is closed"))?;
        catch_panic("wrote another database", || work(rows))
    }
}

impl Drop for Another {
    fn drop(&mut self) {
        close_quietly(self.0.take());
    }
}

/// Turns a panic into an error, because both engines panic on a damaged page.
fn catch_panic<T>(doing: &str, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(StoreError::new(format_args!("the engine panicked while it {doing}"))))
}

/// The kind of the disk's error that an engine has failed because of.
fn io_kind(error: &StoreError) -> Option<io::ErrorKind> {
    let source = error.source()?;
    let error = source.downcast_ref().or_else(|| sled::io_error(source)).or_else(|| redb::io_error(source))?;
    Some(error.kind())
}

/// The disk space of the files, without holes.
fn bytes_below(path: &Path) -> io::Result<u64> {
    const BLOCK: u64 = 512;
    let mut bytes = 0;
    for entry in path.read_dir()? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            // The engine has removed the file meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        bytes += if metadata.is_dir() { bytes_below(&entry.path())? } else { metadata.blocks() * BLOCK };
    }
    Ok(bytes)
}

/// Closes an engine. With a damaged file, even that can panic.
fn close_quietly(rows: Option<Box<dyn Rows>>) {
    if catch_unwind(AssertUnwindSafe(|| drop(rows))).is_err() {
        tracing::warn!("the engine was not closed cleanly");
    }
}

impl Drop for OpenEngine {
    fn drop(&mut self) {
        close_quietly(self.rows.get_mut().take());
    }
}

impl Rows for OpenEngine {
    fn row_coding(&self) -> RowCoding {
        self.coding.clone()
    }

    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.with("read", |rows| rows.get(key))
    }

    fn get_all(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.with("read", |rows| rows.get_all(keys))
    }

    fn range(&self, bounds: &Bounds, direction: Direction, limit: usize) -> Result<Vec<(Key, Bytes)>, StoreError> {
        self.with("read", |rows| rows.range(bounds, direction, limit))
    }

    fn write(&self, changes: &[&Change]) -> Result<(), StoreError> {
        let bytes = |change: &&Change| match change {
            Change::Put(key, value) => key.as_bytes().len() + value.len(),
            Change::Delete(key) => key.as_bytes().len(),
        };
        self.written.fetch_add(changes.iter().map(bytes).sum::<usize>() as u64, Ordering::Relaxed);
        self.with("wrote", |rows| rows.write(changes))
    }

    fn settle(&self) -> Result<(), StoreError> {
        self.with("wrote", |rows| rows.settle())
    }

    fn batch_bytes(&self) -> usize {
        self.rows.read().as_ref().map_or(usize::MAX, |rows| rows.batch_bytes())
    }

    fn check_identity(&self) -> Result<(), StoreError> {
        self.with("looked", |rows| rows.check_identity())
    }

    /// redb closes its file when it is dropped. sled reads at each start everything written since the previous start.
    /// So it is opened once more here, where the time does not matter.
    fn close(&self) {
        let rows = self.rows.write().take();
        if rows.is_none() {
            return;
        }
        let much = self.written.load(Ordering::Relaxed) >= MUCH;
        let closing = AssertUnwindSafe(|| {
            drop(rows);
            if let (Engine::Sled, true, Some(directory)) = (self.location.engine, much, &self.directory) {
                let database = directory.database(self.location.engine);
                open_database(&self.location, &database, &self.options).map(drop)
            } else {
                Ok(())
            }
        });
        match catch_unwind(closing) {
            Ok(Ok(())) => tracing::debug!("the store is closed"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the store was not closed cleanly; the next start is slower");
            }
            Err(_) => tracing::warn!("the store was not closed cleanly; the next start is slower"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_node_waits_longer_before_it_shortens_the_next_start() {
        let engine = OpenEngine {
            rows: RwLock::new(None),
            location: Location { engine: Engine::Sled, path: "/nowhere".into() },
            options: Options::default(),
            written: AtomicU64::new(0),
            keys: None,
            coding: RowCoding::default(),
            directory: None,
        };
        let left = |written, is_busy| {
            engine.written.store(written, Ordering::Relaxed);
            engine.shorten_next_start_if_much_was_written(is_busy);
            engine.written.load(Ordering::Relaxed)
        };
        assert_eq!([left(VERY_MUCH - 1, false), left(VERY_MUCH, false)], [VERY_MUCH - 1, 0]);
        assert_eq!([left(TOO_MUCH - 1, true), left(TOO_MUCH, true)], [TOO_MUCH - 1, 0]);
    }
}
