//! The seal of a row: a checksum over its key and its value, because neither engine checks everything that it reads. A
//! damaged row is found when it is read, and is named. It affects only its own session, not the store. In an encrypted
//! store, the tag of the encryption takes the place of the seal.
//!
//! ```text
//! 0xc1   no MessagePack value and no other kind of row begins with it
//! CRC-32 of the key, a NUL and the value, big-endian
//! value
//! ```
//!
//! Rows that an early version of Tandem wrote have no seal.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use tandem_actors::{
    keys::{self, Key},
    ports::{Change, StoreError},
};

use super::{
    cipher::{Cipher, ROW, sum_in},
    names::record,
};

const SEAL: u8 = 0xc1;
const LENGTH: usize = 1 + size_of::<u32>();

pub(super) fn checksum(key: &Key, value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key.as_bytes());
    hasher.update(&[0]);
    hasher.update(value);
    hasher.finalize()
}

/// The checksum of a stored row: the one in its seal, if it has one.
pub(super) fn sum(key: &Key, stored: &[u8]) -> u32 {
    match stored.first_chunk::<LENGTH>() {
        Some([SEAL, sum @ ..]) => u32::from_be_bytes(*sum),
        _ => checksum(key, stored),
    }
}

/// Whether it is the store's own row.
fn is_own(key: &Key) -> bool {
    key.as_bytes().first() == Some(&b'!')
}

/// How values are stored: with a seal, or encrypted with the store's keys.
#[derive(Clone, Debug, Default)]
pub(super) struct RowCoding(Option<Arc<Cipher>>);

impl RowCoding {
    pub fn with(cipher: Cipher) -> Self {
        Self(Some(Arc::new(cipher)))
    }

    pub fn cipher(&self) -> Option<&Cipher> {
        self.0.as_deref()
    }

    /// The change as it is stored. The store's own rows, and rows without a value, are not encrypted.
    pub fn encode(&self, change: &Change) -> Change {
        match (&self.0, change) {
            (Some(cipher), Change::Put(key, value)) if !is_own(key) && !value.is_empty() => {
                Change::Put(key.clone(), cipher.encrypt(key, value))
            }
            _ => seal(change),
        }
    }

    /// The value of a stored row.
    ///
    /// # Errors
    /// As [`unseal`].
    pub fn decode(&self, key: &Key, stored: Bytes, seals: Seals) -> Result<Bytes, StoreError> {
        match &self.0 {
            Some(cipher) if is_encrypted(key, &stored) => {
                cipher.decrypt(key, &stored).ok_or_else(|| StoreError::damaged(record(key)))
            }
            _ => unseal(key, stored, seals),
        }
    }

    /// The checksum of a stored row. It is read without decryption.
    pub fn sum(&self, key: &Key, stored: &[u8]) -> u32 {
        match &self.0 {
            None => sum(key, stored),
            Some(_) if is_encrypted(key, stored) => sum_in(stored).unwrap_or_default(),
            Some(cipher) => {
                let has_seal = stored.len() >= LENGTH && stored[0] == SEAL && !(is_own(key) && stays_plain(key));
                cipher.sum(key, if has_seal { &stored[LENGTH..] } else { stored })
            }
        }
    }

    /// The checksum of a row with this value.
    pub fn sum_of_value(&self, key: &Key, value: &[u8]) -> u32 {
        self.0.as_ref().map_or_else(|| checksum(key, value), |cipher| cipher.sum(key, value))
    }

    /// The row as a store without encryption has it.
    pub fn without_encryption(&self, key: &Key, stored: Bytes) -> Result<Bytes, StoreError> {
        if self.0.is_none() || !is_encrypted(key, &stored) {
            return Ok(stored);
        }
        let value = self.decode(key, stored, Seals::OnEveryRow)?;
        match seal(&Change::Put(key.clone(), value)) {
            Change::Put(_, sealed) => Ok(sealed),
            Change::Delete(_) => Ok(Bytes::new()),
        }
    }

    /// Encodes a row again if it is not encrypted with the last data key. A damaged row stays as it is.
    pub fn recode(&self, key: Key, stored: Bytes) -> Change {
        let is_outdated = self.0.as_ref().is_some_and(|cipher| !is_own(&key) && cipher.is_outdated(&stored));
        let value = if is_outdated { self.decode(&key, stored.clone(), Seals::OnNewRows).ok() } else { None };
        match value.filter(|value| !value.is_empty()) {
            Some(value) => self.encode(&Change::Put(key, value)),
            None => Change::Put(key, stored),
        }
    }
}

/// A row of one byte may be a row of an early version.
fn is_encrypted(key: &Key, stored: &[u8]) -> bool {
    !is_own(key) && stored.len() > 1 && stored[0] == ROW
}

/// These two rows are read before it is known whether rows have seals.
fn stays_plain(key: &Key) -> bool {
    [keys::meta("schema"), all_sealed()].contains(key)
}

/// The row that says that all rows of a store have a seal.
pub(super) fn all_sealed() -> Key {
    keys::meta("sealed")
}

/// Writes the row [`all_sealed`].
pub(super) fn mark_all_sealed() -> Change {
    Change::Put(all_sealed(), Bytes::from_static(&[1]))
}

/// Which rows of a store have a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seals {
    /// Every row. A row without one is damaged.
    OnEveryRow,
    /// Rows that an early version wrote have none.
    OnNewRows,
}

impl Seals {
    /// `all`: every row has a seal.
    pub fn if_all(all: bool) -> Self {
        if all { Self::OnEveryRow } else { Self::OnNewRows }
    }
}

/// The row that says that a store is encrypted.
pub(super) fn encrypted() -> Key {
    keys::meta("encrypted")
}

/// Puts a seal before the value.
pub(super) fn seal(change: &Change) -> Change {
    match change {
        Change::Put(key, value) if !(is_own(key) && stays_plain(key)) => {
            let mut sealed = BytesMut::with_capacity(LENGTH + value.len());
            sealed.put_u8(SEAL);
            sealed.put_u32(checksum(key, value));
            sealed.put_slice(value);
            Change::Put(key.clone(), sealed.freeze())
        }
        plain => plain.clone(),
    }
}

/// The value of a stored row.
///
/// # Errors
/// If the row is damaged, or has no seal although every row has one.
pub(super) fn unseal(key: &Key, stored: Bytes, seals: Seals) -> Result<Bytes, StoreError> {
    if is_own(key) && stays_plain(key) {
        return Ok(stored);
    }
    match stored.first_chunk::<LENGTH>() {
        Some([SEAL, sum @ ..]) => {
            let value = stored.slice(LENGTH..);
            let intact = u32::from_be_bytes(*sum) == checksum(key, &value);
            if intact { Ok(value) } else { Err(StoreError::damaged(record(key))) }
        }
        _ if seals == Seals::OnEveryRow => Err(StoreError::damaged(record(key))),
        _ => Ok(stored),
    }
}

#[cfg(test)]
mod tests {
    use tandem_actors::ports::StoreFault;

    use super::*;

    fn sealed(key: &Key, value: &'static [u8]) -> Bytes {
        match seal(&Change::Put(key.clone(), Bytes::from_static(value))) {
            Change::Put(_, sealed) => sealed,
            Change::Delete(_) => panic!("a put stays one"),
        }
    }

    #[test]
    fn a_row_comes_back_as_it_was() {
        let key = Key::from_bytes(*b"xa");
        for value in [&b""[..], b"a value", &[SEAL, 0, 0, 0, 0, 7]] {
            assert_eq!(unseal(&key, sealed(&key, value), Seals::OnEveryRow).expect("intact"), value);
        }
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let key = Key::from_bytes(*b"xa");
        let stored = sealed(&key, b"what a partner wrote");
        for bit in 0..stored.len() * 8 {
            let mut damaged = stored.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let error = unseal(&key, damaged.into(), Seals::OnEveryRow).expect_err("found");
            assert_eq!(error.fault(), StoreFault::Damaged);
        }
        unseal(&Key::from_bytes(*b"xb"), stored, Seals::OnEveryRow).expect_err("under another key");
    }

    #[test]
    fn rows_of_earlier_versions_have_no_seal() {
        let (key, plain) = (Key::from_bytes(*b"xa"), Bytes::from_static(b"\x81\xa1a\x01"));
        assert_eq!(unseal(&key, plain.clone(), Seals::OnNewRows).expect("read as it is"), plain);
        unseal(&key, plain, Seals::OnEveryRow).expect_err("in a store whose rows all have seals");
    }
}
