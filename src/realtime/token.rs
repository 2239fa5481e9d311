//! Token requests for the app, as `GET /api/v1/auth/ably-token` returns them. The embedded endpoint and Ably's cloud
//! accept the same requests.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use tandem_ably::{APP_NONCE_PREFIX, hmac_sha256};
use tandem_actors::domain::{
    ids::{SessionId, UserId},
    time::Timestamp,
};
use utoipa::ToSchema;

use super::{ApiKey, channels::ChannelNames};

/// Ably's `TokenRequest`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenRequest {
    /// `<app>.<key>`
    pub key_name: String,
    /// In milliseconds.
    pub ttl: u64,
    /// In milliseconds since 1970.
    pub timestamp: i64,
    /// A JSON object as text: the operations of each channel.
    pub capability: String,
    /// The user.
    pub client_id: String,
    /// At least 16 characters, never used twice.
    pub nonce: String,
    /// HMAC-SHA-256 of the other fields, in Base64.
    pub mac: String,
}

/// Signs a token request for one user.
pub fn sign_token_request(
    key: &ApiKey,
    capability: String,
    client_id: &UserId,
    ttl: std::time::Duration,
    now: Timestamp,
    nonce: String,
) -> TokenRequest {
    let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    let timestamp = now.as_millis();
    let text = format!("{}\n{ttl}\n{capability}\n{client_id}\n{timestamp}\n{nonce}\n", key.name);
    let mac = STANDARD.encode(hmac_sha256(key.secret.reveal().as_bytes(), &[text.as_bytes()]));
    TokenRequest {
        key_name: key.name.clone(),
        ttl,
        timestamp,
        capability,
        client_id: client_id.as_str().to_owned(),
        nonce,
        mac,
    }
}

/// A nonce for a token request, with 32 random characters.
pub fn fresh_nonce() -> String {
    format!("{APP_NONCE_PREFIX}{:032x}", rand::random::<u128>())
}

/// Whether partners may publish on the channels of their sessions: `realtime.client_publish`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientPublish {
    /// They may publish and subscribe.
    Allowed,
    /// They may only subscribe.
    Refused,
}

impl From<bool> for ClientPublish {
    fn from(is_allowed: bool) -> Self {
        if is_allowed { Self::Allowed } else { Self::Refused }
    }
}

/// The capability of a user on these sessions, as canonical JSON. The sessions are the user's active ones, newest
/// first. Only the first `most` count.
pub fn capability<'a>(
    names: &ChannelNames,
    user: &UserId,
    sessions: impl IntoIterator<Item = &'a SessionId>,
    most: usize,
    client_publish: ClientPublish,
) -> String {
    let mut resources: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut grant = |channel: String, operations: &[&'static str]| {
        let granted = resources.entry(channel).or_default();
        granted.extend(operations.iter().copied());
        granted.sort_unstable();
        granted.dedup();
    };
    // A name with '*' would be a pattern that matches other users' channels.
    let own = names.user(user);
    if !own.contains('*') {
        grant(own, &["subscribe"]);
    }
    for session in sessions.into_iter().take(most) {
        let on_session: &[&str] = match client_publish {
            ClientPublish::Allowed => &["publish", "subscribe"],
            ClientPublish::Refused => &["subscribe"],
        };
        grant(names.session(session), on_session);
        for channel in names.presence(session) {
            grant(channel, &["presence", "subscribe"]);
        }
    }
    serde_json::to_string(&resources).expect("a map of texts is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_capability_covers_the_sessions_and_no_more() {
        let names = ChannelNames::default();
        let user: UserId = "user_1".parse().unwrap();
        let sessions: Vec<SessionId> = ["csession01", "csession02"].map(|id| id.parse().unwrap()).into();
        let text = capability(&names, &user, &sessions, 1, ClientPublish::Allowed);
        assert_eq!(
            text,
            r#"{"meetwithoutfear:presence:csession01":["presence","subscribe"],"meetwithoutfear:session:csession01":["presence","publish","subscribe"],"meetwithoutfear:session:csession01:presence":["presence","subscribe"],"meetwithoutfear:user:user_1":["subscribe"]}"#
        );
        assert!(!capability(&names, &user, &sessions, 2, ClientPublish::Refused).contains("publish"));
    }

    #[test]
    fn no_users_name_becomes_a_pattern() {
        let session: SessionId = "csession01".parse().unwrap();
        for sub in ["*:*", "oidc:*", "a*", "*:b"] {
            let text =
                capability(&ChannelNames::default(), &sub.parse().unwrap(), [&session], 1, ClientPublish::Allowed);
            assert!(!text.contains('*') && text.contains("csession01"), "{text}");
        }
    }

    /// The npm package `ably` 2.28 computes this mac for the same fields (`auth.createTokenRequest`).
    #[test]
    fn the_mac_is_the_hmac_of_the_six_lines() {
        let key = ApiKey::parse("app.key:secret").unwrap();
        let user: UserId = "alice".parse().unwrap();
        let hour = std::time::Duration::from_secs(3600);
        let request = sign_token_request(
            &key,
            r#"{"a":["subscribe"]}"#.into(),
            &user,
            hour,
            Timestamp::from_millis(1_700_000_000_000),
            "0123456789abcdef".into(),
        );
        assert_eq!(request.mac, "kofoOj/V1FdFA0O2Mif6W4mN4JRSvZ+NPkG4bmNphVI=");
        assert_eq!(request.ttl, 3_600_000);
    }
}
