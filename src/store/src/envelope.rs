//! Files beside the store that hold what people wrote: sealed with the store's keys, if it has any.
//!
//! ```text
//! "TNDMFIL\x01", number of the data key, nonce (12 bytes), sealed content, tag
//! ```

use crate::seal::Sealing;

pub(crate) const MAGIC: [u8; 8] = *b"TNDMFIL\x01";

/// Seals and opens files. Without encryption they stay as they are.
#[derive(Clone, Debug, Default)]
pub struct Envelope(Sealing);

impl Envelope {
    pub(crate) fn of(sealing: Sealing) -> Self {
        Self(sealing)
    }

    /// What the file with this name is to hold.
    pub fn seal(&self, name: &str, content: Vec<u8>) -> Vec<u8> {
        match self.0.cipher() {
            Some(cipher) => cipher.seal_file(name, &content),
            None => content,
        }
    }

    /// The content of the file with this name, also if it was written before the store was encrypted. None if it is
    /// damaged, or sealed with keys that the store does not have.
    pub fn open(&self, name: &str, file: Vec<u8>) -> Option<Vec<u8>> {
        if file.starts_with(&MAGIC) { self.0.cipher()?.open_file(name, &file) } else { Some(file) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cipher::Cipher, keyring::Keys};

    #[test]
    fn a_file_opens_under_its_own_name_with_the_stores_keys_only() {
        let mut keys = Keys::fresh();
        let envelope = Envelope::of(Sealing::with(Cipher::new(&keys)));
        let content = b"what a partner wrote".to_vec();
        let sealed = envelope.seal("a", content.clone());
        assert!(!sealed.windows(7).any(|part| part == b"partner"));
        assert_ne!(envelope.seal("a", content.clone()), sealed, "each time with another nonce");
        assert_eq!(envelope.open("a", sealed.clone()), Some(content.clone()));
        assert_eq!(envelope.open("b", sealed.clone()), None);
        keys.add_data_key();
        let later = Envelope::of(Sealing::with(Cipher::new(&keys)));
        assert_eq!(later.open("a", sealed.clone()), Some(content.clone()));
        assert_eq!(later.open("a", content.clone()), Some(content.clone()), "from before the encryption");
        let other = Envelope::of(Sealing::with(Cipher::new(&Keys::fresh())));
        assert_eq!(other.open("a", sealed.clone()), None);
        assert_eq!(Envelope::default().open("a", sealed.clone()), None);
        assert_eq!(Envelope::default().seal("a", content.clone()), content);
        for length in 0..sealed.len() {
            assert_eq!(envelope.open("a", sealed[..length].to_vec()).filter(|_| length >= MAGIC.len()), None);
        }
    }
}
