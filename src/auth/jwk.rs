//! One entry of an issuer's key set (RFC 7517).

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

#[derive(Clone)]
pub(super) struct IssuerKey {
    pub key: DecodingKey,
    pub algorithm: Algorithm,
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

/// A signing key of one of the two algorithms, with its id; everything else in a key set is none of ours.
pub(super) fn usable(value: serde_json::Value) -> Option<(String, Arc<IssuerKey>)> {
    let source: Jwk = serde_json::from_value(value).ok()?;
    if source.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return None;
    }
    let (name, algorithm, key) = match (source.kty.as_str(), source.crv.as_deref()) {
        ("RSA", _) => {
            let key = DecodingKey::from_rsa_components(source.n.as_deref()?, source.e.as_deref()?).ok()?;
            ("RS256", Algorithm::RS256, key)
        }
        ("EC", Some("P-256")) => {
            let key = DecodingKey::from_ec_components(source.x.as_deref()?, source.y.as_deref()?).ok()?;
            ("ES256", Algorithm::ES256, key)
        }
        _ => return None,
    };
    if source.alg.as_deref().is_some_and(|stated| stated != name) {
        return None;
    }
    Some((source.kid.clone()?, Arc::new(IssuerKey { key, algorithm, source })))
}
