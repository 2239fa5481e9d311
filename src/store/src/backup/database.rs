//! Backups of a database, and stores that are made in one. The rows are read in one transaction: as they were after one
//! group, however long it takes.

use std::path::Path;

use tandem_actors::{keys, keys::Key};

use super::{
    BackupError, BackupProgress, ImportError, RestoreProgress, RestoreReport,
    directory::LockedDirectory,
    export,
    increment::Archived,
    manifest::ErasedAccount,
    plan::RestorePlan,
    take::{Content, RowWriter},
};
use crate::{
    Address, Options, StoreKind, StoreOpenError,
    postgres::DirectRows,
    row_check::RowCheck,
    rows::{Rows, Strictness, in_pages},
    seal::mark_all_sealed,
};

pub(super) fn read(
    address: &Address,
    options: &Options,
    to: &mut LockedDirectory,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<Content, BackupError> {
    let database = DirectRows::read(address, options, Strictness::Lenient).map_err(StoreOpenError::from)?;
    let moment = database.moment()?;
    let position = moment.last.cast_unsigned();
    Archived::of(&to.directory, &moment.cluster)?.check_not_later(position, &to.directory)?;
    let check = RowCheck::of(&database)?;
    let mut writer = RowWriter::default();
    in_pages(&database, b"", BackupError::from, |page| {
        page.iter().try_for_each(|(key, stored)| writer.put(to, &check, key, stored))?;
        // The total is an estimate in a large database.
        progress(BackupProgress { rows: writer.rows, total: moment.rows.max(writer.rows) });
        Ok(())
    })?;
    Ok(Content {
        engine: StoreKind::Postgres,
        log: moment.cluster,
        base: position,
        position,
        rows: writer.end(to)?,
        seals: check.seals(),
        keys: None,
        journal: Vec::new(),
        erased: erased(&database, &check)?,
    })
}

fn erased(database: &DirectRows, check: &RowCheck) -> Result<Vec<ErasedAccount>, BackupError> {
    let mut erased = Vec::new();
    in_pages(database, keys::all_erased().as_bytes(), BackupError::from, |page| {
        // A damaged row was counted.
        let intact = page.into_iter().filter_map(|(key, stored)| Some((check.value(&key, stored).ok()?, key)));
        let accounts = intact.filter_map(|(value, key): (_, Key)| keys::parse_erased(&key, &value));
        erased.extend(accounts.map(|(user, at)| ErasedAccount { user, at }));
        Ok(())
    })?;
    Ok(erased)
}

impl RestorePlan {
    /// Makes a store in the database at `address`, which must have none. The files of the backup that the data
    /// directory `data` does not have are restored there.
    ///
    /// # Errors
    /// If there is a store, the database fails, or the backup has changed since the plan was made. No node starts on
    /// what an interrupted restore has left in the database.
    pub fn restore_into_database(
        &self,
        address: &Address,
        data: &Path,
        options: &Options,
        progress: &mut dyn FnMut(RestoreProgress),
    ) -> Result<RestoreReport, BackupError> {
        let coding = self.row_coding(options)?;
        DirectRows::make(address, options, BackupError::from, |target| {
            let (rows, erased_later) = self.fill(&coding, target, progress)?;
            // A complete store is not restored again.
            let (secrets, kept) = self.restore_missing_secrets(data)?;
            Ok(RestoreReport { rows, erased_later, secrets, kept })
        })
    }
}

/// As [`export::import`], into a database.
pub fn import_into_database(
    file: &Path,
    to: &Address,
    options: &Options,
    progress: &mut dyn FnMut(RestoreProgress),
) -> Result<u64, ImportError> {
    let total = export::check(file, progress)?;
    let unwritten = |error| ImportError::from(BackupError::from(error));
    DirectRows::make(to, options, unwritten, |target| {
        export::fill(file, target, total, progress)?;
        target.fill(&[&mark_all_sealed()]).map_err(unwritten)
    })?;
    Ok(total)
}
