//! Section `auth` of the configuration.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::secret::Secret;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// The shared secret of `HS256` tokens, at least 32 characters. Unset: the node generates one into its data
    /// directory, unless `jwks_url` is set.
    pub hs256_secret: Option<Secret>,
    /// Where the issuer publishes its public keys (`RS256`, `ES256`), as
    /// `https://issuer.example/.well-known/jwks.json`.
    pub jwks_url: Option<String>,
    /// What a token's `iss` must be. Unset: not checked.
    pub issuer: Option<String>,
    /// A token's `aud` must hold one of these. Empty: not checked.
    #[serde(deserialize_with = "one_or_many")]
    pub audience: Vec<String>,
    /// If a token has an `azp`, it must be one of these. Native apps' tokens have none. Empty: not checked.
    #[serde(deserialize_with = "one_or_many")]
    pub authorized_parties: Vec<String>,
    /// How far the issuer's clock may be from this node's, for `exp` and `nbf`.
    #[serde(with = "humantime_serde")]
    pub leeway: Duration,
    /// The issuer's keys are fetched again, in the background, when they are older than this.
    #[serde(with = "humantime_serde")]
    pub jwks_refresh: Duration,
    /// A token with an unknown key id makes the keys be fetched again at most this often.
    #[serde(with = "humantime_serde")]
    pub jwks_min_refetch: Duration,
    /// How long one fetch of the keys may take.
    #[serde(with = "humantime_serde")]
    pub jwks_timeout: Duration,
    /// Verified tokens that are remembered, so that they are not verified again on every request.
    pub remembered_tokens: usize,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            hs256_secret: None,
            jwks_url: None,
            issuer: None,
            audience: Vec::new(),
            authorized_parties: Vec::new(),
            leeway: Duration::from_secs(5),
            jwks_refresh: Duration::from_secs(10 * 60),
            jwks_min_refetch: Duration::from_secs(60),
            jwks_timeout: Duration::from_secs(5),
            remembered_tokens: 10_000,
        }
    }
}

impl AuthSettings {
    /// Where accepted tokens come from, in words.
    pub fn accepted_tokens(&self) -> &'static str {
        match (&self.hs256_secret, &self.jwks_url) {
            (Some(_), Some(_)) => "a shared secret, and an issuer",
            (Some(_), None) => "a shared secret",
            (None, Some(_)) => "an issuer",
            (None, None) => "a secret that the node makes for itself in the data directory",
        }
    }
}

/// A setting of this section that cannot be used, by its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthSettingsError {
    #[error("auth.hs256_secret is empty; give at least 32 characters, or leave it out to have one generated")]
    EmptySecret,
    #[error(
        "auth.jwks_url is {found:?}; it must be an http or https address, as https://issuer.example/.well-known/jwks.json"
    )]
    JwksUrl { found: String },
    #[error("neither auth.hs256_secret nor auth.jwks_url is set; no token could be accepted")]
    NoKeys,
    #[error("the HTTP client for auth.jwks_url cannot be built: {0}")]
    Client(String),
}

/// `"a"`, `"a,b"` (from the environment) or `["a", "b"]`.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "must be a text or a list of texts")]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        // A list without its bracket or quote is read as a text, which would be a name that no token has.
        OneOrMany::One(text) if text.contains(['[', ']', '"', '\'']) => {
            return Err(serde::de::Error::custom(
                "not a list; write [\"one\", \"two\"], or the names separated by commas",
            ));
        }
        OneOrMany::One(text) => {
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        }
        OneOrMany::Many(texts) => texts,
    })
}
