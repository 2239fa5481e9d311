//! The node's secrets: those that the settings name, or those that the node made for itself.

use tandem_ably::KeyConfig;

use super::StartError;
use crate::{
    config::Settings,
    realtime::{ApiKey, ProviderKind},
    secret::Secret,
    secrets::{self, SecretError},
};

/// Adds the generated secrets to the settings. Returns a hint for the start page: how a user gets a token.
pub(super) fn complete(settings: &mut Settings) -> Result<String, SecretError> {
    let generated = settings.auth.hs256_secret.is_none();
    settings.auth.hs256_secret = secrets::token_secret(settings)?;
    if settings.realtime.provider == ProviderKind::Embedded
        && let Some(key) = secrets::realtime_key(settings)?
    {
        settings.realtime.embedded.keys.push(KeyConfig::generated(key.name, key.secret.reveal()));
    }
    Ok(match (&settings.auth.hs256_secret, generated) {
        (None, _) => "Tokens come from the issuer that this node is configured for.".to_owned(),
        (Some(_), true) => {
            "On this machine, with the same data directory; the node made its own secret there.".to_owned()
        }
        (Some(_), false) => {
            "On this machine, with the same settings; or from anybody who has the shared secret.".to_owned()
        }
    })
}

/// The key that signs the app's token requests. With the embedded provider it is the first of its keys; `complete`
/// provides one.
pub(super) fn signing_key(settings: &Settings) -> Result<ApiKey, StartError> {
    let first = || {
        let key = settings.realtime.embedded.keys.first()?;
        Some(ApiKey::new(&*key.name, Secret::new(&*key.secret)))
    };
    let configured = settings.ably_key().map_err(StartError::setting)?;
    configured.or_else(first).ok_or_else(|| StartError::setting("realtime.embedded.keys must hold a key"))
}
