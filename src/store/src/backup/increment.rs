//! What a backup takes out of the journal: the groups that bring its rows to a position, and those since the backup
//! before.

use super::{
    BackupError,
    directory::{BackupDirectory, Written},
    groups,
    manifest::{GroupsFile, Manifest},
    plan::between,
};
use crate::journaled::Journaled;

/// What a directory holds of a journal.
pub(super) struct Archived {
    log: String,
    /// The last group of the last backup; 0: there is none.
    pub end: u64,
    /// Groups, in order.
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
}

/// The groups that bring the rows to a position, and before them those since the last backup.
pub(super) struct Groups {
    log: String,
    /// In order, without a gap from behind the base to `upto`.
    pub files: Vec<GroupsFile>,
    /// The last one.
    pub upto: u64,
}

impl Groups {
    /// Goes on from the last backup, if the journal still has what follows.
    pub fn begin(store: &Journaled, before: Archived, base: u64, to: &mut Written) -> Result<Self, BackupError> {
        let Archived { log, end, mut files } = before;
        files.retain(|groups| groups.last > base);
        if end > base && between(files.clone(), base, end).is_some() {
            return Ok(Self { log, files, upto: end });
        }
        let mut groups = Self { log, files: Vec::new(), upto: base };
        if end > 0 && end < base {
            groups.upto = end;
            match groups.copy(store, base, to) {
                Ok(()) => {}
                // The journal could not keep them.
                Err(BackupError::Journal(error)) => {
                    tracing::warn!(%error, "no moment between the backup before and this one can be restored");
                    groups.upto = base;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(groups)
    }

    /// Goes on to this group.
    pub fn copy(&mut self, store: &Journaled, upto: u64, to: &mut Written) -> Result<(), BackupError> {
        if upto > self.upto {
            self.files.push(groups::copy(store.keeper(), &self.log, self.upto, upto, to)?);
            self.upto = upto;
        }
        Ok(())
    }
}
