//! The store's data keys, in the file `keys` of its directory, encrypted with the operator's key.
//!
//! ```text
//! "TNDMKEY\x01", id of the operator's key (8 bytes), nonce (12 bytes), encrypted keys, tag, CRC-32 of all before
//! ```
//!
//! Without this file, no row can be read. So there is a copy, `keys.copy`. The copy is used only if the file is missing
//! or damaged, because the copy may still be encrypted with the operator's former key.
//!
//! The file keeps former data keys, because backups have rows that are encrypted with them.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use aws_lc_rs::{aead::NONCE_LEN, digest};
use data_encoding::HEXLOWER_PERMISSIVE;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{
    aead::{aead_key, decrypted, encrypt_from},
    disk::Disk,
    files::{replace_file_on, replace_files_on},
};

const FILES: [&str; 2] = ["keys", "keys.copy"];
const MAGIC: [u8; 8] = *b"TNDMKEY\x01";
const ID: usize = 8;
const CHECKSUM: usize = 4;

/// The operator's key.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    file: PathBuf,
    key: [u8; 32],
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Why the operator's key cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it means, and names its fields")]
pub enum MasterKeyError {
    #[error("the encryption key {}: {source}", .file.display())]
    Unreadable { file: PathBuf, source: io::Error },
    #[error("the encryption key {} must be 64 hexadecimal digits, as `openssl rand -hex 32` writes them", .0.display())]
    Malformed(PathBuf),
}

impl MasterKey {
    /// Reads a file of 64 hexadecimal digits.
    pub fn read(file: &Path) -> Result<Self, MasterKeyError> {
        let text =
            fs::read_to_string(file).map_err(|source| MasterKeyError::Unreadable { file: file.to_owned(), source })?;
        let key = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok().and_then(|key| key.try_into().ok());
        let key = key.ok_or_else(|| MasterKeyError::Malformed(file.to_owned()))?;
        Ok(Self { file: file.to_owned(), key })
    }

    /// Where it was read from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Says which key it is, and nothing about it.
    fn id(&self) -> [u8; ID] {
        let mut id = [0; ID];
        let named = [&b"tandem key id"[..], &self.key].concat();
        id.copy_from_slice(&digest::digest(&digest::SHA256, &named).as_ref()[..ID]);
        id
    }
}

/// The content of the file.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DataKeys {
    /// The key of the checksums. It never changes.
    pub digest: [u8; 32],
    /// The last key encrypts. The others decrypt backups, and rows that were not rewritten yet.
    pub data: Vec<(u8, [u8; 32])>,
    /// There may be rows or groups that are not encrypted with the last data key.
    pub is_mixed: bool,
}

impl fmt::Debug for DataKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// Why the data keys cannot be read.
#[derive(Debug)]
pub(crate) enum KeysError {
    Io(io::Error),
    /// They are encrypted with another operator's key.
    OtherKey,
    Damaged,
}

impl DataKeys {
    /// New random keys for a new store.
    pub fn fresh() -> Self {
        let mut keys = Self { digest: rand::rng().random(), data: Vec::new(), is_mixed: false };
        keys.add_data_key();
        keys.is_mixed = false;
        keys
    }

    /// Makes a new data key, which encrypts from now on.
    pub fn add_data_key(&mut self) {
        let number = self.data.last().map_or(1, |(number, _)| number.wrapping_add(1).max(1));
        // Numbers go from 1 to 255. Then the next key replaces the oldest one.
        self.data.retain(|(known, _)| *known != number);
        self.data.push((number, rand::rng().random()));
        self.is_mixed = true;
    }

    /// All data keys of both.
    pub fn and(mut self, other: Self) -> Self {
        self.data.extend(other.data);
        self.data.sort_unstable();
        self.data.dedup();
        self
    }

    /// Whether a store has data keys.
    pub fn are_there(directory: &Path) -> bool {
        FILES.iter().any(|name| directory.join(name).exists())
    }

    pub fn load(directory: &Path, master: &MasterKey) -> Result<Self, KeysError> {
        Self::read(&Self::stored(directory)?, master)
    }

    /// The content of the file, or of its copy.
    pub fn stored(directory: &Path) -> Result<Vec<u8>, KeysError> {
        let mut problem = KeysError::Damaged;
        for name in FILES {
            match fs::read(directory.join(name)) {
                Ok(bytes) if without_checksum(&bytes).is_some() => return Ok(bytes),
                Err(error) if error.kind() != io::ErrorKind::NotFound => problem = KeysError::Io(error),
                _ => {}
            }
        }
        Err(problem)
    }

    /// Writes the copy again if it differs from the file.
    pub fn make_both_equal(directory: &Path, disk: &dyn Disk) {
        let Ok(right) = Self::stored(directory) else { return };
        for name in FILES {
            if fs::read(directory.join(name)).is_ok_and(|bytes| bytes == right) {
                continue;
            }
            match replace_file_on(disk, &directory.join(name), &right) {
                Ok(()) => tracing::info!(file = name, "the store's keys were written anew from their copy"),
                Err(error) => tracing::warn!(%error, file = name, "there is one copy less of the store's keys"),
            }
        }
    }

    /// Removes the keys of a store that was never completed.
    pub fn remove(directory: &Path) -> io::Result<()> {
        FILES.iter().try_for_each(|name| match fs::remove_file(directory.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
    }

    /// Reads the content of the file.
    pub fn read(bytes: &[u8], master: &MasterKey) -> Result<Self, KeysError> {
        let bytes = without_checksum(bytes).ok_or(KeysError::Damaged)?;
        let rest = bytes.strip_prefix(&MAGIC).ok_or(KeysError::Damaged)?;
        let (id, rest) = rest.split_first_chunk::<ID>().ok_or(KeysError::Damaged)?;
        let (nonce, encrypted) = rest.split_first_chunk::<NONCE_LEN>().ok_or(KeysError::Damaged)?;
        if *id != master.id() {
            return Err(KeysError::OtherKey);
        }
        let keys = decrypted(&aead_key(&master.key), *nonce, &MAGIC, encrypted).ok_or(KeysError::Damaged)?;
        let keys: Self = rmp_serde::from_slice(&keys).map_err(|_| KeysError::Damaged)?;
        if keys.data.is_empty() { Err(KeysError::Damaged) } else { Ok(keys) }
    }

    /// Writes the file durably, encrypted with this operator's key.
    pub fn store(&self, directory: &Path, master: &MasterKey, disk: &dyn Disk) -> io::Result<()> {
        let mut encrypted = rmp_serde::to_vec_named(self).map_err(io::Error::other)?;
        let nonce: [u8; NONCE_LEN] = rand::rng().random();
        encrypt_from(&aead_key(&master.key), nonce, &MAGIC, &mut encrypted, 0);
        let mut bytes = [&MAGIC[..], &master.id(), &nonce, &encrypted].concat();
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        replace_files_on(disk, directory, &FILES, &bytes)
    }

    /// Writes the former content of the file again.
    pub fn put_back(directory: &Path, former: &[u8], disk: &dyn Disk) -> io::Result<()> {
        let is_there = |name: &&str| fs::read(directory.join(name)).is_ok_and(|bytes| bytes == former);
        if FILES.iter().all(is_there) { Ok(()) } else { replace_files_on(disk, directory, &FILES, former) }
    }

    /// Whether the content of the file is encrypted with this operator's key.
    pub fn are_under(stored: &[u8], master: &MasterKey) -> bool {
        stored.get(MAGIC.len()..).is_some_and(|rest| rest.starts_with(&master.id()))
    }

    /// Whether a new data key would replace one that rows may still be encrypted with.
    pub fn are_used_up(&self) -> bool {
        self.is_mixed && self.data.len() >= usize::from(u8::MAX)
    }
}

fn without_checksum(bytes: &[u8]) -> Option<&[u8]> {
    let (bytes, sum) = bytes.split_last_chunk::<CHECKSUM>()?;
    (crc32fast::hash(bytes).to_be_bytes() == *sum).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RealDisk;

    fn master(directory: &Path, digit: &str) -> MasterKey {
        let file = directory.join(format!("key-{digit}"));
        fs::write(&file, format!("{}\n", digit.repeat(64))).expect("a file");
        MasterKey::read(&file).expect("a key")
    }

    #[test]
    fn keys_come_back_with_the_operators_key_and_with_no_other() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, keys) = (directory.path(), DataKeys::fresh());
        let (one, other) = (master(path, "a"), master(path, "b"));
        keys.store(path, &one, &RealDisk).expect("written");
        assert_eq!(DataKeys::load(path, &one).expect("read").data, keys.data);
        assert!(matches!(DataKeys::load(path, &other), Err(KeysError::OtherKey)));
        let file = path.join(FILES[0]);
        let mut bytes = fs::read(&file).expect("a file");
        assert!(!bytes.windows(32).any(|part| part == keys.data[0].1));
        // One of the flipped bits makes it look like the file of another key.
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            fs::write(&file, &bytes).expect("a file");
            assert_eq!(DataKeys::load(path, &one).expect("the copy is read").data, keys.data, "byte {at}");
            assert_ne!(DataKeys::stored(path).expect("whole"), bytes);
            bytes[at] ^= 1;
        }
        DataKeys::make_both_equal(path, &RealDisk);
        assert_eq!(fs::read(&file).expect("a file"), bytes);
        bytes[9] ^= 1;
        fs::write(&file, &bytes).expect("a file");
        fs::remove_file(path.join(FILES[1])).expect("removed");
        assert!(matches!(DataKeys::load(path, &one), Err(KeysError::Damaged)));
    }

    /// The process may end while it gives the store another operator's key.
    #[test]
    fn a_copy_under_the_former_operators_key_is_not_used() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, mut keys) = (directory.path(), DataKeys::fresh());
        let (one, other) = (master(path, "a"), master(path, "b"));
        keys.store(path, &one, &RealDisk).expect("written");
        let former = fs::read(path.join(FILES[1])).expect("a file");
        keys.add_data_key();
        keys.store(path, &other, &RealDisk).expect("written");
        fs::write(path.join(FILES[1]), former).expect("a file");
        assert!(matches!(DataKeys::load(path, &one), Err(KeysError::OtherKey)));
        assert_eq!(DataKeys::load(path, &other).expect("read").data, keys.data);
        DataKeys::make_both_equal(path, &RealDisk);
        fs::remove_file(path.join(FILES[0])).expect("removed");
        assert_eq!(DataKeys::load(path, &other).expect("the copy is read").data, keys.data);
    }

    #[test]
    fn a_key_is_64_hexadecimal_digits() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("key");
        for wrong in ["", "abc", &"g".repeat(64), &"a".repeat(63), &"a".repeat(66)] {
            fs::write(&file, wrong).expect("a file");
            let error = MasterKey::read(&file).expect_err("no key").to_string();
            assert!(error.contains("64 hexadecimal digits") && !error.contains("gg"), "{error}");
        }
        MasterKey::read(&directory.path().join("none")).expect_err("no file");
    }
}
