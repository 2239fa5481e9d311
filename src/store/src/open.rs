//! Opens a store's directory: lock, engine, completeness, schema, journal.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use rand::Rng;
use tandem_actors::{
    keys::{self, Key},
    ports::{Change, Direction, Store, StoreError},
    records,
};

use super::{
    Backups, Engine, Location, Options, StoreOpenError, backup, digests,
    directory::Directory,
    head::Head,
    journaled::{RecoveredStore, checkpoint_key, log_key, open_journal},
    open_engine::OpenEngine,
    redb::RedbRows,
    rekey::{check_key, keys_of_new_store, row_coding},
    room::Room,
    rows::{Bounds, Rows, RowsOpenError, Strictness},
    seal::{RowCoding, Seals, encrypted, mark_all_sealed, seal, unseal},
    sled::SledRows,
    spare,
};

/// The layout of keys, records and files. Layout 1 has rows without seals, 1 and 2 have no journal, 3 has no digests. A
/// later version of Tandem writes a higher number.
pub(super) const SCHEMA: u32 = 4;
const WITHOUT_JOURNAL: [u32; 2] = [1, 2];
const WITHOUT_DIGESTS: u32 = 3;
const JOURNAL: &str = "journal";

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
    let mut head = Head::open_or_warn(directory.root());
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
    check_nothing_lost(location, &opening, head.as_mut())?;
    opening.keep_beyond(backup::kept_beyond(&location.path));
    let store = opening.start(room, head, options).map_err(|error| unusable(location, error.text()))?;
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

pub(super) fn journal_path(location: &Location) -> PathBuf {
    location.path.join(JOURNAL)
}

fn check_nothing_lost(
    location: &Location,
    opening: &RecoveredStore,
    head: Option<&mut Head>,
) -> Result<(), StoreOpenError> {
    let Some(head) = head else { return Ok(()) };
    let acknowledged = head.read().map_err(|error| StoreOpenError::of(head.path(), "read", error))?;
    match acknowledged.checked_sub(opening.last()) {
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
    if rows.keys().is_some() && !is_marked {
        let mark = seal(&Change::Put(encrypted(), Bytes::from_static(&[1])));
        rows.write(&[&mark]).map_err(unreadable)?;
        tracing::info!(store = %location.path.display(), "the store is encrypted from now on; what was there follows");
    }
    Ok(())
}

/// Makes the first digests from the engine's rows. The rows are not checked.
pub(super) fn begin_digests(location: &Location, rows: &dyn Rows, options: &Options) -> Result<(), StoreOpenError> {
    let unreadable = |error: StoreError| unusable(location, error.text());
    let number = |key: &Key| own_number(rows, key).map_err(unreadable);
    let log = number(&log_key())?.ok_or_else(|| unusable(location, "it names no journal"))?;
    let found = digests::survey(rows, log, number(&checkpoint_key())?.unwrap_or(0)).map_err(unreadable)?;
    digests::write(&found, &location.path, &*options.disk)
        .map_err(|error| StoreOpenError::of(&location.path, "write the digests", error))
}

/// A number that the store keeps in a row of its own.
pub(super) fn own_number(rows: &dyn Rows, key: &Key) -> Result<Option<u64>, StoreError> {
    let row = rows.get(key)?.map(|stored| unseal(key, stored, Seals::OnEveryRow)).transpose()?;
    row.map(|row| records::decode::<u64>(&row)).transpose()
}

fn make_journal_directory(location: &Location, options: &Options) -> Result<(), StoreOpenError> {
    let (path, disk) = (journal_path(location), options.wal_disk());
    let made = || {
        disk.create_directory(&path)?;
        disk.sync_directory(&location.path)?;
        disk.names(&path)
    };
    let names = made().map_err(|error| StoreOpenError::of(&location.path, "make the journal's directory", error))?;
    if names.is_empty() {
        Ok(())
    } else {
        Err(StoreOpenError::JournalUnknown { path: location.path.clone(), engine: location.engine })
    }
}

fn schema_row() -> Change {
    Change::Put(keys::meta("schema"), records::encode(&SCHEMA))
}

/// The row that binds a new journal to an engine's rows.
fn new_log() -> Change {
    seal(&Change::Put(log_key(), records::encode(&rand::rng().random::<u64>())))
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

/// Makes a complete database in a locked directory without one. `fill` may write its first rows.
pub(super) fn create<T, E: From<StoreOpenError>>(
    location: &Location,
    directory: &Directory,
    options: &Options,
    fill: impl FnOnce(&dyn Rows) -> Result<T, E>,
) -> Result<T, E> {
    make_journal_directory(location, options)?;
    let keys = keys_of_new_store(directory.root(), options)?;
    directory.create(location.engine, options.disk.as_ref(), |path| {
        let rows = Fresh { rows: open_database(location, path, options)?, coding: row_coding(keys.as_ref()) };
        let mark = seal(&Change::Put(encrypted(), Bytes::from_static(&[1])));
        let own = [schema_row(), new_log()];
        let own: Vec<_> = own.iter().chain(keys.is_some().then_some(&mark)).collect();
        rows.write(&own).map_err(|error| unusable(location, error.text()))?;
        let filled = fill(&rows)?;
        begin_digests(location, &rows, options)?;
        Ok(filled)
    })
}

/// A database that is being made, and the coding of its rows.
struct Fresh {
    rows: Box<dyn Rows>,
    coding: RowCoding,
}

impl Rows for Fresh {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.rows.get(key)
    }

    fn range(&self, bounds: &Bounds, direction: Direction, limit: usize) -> Result<Vec<(Key, Bytes)>, StoreError> {
        self.rows.range(bounds, direction, limit)
    }

    fn write(&self, changes: &[&Change]) -> Result<(), StoreError> {
        self.rows.write(changes)
    }

    fn row_coding(&self) -> RowCoding {
        self.coding.clone()
    }
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
        known if [SCHEMA, WITHOUT_DIGESTS].contains(&known) || WITHOUT_JOURNAL.contains(&known) => Ok(known),
        found => Err(StoreOpenError::Schema { path: location.path.clone(), found, known: SCHEMA }),
    }
}

/// The reason of a failed open. Engines do not always name a full disk.
fn unusable(location: &Location, reason: &str) -> StoreOpenError {
    let path = location.path.clone();
    if is_full(&path) || reason.contains("No space left on device") {
        return StoreOpenError::Full { path, doing: "open the database" };
    }
    StoreOpenError::Corrupt { path, engine: location.engine, reason: reason.to_owned() }
}

/// Whether the disk is completely full.
pub(super) fn is_full(path: &Path) -> bool {
    const NOTHING: u64 = 1 << 20;
    Room::new(path, 0).measure().is_ok_and(|space| space.free < NOTHING)
}
