//! `tandem store verify`: reads everything that a stopped node has stored, and names the damage.
//!
//! The engine is opened as for a start. This removes the rest of an interrupted rewrite, and writes missing keys or
//! digests. Nothing else is changed.

use std::{convert::identity, path::PathBuf};

use tandem_actors::{keys::Key, ports::StoreError};
use tandem_wal::{BadPlace, Report, WalError, log_id, verify as verify_journal};

use super::{
    Location, Options, StoreOpenError,
    acknowledged::LastAcknowledged,
    digests::{DigestReader, load},
    directory::Directory,
    journaled::sessions_in,
    names::record,
    new_store::journal_path,
    open::{is_of_earlier_version, is_without_journal, open_journal_of, open_rows},
    open_engine::OpenEngine,
    own_rows::{checkpoint_key, log_key, own_number},
    row_check::seals_of,
    rows::{Rows, in_pages},
};

/// The result of a verification.
#[derive(Debug, Default)]
pub struct VerifyReport {
    /// Rows in the engine.
    pub rows: u64,
    /// The last group whose rows are all in the engine.
    pub checkpoint: u64,
    /// The content of the journal.
    pub journal: Report,
    /// The damage, one line each.
    pub bad: Vec<String>,
}

/// As [`verify_reporting`], without progress.
pub fn verify(location: &Location, options: &Options) -> Result<VerifyReport, StoreOpenError> {
    verify_reporting(location, options, &mut |_| {})
}

/// Verifies the store at `location`. No process may have it open. `progress` gets the number of rows so far.
///
/// # Errors
/// If there is no store, or it cannot be read. Damage is part of the result, not an error.
pub fn verify_reporting(
    location: &Location,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<VerifyReport, StoreOpenError> {
    if !Directory::holds_store(&location.path) {
        return Err(StoreOpenError::Absent { path: location.path.clone(), engine: location.engine });
    }
    let directory = Directory::lock(&location.path)?;
    let mut found = VerifyReport::default();
    let options = &Options { check_engine: true, ..options.clone() };
    let loading = load(&location.path);
    let engine = match open_rows(location, directory, options) {
        Ok(rows) => Some(rows),
        Err(error @ (StoreOpenError::Corrupt { .. } | StoreOpenError::Lost { .. })) => {
            found.bad.push(error.to_string());
            None
        }
        Err(error) => return Err(error),
    };
    let log = match &engine {
        Some(rows) => look_at_rows(location, rows, &mut found, progress)?,
        None => log_id(&*options.wal_disk(), &journal_path(location)),
    };
    if let Some(log) = log {
        look_at_journal(location, options, log, &mut found)?;
    }
    if let Some(rows) = engine {
        look_at_digests(location, options, rows, loading, &mut found)?;
    }
    Ok(found)
}

/// Compares the engine's rows with the digests. Needs an intact journal, because the engine may lack rows of the
/// journal.
fn look_at_digests(
    location: &Location,
    options: &Options,
    rows: OpenEngine,
    loading: DigestReader,
    found: &mut VerifyReport,
) -> Result<(), StoreOpenError> {
    if !found.journal.bad.is_empty() || is_of_earlier_version(location, &rows)? {
        rows.close();
        return Ok(());
    }
    let opening = match open_journal_of(location, rows, loading, options) {
        Ok(opening) => opening,
        Err(error @ (StoreOpenError::Inaccessible { .. } | StoreOpenError::Full { .. })) => return Err(error),
        Err(error) => {
            found.bad.push(error.to_string());
            return Ok(());
        }
    };
    let looked = opening.rows.look_through(|flaws| {
        found.bad.extend(
            flaws
                .wrong
                .iter()
                .map(|key| format!("{}: an older state of it, or one that was deleted, is there", record(key))),
        );
        found.bad.extend(
            flaws
                .missing
                .iter()
                .map(|(start, rows)| format!("{} rows are gone, at or after {}", rows.len(), record(start))),
        );
    });
    if let Err(error) = looked {
        found.bad.push(format!("{}: it cannot be read any further: {}", location.path.display(), error.text()));
    }
    opening.rows.close();
    Ok(())
}

/// Returns the journal's id, if there is a journal.
fn look_at_rows(
    location: &Location,
    rows: &OpenEngine,
    found: &mut VerifyReport,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<u64>, StoreOpenError> {
    let file = || Directory::database_at(&location.path, location.engine);
    if let Err(error) = look_at_all(rows, found, progress) {
        found.bad.push(format!("{}: it cannot be read any further: {}", file().display(), error.text()));
    }
    if is_without_journal(location, rows)? {
        return Ok(None);
    }
    let number = |key: &Key| own_number(rows, key);
    match number(&checkpoint_key()) {
        Ok(checkpoint) => found.checkpoint = checkpoint.unwrap_or(0),
        Err(error) => found.bad.push(format!("{}: how far it goes is not known: {}", file().display(), error.text())),
    }
    match number(&log_key()) {
        Ok(Some(log)) => return Ok(Some(log)),
        Ok(None) => found.bad.push(format!("{}: it names no journal", file().display())),
        Err(error) => {
            found.bad.push(format!("{}: which journal is its own is not known: {}", file().display(), error.text()));
        }
    }
    Ok(None)
}

/// Verifies rows without a journal and digests, such as those of a PostgreSQL database.
pub(super) fn verify_rows(
    rows: &dyn Rows,
    name: &str,
    progress: &mut dyn FnMut(u64),
) -> Result<VerifyReport, StoreOpenError> {
    let mut found = VerifyReport::default();
    if let Err(error) = look_at_all(rows, &mut found, progress) {
        found.bad.push(format!("{name}: it cannot be read any further: {}", error.text()));
    }
    Ok(found)
}

fn look_at_all(rows: &dyn Rows, found: &mut VerifyReport, progress: &mut dyn FnMut(u64)) -> Result<(), StoreError> {
    let seals = seals_of(rows)?;
    in_pages(rows, b"", identity, |page| {
        for (key, stored) in page {
            found.rows += 1;
            if rows.row_coding().decode(&key, stored, seals).is_err() {
                found.bad.push(format!("{}: its checksum is wrong", record(&key)));
            }
        }
        progress(found.rows);
        Ok(())
    })
}

fn look_at_journal(
    location: &Location,
    options: &Options,
    log: u64,
    found: &mut VerifyReport,
) -> Result<(), StoreOpenError> {
    let path = journal_path(location);
    match verify_journal(&*options.wal_disk(), &path, log, found.checkpoint) {
        Ok(report) => found.journal = report,
        Err(error @ (WalError::Foreign { .. } | WalError::Version { .. })) => {
            found.bad.push(error.to_string());
            return Ok(());
        }
        Err(error) => return Err(StoreOpenError::Journal { path: location.path.clone(), error }),
    }
    found.bad.extend(found.journal.bad.iter().map(describe_damage));
    let Report { first, last, .. } = found.journal;
    if let Some(first) = first.filter(|first| *first > found.checkpoint + 1) {
        let needed = found.checkpoint + 1;
        found.bad.push(format!("{}: group {needed} is needed, and the oldest one is {first}", path.display()));
    }
    let last = last.unwrap_or(0).max(found.checkpoint);
    let acknowledged = LastAcknowledged::open(&location.path).and_then(|mut file| file.read()).unwrap_or(0);
    if acknowledged > last {
        let place = found.journal.torn.as_ref();
        let (path, offset): (PathBuf, u64) = place.cloned().unwrap_or((path, 0));
        found.bad.push(format!(
            "{}, offset {offset}: groups {} to {acknowledged} were acknowledged and are not there",
            path.display(),
            last + 1
        ));
    }
    Ok(())
}

/// Names the sessions of a damaged group, as far as the group can be read.
pub(super) fn describe_damage(bad: &BadPlace) -> String {
    let sessions = bad.payload.as_deref().map(sessions_in).unwrap_or_default();
    let names: Vec<_> = sessions.iter().map(ToString::to_string).collect();
    if names.is_empty() { bad.to_string() } else { format!("{bad}; it has events of sessions {}", names.join(", ")) }
}
