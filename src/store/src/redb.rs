//! redb 4.6.0: one table, one write transaction per batch, `Durability::Immediate`. Readers see committed transactions
//! only.

use std::{
    error::Error,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use redb::{
    AccessGuard, Database, DatabaseError, Durability, ReadableDatabase, StorageBackend, StorageError, TableDefinition,
    TableError,
};
use tandem_actors::{
    keys::Key,
    ports::{Change, Direction, StoreError},
};

use super::{
    Options,
    disk::Disk,
    identity::Identity,
    rows::{Bounds, Rows, RowsOpenError},
};

const ROWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");
pub(super) const DATABASE: &str = "tandem.redb";
/// Bytes of rows in one transaction.
const BATCH: usize = 8 << 20;

pub(super) struct RedbRows {
    db: Database,
    identity: Identity,
}

impl RedbRows {
    pub fn exists(path: &Path) -> bool {
        fs::metadata(path.join(DATABASE)).is_ok_and(|file| file.len() > 0)
    }

    /// Opens the database in the directory `path`, or makes it. The caller holds the directory's lock.
    pub fn open(path: &Path, options: &Options) -> Result<Self, RowsOpenError> {
        let path = path.join(DATABASE);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        lock_patiently(&file)?;
        let identity = Identity::of(&file, &path)?;
        let backend = Backend { file, path, disk: options.disk.clone() };
        let cache = usize::try_from(options.cache_mib << 20).unwrap_or(usize::MAX);
        let db = Database::builder().set_cache_size(cache).create_with_backend(backend);
        let mut db = db.map_err(|error| match error {
            DatabaseError::Storage(StorageError::Io(error)) => match error.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    RowsOpenError::Unreadable(error.to_string())
                }
                _ => RowsOpenError::Io(error),
            },
            error => RowsOpenError::Unreadable(error.to_string()),
        })?;
        // The check repairs what it can, and returns false.
        if options.check_engine
            && !db.check_integrity().map_err(|error| RowsOpenError::Unreadable(error.to_string()))?
        {
            return Err(RowsOpenError::Unreadable("a page, or the note of which pages are free, is damaged".into()));
        }
        Ok(Self { db, identity })
    }

    fn read<T>(
        &self,
        read: impl FnOnce(redb::ReadOnlyTable<&'static [u8], &'static [u8]>) -> Result<T, StorageError>,
    ) -> Result<T, StoreError> {
        let transaction = self.db.begin_read().map_err(failed)?;
        let table = transaction.open_table(ROWS).map_err(|error| match error {
            TableError::TableDoesNotExist(_) => StoreError::new("the database has no table of rows"),
            error => failed(error),
        })?;
        read(table).map_err(failed)
    }

    fn commit(&self, changes: &[&Change]) -> Result<(), redb::Error> {
        let mut transaction = self.db.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        // A start after a kill then need not read the whole file.
        transaction.set_quick_repair(true);
        {
            let mut table = transaction.open_table(ROWS)?;
            for change in changes {
                match change {
                    Change::Put(key, value) => drop(table.insert(key.as_bytes(), value.as_ref())?),
                    Change::Delete(key) => drop(table.remove(key.as_bytes())?),
                }
            }
        }
        Ok(transaction.commit()?)
    }
}

/// All errors of redb as one type, in which [`io_error`] finds them again.
fn failed(error: impl Into<redb::Error>) -> StoreError {
    StoreError::caused_by(error.into())
}

/// The error of the disk, if redb has failed because of one.
pub(super) fn io_error<'a>(source: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    match source.downcast_ref()? {
        redb::Error::Io(error) => Some(error),
        _ => None,
    }
}

impl Rows for RedbRows {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.read(|table| Ok(table.get(key.as_bytes())?.map(|value| Bytes::copy_from_slice(value.value()))))
    }

    fn range(&self, bounds: &Bounds, direction: Direction, limit: usize) -> Result<Vec<(Key, Bytes)>, StoreError> {
        self.read(|table| {
            let range = table.range::<&[u8]>(bounds.range())?;
            match direction {
                Direction::Forward => range.take(limit).map(copy).collect(),
                Direction::Backward => range.rev().take(limit).map(copy).collect(),
            }
        })
    }

    fn write(&self, changes: &[&Change]) -> Result<(), StoreError> {
        let started = Instant::now();
        self.commit(changes).map_err(failed)?;
        metrics::histogram!("tandem_store_flush_seconds").record(started.elapsed());
        Ok(())
    }

    fn batch_bytes(&self) -> usize {
        BATCH
    }

    fn check_identity(&self) -> Result<(), StoreError> {
        self.identity.check()
    }
}

/// Locks the file itself, so that removing the directory's lock file does not allow a second writer. It retries,
/// because a process that is just being started inherits the lock of its parent for a moment.
fn lock_patiently(file: &File) -> Result<(), RowsOpenError> {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => return Err(RowsOpenError::Locked),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

type Row<'a> = (AccessGuard<'a, &'static [u8]>, AccessGuard<'a, &'static [u8]>);

fn copy(row: Result<Row<'_>, StorageError>) -> Result<(Key, Bytes), StorageError> {
    row.map(|(key, value)| (Key::from_bytes(key.value()), Bytes::copy_from_slice(value.value())))
}

/// The file, with its syncs on the [`Disk`]. The process that opened it has locked it.
#[derive(Debug)]
struct Backend {
    file: File,
    path: PathBuf,
    disk: Arc<dyn Disk>,
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.sync_data(&self.file, &self.path)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}
