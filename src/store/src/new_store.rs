//! Makes a new store in a directory.

use std::path::PathBuf;

use bytes::Bytes;
use tandem_actors::{
    keys::Key,
    ports::{Change, Direction, StoreError},
};

use crate::{
    Location, Options, digests,
    directory::Directory,
    engine::{open_database, unusable},
    error::StoreOpenError,
    own_rows::{checkpoint_key, log_key, new_log, own_number, schema_row},
    rekey::{keys_of_new_store, row_coding},
    rows::{Bounds, Rows},
    seal::{RowCoding, encrypted, seal},
};

const JOURNAL: &str = "journal";

pub(crate) fn journal_path(location: &Location) -> PathBuf {
    location.path.join(JOURNAL)
}

pub(crate) fn make_journal_directory(location: &Location, options: &Options) -> Result<(), StoreOpenError> {
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

/// Makes the first digests from the engine's rows. The rows are not checked.
pub(crate) fn begin_digests(location: &Location, rows: &dyn Rows, options: &Options) -> Result<(), StoreOpenError> {
    let unreadable = |error: StoreError| unusable(location, error.text());
    let number = |key: &Key| own_number(rows, key).map_err(unreadable);
    let log = number(&log_key())?.ok_or_else(|| unusable(location, "it names no journal"))?;
    let found = digests::survey(rows, log, number(&checkpoint_key())?.unwrap_or(0)).map_err(unreadable)?;
    digests::write(&found, &location.path, &*options.disk)
        .map_err(|error| StoreOpenError::of(&location.path, "write the digests", error))
}

/// Makes a complete database in a locked directory without one. `fill` may write its first rows.
pub(crate) fn create<T, E: From<StoreOpenError>>(
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
