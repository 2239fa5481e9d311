//! Why a store cannot be opened: one line that says where, what is wrong, and what to do.

use std::{io, path::PathBuf};

use super::Engine;

#[derive(Debug, thiserror::Error)]
pub enum StoreOpenError {
    #[error(
        "store {path}: in use by another process{}: stop that one, or give this one another directory with --data",
        .holder.as_ref().map(|pid| format!(" (pid {pid})")).unwrap_or_default(), path = .path.display()
    )]
    Locked { path: PathBuf, holder: Option<String> },

    #[error(
        "store {}: cannot {doing}: {source}: the directory must be writable by this user; change its owner or choose another with --data",
        .path.display()
    )]
    Inaccessible { path: PathBuf, doing: &'static str, source: io::Error },

    #[error(
        "store {path}: made by {found}, but store.engine is {asked}: set store.engine = \"{found}\", or convert it with \
         `tandem store copy --from {found}:{path} --to {asked}:NEW_DIRECTORY`", path = .path.display()
    )]
    OtherEngine { path: PathBuf, found: Engine, asked: Engine },

    #[error(
        "store {}: marked as a {engine} database, but its files are missing or empty: restore the directory from a backup, \
         or remove it to begin with nothing", .path.display()
    )]
    Lost { path: PathBuf, engine: Engine },

    #[error("store {}: the {engine} database cannot be read: {reason}: restore the directory from a backup", .path.display())]
    Corrupt { path: PathBuf, engine: Engine, reason: String },

    #[error(
        "store {}: has schema version {found}, this program knows {known}: use the version of tandem that wrote it, or a later one",
        .path.display()
    )]
    Schema { path: PathBuf, found: u32, known: u32 },

    #[error("store {}: nothing there: it must be a directory that tandem made with {engine}", .path.display())]
    Absent { path: PathBuf, engine: Engine },

    #[error("store {}: not empty: a copy goes to a directory without a store; choose another, or remove it", .path.display())]
    NotEmpty { path: PathBuf },
}
