//! Backups of a store that is in use. A backup is the state at one position of the journal.
//!
//! The engine's rows are read while they change. The journal's groups then bring them to the position at which the
//! reading ended. A backup also has all groups since the previous backup, so that every position in between can be
//! restored. A restore takes the rows, applies the groups up to the requested position, and makes a new store of either
//! engine, or in a database.
//!
//! A database has no such journal. Its rows are read as they are at one moment, and nothing in between can be restored.
//!
//! ```text
//! DIR/backups/ID.json                the manifest of a backup; written last
//! DIR/chunks/ab/abcd…                rows in the order of their keys, named by the SHA-256 of the file
//! DIR/journal/LOG-FIRST-LAST.groups  groups of the journal with this id
//! DIR/secrets/abcd…                  a secret, named by the SHA-256 of the file
//! DIR/lock                           held while a backup is written
//! ```
//!
//! Backups share files. The hashes of keys decide where a chunk ends. So a new or deleted row changes only one chunk.

mod chunks;
mod database;
mod directory;
mod export;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz_tests;
mod groups;
mod increment;
mod manifest;
mod pin;
mod plan;
mod restore;
mod rows;
mod take;
mod value;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tandem_actors::{domain::time::Timestamp, ports::StoreError};
use tandem_wal::WalError;

pub(super) use self::pin::kept_beyond;
pub use self::{
    database::import_into_database,
    export::{ImportError, import},
    manifest::Manifest,
    plan::{BackupListing, RestorePlan, RestorePoint, list, plan},
    restore::{RestoreProgress, RestoreReport},
};
use crate::{Address, Envelope, Location, Options, Rekeying, StoreOpenError, journaled::JournaledStore, rows::Rows};

/// Why a backup was not taken, or cannot be restored.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it means, and names its fields")]
pub enum BackupError {
    #[error("backup: cannot {doing} {}: {source}", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },

    #[error("backup {}: another backup is being written there: wait until it is done", .path.display())]
    Busy { path: PathBuf },

    #[error("backup: the store cannot be read: {0}")]
    Read(#[from] StoreError),

    #[error("backup: the journal cannot be read: {0}: raise journal.max_bytes if it was used again too early")]
    Journal(#[from] WalError),

    #[error(
        "backup {}: it holds backups of a later state of this store, which is an older copy: name another directory",
        .path.display()
    )]
    Later { path: PathBuf },

    #[error(
        "backup {}: it holds backups of another copy of this store, which went its own way: name another directory",
        .path.display()
    )]
    OtherHistory { path: PathBuf },

    #[error("backup {}: there is no backup: name the directory that `tandem backup --to` has written", .path.display())]
    None { path: PathBuf },

    #[error("backup {}: there is no backup {id}: `tandem restore --from {} --list` names those that are there",
        .path.display(), .path.display())]
    Unknown { path: PathBuf, id: String },

    #[error("backup: {} is not what was written: {problem}: restore another backup (--backup ID)", .path.display())]
    Damaged { path: PathBuf, problem: String },

    #[error("backup: {} has format {found}, this program knows {known}: use a later version", .path.display())]
    Format { path: PathBuf, found: u32, known: u32 },

    #[error("backup {}: {wanted} cannot be restored: {problem}", .path.display())]
    OutOfReach { path: PathBuf, wanted: String, problem: String },

    #[error("restore: {} is not empty: name a directory that is empty or not there", .path.display())]
    NotEmpty { path: PathBuf },

    #[error(transparent)]
    Store(#[from] StoreOpenError),
}

impl BackupError {
    fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

/// A file of the data directory that belongs to a backup.
#[derive(Clone, Debug)]
pub struct SecretFile {
    /// Its name in the data directory.
    pub name: &'static str,
    /// Where it is. A file that is not there is left out.
    pub path: PathBuf,
}

/// How far a backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupProgress {
    /// Rows that were read.
    pub rows: u64,
    /// The number of rows when it began.
    pub total: u64,
}

/// A backup that was taken.
#[derive(Clone, Debug)]
pub struct BackupReport {
    /// What was written.
    pub manifest: Manifest,
    /// Bytes of new files in the directory.
    pub new_bytes: u64,
    /// Ids of older backups that were removed.
    pub removed: Vec<String>,
    /// Why older backups could not be removed.
    pub not_removed: Option<String>,
}

/// Takes backups of an open store.
#[derive(Clone)]
pub struct Backups {
    source: Source,
    options: Options,
}

/// What is backed up.
#[derive(Clone)]
enum Source {
    Directory(Arc<JournaledStore>, Location),
    /// A backup reads it on a connection of its own, whether a node uses it or not.
    Database(Address),
}

impl Backups {
    pub(super) fn new(store: Arc<JournaledStore>, location: &Location, options: &Options) -> Self {
        Self { source: Source::Directory(store, location.clone()), options: options.clone() }
    }

    /// Takes backups of the store in a database, whether a node uses it or not.
    pub fn of_database(address: &Address, options: &Options) -> Self {
        Self { source: Source::Database(address.clone()), options: options.clone() }
    }

    /// Seals files with the keys of the store, if it is encrypted.
    pub fn envelope(&self) -> Envelope {
        match &self.source {
            Source::Directory(store, _) => Envelope::of(store.engine().engine.row_coding()),
            Source::Database(_) => Envelope::default(),
        }
    }

    /// Changes the operator's key of the store. `None` for a database, which has no such key.
    pub fn rekeying(&self) -> Option<Rekeying> {
        match &self.source {
            Source::Directory(store, _) => Some(Rekeying::of(store.clone())),
            Source::Database(_) => None,
        }
    }

    /// Takes a backup into the directory `to`, and keeps the last `keep` backups there (0: all). The journal keeps the
    /// groups that follow, for the next backup.
    pub fn take(
        &self,
        to: &Path,
        secrets: &[SecretFile],
        keep: usize,
        progress: &mut dyn FnMut(BackupProgress),
    ) -> Result<BackupReport, BackupError> {
        take::take(self, to, secrets, Some(keep), progress)
    }

    /// Takes a backup into another directory. It has no effect on the next backup in the directory of [`Self::take`].
    pub fn take_elsewhere(
        &self,
        to: &Path,
        secrets: &[SecretFile],
        progress: &mut dyn FnMut(BackupProgress),
    ) -> Result<BackupReport, BackupError> {
        take::take(self, to, secrets, None, progress)
    }

    fn now(&self) -> Timestamp {
        (self.options.now)()
    }
}
