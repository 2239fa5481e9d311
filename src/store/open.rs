//! From a directory to a store: lock, engine, completeness, schema.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use tandem_actors::{
    keys::{self, Key},
    ports::{Change, Direction, Store, StoreError},
    records,
};

use super::{
    Engine, Location, Options, StoreOpenError,
    directory::Directory,
    guarded::Guarded,
    redb::RedbRows,
    rows::{Rows, RowsOpenError},
    sled::SledRows,
};

/// The layout of keys and records. Higher: written by a later version.
const SCHEMA: u32 = 1;

/// Opens the store at `location`, and makes it if nothing is there.
pub fn open(location: &Location, options: &Options) -> Result<Arc<dyn Store>, StoreOpenError> {
    let directory = Directory::lock(&location.path)?;
    if directory.engine(options.disk.as_ref())?.is_none() {
        create(location, &directory, options, |_| Ok::<_, StoreOpenError>(()))?;
    }
    let rows = open_rows(location, directory, options)?;
    let store = Guarded::start(rows).map_err(|error| corrupt(location, &error.0))?;
    Ok(Arc::new(store))
}

/// Rows in a directory that stays locked as long as they are open.
pub(super) struct Opened {
    rows: Box<dyn Rows>,
    // After the rows: unlocked when their files are closed.
    _directory: Directory,
}

/// Opens an existing database.
pub(super) fn open_rows(
    location: &Location,
    directory: Directory,
    options: &Options,
) -> Result<Opened, StoreOpenError> {
    let Location { engine, path } = location;
    match directory.engine(options.disk.as_ref())? {
        None => return Err(StoreOpenError::Absent { path: path.clone(), engine: *engine }),
        Some(found) if found != *engine => {
            return Err(StoreOpenError::OtherEngine { path: path.clone(), found, asked: *engine });
        }
        Some(_) if !exists(*engine, &directory.database(*engine)) => {
            return Err(StoreOpenError::Lost { path: path.clone(), engine: *engine });
        }
        Some(_) => {}
    }
    let rows = open_database(location, &directory.database(*engine), options)?;
    let opened = Opened { rows, _directory: directory };
    check_schema(location, &opened)?;
    Ok(opened)
}

/// Makes a complete database in a locked directory that has none; `fill` may write its first rows.
pub(super) fn create<T, E: From<StoreOpenError>>(
    location: &Location,
    directory: &Directory,
    options: &Options,
    fill: impl FnOnce(&dyn Rows) -> Result<T, E>,
) -> Result<T, E> {
    directory.create(location.engine, options.disk.as_ref(), |path| {
        let rows = open_database(location, path, options)?;
        let schema = Change::Put(keys::meta("schema"), records::encode(&SCHEMA));
        rows.write(&[&schema]).map_err(|error| corrupt(location, &error.0))?;
        fill(rows.as_ref())
    })
}

fn exists(engine: Engine, database: &Path) -> bool {
    match engine {
        Engine::Sled => SledRows::exists(database),
        Engine::Redb => RedbRows::exists(database),
    }
}

fn open_database(location: &Location, database: &Path, options: &Options) -> Result<Box<dyn Rows>, StoreOpenError> {
    let open = || match location.engine {
        Engine::Sled => SledRows::open(database, options).map(|rows| Box::new(rows) as Box<dyn Rows>),
        Engine::Redb => RedbRows::open(database, options).map(|rows| Box::new(rows) as Box<dyn Rows>),
    };
    let rows = catch_unwind(AssertUnwindSafe(open))
        .unwrap_or_else(|_| Err(RowsOpenError::Unreadable("the engine panicked while it read the files".into())));
    rows.map_err(|error| match error {
        RowsOpenError::Io(source) => {
            StoreOpenError::Inaccessible { path: location.path.clone(), doing: "open the database", source }
        }
        RowsOpenError::Unreadable(reason) => corrupt(location, &reason),
    })
}

fn check_schema(location: &Location, rows: &dyn Rows) -> Result<(), StoreOpenError> {
    let unreadable = |error: StoreError| corrupt(location, &error.0);
    let row = rows.get(&keys::meta("schema")).map_err(unreadable)?;
    let row = row.ok_or_else(|| corrupt(location, "it has no schema version"))?;
    match records::decode::<u32>(&row).map_err(unreadable)? {
        SCHEMA => Ok(()),
        found => Err(StoreOpenError::Schema { path: location.path.clone(), found, known: SCHEMA }),
    }
}

fn corrupt(location: &Location, reason: &str) -> StoreOpenError {
    StoreOpenError::Corrupt { path: location.path.clone(), engine: location.engine, reason: reason.to_owned() }
}

/// Both engines assert what they read and write; a damaged page must be an error, not the end of a thread.
fn unpanicked<T>(doing: &str, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(StoreError::new(format_args!("the engine panicked while it {doing}"))))
}

impl Rows for Opened {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        unpanicked("read", || self.rows.get(key))
    }

    fn scan(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError> {
        unpanicked("read", || self.rows.scan(prefix, after, direction, limit))
    }

    fn write(&self, changes: &[&Change]) -> Result<(), StoreError> {
        unpanicked("wrote", || self.rows.write(changes))
    }
}
