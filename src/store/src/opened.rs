//! An open database: its rows, in a directory that stays locked, until it is closed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use bytes::Bytes;
use parking_lot::RwLock;
use tandem_actors::{
    keys::Key,
    ports::{Change, Direction, StoreError},
};

use super::{
    Engine, Location, Options, StoreOpenError,
    directory::Directory,
    fence::LONGEST_WAIT,
    open::{is_full, open_database},
    rows::{Bounds, Rows},
    spare,
};

/// If this many bytes were written, a sled database is opened once more after it is closed, which shortens the next
/// start.
const MUCH: u64 = 4 << 20;
/// After this many bytes sled makes a snapshot of its pages while the node runs.
const VERY_MUCH: u64 = 64 << 20;

/// Rows in a directory that stays locked as long as they are open.
pub(super) struct Opened {
    /// None once it is closed.
    rows: RwLock<Option<Box<dyn Rows>>>,
    location: Location,
    options: Options,
    written: AtomicU64,
    // Dropped after the rows, so that the directory is unlocked when their files are closed. None for rows without a
    // directory.
    directory: Option<Directory>,
}

impl Opened {
    /// Opens a complete database.
    pub fn open(location: &Location, directory: Directory, options: &Options) -> Result<Self, StoreOpenError> {
        let database = directory.database(location.engine);
        let rows = match open_database(location, &database, options) {
            Err(StoreOpenError::Full { .. }) if spare::give_up(directory.root()) => {
                open_database(location, &database, options)
            }
            opened => opened,
        };
        let rows = rows?;
        Ok(Self {
            rows: RwLock::new(Some(rows)),
            location: location.clone(),
            options: options.clone(),
            written: AtomicU64::new(0),
            directory: Some(directory),
        })
    }

    /// Rows that are in no directory.
    #[cfg(feature = "simulation")]
    pub fn simulated(rows: impl Rows, location: Location, options: Options) -> Self {
        let rows = RwLock::new(Some(Box::new(rows) as Box<dyn Rows>));
        Self { rows, location, options, written: AtomicU64::new(0), directory: None }
    }

    /// Closes the database and opens it again. Readers wait.
    pub fn reopen(&self) -> Result<(), StoreOpenError> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let mut rows = self.rows.write();
        let_go(rows.take());
        let database = directory.database(self.location.engine);
        *rows = Some(open_database(&self.location, &database, &self.options)?);
        self.written.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Lets the engine shorten the next start, if much was written. To be called only while nothing is written.
    pub fn shorten_next_start_if_much_was_written(&self) {
        if self.written.load(Ordering::Relaxed) < VERY_MUCH {
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

    /// Whether the engine has failed because the disk is full. Engines do not always say so.
    pub fn has_no_room(&self, error: &StoreError) -> bool {
        error.text().contains("No space left")
            || error.text().contains("File too large")
            || self.directory.as_ref().is_some_and(|directory| is_full(directory.root()))
    }

    /// Both engines panic on a damaged page. The panic becomes an error, so that it does not end the thread.
    fn with<T>(&self, doing: &str, work: impl FnOnce(&dyn Rows) -> Result<T, StoreError>) -> Result<T, StoreError> {
        // Another thread may be opening it again.
        let rows = self.rows.try_read_for(LONGEST_WAIT).ok_or_else(StoreError::stalled)?;
        let rows = rows.as_deref().ok_or_else(|| StoreError::new("it is closed"))?;
        catch_unwind(AssertUnwindSafe(|| work(rows)))
            .unwrap_or_else(|_| Err(StoreError::new(format_args!("the engine panicked while it {doing}"))))
    }
}

/// An engine whose file is damaged can panic even when it is closed.
fn let_go(rows: Option<Box<dyn Rows>>) {
    if catch_unwind(AssertUnwindSafe(|| drop(rows))).is_err() {
        tracing::warn!("the engine was not closed cleanly");
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let_go(self.rows.get_mut().take());
    }
}

impl Rows for Opened {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.with("read", |rows| rows.get(key))
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

    /// redb closes its file when it is dropped. sled reads at each start what was written since the start before, so it
    /// is opened once more here, where the time does not matter.
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
