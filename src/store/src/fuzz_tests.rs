//! What the fuzz targets (`tests/fuzz`) do with rows, groups and backups. The tests do it with the corpus.

use std::sync::LazyLock;

use bytes::Bytes;
use tandem_actors::{keys::Key, ports::Change};

pub use crate::{backup::fuzz_tests::backup, journaled::fuzz_tests::group};
use crate::{
    cipher::Cipher,
    keyring::DataKeys,
    seal::{RowCoding, Seals},
};

static ENCRYPTED: LazyLock<RowCoding> = LazyLock::new(|| RowCoding::with(Cipher::new(&DataKeys::fresh())));

/// Encodes and decodes a row, with a seal and encrypted. The first byte of the input is the length of the key. The
/// value comes back. A flipped bit is found, and so is a row under another key. Without the keys, no input is an
/// encrypted row.
///
/// # Panics
/// If that does not hold.
pub fn row(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first() else { return };
    let Some((key, value)) = rest.split_at_checked(usize::from(*length)) else { return };
    let (key, value) = (Key::from_bytes(key), Bytes::copy_from_slice(value));
    for coding in [&RowCoding::default(), &*ENCRYPTED] {
        let Change::Put(_, stored) = coding.encode(&Change::Put(key.clone(), value.clone())) else {
            panic!("a put stays one");
        };
        assert_eq!(coding.decode(&key, stored.clone(), Seals::OnEveryRow).ok().as_ref(), Some(&value));
        // Two of the store's own rows have no seal.
        if stored == value {
            continue;
        }
        assert_eq!(coding.sum(&key, &stored), coding.sum_of_value(&key, &value));
        let bit = value.iter().fold(usize::from(*length), |sum, byte| sum.wrapping_mul(31) + usize::from(*byte));
        let mut damaged = stored.to_vec();
        let place = bit % (damaged.len() * 8);
        damaged[place / 8] ^= 1 << (place % 8);
        assert!(coding.decode(&key, damaged.into(), Seals::OnEveryRow).is_err(), "bit {place}");
        let mut other = key.as_bytes().to_vec();
        let Some(last) = other.last_mut() else { continue };
        // A checksum of 32 bits notices each difference of few bits. Of keys that differ more, few have the same one.
        *last ^= 1;
        if other.starts_with(b"!") {
            continue; // It may be an own row without a seal.
        }
        assert!(coding.decode(&Key::from_bytes(other), stored, Seals::OnEveryRow).is_err(), "under another key");
    }
    if let Ok(plain) = ENCRYPTED.decode(&key, value.clone(), Seals::OnEveryRow)
        && !key.as_bytes().starts_with(b"!")
    {
        assert_eq!(
            RowCoding::default().decode(&key, value, Seals::OnEveryRow).ok(),
            Some(plain),
            "what is no sealed row"
        );
    }
}

#[cfg(test)]
mod tests {
    use tandem_corpus::replay;

    #[test]
    fn the_corpora_of_rows_groups_and_backups_pass() {
        replay("row", super::row);
        replay("group", super::group);
        replay("backup", super::backup);
    }
}
