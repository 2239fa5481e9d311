//! The number of the last acknowledged group, in a file outside the database. If the database ends with an earlier
//! group, it has lost acknowledged groups, although its engine reports no error: its file was cut off, or it is an
//! older copy.
//!
//! The number is written after the group is durable, and is not synced. After a power cut the number may be too low,
//! but never too high.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

pub(super) const FILE: &str = "acknowledged";
/// Digits of a `u64`, and a line's end.
const LENGTH: usize = 21;

#[derive(Debug)]
pub(super) struct LastAcknowledged {
    path: PathBuf,
    file: File,
}

impl LastAcknowledged {
    /// Opens the file in a store's directory, or makes it.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join(FILE);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        Ok(Self { path, file })
    }

    /// As [`LastAcknowledged::open`]. A store without the file works, but a loss would not be noticed.
    pub fn open_or_warn(directory: &Path) -> Option<Self> {
        let opened = Self::open(directory).inspect_err(|error| {
            tracing::warn!(%error, store = %directory.display(), "the number of the last acknowledged group cannot be stored, so a loss of groups would not be noticed");
        });
        opened.ok()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last acknowledged group; 0 if it is unknown.
    pub fn read(&mut self) -> io::Result<u64> {
        let mut text = String::new();
        // Content that is not text holds no number.
        let read = (&self.file).take(LENGTH as u64).read_to_string(&mut text);
        match read {
            Err(error) if error.kind() != io::ErrorKind::InvalidData => Err(error),
            _ => Ok(text.trim_end().parse().unwrap_or(0)),
        }
    }

    pub fn record(&self, group: u64) -> io::Result<()> {
        self.file.write_all_at(format!("{group:020}\n").as_bytes(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_is_read_and_anything_else_is_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut file = LastAcknowledged::open(directory.path()).expect("a file");
        assert_eq!(file.read().expect("read"), 0);
        file.record(u64::MAX).expect("written");
        file.record(7).expect("written");
        assert_eq!(LastAcknowledged::open(directory.path()).expect("a file").read().expect("read"), 7);
        for broken in [&b"7 groups"[..], b"\xff\xff", b""] {
            std::fs::write(directory.path().join(FILE), broken).expect("a file");
            assert_eq!(LastAcknowledged::open(directory.path()).expect("a file").read().expect("read"), 0);
        }
    }
}
