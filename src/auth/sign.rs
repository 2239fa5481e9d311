//! Signs tokens for `tandem token`, the demo and tests.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use tandem_actors::domain::{ids::UserId, time::Timestamp};

use super::config::AuthSettings;
use crate::secret::Secret;

#[derive(Debug, thiserror::Error)]
#[error("the token cannot be signed: {0}")]
pub struct SignError(String);

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    azp: Option<&'a str>,
    iat: i64,
    exp: i64,
}

/// A token that a node with these settings and this secret accepts until `now + ttl`. It has the issuer, the audience
/// and the authorized party that `config` requires.
pub fn sign(
    secret: &Secret,
    config: &AuthSettings,
    user: &UserId,
    name: Option<&str>,
    ttl: Duration,
    now: Timestamp,
) -> Result<String, SignError> {
    let claims = Claims {
        sub: user.as_str(),
        name,
        iss: config.issuer.as_deref(),
        aud: config.audience.first().map(String::as_str),
        azp: config.authorized_parties.first().map(String::as_str),
        iat: now.as_millis() / 1000,
        exp: (now + ttl).as_millis() / 1000,
    };
    let key = EncodingKey::from_secret(secret.reveal().as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(|error| SignError(error.to_string()))
}
