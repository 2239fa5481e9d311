//! An API key of a realtime provider. It signs the app's token requests, and authenticates requests to Ably's REST
//! API.

use crate::secret::Secret;

/// An API key of Ably's form: `<app>.<key>:<secret>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// `<app>.<key>`
    pub name: String,
    /// What is behind the colon.
    pub secret: Secret,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a realtime key must be written as appId.keyId:secret")]
pub struct MalformedKey;

impl ApiKey {
    /// A key of these parts.
    pub fn new(name: impl Into<String>, secret: Secret) -> Self {
        Self { name: name.into(), secret }
    }

    /// Parses a key as Ably's dashboard shows it: `appId.keyId:secret`.
    pub fn parse(key: &str) -> Result<Self, MalformedKey> {
        match key.split_once(':') {
            Some((name, secret)) if name.contains('.') && !secret.is_empty() => {
                Ok(Self::new(name, Secret::new(secret)))
            }
            _ => Err(MalformedKey),
        }
    }
}
