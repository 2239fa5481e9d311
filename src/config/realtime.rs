//! Section `realtime`, with the embedded endpoint and Ably's cloud.

use std::time::Duration;

use serde::Deserialize;

use super::Secret;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    Embedded,
    Ably,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Realtime {
    /// Who carries events to connected partners.
    pub provider: Provider,
    /// Whether tokens let clients publish on session channels.
    pub client_publish: bool,
    /// The session channel, to which both partners subscribe. Contains `{sessionId}`.
    pub session_channel: String,
    /// The channels whose presence sets tell who is in a session; clients are told to enter the first.
    pub presence_channels: Vec<String>,
    /// A user's own channel, for list screens. Contains `{userId}`.
    pub user_channel: String,
    /// How long a client's token lives.
    #[serde(with = "humantime_serde")]
    pub token_ttl: Duration,
    /// Sessions in one token, the newest first.
    pub token_sessions: usize,
    /// How long after its resolution a session stays in its partners' tokens.
    #[serde(with = "humantime_serde")]
    pub resolved_access: Duration,
    pub embedded: Embedded,
    pub ably: Ably,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Embedded {
    /// API keys. Without any, one is made at the first start and kept in the data directory.
    pub keys: Vec<Key>,
    /// Channel namespaces (the part of a name before the first colon) with rules of their own.
    pub namespaces: Vec<Namespace>,
    /// Serves `POST /apps` and `DELETE /apps/{id}`: test apps for anybody who asks. Only on a loopback address.
    pub sandbox: bool,
    /// How long a connection that lost its socket can be resumed.
    #[serde(with = "humantime_serde")]
    pub connection_state_ttl: Duration,
    /// The longest silence that a client sees.
    #[serde(with = "humantime_serde")]
    pub max_idle_interval: Duration,
    /// How long the presence members of a connection that lost its socket stay.
    #[serde(with = "humantime_serde")]
    pub presence_grace: Duration,
    /// How far back a channel can be continued, and history of channels that are not persisted reaches.
    #[serde(with = "humantime_serde")]
    pub continuity: Duration,
    /// How far back the history of persisted channels reaches.
    #[serde(with = "humantime_serde")]
    pub history: Duration,
    /// Messages per second that one connection may send.
    pub max_inbound_rate: u32,
    /// Members of one channel's presence set.
    pub max_presence_members: usize,
    /// Bytes that may wait for one connection.
    pub outbound_queue: usize,
    /// Entries of a channel that are kept in memory at most.
    pub log_entries: usize,
}

/// An API key, `name` is `<app>.<key>`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    pub name: String,
    pub secret: Secret,
    /// A capability as JSON text; everything if absent.
    #[serde(default)]
    pub capability: Option<String>,
    /// Whether its tokens can be revoked.
    #[serde(default)]
    pub revocable_tokens: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    pub id: String,
    /// Whether history, continuity and presence history of its channels survive a restart.
    #[serde(default)]
    pub persisted: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ably {
    /// The API key, as `appId.keyId:secret`. Needed with `provider = "ably"`.
    pub key: Option<Secret>,
    pub rest_url: String,
    /// Asked in this order when `rest_url` does not answer.
    pub fallback_urls: Vec<String>,
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// For a whole request, answer included.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
}

impl Default for Realtime {
    fn default() -> Self {
        Self {
            provider: Provider::Embedded,
            client_publish: true,
            session_channel: "meetwithoutfear:session:{sessionId}".into(),
            presence_channels: vec!["meetwithoutfear:session:{sessionId}:presence".into()],
            user_channel: "meetwithoutfear:user:{userId}".into(),
            token_ttl: Duration::from_secs(3600),
            token_sessions: 50,
            resolved_access: Duration::from_secs(7 * 24 * 3600),
            embedded: Embedded::default(),
            ably: Ably::default(),
        }
    }
}

impl Default for Embedded {
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
            log_entries: 2_000,
        }
    }
}

impl Default for Ably {
    fn default() -> Self {
        Self {
            key: None,
            rest_url: "https://rest.ably.io".into(),
            fallback_urls: ["a", "b", "c", "d", "e"].map(|host| format!("https://{host}.ably-realtime.com")).into(),
            connect_timeout: Duration::from_secs(4),
            request_timeout: Duration::from_secs(10),
        }
    }
}
