//! Why a store cannot be opened: one line with the place, the problem, and what to do.

mod postgres;

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use tandem_wal::WalError;

pub(crate) use self::postgres::Cause;
pub use self::postgres::PostgresError;
use crate::{Engine, MasterKeyError};

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it means, and names its fields")]
pub enum StoreOpenError {
    #[error(
        "store {path}: in use by another process{}: stop that one, or give this one another directory with --data",
        .holder.as_ref().map(|pid| format!(" (pid {pid})")).unwrap_or_default(), path = .path.display()
    )]
    Locked { path: PathBuf, holder: Option<String> },

    #[error("store {}: cannot {doing}: {source}{}", .path.display(), advice(source))]
    Inaccessible { path: PathBuf, doing: &'static str, source: io::Error },

    #[error(
        "store {}: cannot {doing}: the disk is full: free some room on it and start again; what was answered is there",
        .path.display()
    )]
    Full { path: PathBuf, doing: &'static str },

    #[error(
        "store {path}: made by {found}, but store.engine is {asked}: set store.engine = \"{found}\", or convert it with \
         `tandem store copy --from {found}:{path} --to {asked}:NEW_DIRECTORY`", path = .path.display()
    )]
    OtherEngine { path: PathBuf, found: Engine, asked: Engine },

    #[error(
        "store {path}: made by {found}, not by {asked}: name it as {found}:{path}", path = .path.display()
    )]
    NamedOtherEngine { path: PathBuf, found: Engine, asked: Engine },

    #[error(
        "store {}: marked as a {engine} database, but its files are missing or empty: restore the directory from a backup; \
         to begin with nothing, move it away and start with --start-afresh", .path.display()
    )]
    Lost { path: PathBuf, engine: Engine },

    #[error("store {}: the {engine} database cannot be read: {reason}: `tandem store repair` saves what is intact; otherwise restore the directory from a backup", .path.display())]
    Corrupt { path: PathBuf, engine: Engine, reason: String },

    #[error(
        "store {path}: the last {missing} groups of changes that were acknowledged are not there: the journal is damaged at its end, or \
         an older copy: restore the directory as a whole from a backup; to go on without them, remove {path}/acknowledged",
        path = .path.display()
    )]
    RolledBack { path: PathBuf, missing: u64 },

    #[error("store {}: the journal cannot be used: {error}: {}", .path.display(), journal_advice(error))]
    Journal { path: PathBuf, error: WalError },

    #[error("store {}: {reason}: use the version of tandem that wrote it, or a later one", .path.display())]
    JournalVersion { path: PathBuf, reason: String },

    #[error(
        "store {path}: {path}/digests cannot be used: {reason}: `tandem store repair` makes it anew from the engine's rows, as they are",
        path = .path.display()
    )]
    Digests { path: PathBuf, reason: String },

    #[error("store {path}: {path}/digests belongs to another store: restore the directory as a whole from a backup", path = .path.display())]
    DigestsForeign { path: PathBuf },

    #[error(
        "store {path}: the directory {path}/journal is missing: restore the store as a whole from a backup; to go on without what only the \
         journal held, make an empty directory of this name", path = .path.display()
    )]
    JournalLost { path: PathBuf },

    #[error(
        "store {path}: {path}/journal holds a journal that the {engine} database knows nothing of: it is an older copy, or of another \
         store: restore the directory as a whole from a backup", path = .path.display()
    )]
    JournalUnknown { path: PathBuf, engine: Engine },

    #[error(
        "store {}: it is not encrypted: set store.encryption_key_file, and the next start begins to encrypt it",
        .path.display()
    )]
    NotEncrypted { path: PathBuf },

    #[error("store {}: {error}", .path.display())]
    Key { path: PathBuf, error: MasterKeyError },

    #[error("store {}: the key in {} is its key already: make a new one, as with `openssl rand -hex 32`",
        .path.display(), .file.display())]
    KeySame { path: PathBuf, file: PathBuf },

    #[error(
        "store {}: its rows may be encrypted with 255 data keys, which is the most: let the node run until it logs that everything is \
         encrypted with its present key",
        .path.display()
    )]
    KeysUsedUp { path: PathBuf },

    #[error("store {}: it is encrypted: set store.encryption_key_file to the file of its key", .path.display())]
    KeyMissing { path: PathBuf },

    #[error(
        "store {}: it is encrypted with another key than the one in {}: set store.encryption_key_file to the file of its key",
        .path.display(), .file.display()
    )]
    KeyOther { path: PathBuf, file: PathBuf },

    #[error(
        "store {path}: it is encrypted, and {path}/keys is missing or damaged: without it nothing can be read: restore it from a backup",
        path = .path.display()
    )]
    KeysLost { path: PathBuf },

    #[error(
        "store {}: a copy into this directory was cut off: run `tandem store copy` again; to begin with nothing, start with \
         --start-afresh", .path.display()
    )]
    HalfCopied { path: PathBuf },

    #[error(
        "store {}: has schema version {found}, this program knows {known}: use the version of tandem that wrote it, or a later one",
        .path.display()
    )]
    Schema { path: PathBuf, found: u32, known: u32 },

    #[error("store {}: nothing there: it must be a directory that tandem made with {engine}", .path.display())]
    Absent { path: PathBuf, engine: Engine },

    #[error(transparent)]
    Postgres(#[from] PostgresError),

    #[error("store {}: not empty: a copy goes to a directory without a store; choose another, or remove it", .path.display())]
    NotEmpty { path: PathBuf },
}

impl StoreOpenError {
    /// Whether the operator's key is missing or wrong.
    pub fn is_about_the_key(&self) -> bool {
        matches!(self, Self::Key { .. } | Self::KeyMissing { .. } | Self::KeyOther { .. })
    }

    /// What could not be done, and why.
    pub(crate) fn of(path: &Path, doing: &'static str, source: io::Error) -> Self {
        let path = path.to_owned();
        if is_full(source.kind()) { Self::Full { path, doing } } else { Self::Inaccessible { path, doing, source } }
    }
}

pub(crate) fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// What the operator can do, if it is known.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            ": the directory must be writable by this user; change its owner or choose another with --data"
        }
        ErrorKind::ReadOnlyFilesystem => ": the disk is mounted read-only; mount it for writing",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            ": a file is in the way; choose another directory with --data"
        }
        _ => "",
    }
}

fn journal_advice(error: &WalError) -> &'static str {
    match error {
        WalError::Damaged { .. } => {
            "`tandem store verify` lists all that is damaged; restore the directory as a whole from a backup, or save what is not damaged \
             with `tandem store repair`"
        }
        WalError::Missing { .. } => {
            "the engine's database has fallen back further than the journal reaches: it is damaged, or an older copy; restore the \
             directory as a whole from a backup"
        }
        WalError::Foreign { .. } => "restore the directory as a whole from a backup",
        WalError::Version { .. } => "use the version of tandem that wrote it, or a later one",
        WalError::Io { .. } | WalError::Full { .. } | WalError::TooLarge { .. } => "see to the disk, and start again",
    }
}
