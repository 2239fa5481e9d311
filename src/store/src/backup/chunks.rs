//! Files of rows. Each row is its key and its stored value, each as a length (big-endian, 4 bytes) and bytes.

use std::{fs, path::Path};

use bytes::Bytes;
use tandem_actors::keys::Key;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    BackupError,
    directory::{BackupDirectory, LockedDirectory, sha256},
    manifest::ChunkFile,
};

/// A chunk ends before a key whose hash ends in this many zeros,
const ENDS: u64 = (1 << 10) - 1;
/// if the chunk has at least this many bytes,
const LEAST: usize = 16 << 10;
/// and at the latest when it has this many bytes.
const MOST: usize = 4 << 20;

#[derive(Default)]
pub(super) struct ChunkWriter {
    bytes: Vec<u8>,
    rows: u64,
    pub chunks: Vec<ChunkFile>,
}

impl ChunkWriter {
    pub fn put(&mut self, to: &mut LockedDirectory, key: &Key, stored: &Bytes) -> Result<(), BackupError> {
        let ends = xxh3_64(key.as_bytes()) & ENDS == 0 && self.bytes.len() >= LEAST;
        if ends || self.bytes.len() >= MOST {
            self.end(to)?;
        }
        for part in [key.as_bytes(), stored] {
            self.bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            self.bytes.extend_from_slice(part);
        }
        self.rows += 1;
        Ok(())
    }

    pub fn end(&mut self, to: &mut LockedDirectory) -> Result<(), BackupError> {
        if self.rows > 0 {
            let sha256 = sha256(&self.bytes);
            to.put(&to.directory.chunk(&sha256), &self.bytes)?;
            self.chunks.push(ChunkFile { sha256, bytes: self.bytes.len() as u64, rows: self.rows });
            self.bytes.clear();
            self.rows = 0;
        }
        Ok(())
    }
}

/// Reads a chunk and checks it against its name.
pub(super) fn read(directory: &BackupDirectory, chunk: &ChunkFile) -> Result<Vec<(Key, Bytes)>, BackupError> {
    let path = directory.chunk(&chunk.sha256);
    let bytes = read_checked(&path, &chunk.sha256)?;
    rows(&bytes).ok_or_else(|| BackupError::Damaged { path, problem: "it holds no rows".into() })
}

/// Reads a file and checks its content against this SHA-256.
pub(super) fn read_checked(path: &Path, expected: &str) -> Result<Bytes, BackupError> {
    let bytes = fs::read(path).map_err(BackupError::at("read", path))?;
    if sha256(&bytes) == expected {
        return Ok(bytes.into());
    }
    Err(BackupError::Damaged { path: path.to_owned(), problem: "its checksum is wrong".into() })
}

pub(super) fn rows(bytes: &Bytes) -> Option<Vec<(Key, Bytes)>> {
    let (mut at, mut rows) = (0, Vec::new());
    let part = |at: &mut usize| {
        let length = u32::from_be_bytes(*bytes.get(*at..)?.first_chunk::<4>()?) as usize;
        let begin = *at + 4;
        *at = begin + length;
        (*at <= bytes.len()).then(|| bytes.slice(begin..*at))
    };
    while at < bytes.len() {
        let key = part(&mut at)?;
        rows.push((Key::from_bytes(key), part(&mut at)?));
    }
    Some(rows)
}
