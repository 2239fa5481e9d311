//! Files beside the store that hold private text. They are encrypted if the store is.
//!
//! ```text
//! "TNDMFIL\x01", number of the data key, nonce (12 bytes), encrypted content, tag
//! ```

use crate::{cipher::FILE, seal::RowCoding};

/// Encrypts and decrypts files. Without encryption, a file is its content.
#[derive(Clone, Debug, Default)]
pub struct Envelope(RowCoding);

impl Envelope {
    pub(crate) fn of(coding: RowCoding) -> Self {
        Self(coding)
    }

    /// The bytes of the file with this name and content.
    pub fn encrypt(&self, name: &str, content: Vec<u8>) -> Vec<u8> {
        match self.0.cipher() {
            Some(cipher) => cipher.encrypt_file(name, &content),
            None => content,
        }
    }

    /// The content of the file with this name. The file may be older than the store's encryption. `None` if it is
    /// damaged, or encrypted with keys that the store does not have.
    pub fn decrypt(&self, name: &str, file: Vec<u8>) -> Option<Vec<u8>> {
        if file.starts_with(&FILE) { self.0.cipher()?.decrypt_file(name, &file) } else { Some(file) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cipher::Cipher, keyring::DataKeys};

    #[test]
    fn a_file_is_readable_under_its_own_name_with_the_stores_keys_only() {
        let mut keys = DataKeys::fresh();
        let envelope = Envelope::of(RowCoding::with(Cipher::new(&keys)));
        let content = b"what a partner wrote".to_vec();
        let encrypted = envelope.encrypt("a", content.clone());
        assert!(!encrypted.windows(7).any(|part| part == b"partner"));
        assert_ne!(envelope.encrypt("a", content.clone()), encrypted, "each time with another nonce");
        assert_eq!(envelope.decrypt("a", encrypted.clone()), Some(content.clone()));
        assert_eq!(envelope.decrypt("b", encrypted.clone()), None);
        keys.add_data_key();
        let later = Envelope::of(RowCoding::with(Cipher::new(&keys)));
        assert_eq!(later.decrypt("a", encrypted.clone()), Some(content.clone()));
        assert_eq!(later.decrypt("a", content.clone()), Some(content.clone()), "from before the encryption");
        let other = Envelope::of(RowCoding::with(Cipher::new(&DataKeys::fresh())));
        assert_eq!(other.decrypt("a", encrypted.clone()), None);
        assert_eq!(Envelope::default().decrypt("a", encrypted.clone()), None);
        assert_eq!(Envelope::default().encrypt("a", content.clone()), content);
        for length in 0..encrypted.len() {
            assert_eq!(envelope.decrypt("a", encrypted[..length].to_vec()).filter(|_| length >= FILE.len()), None);
        }
    }
}
