//! Settings of the server. In Tandem: section `[realtime.embedded]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of the server. An absent setting has its default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// API keys. If there are none, the node makes one at its first start and keeps it in the data directory.
    pub keys: Vec<KeyConfig>,
    /// Channel namespaces with their own rules. The namespace is the part of a channel name before the first colon.
    pub namespaces: Vec<Namespace>,
    /// Serves `POST /apps`, `DELETE /apps/{id}` and `POST /stats`, with which everybody can make test apps. Only
    /// allowed on a loopback address.
    pub sandbox: bool,
    /// How long a connection can be resumed after it lost its socket.
    #[serde(with = "humantime_serde")]
    pub connection_state_ttl: Duration,
    /// The longest time without a frame to a client. A client closes a socket that is silent for 10 s more.
    #[serde(with = "humantime_serde")]
    pub max_idle_interval: Duration,
    /// How long presence members stay after their connection lost its socket.
    #[serde(with = "humantime_serde")]
    pub presence_grace: Duration,
    /// How far back clients can continue a channel. Also the history of channels that are not persisted.
    #[serde(with = "humantime_serde")]
    pub continuity: Duration,
    /// The length of the history of persisted channels.
    #[serde(with = "humantime_serde")]
    pub history: Duration,
    /// The largest number of messages that one connection may send in a second.
    pub max_inbound_rate: u32,
    /// The largest number of members of a presence set.
    pub max_presence_members: usize,
    /// The largest number of bytes that wait for one connection. A slower subscriber is disconnected and continues
    /// from the log.
    pub outbound_queue: usize,
    /// The largest number of entries of a channel in memory.
    pub log_entries: usize,
    /// Limits of clients.
    pub limits: crate::limits::LimitsConfig,
}

/// An API key. Its name is `<app>.<key>`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// `<app>.<key>`
    pub name: String,
    /// Any text. Clients authenticate with `<name>:<secret>`.
    pub secret: String,
    /// A capability as JSON text. Absent: all operations on all channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// Whether its tokens can be revoked.
    #[serde(default)]
    pub revocable_tokens: bool,
}

impl KeyConfig {
    /// A key with all rights, made by the node itself.
    pub fn generated(name: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { name: name.into(), secret: secret.into(), capability: None, revocable_tokens: true }
    }
}

impl std::fmt::Debug for KeyConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyConfig({})", self.name)
    }
}

/// Rules for all channels whose names begin with the id and a colon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// The prefix of its channels' names, without the colon.
    pub id: String,
    /// Whether the history, continuity and presence of its channels survive a restart.
    #[serde(default)]
    pub persisted: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            namespaces: vec![Namespace { id: "meetwithoutfear".into(), persisted: true }],
            sandbox: false,
            connection_state_ttl: Duration::from_secs(120),
            max_idle_interval: Duration::from_secs(15),
            presence_grace: Duration::from_secs(15),
            continuity: Duration::from_secs(120),
            history: Duration::from_secs(24 * 3600),
            max_inbound_rate: 5_000,
            max_presence_members: 1_000,
            outbound_queue: 1 << 20,
            log_entries: 5_000,
            limits: crate::limits::LimitsConfig::default(),
        }
    }
}

/// The first setting that the server cannot work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting} {problem}")]
pub struct InvalidConfig {
    /// The path below the section, for example `keys`.
    pub setting: &'static str,
    /// What would be right.
    pub problem: String,
}

impl Config {
    /// Validates the settings and parses the keys.
    ///
    /// # Errors
    /// The error names the setting and what would be right.
    pub fn read_keys(&self) -> Result<Vec<crate::auth::ApiKey>, InvalidConfig> {
        let problem = |setting, problem: String| InvalidConfig { setting, problem };
        if self.max_inbound_rate == 0 {
            return Err(problem("max_inbound_rate", "must be at least 1".into()));
        }
        if self.log_entries == 0 {
            return Err(problem("log_entries", "must be at least 1".into()));
        }
        if self.max_idle_interval < Duration::from_secs(1) {
            return Err(problem("max_idle_interval", "must be at least 1s".into()));
        }
        let read = |key: &KeyConfig| {
            let parts = key.name.split_once('.').filter(|(app, key)| !app.is_empty() && !key.is_empty());
            if parts.is_none() || key.name.contains([':', '/']) {
                return Err(problem(
                    "keys",
                    format!("has the name '{}', but a name must be written as app.key", key.name),
                ));
            }
            if key.secret.is_empty() {
                return Err(problem("keys", format!("has no secret for '{}'", key.name)));
            }
            let capability = match &key.capability {
                None => crate::auth::Capability::everything(),
                Some(text) => crate::auth::Capability::parse(text).map_err(|error| {
                    problem("keys", format!("has for '{}' a wrong capability: {}", key.name, error.message))
                })?,
            };
            let mut read = crate::auth::ApiKey::new(&key.name, &key.secret, capability);
            read.revocable_tokens = key.revocable_tokens;
            Ok(read)
        };
        if let [first, others @ ..] = self.keys.as_slice() {
            let app = crate::auth::ApiKey::app_id(&first.name);
            if let Some(foreign) = others.iter().find(|key| crate::auth::ApiKey::app_id(&key.name) != app) {
                let names = format!("'{}' and '{}'", first.name, foreign.name);
                return Err(problem(
                    "keys",
                    format!("must all be of one app, the part before the dot, unlike {names}"),
                ));
            }
        }
        self.keys.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(names: &[&str]) -> Option<String> {
        let keys = names.iter().map(|name| KeyConfig::generated(*name, "secret")).collect();
        Config { keys, ..Config::default() }.read_keys().err().map(|error| error.to_string())
    }

    #[test]
    fn keys_are_of_one_app() {
        assert_eq!(problem(&["app.one", "app.two"]), None);
        let text = problem(&["app.one", "other.two"]).unwrap();
        assert!(text.contains("keys") && text.contains("'other.two'"), "{text}");
        assert!(problem(&["app.one", "nodot"]).is_some());
    }
}
