//! What a client needs to connect to the realtime provider: a signed token request, the address, and the channels'
//! names.

use std::sync::Arc;

use serde::Serialize;
use tandem_actors::{
    domain::ids::{SessionId, UserId},
    ports::Clock,
};
use utoipa::ToSchema;

use crate::realtime::{
    ApiKey, Provider, ProviderKind, RealtimeSettings,
    channels::ChannelNames,
    token::{TokenRequest, capability, fresh_nonce, sign_token_request},
};

pub struct RealtimeAccess {
    pub provider: Provider,
    pub config: RealtimeSettings,
    pub names: ChannelNames,
    /// Signs the app's token requests.
    pub signing_key: ApiKey,
    /// Signs the webhooks of Ably's cloud. Absent with the embedded provider.
    pub webhook_key: Option<ApiKey>,
    pub clock: Arc<dyn Clock>,
}

/// Where a client connects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RealtimeDescription {
    /// `embedded` or `ably`.
    pub provider: &'static str,
    /// What the SDK's client options need beyond `authCallback`; absent ones are left at the SDK's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    pub tls: bool,
    pub channels: Channels,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Channels {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<String>,
    pub user: String,
}

impl RealtimeAccess {
    /// A signed request for a token over `sessions`, which are sorted by their last change, the newest first.
    pub fn token_request(&self, user: &UserId, sessions: &[SessionId]) -> TokenRequest {
        let RealtimeSettings { token_sessions, client_publish, token_ttl, .. } = self.config;
        let capability = capability(&self.names, user, sessions, token_sessions, client_publish.into());
        sign_token_request(&self.signing_key, capability, user, token_ttl, self.clock.now(), fresh_nonce())
    }

    /// Where a client connects that calls this node at `host` (the request's `Host`), and the channels of `session`.
    pub fn describe(
        &self,
        host: &str,
        secure: bool,
        user: &UserId,
        session: Option<&SessionId>,
    ) -> RealtimeDescription {
        let channels = Channels {
            session: session.map(|session| self.names.session(session)),
            presence: session.and_then(|session| self.names.presence(session).next()),
            user: self.names.user(user),
        };
        match self.config.provider {
            ProviderKind::Embedded => {
                let (host, port) = split_host(host, if secure { 443 } else { 80 });
                RealtimeDescription { provider: "embedded", host: Some(host), port: Some(port), tls: secure, channels }
            }
            ProviderKind::Ably => RealtimeDescription { provider: "ably", host: None, port: None, tls: true, channels },
        }
    }
}

/// `host`, `host:port` or `[v6]:port`.
fn split_host(host: &str, default_port: u16) -> (String, u16) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name.to_owned(), port.parse().unwrap_or(default_port)),
        _ => (host.to_owned(), default_port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_header_names_where_to_connect() {
        for (header, expected) in [
            ("tandem.local", ("tandem.local", 80)),
            ("127.0.0.1:8080", ("127.0.0.1", 8080)),
            ("[::1]:9", ("[::1]", 9)),
            ("[::1]", ("[::1]", 80)),
        ] {
            let (host, port) = split_host(header, 80);
            assert_eq!((host.as_str(), port), expected);
        }
    }
}
