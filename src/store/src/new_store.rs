//! Makes a new store in a directory.

use std::path::PathBuf;

use bytes::Bytes;
use tandem_actors::{
    keys::Key,
    ports::{Change, Direction, StoreError},
};

use crate::{
    Location, Options,
    digests::{self, has_no_digest},
    directory::Directory,
    engine::{open_database, unusable},
    error::StoreOpenError,
    own_rows::{checkpoint_key, log_key, new_log, own_number, schema_row},
    rekey::{keys_of_new_store, row_coding},
    rows::{Bounds, PAGE, Rows},
    seal::{RowCoding, encrypted, mark_all_sealed, seal},
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

/// Makes a store with these rows, which have no seals yet. In the order of their keys it is fastest. There must be no
/// store at `to`. A node does not start on an interrupted one.
///
/// # Errors
/// If the store cannot be made.
pub fn fill(
    to: &Location,
    options: &Options,
    rows: impl IntoIterator<Item = (Key, Bytes)>,
) -> Result<u64, StoreOpenError> {
    let failed = |error: StoreError| unusable(to, error.text());
    make_filled(to, options, |target| {
        let mut page = Vec::with_capacity(PAGE);
        let mut count = 0;
        for row in rows.into_iter().filter(|(key, _)| !has_no_digest(key)) {
            page.push(row);
            count += 1;
            if page.len() == PAGE {
                fill_page(target, std::mem::take(&mut page)).map_err(failed)?;
            }
        }
        fill_page(target, page).map_err(failed)?;
        Ok::<_, StoreOpenError>(count)
    })
}

/// Makes a store. `fill` fills it with rows that all have seals.
pub(crate) fn make_filled<T, E: From<StoreOpenError>>(
    to: &Location,
    options: &Options,
    fill: impl FnOnce(&dyn Rows) -> Result<T, E>,
) -> Result<T, E> {
    if Directory::holds_store(&to.path) {
        return Err(StoreOpenError::NotEmpty { path: to.path.clone() }.into());
    }
    let directory = Directory::lock(&to.path)?;
    directory.copy_begins(options.disk.as_ref())?;
    let filled = create(to, &directory, options, |rows| {
        let filled = fill(rows)?;
        rows.fill(&[&mark_all_sealed()]).map_err(|error| unusable(to, error.text()))?;
        Ok::<_, E>(filled)
    })?;
    directory.copy_ended();
    Ok(filled)
}

/// Fills a new store with some rows, which have no seals yet.
pub(crate) fn fill_page(target: &dyn Rows, page: Vec<(Key, Bytes)>) -> Result<(), StoreError> {
    const MOST: usize = 4 << 20;
    let (coding, most) = (target.row_coding(), target.batch_bytes().min(MOST));
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for (key, value) in page {
        let more = key.as_bytes().len() + value.len();
        if bytes + more > most && !batch.is_empty() {
            fill_batch(target, &std::mem::take(&mut batch))?;
            bytes = 0;
        }
        bytes += more;
        batch.push(coding.encode(&Change::Put(key, value)));
    }
    if batch.is_empty() { Ok(()) } else { fill_batch(target, &batch) }
}

fn fill_batch(target: &dyn Rows, batch: &[Change]) -> Result<(), StoreError> {
    target.fill(&batch.iter().collect::<Vec<_>>())
}

/// Makes a complete database in a locked directory without one. `fill` may write its first rows, also with
/// [`Rows::fill`].
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
        let durable = || rows.complete().map_err(|error| unusable(location, error.text()));
        durable()?;
        begin_digests(location, &rows, options)?;
        // Reading can make the engine write.
        durable()?;
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

    fn fill(&self, changes: &[&Change]) -> Result<(), StoreError> {
        self.rows.fill(changes)
    }

    fn complete(&self) -> Result<(), StoreError> {
        self.rows.complete()
    }

    fn batch_bytes(&self) -> usize {
        self.rows.batch_bytes()
    }

    fn row_coding(&self) -> RowCoding {
        self.coding.clone()
    }
}
