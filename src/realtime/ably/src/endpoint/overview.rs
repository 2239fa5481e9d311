//! The channels and connections of the main app, for the application's operator. It contains no content of messages.

use std::time::Duration;

use super::Endpoint;
use crate::{
    auth::{AuthMethod, ClientId, Credentials},
    protocol::ErrorInfo,
    time::Timestamp,
};

/// Channels and connections.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// How many channels there are.
    pub channels_in_all: usize,
    /// The first of them by name.
    pub channels: Vec<ChannelOverview>,
    /// How many connections there are, those without a socket included.
    pub connections_in_all: usize,
    /// Some of them, the ones with the most bytes waiting first.
    pub connections: Vec<ConnectionOverview>,
}

/// A channel, and how many use it.
#[derive(Clone, Debug)]
pub struct ChannelOverview {
    /// Its name.
    pub name: String,
    /// Attached connections.
    pub connections: usize,
    /// Attached connections that may publish.
    pub publishers: usize,
    /// Attached connections that receive messages.
    pub subscribers: usize,
    /// Members of its presence set.
    pub members: usize,
}

/// A connection.
#[derive(Clone, Debug)]
pub struct ConnectionOverview {
    /// Its id.
    pub id: String,
    /// Its client id, if it has one of its own.
    pub client_id: Option<String>,
    /// The key that its credentials belong to.
    pub key: String,
    /// The protocol of the socket. Absent while there is no socket and the client may reconnect.
    pub transport: Option<&'static str>,
    /// The age of the last socket.
    pub age: Duration,
    /// Bytes that wait to be written.
    pub waiting: usize,
}

/// The rights of credentials.
#[derive(Clone, Debug)]
pub struct CredentialsOverview {
    /// `key`, `token` or `JWT`.
    pub kind: &'static str,
    /// The key, or the one that signed the token.
    pub key: String,
    /// The client id, `*` for any. Absent if it has none.
    pub client_id: Option<String>,
    /// Canonical JSON.
    pub capability: String,
    /// When it expires.
    pub expires: Option<Timestamp>,
}

impl Endpoint {
    /// At most `limit` channels and `limit` connections.
    pub fn overview(&self, limit: usize) -> Overview {
        let mut names = self.main.active_channels(|_| true);
        names.sort_unstable();
        names.dedup();
        let mut connections: Vec<_> = self.main.connections().iter().map(|connection| connection.overview()).collect();
        connections.sort_by(|one, other| other.waiting.cmp(&one.waiting).then_with(|| one.age.cmp(&other.age)));
        let (channels_in_all, connections_in_all) = (names.len(), connections.len());
        connections.truncate(limit);
        let channels = names.iter().take(limit).filter_map(|name| {
            let now = self.main.find_channel(name)?.occupancy();
            Some(ChannelOverview {
                name: name.to_string(),
                connections: now.connections,
                publishers: now.publishers,
                subscribers: now.subscribers,
                members: now.presence_members,
            })
        });
        Overview { channels_in_all, channels: channels.collect(), connections_in_all, connections }
    }

    /// The present rights of a key or a token.
    ///
    /// # Errors
    /// Why it is not valid.
    pub fn rights_of(&self, credentials: &str) -> Result<CredentialsOverview, ErrorInfo> {
        // A key has its secret behind a colon. Tokens hold none.
        let parameter = if credentials.contains(':') { "key" } else { "access_token" };
        let credentials = Credentials::find(None, &[(parameter.to_owned(), credentials.to_owned())])?;
        let grant = self.hub_of(&credentials)?.authenticate(&credentials)?;
        Ok(CredentialsOverview {
            kind: match grant.auth_method {
                AuthMethod::Key => "key",
                AuthMethod::Token => "token",
                AuthMethod::Jwt => "JWT",
            },
            key: grant.key_name.to_string(),
            client_id: match &grant.client_id {
                ClientId::None => None,
                ClientId::Any => Some("*".to_owned()),
                ClientId::Is(id) => Some(id.to_string()),
            },
            capability: grant.capability.to_string(),
            expires: grant.expires.map(Timestamp::from_millis),
        })
    }
}

impl crate::connection::ConnectionState {
    fn overview(&self) -> ConnectionOverview {
        let transport = self.transport().filter(|outbox| !outbox.has_ended());
        ConnectionOverview {
            id: self.id.to_string(),
            client_id: self.client_id().concrete().map(ToString::to_string),
            key: self.grant().key_name.to_string(),
            transport: transport.as_ref().map(|outbox| outbox.transport()),
            age: self.socket_age(),
            waiting: transport.map_or(0, |outbox| outbox.waiting()),
        }
    }
}
