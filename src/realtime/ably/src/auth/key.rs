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

/// An API key that the server knows. Its `Debug` shows the name only.
#[derive(Clone)]
pub struct ApiKey {
    /// `<app>.<key>`
    pub name: Arc<str>,
    secret: Arc<str>,
    /// The most that tokens of this key can have.
    pub capability: Arc<Capability>,
    /// Whether tokens of this key can be revoked.
    pub revocable_tokens: bool,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.name)
    }
}

impl ApiKey {
    /// A key whose tokens cannot be revoked.
    pub fn new(name: &str, secret: &str, capability: Capability) -> Self {
        Self { name: name.into(), secret: secret.into(), capability: capability.into(), revocable_tokens: false }
    }

    /// The part of a key's name before the dot.
    pub fn app_id(name: &str) -> &str {
        name.split('.').next().unwrap_or(name)
    }

    /// Compares in constant time.
    pub fn has_secret(&self, secret: &str) -> bool {
        self.secret.as_bytes().ct_eq(secret.as_bytes()).into()
    }

    /// For signatures of JWTs.
    pub fn secret_bytes(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    /// SHA-256, over the concatenated parts.
    pub fn hmac(&self, parts: &[&[u8]]) -> [u8; 32] {
        hmac_sha256(self.secret.as_bytes(), parts)
    }
}
