//! The groups that a backup copies from the journal: the groups that bring its rows to one position, and all groups
//! since the previous backup.

use tandem_wal::WalError;

use super::{
    BackupError,
    directory::{BackupDirectory, LockedDirectory},
    groups,
    manifest::{GroupsFile, Manifest},
    plan::between,
};
use crate::journaled::JournaledStore;

/// The groups of one journal that a directory of backups has.
pub(super) struct Archived {
    log: String,
    /// The last group of the last backup. 0 without a backup.
    end: u64,
    /// The files of groups, in order.
    files: Vec<GroupsFile>,
}

impl Archived {
    pub fn of(directory: &BackupDirectory, log: &str) -> Result<Self, BackupError> {
        let log = log.to_owned();
        let manifests = directory.manifests()?.into_iter().filter_map(Result::ok);
        let of_log: Vec<Manifest> = manifests.filter(|manifest| manifest.log == log).collect();
        let end = of_log.iter().map(|manifest| manifest.position).max().unwrap_or(0);
        let mut files: Vec<GroupsFile> = of_log.into_iter().flat_map(|manifest| manifest.journal).collect();
        files.sort_by_key(|groups| groups.first);
        files.dedup();
        Ok(Self { log, end, files })
    }

    /// Refuses a store whose last group is `last`, if a backup has a later one.
    pub fn check_not_later(&self, last: u64, directory: &BackupDirectory) -> Result<(), BackupError> {
        let is_later = self.end > last;
        if is_later { Err(BackupError::Later { path: directory.root().to_owned() }) } else { Ok(()) }
    }

    /// Whether the store's journal continues from the last group. False if the journal no longer has that group.
    ///
    /// # Errors
    /// If the journal has another group under that number: the store is a copy, and the original was written to since.
    fn goes_on_in(&self, store: &JournaledStore, directory: &BackupDirectory) -> Result<bool, BackupError> {
        let Some(last) = self.files.iter().rfind(|groups| groups.last == self.end) else { return Ok(false) };
        let Some(in_journal) = groups::in_journal(store.keeper(), self.end)? else {
            tracing::warn!("the journal could not keep what follows the backup before");
            return Ok(false);
        };
        match groups::last(directory, last) {
            Ok(archived) if archived == in_journal => Ok(true),
            Ok(_) => Err(BackupError::OtherHistory { path: directory.root().to_owned() }),
            Err(error) => {
                tracing::warn!(%error, "this backup does not go on from the one before, whose last groups cannot be read");
                Ok(false)
            }
        }
    }
}

/// The groups that bring the rows to a position, and all groups since the last backup.
pub(super) struct Groups {
    log: String,
    /// In order, without a gap between the base and `upto`.
    pub files: Vec<GroupsFile>,
    /// The last group.
    pub upto: u64,
}

impl Groups {
    /// Continues from the last backup, if the journal still has the groups that follow. Groups up to the last erasure
    /// are left out, because they may contain erased text.
    pub fn begin(
        store: &JournaledStore,
        before: Archived,
        base: u64,
        to: &mut LockedDirectory,
    ) -> Result<Self, BackupError> {
        let goes_on = before.goes_on_in(store, &to.directory)?;
        let Archived { log, end, mut files } = before;
        files.retain(|groups| groups.last > base);
        let erased_upto = store.erased_upto();
        let hold_nothing_erased = files.iter().all(|groups| groups.first > erased_upto);
        // A single group is copied again, because the file may contain text that was erased later.
        if goes_on && end > base + 1 && hold_nothing_erased && between(files.clone(), base, end).is_some() {
            return Ok(Self { log, files, upto: end });
        }
        let mut groups = Self { log, files: Vec::new(), upto: base };
        if goes_on && end < erased_upto {
            tracing::info!(
                "no moment between the backup before and this one can be restored: something was erased since"
            );
        } else if goes_on && end < base {
            groups.upto = end;
            match groups.copy(store, base, to) {
                Ok(()) => {}
                // The journal no longer has them.
                Err(BackupError::Journal(error @ (WalError::Missing { .. } | WalError::Damaged { .. }))) => {
                    tracing::warn!(%error, "no moment between the backup before and this one can be restored");
                    groups.upto = base;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(groups)
    }

    /// Copies the groups that the journal may remove soon.
    pub fn keep_up(&mut self, store: &JournaledStore, to: &mut LockedDirectory) -> Result<(), BackupError> {
        if store.keeper().has_left(self.upto) { self.copy(store, store.last(), to) } else { Ok(()) }
    }

    /// Copies the groups up to this one.
    pub fn copy(&mut self, store: &JournaledStore, upto: u64, to: &mut LockedDirectory) -> Result<(), BackupError> {
        if upto > self.upto {
            self.files.push(groups::copy(store, &self.log, self.upto, upto, to)?);
            self.upto = upto;
        }
        Ok(())
    }
}
