//! AES-256-GCM-SIV (RFC 8452) with a random or a computed nonce.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, UnboundKey};
pub(crate) use aws_lc_rs::aead::{LessSafeKey, NONCE_LEN};

/// A key for AES-256-GCM-SIV.
pub(crate) fn aead_key(bytes: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, bytes).expect("a key of 32 bytes"))
}

/// Encrypts `bytes[from..]` in place, and appends the tag.
pub(crate) fn encrypt_from(key: &LessSafeKey, nonce: [u8; NONCE_LEN], aad: &[u8], bytes: &mut Vec<u8>, from: usize) {
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut bytes[from..]);
    bytes.extend_from_slice(tag.expect("rows and groups are far below the limit of AES-GCM-SIV").as_ref());
}

/// The decrypted bytes. `None` if they were not encrypted with this key, nonce and additional data.
pub(crate) fn decrypted(key: &LessSafeKey, nonce: [u8; NONCE_LEN], aad: &[u8], encrypted: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = encrypted.to_vec();
    let length = key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}
