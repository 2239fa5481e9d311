//! `tandem token`: a bearer token, signed with the secret that `serve` on the same data directory uses.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use tandem_actors::domain::ids::UserId;

use super::{Failure, Outcome};
use crate::{config::Settings, secrets};

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    azp: Option<&'a str>,
}

pub fn print(settings: &Settings, user: &UserId, name: Option<&str>, ttl: Duration) -> Outcome {
    let secret = secrets::token_secret(settings)?.ok_or_else(|| {
        Failure::new("tokens come from the issuer of auth.jwks_url; to make some here as well, set auth.hs256_secret")
    })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let auth = &settings.auth;
    let claims = Claims {
        sub: user.as_str(),
        name,
        iat: now,
        exp: now.saturating_add(ttl.as_secs()),
        iss: auth.issuer.as_deref(),
        aud: auth.audience.first().map(String::as_str),
        azp: auth.authorized_parties.first().map(String::as_str),
    };
    let key = EncodingKey::from_secret(secret.reveal().as_bytes());
    println!("{}", jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?);
    Ok(())
}
