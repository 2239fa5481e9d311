use std::{
    io::{self, ErrorKind},
    path::PathBuf,
};

/// Why the log cannot be used, or cannot take a group.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it means, and names its fields")]
pub enum WalError {
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },

    /// An acknowledged group is no longer readable.
    #[error("{} is damaged at offset {offset}: group {group} was written there and cannot be read", .path.display())]
    Damaged { path: PathBuf, offset: u64, group: u64 },

    /// Groups at the beginning of the log are missing.
    #[error("{}: group {needed} is needed, and the oldest one there is {oldest}", .path.display())]
    Missing { path: PathBuf, needed: u64, oldest: u64 },

    #[error("{} belongs to another log", .path.display())]
    Foreign { path: PathBuf },

    #[error("{} has format version {found}, this program knows {known}", .path.display())]
    Version { path: PathBuf, found: u32, known: u32 },

    /// The log has reached its limit: all segments hold groups that are still needed.
    #[error("the log holds {bytes} bytes that are not in the index yet, as much as it may")]
    Full { bytes: u64 },

    #[error("a group of {bytes} bytes is too large for a record")]
    TooLarge { bytes: u64 },
}

impl WalError {
    /// Whether the disk is full. Nothing was written, and it can be tried again when there is space.
    pub fn is_no_room(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
    }
}

/// Makes the error of an operation on a file.
pub(crate) fn at(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> WalError {
    let path = path.to_owned();
    move |source| WalError::Io { doing, path, source }
}
