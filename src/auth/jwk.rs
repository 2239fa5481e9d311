//! One entry of an issuer's key set (RFC 7517).

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

/// The algorithms that an issuer may use (RFC 7518, 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum KeyAlgorithm {
    Rs256,
    Es256,
}

impl KeyAlgorithm {
    pub const fn other(self) -> Self {
        match self {
            KeyAlgorithm::Rs256 => KeyAlgorithm::Es256,
            KeyAlgorithm::Es256 => KeyAlgorithm::Rs256,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            KeyAlgorithm::Rs256 => "RS256",
            KeyAlgorithm::Es256 => "ES256",
        }
    }
}

impl From<KeyAlgorithm> for Algorithm {
    fn from(algorithm: KeyAlgorithm) -> Self {
        match algorithm {
            KeyAlgorithm::Rs256 => Algorithm::RS256,
            KeyAlgorithm::Es256 => Algorithm::ES256,
        }
    }
}

/// The least size of an RS256 key (RFC 7518, 3.3).
const LEAST_RSA_BITS: usize = 2048;

#[derive(Clone)]
pub(super) struct IssuerKey {
    pub key: DecodingKey,
    source: Jwk,
}

#[derive(Clone, PartialEq, Eq, Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl PartialEq for IssuerKey {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// A signing key of one of the two algorithms, with its id. `None` for all other entries of a key set.
pub(super) fn usable(value: serde_json::Value) -> Option<((String, KeyAlgorithm), Arc<IssuerKey>)> {
    let source: Jwk = serde_json::from_value(value).ok()?;
    if source.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return None;
    }
    let kid = source.kid.clone()?;
    let (algorithm, key) = match (source.kty.as_str(), source.crv.as_deref()) {
        ("RSA", _) => {
            let modulus = source.n.as_deref()?;
            let bits = bits(modulus)?;
            if bits < LEAST_RSA_BITS {
                tracing::warn!(
                    kid,
                    bits,
                    least = LEAST_RSA_BITS,
                    "an RSA key of the issuer is too short and is not used"
                );
                return None;
            }
            (KeyAlgorithm::Rs256, DecodingKey::from_rsa_components(modulus, source.e.as_deref()?).ok()?)
        }
        ("EC", Some("P-256")) => {
            let key = DecodingKey::from_ec_components(source.x.as_deref()?, source.y.as_deref()?).ok()?;
            (KeyAlgorithm::Es256, key)
        }
        _ => return None,
    };
    if source.alg.as_deref().is_some_and(|stated| stated != algorithm.name()) {
        return None;
    }
    Some(((kid, algorithm), Arc::new(IssuerKey { key, source })))
}

/// The length of a number in base64url, without leading zeros.
fn bits(number: &str) -> Option<usize> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(number).ok()?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let first = bytes.get(zeros)?;
    Some((bytes.len() - zeros) * 8 - first.leading_zeros() as usize)
}
