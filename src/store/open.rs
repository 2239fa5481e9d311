//! From a directory to a store: lock, engine, completeness, schema.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use tandem_actors::{
    keys,
    ports::{Change, Store, StoreError},
    records,
};

use super::{
    Engine, Location, Options, StoreOpenError,
    directory::Directory,
    guarded::{Beside, Guarded, StartError, all_sealed},
    head::Head,
    opened::Opened,
    redb::RedbRows,
    room::Room,
    rows::{Rows, RowsOpenError},
    sled::SledRows,
    spare,
};

/// The layout of keys and records. Higher: written by a later version. 1 has rows without seals.
const SCHEMA: u32 = 2;
const UNSEALED: u32 = 1;

/// Opens the store at `location`, and makes it if nothing is there.
pub fn open(location: &Location, options: &Options) -> Result<Arc<dyn Store>, StoreOpenError> {
    let directory = Directory::lock(&location.path)?;
    if directory.engine(options.disk.as_ref())?.is_none() {
        if Directory::is_half_copied(&location.path) && !options.start_afresh {
            return Err(StoreOpenError::HalfCopied { path: location.path.clone() });
        }
        create(location, &directory, options, |rows| {
            let sealed = Change::Put(all_sealed(), Bytes::from_static(&[1]));
            rows.write(&[&sealed]).map_err(|error| unusable(location, error.text()))
        })?;
        directory.copy_ended();
    }
    let head = Head::open(directory.root()).inspect_err(|error| {
        tracing::warn!(%error, store = %location.path.display(), "a later loss of groups would not be noticed");
    });
    let room = Room::new(directory.root(), options.min_free);
    let rows = open_rows(location, directory, options)?;
    spare::keep(&location.path, location.engine, &room);
    let first = match schema(location, &rows)? {
        SCHEMA => Vec::new(),
        _ => vec![Change::Put(keys::meta("schema"), records::encode(&SCHEMA))],
    };
    let store = Guarded::start(rows, Beside { head: head.ok(), room: Some(room), first });
    store.map(|store| Arc::new(store) as Arc<dyn Store>).map_err(|error| match error {
        StartError::Store(error) => unusable(location, error.text()),
        StartError::RolledBack { missing } => {
            StoreOpenError::RolledBack { path: location.path.clone(), engine: location.engine, missing }
        }
    })
}

/// Whether there is a complete store, that [`open`] would not have to make. Makes nothing.
pub fn is_there(location: &Location) -> bool {
    Directory::holds_store(&location.path)
}

/// What [`open`] would say, as far as that can be told without opening; false if nothing is there yet. Changes nothing.
pub fn inspect(location: &Location) -> Result<bool, StoreOpenError> {
    let Location { engine, path } = location;
    if Directory::is_half_copied(path) {
        return Err(StoreOpenError::HalfCopied { path: path.clone() });
    }
    if !Directory::holds_store(path) {
        return Ok(false);
    }
    let databases = Engine::ALL.map(|engine| path.join(engine.name()).join(database_file(engine)));
    Directory::check_free(path, &databases)?;
    match Directory::engine_at(path) {
        Some(found) if found != *engine => {
            Err(StoreOpenError::OtherEngine { path: path.clone(), found, asked: *engine })
        }
        Some(_) if exists(*engine, &path.join(engine.name())) => Ok(true),
        _ => Err(StoreOpenError::Lost { path: path.clone(), engine: *engine }),
    }
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
    let opened = Opened::open(location, directory, options)?;
    schema(location, &opened)?;
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
        rows.write(&[&schema]).map_err(|error| unusable(location, error.text()))?;
        fill(rows.as_ref())
    })
}

fn exists(engine: Engine, database: &Path) -> bool {
    match engine {
        Engine::Sled => SledRows::exists(database),
        Engine::Redb => RedbRows::exists(database),
    }
}

fn database_file(engine: Engine) -> &'static str {
    match engine {
        Engine::Sled => super::sled::DATABASE,
        Engine::Redb => super::redb::DATABASE,
    }
}

pub(super) fn open_database(
    location: &Location,
    database: &Path,
    options: &Options,
) -> Result<Box<dyn Rows>, StoreOpenError> {
    let open = || match location.engine {
        Engine::Sled => SledRows::open(database, options).map(|rows| Box::new(rows) as Box<dyn Rows>),
        Engine::Redb => RedbRows::open(database, options).map(|rows| Box::new(rows) as Box<dyn Rows>),
    };
    let rows = catch_unwind(AssertUnwindSafe(open))
        .unwrap_or_else(|_| Err(RowsOpenError::Unreadable("the engine panicked while it read the files".into())));
    rows.map_err(|error| match error {
        RowsOpenError::Io(source) => StoreOpenError::of(&location.path, "open the database", source),
        RowsOpenError::Unreadable(reason) => unusable(location, &reason),
        RowsOpenError::Locked => StoreOpenError::Locked { path: location.path.clone(), holder: None },
    })
}

fn schema(location: &Location, rows: &dyn Rows) -> Result<u32, StoreOpenError> {
    let unreadable = |error: StoreError| unusable(location, error.text());
    let row = rows.get(&keys::meta("schema")).map_err(unreadable)?;
    let row = row.ok_or_else(|| unusable(location, "it has no schema version"))?;
    match records::decode::<u32>(&row).map_err(unreadable)? {
        known @ (SCHEMA | UNSEALED) => Ok(known),
        found => Err(StoreOpenError::Schema { path: location.path.clone(), found, known: SCHEMA }),
    }
}

/// Engines do not always say why they failed: on a full disk it is the disk.
fn unusable(location: &Location, reason: &str) -> StoreOpenError {
    const NOTHING: u64 = 1 << 20;
    let path = location.path.clone();
    let full = Room::new(&path, 0).look().is_ok_and(|space| space.free < NOTHING);
    if full || reason.contains("No space left on device") {
        return StoreOpenError::Full { path, doing: "open the database" };
    }
    StoreOpenError::Corrupt { path, engine: location.engine, reason: reason.to_owned() }
}
