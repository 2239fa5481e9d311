//! How clients reach the realtime provider, as HTTP sees it.

use std::{sync::Arc, time::Duration};

use actix_web::http::header::HeaderMap;
use bytes::Bytes;
use tandem_actors::{
    Refusal,
    domain::ids::{SessionId, UserId},
    ports::{BoxFuture, Clock, PresenceSink},
};

use crate::{
    http::ports::{Channels, RealtimeAccess, RealtimeDescription, WebhookOutcome, Webhooks},
    realtime::{
        ApiKey, Config, Provider, ProviderKind,
        channels::ChannelNames,
        token::{TokenRequest, capability, fresh_nonce, sign_token_request},
        webhook::{WebhookError, names_key, verify_and_parse},
    },
};

pub struct Access {
    pub provider: Provider,
    pub config: Config,
    pub names: ChannelNames,
    /// Signs the token requests of the app.
    pub key: ApiKey,
    pub clock: Arc<dyn Clock>,
}

impl RealtimeAccess for Access {
    fn token_request(&self, user: &UserId, sessions: &[SessionId]) -> TokenRequest {
        let Config { token_sessions, client_publish, token_ttl, .. } = self.config;
        let capability = capability(&self.names, user, sessions, token_sessions, client_publish);
        sign_token_request(&self.key, capability, user, token_ttl, self.clock.now(), fresh_nonce())
    }

    fn end_tokens(&self, user: UserId) -> BoxFuture<Result<(), Refusal>> {
        let provider = self.provider.clone();
        Box::pin(async move {
            let ended = provider.end_tokens_of(&user).await;
            ended.map_err(|reason| Refusal::unavailable(reason, Duration::from_secs(1)))
        })
    }

    fn describe(&self, host: &str, secure: bool, user: &UserId, session: Option<&SessionId>) -> RealtimeDescription {
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

/// Reports of Ably's cloud, for the sessions that they are about. Without a key there is no such address.
pub struct AblyReports {
    pub key: Option<ApiKey>,
    pub names: ChannelNames,
    pub sink: Arc<dyn PresenceSink>,
}

impl Webhooks for AblyReports {
    fn refuses(&self, headers: &HeaderMap) -> Option<WebhookOutcome> {
        match &self.key {
            None => Some(WebhookOutcome::Off),
            Some(key) => (!names_key(headers, key)).then_some(WebhookOutcome::Unsigned),
        }
    }

    fn ably(&self, headers: &HeaderMap, body: &Bytes) -> WebhookOutcome {
        let Some(key) = &self.key else { return WebhookOutcome::Off };
        match verify_and_parse(headers, body, key, &self.names) {
            Ok(changes) => {
                let accepted = changes.len();
                changes.into_iter().for_each(|(session, change)| self.sink.presence(&session, change));
                WebhookOutcome::Accepted(accepted)
            }
            Err(WebhookError::Unsigned | WebhookError::WrongSignature) => WebhookOutcome::Unsigned,
            Err(error @ WebhookError::Malformed) => WebhookOutcome::Malformed(error.to_string()),
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
    fn the_host_header_tells_where_to_connect() {
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
