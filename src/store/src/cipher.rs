//! Encryption at rest. Values of rows and groups of the journal are encrypted with AES-256-GCM-SIV (RFC 8452), which
//! also authenticates the row's key or the group's number. Keys of rows stay readable, because they order the rows.
//!
//! The store makes data keys and keeps them in the file `keys`, encrypted with the operator's key. So a new operator's
//! key does not rewrite any row. A data key can be replaced, too: rows under the former data key stay readable until
//! they are rewritten.
//!
//! ```text
//! a row      0xc2, number of the data key, checksum (keyed, u32), encrypted value, tag (16 bytes)
//! a group    0xe1, number of the data key, encrypted group, tag
//! ```
//!
//! GCM-SIV stays safe when a nonce is used again: it shows only whether the same value was encrypted for the same
//! place. The nonce of a row is computed from its key, so each value of the row uses it again. The nonce of a group is
//! computed from its number, so it is used again after a torn group, and in a copied directory.

use std::fmt;

use aws_lc_rs::hmac;
use bytes::Bytes;
use parking_lot::RwLock;
use rand::Rng;
use tandem_actors::keys::Key;
use xxhash_rust::xxh3::xxh3_128;

use crate::{
    aead::{LessSafeKey, NONCE_LEN, aead_key, decrypted, encrypt_from},
    keyring::DataKeys,
};

/// The first byte of an encrypted row.
pub(crate) const ROW: u8 = 0xc2;
/// The first byte of an encrypted group.
pub(crate) const GROUP: u8 = 0xe1;
/// The first bytes of an encrypted file.
pub(crate) const FILE: [u8; 8] = *b"TNDMFIL\x01";
/// Bytes of an encrypted row before the value.
const ROW_HEADER: usize = 6;
const GROUP_HEADER: usize = 2;
pub(crate) const TAG: usize = 16;
/// Bytes that encryption adds to a group.
pub(crate) const AROUND_GROUP: usize = GROUP_HEADER + TAG;

/// The data keys, ready to be used.
pub(crate) struct Cipher {
    digest: hmac::Key,
    /// The last key encrypts. All keys decrypt.
    data: RwLock<Vec<(u8, LessSafeKey)>>,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

fn nonce_of_row(key: &Key) -> [u8; NONCE_LEN] {
    first(&xxh3_128(key.as_bytes()).to_be_bytes())
}

/// A row's key, and the bytes before its value.
fn aad_of_row(key: &Key, stored: &[u8]) -> Vec<u8> {
    [&stored[..ROW_HEADER], key.as_bytes()].concat()
}

fn nonce_of_group(log: u64, group: u64) -> [u8; NONCE_LEN] {
    first(&[&group.to_be_bytes()[..], &log.to_be_bytes()].concat())
}

fn first(bytes: &[u8]) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce.copy_from_slice(&bytes[..NONCE_LEN]);
    nonce
}

impl Cipher {
    pub fn new(keys: &DataKeys) -> Self {
        let data = keys.data.iter().map(|(number, key)| (*number, aead_key(key))).collect();
        Self { digest: hmac::Key::new(hmac::HMAC_SHA256, &keys.digest), data: RwLock::new(data) }
    }

    /// Uses these keys from now on. They must be stored durably, and hold all data keys that were in use before.
    pub fn take(&self, keys: &DataKeys) {
        let data = keys.data.iter().map(|(number, key)| (*number, aead_key(key))).collect();
        *self.data.write() = data;
    }

    /// The value as it is stored.
    pub fn encrypt(&self, key: &Key, value: &[u8]) -> Bytes {
        let data = self.data.read();
        let (number, encrypting) = data.last().expect("there is a data key");
        let mut encrypted = Vec::with_capacity(ROW_HEADER + value.len() + TAG);
        encrypted.extend([ROW, *number]);
        encrypted.extend(self.sum(key, value).to_be_bytes());
        encrypted.extend_from_slice(value);
        encrypt_from(encrypting, nonce_of_row(key), &aad_of_row(key, &encrypted), &mut encrypted, ROW_HEADER);
        encrypted.into()
    }

    /// The value of an encrypted row. `None` if the row is damaged.
    pub fn decrypt(&self, key: &Key, stored: &[u8]) -> Option<Bytes> {
        let number = *stored.get(1)?;
        let data = self.data.read();
        let (_, decrypting) = data.iter().find(|(known, _)| *known == number)?;
        let encrypted = stored.get(ROW_HEADER..)?;
        decrypted(decrypting, nonce_of_row(key), &aad_of_row(key, stored), encrypted).map(Bytes::from)
    }

    /// Whether the row is not encrypted with the last data key.
    pub fn is_outdated(&self, stored: &[u8]) -> bool {
        match stored {
            [ROW, number, ..] => self.data.read().last().is_some_and(|(last, _)| last != number),
            _ => true,
        }
    }

    /// A keyed checksum. It reveals nothing about the value without the keys.
    pub fn sum(&self, key: &Key, value: &[u8]) -> u32 {
        let mut sum = hmac::Context::with_key(&self.digest);
        [key.as_bytes(), &[0], value].into_iter().for_each(|part| sum.update(part));
        u32::from_be_bytes(*sum.sign().as_ref().first_chunk().expect("32 bytes"))
    }

    /// Encrypts the group that begins at `from` of the record.
    pub fn encrypt_group(&self, log: u64, group: u64, record: &mut Vec<u8>, from: usize) {
        let data = self.data.read();
        let (number, encrypting) = data.last().expect("there is a data key");
        record.splice(from..from, [GROUP, *number]);
        let aad = [log.to_be_bytes(), group.to_be_bytes()].concat();
        encrypt_from(encrypting, nonce_of_group(log, group), &aad, record, from + GROUP_HEADER);
    }

    /// Encrypts the content of the file with this name.
    pub fn encrypt_file(&self, name: &str, content: &[u8]) -> Vec<u8> {
        let data = self.data.read();
        let (number, encrypting) = data.last().expect("there is a data key");
        let nonce: [u8; NONCE_LEN] = rand::rng().random();
        let mut encrypted = [&FILE[..], &[*number], &nonce, content].concat();
        let begin = FILE.len() + 1 + NONCE_LEN;
        encrypt_from(encrypting, nonce, &[&FILE[..], name.as_bytes()].concat(), &mut encrypted, begin);
        encrypted
    }

    /// Decrypts a file. `None` if it is damaged, or was written under another name.
    pub fn decrypt_file(&self, name: &str, stored: &[u8]) -> Option<Vec<u8>> {
        let (number, rest) = stored.strip_prefix(&FILE)?.split_first()?;
        let (nonce, encrypted) = rest.split_first_chunk::<NONCE_LEN>()?;
        let data = self.data.read();
        let (_, decrypting) = data.iter().find(|(known, _)| known == number)?;
        decrypted(decrypting, *nonce, &[&FILE[..], name.as_bytes()].concat(), encrypted)
    }

    /// Decrypts a group. `None` if it is damaged, or was written under another number.
    pub fn decrypt_group(&self, log: u64, group: u64, record: &[u8]) -> Option<Vec<u8>> {
        let number = *record.get(1)?;
        let data = self.data.read();
        let (_, decrypting) = data.iter().find(|(known, _)| *known == number)?;
        let aad = [log.to_be_bytes(), group.to_be_bytes()].concat();
        decrypted(decrypting, nonce_of_group(log, group), &aad, record.get(GROUP_HEADER..)?)
    }
}

/// The checksum in an encrypted row.
pub(crate) fn sum_in(stored: &[u8]) -> Option<u32> {
    stored.get(2..ROW_HEADER)?.first_chunk().map(|sum| u32::from_be_bytes(*sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::from_bytes(name.as_bytes())
    }

    #[test]
    fn an_encrypted_row_is_readable_under_its_own_key_only() {
        let keys = DataKeys::fresh();
        let cipher = Cipher::new(&keys);
        let encrypted = cipher.encrypt(&key("xa"), b"what a partner wrote");
        assert_eq!(cipher.decrypt(&key("xa"), &encrypted).as_deref(), Some(&b"what a partner wrote"[..]));
        assert_eq!(cipher.decrypt(&key("xb"), &encrypted), None);
        assert!(!encrypted.windows(7).any(|part| part == b"partner"));
        assert_eq!(sum_in(&encrypted), Some(cipher.sum(&key("xa"), b"what a partner wrote")));
        for bit in 0..encrypted.len() * 8 {
            let mut flipped = encrypted.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(cipher.decrypt(&key("xa"), &flipped).filter(|_| flipped[0] == ROW), None, "bit {bit}");
        }
        assert_eq!(Cipher::new(&DataKeys::fresh()).decrypt(&key("xa"), &encrypted), None, "another store's keys");
    }

    #[test]
    fn rows_under_a_former_data_key_stay_readable() {
        let mut keys = DataKeys::fresh();
        let encrypted = Cipher::new(&keys).encrypt(&key("xa"), b"before");
        keys.add_data_key();
        let cipher = Cipher::new(&keys);
        assert_eq!(cipher.decrypt(&key("xa"), &encrypted).as_deref(), Some(&b"before"[..]));
        assert!(cipher.is_outdated(&encrypted) && !cipher.is_outdated(&cipher.encrypt(&key("xa"), b"before")));
        assert_eq!(sum_in(&encrypted), Some(cipher.sum(&key("xa"), b"before")), "digests stay as they are");
    }

    #[test]
    fn a_group_is_readable_under_its_own_number_only() {
        let cipher = Cipher::new(&DataKeys::fresh());
        let mut record = b"header".to_vec();
        record.extend_from_slice(b"\x01 a group");
        cipher.encrypt_group(7, 12, &mut record, 6);
        assert_eq!(&record[..6], b"header");
        assert_eq!(cipher.decrypt_group(7, 12, &record[6..]).as_deref(), Some(&b"\x01 a group"[..]));
        assert_eq!(cipher.decrypt_group(7, 13, &record[6..]), None);
        assert_eq!(cipher.decrypt_group(8, 12, &record[6..]), None);
    }
}
