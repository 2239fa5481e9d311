//! Opens a store's directory: lock, engine, completeness, schema, journal.

use std::sync::Arc;

use bytes::Bytes;
use tandem_actors::{
    keys,
    ports::{Change, Store, StoreError},
    records,
};

use super::{
    Backups, Engine, Location, Options, StoreOpenError,
    acknowledged::LastAcknowledged,
    backup, digests,
    directory::Directory,
    engine::{database_file, exists, unusable},
    journaled::{RecoveredStore, open_journal},
    new_store::{begin_digests, create, journal_path, make_journal_directory},
    open_engine::OpenEngine,
    own_rows::{SCHEMA, WITHOUT_DIGESTS, WITHOUT_JOURNAL, new_log, schema_row},
    rekey::check_key,
    room::Room,
    rows::{Rows, Strictness},
    seal::{encrypted, mark_all_sealed, seal},
    spare,
};

/// Opens the store at `location`, or makes it.
pub fn open(location: &Location, options: &Options) -> Result<Arc<dyn Store>, StoreOpenError> {
    open_with_backups(location, options).map(|(store, _)| store)
}

/// As [`open`], with the means to take backups of the open store.
pub fn open_with_backups(location: &Location, options: &Options) -> Result<(Arc<dyn Store>, Backups), StoreOpenError> {
    let directory = Directory::lock(&location.path)?;
    if directory.engine(options.disk.as_ref())?.is_none() {
        if Directory::is_half_copied(&location.path) && !options.start_afresh {
            return Err(StoreOpenError::HalfCopied { path: location.path.clone() });
        }
        create(location, &directory, options, |rows| {
            rows.write(&[&mark_all_sealed()]).map_err(|error| unusable(location, error.text()))
        })?;
        directory.copy_ended();
    }
    let mut acknowledged = LastAcknowledged::open_or_warn(directory.root());
    let room = Room::new(directory.root(), options.min_free);
    let mut loading = digests::load(&location.path);
    let mut rows = open_rows(location, directory, options)?;
    spare::reserve_for_start(&location.path, location.engine, &room);
    if is_of_earlier_version(location, &rows)? {
        take_over(location, &rows, options)?;
        loading = digests::load(&location.path);
    }
    encrypt(location, &mut rows)?;
    let opening = open_journal_of(location, rows, loading, options)?;
    check_nothing_lost(location, &opening, acknowledged.as_mut())?;
    opening.keep_beyond(backup::kept_beyond(&location.path));
    let store = opening.start(room, acknowledged, options).map_err(|error| unusable(location, error.text()))?;
    let store = Arc::new(store);
    Ok((store.clone(), Backups::new(store, location, options)))
}

/// Opens the journal of an open engine, to read both.
pub(super) fn open_journal_of(
    location: &Location,
    rows: OpenEngine,
    loading: digests::DigestReader,
    options: &Options,
) -> Result<RecoveredStore, StoreOpenError> {
    let path = journal_path(location);
    let names = options.wal_disk().names(&path);
    if names.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Err(StoreOpenError::JournalLost { path: location.path.clone() });
    }
    open_journal(location, rows, digests::loaded(loading), &path, options)
}

/// All rows of a store that nobody has open.
pub(super) fn read_rows(
    location: &Location,
    options: &Options,
    strictness: Strictness,
) -> Result<Box<dyn Rows>, StoreOpenError> {
    // The lock keeps the digests from changing while they are read.
    let directory = Directory::lock(&location.path)?;
    let mut loading = digests::load(&location.path);
    let rows = open_rows(location, directory, options)?;
    if is_without_journal(location, &rows)? {
        return Ok(Box::new(rows));
    }
    if is_of_earlier_version(location, &rows)? {
        begin_digests(location, &rows, options)?;
        loading = digests::load(&location.path);
    }
    open_journal_of(location, rows, loading, options)
        .map(|opening| Box::new(opening.with_strictness(strictness)) as Box<dyn Rows>)
}

/// Whether an earlier version has made the store: it has no digests, and may have no journal.
pub(super) fn is_of_earlier_version(location: &Location, rows: &dyn Rows) -> Result<bool, StoreOpenError> {
    Ok(schema(location, rows)? != SCHEMA)
}

/// Whether a store has no journal yet, because an earlier version has made it.
pub(super) fn is_without_journal(location: &Location, rows: &dyn Rows) -> Result<bool, StoreOpenError> {
    Ok(WITHOUT_JOURNAL.contains(&schema(location, rows)?))
}

fn check_nothing_lost(
    location: &Location,
    opening: &RecoveredStore,
    acknowledged: Option<&mut LastAcknowledged>,
) -> Result<(), StoreOpenError> {
    let Some(acknowledged) = acknowledged else { return Ok(()) };
    let last = acknowledged.read().map_err(|error| StoreOpenError::of(acknowledged.path(), "read", error))?;
    match last.checked_sub(opening.last()) {
        None | Some(0) => Ok(()),
        Some(missing) => Err(StoreOpenError::RolledBack { path: location.path.clone(), missing }),
    }
}

/// Converts a store of an earlier version. The earlier version then refuses it, because it could neither read the
/// journal nor update the digests.
fn take_over(location: &Location, rows: &dyn Rows, options: &Options) -> Result<(), StoreOpenError> {
    let written = |outcome: Result<(), StoreError>| outcome.map_err(|error| unusable(location, error.text()));
    if schema(location, rows)? != WITHOUT_DIGESTS {
        make_journal_directory(location, options)?;
        written(rows.write(&[&new_log()]))?;
    }
    begin_digests(location, rows, options)?;
    written(rows.write(&[&schema_row()]))?;
    tracing::info!(store = %location.path.display(), "the store was converted to the current format; earlier versions cannot open it any more");
    Ok(())
}

/// Encrypts a store from its first start with an operator's key on. A row notes this, so that missing keys are noticed.
fn encrypt(location: &Location, rows: &mut OpenEngine) -> Result<(), StoreOpenError> {
    let unreadable = |error: StoreError| unusable(location, error.text());
    let is_marked = rows.get(&encrypted()).map_err(unreadable)?.is_some();
    rows.take_keys()?;
    if rows.is_encrypted() && !is_marked {
        let mark = seal(&Change::Put(encrypted(), Bytes::from_static(&[1])));
        rows.write(&[&mark]).map_err(unreadable)?;
        tracing::info!(store = %location.path.display(), "the store is encrypted from now on; what was there follows");
    }
    Ok(())
}

/// Whether there is a complete store at this location. It creates nothing.
pub fn is_there(location: &Location) -> bool {
    Directory::holds_store(&location.path)
}

/// Makes the checks that need no open store. Returns false if there is no store yet. It changes nothing.
pub fn inspect(location: &Location, options: &Options) -> Result<bool, StoreOpenError> {
    let Location { engine, path } = location;
    if Directory::is_half_copied(path) {
        return Err(StoreOpenError::HalfCopied { path: path.clone() });
    }
    if !Directory::holds_store(path) {
        return check_key(path, options).map(|()| false);
    }
    let databases = Engine::ALL.map(|engine| Directory::database_at(path, engine).join(database_file(engine)));
    // The lock is checked first: a running node does not need the key again, and takes its backups itself.
    Directory::check_free(path, &databases)?;
    check_key(path, options)?;
    match Directory::engine_at(path) {
        Some(found) if found != *engine => {
            Err(StoreOpenError::OtherEngine { path: path.clone(), found, asked: *engine })
        }
        Some(_) if exists(*engine, &Directory::database_at(path, *engine)) => Ok(true),
        _ => Err(StoreOpenError::Lost { path: path.clone(), engine: *engine }),
    }
}

/// Opens an existing database.
pub(super) fn open_rows(
    location: &Location,
    directory: Directory,
    options: &Options,
) -> Result<OpenEngine, StoreOpenError> {
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
    directory.remove_another(*engine, options.disk.as_ref())?;
    let opened = OpenEngine::open(location, directory, options)?;
    schema(location, &opened)?;
    Ok(opened)
}

fn schema(location: &Location, rows: &dyn Rows) -> Result<u32, StoreOpenError> {
    let unreadable = |error: StoreError| unusable(location, error.text());
    let row = rows.get(&keys::meta("schema")).map_err(unreadable)?;
    let row = row.ok_or_else(|| unusable(location, "it has no schema version"))?;
    match records::decode::<u32>(&row).map_err(unreadable)? {
        known if [SCHEMA, WITHOUT_DIGESTS].contains(&known) || WITHOUT_JOURNAL.contains(&known) => Ok(known),
        found => Err(StoreOpenError::Schema { path: location.path.clone(), found, known: SCHEMA }),
    }
}
