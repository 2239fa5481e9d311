//! API keys. A name is `<app>.<key>`; the secret signs and authenticates.

use std::{fmt, sync::Arc};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::Capability;

/// The HMAC of the concatenated parts.
pub fn hmac_sha256(secret: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[derive(Clone)]
pub struct Key {
    pub name: Arc<str>,
    secret: Arc<str>,
    pub capability: Arc<Capability>,
    /// Whether tokens of this key can be revoked.
    pub revocable_tokens: bool,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.name)
    }
}

impl Key {
    pub fn new(name: &str, secret: &str, capability: Capability) -> Self {
        Self { name: name.into(), secret: secret.into(), capability: capability.into(), revocable_tokens: false }
    }

    /// The part of a key's name before the dot.
    pub fn app_id(name: &str) -> &str {
        name.split('.').next().unwrap_or(name)
    }

    pub fn has_secret(&self, secret: &str) -> bool {
        self.secret.as_bytes().ct_eq(secret.as_bytes()).into()
    }

    pub fn secret_bytes(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    pub fn hmac(&self, parts: &[&[u8]]) -> [u8; 32] {
        hmac_sha256(self.secret.as_bytes(), parts)
    }
}
