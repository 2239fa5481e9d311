//! `tandem token`: a bearer token, signed with the secret that `serve` on the same data directory uses.

use std::time::Duration;

use tandem_actors::{domain::ids::UserId, ports::Clock};

use super::{CommandResult, Failure, output};
use crate::{auth, config::Settings, secrets, system::SystemClock};

pub fn print(settings: &Settings, user: &UserId, name: Option<&str>, ttl: Duration) -> CommandResult {
    let secret = secrets::existing_token_secret(settings)?.ok_or_else(|| {
        Failure::new("tokens come from the issuer of auth.jwks_url; to make some here as well, set auth.hs256_secret")
    })?;
    let now = SystemClock::new(None, Duration::ZERO).now();
    Ok(output::print(auth::sign(&secret, &settings.auth, user, name, ttl, now)?)?)
}
