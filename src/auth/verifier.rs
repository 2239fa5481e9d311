//! Verifies bearer tokens.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use quick_cache::sync::Cache;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tandem_actors::ports::Clock;

use super::{
    claims::{ClaimRules, Claims, Identity},
    config::{AuthSettings, AuthSettingsError},
    jwk::KeyAlgorithm,
    jwks::Jwks,
    reason::Reason,
};
use crate::secret::Secret;

/// Longer tokens are rejected without hashing.
const LONGEST_TOKEN: usize = 16 * 1024;

/// The least length of an HS256 secret (RFC 7518, 3.2).
const LEAST_SECRET: usize = 32;
pub const SHORT_SECRET: &str = "auth.hs256_secret is shorter than 32 characters and can be guessed";

pub fn is_short(secret: &Secret) -> bool {
    secret.reveal().len() < LEAST_SECRET
}

/// Verifies tokens, and remembers the verified ones: a token costs one signature check, and a hash on each further use.
/// The expiry is checked on every use. A change of the issuer's keys invalidates all remembered tokens.
pub struct Verifier {
    secret: Option<DecodingKey>,
    jwks: Option<Arc<Jwks>>,
    rules: ClaimRules,
    /// Recently verified tokens by their digest.
    verified: Cache<[u8; 32], VerifiedToken>,
    clock: Arc<dyn Clock>,
}

#[derive(Clone)]
struct VerifiedToken {
    identity: Arc<Identity>,
    /// The edition of the issuer's keys that verified the token.
    keys_edition: u64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that the receiver must support (RFC 7515, 4.1.11). This node supports none.
    crit: Option<serde::de::IgnoredAny>,
}

impl Verifier {
    /// A generated secret must be in `config.hs256_secret` before.
    pub fn new(config: &AuthSettings, clock: Arc<dyn Clock>) -> Result<Self, AuthSettingsError> {
        if config.hs256_secret.as_ref().is_some_and(|secret| secret.reveal().is_empty()) {
            return Err(AuthSettingsError::EmptySecret);
        }
        if config.hs256_secret.as_ref().is_some_and(is_short) {
            tracing::warn!("{SHORT_SECRET}");
        }
        if config.hs256_secret.is_none() && config.jwks_url.is_none() {
            return Err(AuthSettingsError::NoKeys);
        }
        Ok(Self {
            secret: config.hs256_secret.as_ref().map(|s| DecodingKey::from_secret(s.reveal().as_bytes())),
            jwks: Jwks::from_config(config, clock.clone())?,
            rules: ClaimRules::from(config),
            verified: Cache::new(config.remembered_tokens),
            clock,
        })
    }

    /// Fetches the issuer's keys, so that the first request does not wait for them. A failure is logged and not fatal.
    pub async fn warm_up(&self) {
        if let Some(jwks) = &self.jwks {
            jwks.warm_up().await;
        }
    }

    /// Fetches the issuer's keys every `jwks_refresh`, for as long as it is polled.
    pub async fn keep_keys_fresh(&self) {
        match &self.jwks {
            Some(jwks) => jwks.keep_fresh().await,
            None => std::future::pending().await,
        }
    }

    /// The result for a token that was verified before; `None` if it must be verified.
    pub fn remembered(&self, token: &str) -> Option<Result<Arc<Identity>, Reason>> {
        if token.len() > LONGEST_TOKEN {
            return Some(Err(Reason::Malformed));
        }
        let verified = self.verified.get(&digest(token))?;
        if verified.keys_edition != self.keys_edition() {
            return None;
        }
        let times = self.rules.check_times(&verified.identity, self.clock.now());
        Some(times.map(|()| verified.identity))
    }

    pub async fn verify(&self, token: &str) -> Result<Arc<Identity>, Reason> {
        if let Some(result) = self.remembered(token) {
            return result;
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Reason::Malformed);
        };
        let signed = &token[..header.len() + 1 + payload.len()];
        let header: Header = parse(&decode(header)?)?;
        if header.crit.is_some() {
            return Err(Reason::Malformed);
        }
        let (key, algorithm, keys_edition) = self.key_for(&header).await?;
        // An error is an unreadable signature, because keys that do not fit their algorithm are not stored.
        if !jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key, algorithm).unwrap_or(false) {
            return Err(Reason::BadSignature);
        }
        let payload = decode(payload)?;
        let identity = Arc::new(self.rules.accept(parse::<Claims>(&payload)?)?);
        self.rules.check_times(&identity, self.clock.now())?;
        self.verified.insert(digest(token), VerifiedToken { identity: identity.clone(), keys_edition });
        Ok(identity)
    }

    /// The algorithm decides which keys are tried. So a token cannot make a public key serve as a shared secret.
    async fn key_for(&self, header: &Header) -> Result<(DecodingKey, Algorithm, u64), Reason> {
        let algorithm = match header.alg.as_str() {
            "HS256" => {
                let secret = self.secret.clone().ok_or(Reason::AlgorithmNotAllowed)?;
                return Ok((secret, Algorithm::HS256, self.keys_edition()));
            }
            "RS256" => KeyAlgorithm::Rs256,
            "ES256" => KeyAlgorithm::Es256,
            none if none.eq_ignore_ascii_case("none") => return Err(Reason::AlgNone),
            _ => return Err(Reason::AlgorithmNotAllowed),
        };
        let jwks = self.jwks.as_ref().ok_or(Reason::AlgorithmNotAllowed)?;
        let kid = header.kid.as_deref().ok_or(Reason::UnknownKid)?;
        let (key, edition) = jwks.key(kid, algorithm).await?;
        Ok((key.key.clone(), algorithm.into(), edition))
    }

    fn keys_edition(&self) -> u64 {
        self.jwks.as_ref().map_or(0, |jwks| jwks.edition())
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn decode(part: &str) -> Result<Vec<u8>, Reason> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| Reason::Malformed)
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Reason> {
    serde_json::from_slice(json).map_err(|_| Reason::Malformed)
}
