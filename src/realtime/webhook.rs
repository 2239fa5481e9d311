//! Ably's webhooks about presence: members that entered or left a session's presence set. Ably may repeat and reorder
//! them. The receiver orders the changes by their time.

use actix_web::http::header::HeaderMap;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use subtle::ConstantTimeEq;
use tandem_ably::hmac_sha256;
use tandem_actors::{
    domain::{ids::SessionId, time::Timestamp},
    ports::{PresenceChange, PresenceSource},
};

use super::{ApiKey, channels::ChannelNames, cloud::connection_in};

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    #[error("a webhook must be signed: X-Ably-Key and X-Ably-Signature are missing")]
    Unsigned,
    #[error("the webhook is not signed with this node's key")]
    WrongSignature,
    #[error("a webhook's body must be JSON, batched or enveloped, as Ably sends it")]
    Malformed,
}

/// The presence changes in a webhook, in the order of their times. Other events, and channels that belong to no
/// session, are ignored.
pub fn verify_and_parse(
    headers: &HeaderMap,
    body: &[u8],
    key: &ApiKey,
    names: &ChannelNames,
) -> Result<Vec<(SessionId, PresenceChange)>, WebhookError> {
    verify(headers, body, key)?;
    let webhook: Webhook = serde_json::from_slice(body).map_err(|_| WebhookError::Malformed)?;
    let sets = match webhook {
        Webhook::Batch { items } => {
            items.into_iter().filter(|item| item.name == "presence.message").filter_map(Item::read).collect()
        }
        Webhook::Envelope(set) => vec![set],
    };
    let mut changes: Vec<_> = sets.into_iter().flat_map(|set| read_set(set, names)).collect();
    changes.sort_by_key(|(order, ..)| *order);
    Ok(changes.into_iter().map(|(_, session, change)| (session, change)).collect())
}

/// Whether a webhook names this key. Others need not be read.
pub fn names_key(headers: &HeaderMap, key: &ApiKey) -> bool {
    let named = headers.get("x-ably-key").is_some_and(|name| bool::from(name.as_bytes().ct_eq(key.name.as_bytes())));
    named && headers.contains_key("x-ably-signature")
}

fn verify(headers: &HeaderMap, body: &[u8], key: &ApiKey) -> Result<(), WebhookError> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).ok_or(WebhookError::Unsigned);
    let (name, signature) = (header("x-ably-key")?, header("x-ably-signature")?);
    let signature = STANDARD.decode(signature).map_err(|_| WebhookError::WrongSignature)?;
    let expected = hmac_sha256(key.secret.reveal().as_bytes(), &[body]);
    let right_key = name.as_bytes().ct_eq(key.name.as_bytes());
    let right_signature = expected[..].ct_eq(&signature);
    if (right_key & right_signature).into() { Ok(()) } else { Err(WebhookError::WrongSignature) }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Webhook {
    Batch { items: Vec<Item> },
    Envelope(PresenceSet),
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    name: String,
    #[serde(default)]
    data: serde_json::Value,
    #[serde(default)]
    timestamp: Option<i64>,
}

impl Item {
    fn read(self) -> Option<PresenceSet> {
        let mut set: PresenceSet = serde_json::from_value(self.data).ok()?;
        set.timestamp = set.timestamp.or(self.timestamp);
        Some(set)
    }
}

#[derive(Deserialize)]
struct PresenceSet {
    #[serde(alias = "channelId")]
    channel: String,
    #[serde(default)]
    presence: Vec<PresenceMessage>,
    #[serde(default)]
    timestamp: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PresenceMessage {
    #[serde(default)]
    id: String,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    connection_id: Option<String>,
    action: PresenceAction,
    #[serde(default)]
    timestamp: Option<i64>,
}

/// A number on the wire, or a word in the envelopes of some integrations.
#[derive(Deserialize)]
#[serde(untagged)]
enum PresenceAction {
    Number(u8),
    Word(String),
}

impl PresenceAction {
    /// Whether the member is present after it. `None` if it does not say.
    fn is_present(&self) -> Option<bool> {
        match self {
            PresenceAction::Number(1 | 2 | 4) => Some(true),
            PresenceAction::Number(3) => Some(false),
            PresenceAction::Number(_) => None,
            PresenceAction::Word(word) => match word.to_ascii_lowercase().as_str() {
                "present" | "enter" | "update" => Some(true),
                "leave" => Some(false),
                _ => None,
            },
        }
    }
}

/// The time, then the serial and index of the message id, if it has them.
type Order = (Timestamp, u64, u64);

fn read_set(set: PresenceSet, names: &ChannelNames) -> Vec<(Order, SessionId, PresenceChange)> {
    let Some((session, number)) = names.parse_presence(&set.channel) else { return Vec::new() };
    let read = |message: PresenceMessage| {
        let client = message.client_id?;
        let at = Timestamp::from_millis(message.timestamp.or(set.timestamp)?);
        let connection = message.connection_id.unwrap_or_else(|| client.clone());
        let (serial, index) = serial(&message.id, &connection).unwrap_or_default();
        let change = PresenceChange {
            user: client.parse().ok()?,
            connection: connection_in(&connection, number),
            present: message.action.is_present()?,
            at,
            vanished: false,
            source: PresenceSource::Webhook,
        };
        Some(((at, serial, index), session.clone(), change))
    };
    set.presence.into_iter().filter_map(read).collect()
}

/// `<connectionId>:<msgSerial>:<index>`.
fn serial(id: &str, connection: &str) -> Option<(u64, u64)> {
    let (serial, index) = id.strip_prefix(connection)?.strip_prefix(':')?.split_once(':')?;
    Some((serial.parse().ok()?, index.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use serde_json::{Value, json};

    use super::*;

    fn key() -> ApiKey {
        ApiKey::parse("app.key:secret").unwrap()
    }

    fn names() -> ChannelNames {
        ChannelNames {
            session_channel: "s:{sessionId}".into(),
            user_channel: "u:{userId}".into(),
            presence_channels: vec!["s:{sessionId}:presence".into(), "p:{sessionId}".into()],
        }
    }

    fn signed(body: &str, key_name: &str, secret: &str) -> HeaderMap {
        let signature = STANDARD.encode(hmac_sha256(secret.as_bytes(), &[body.as_bytes()]));
        let header = |name, value: &str| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        [header("x-ably-key", key_name), header("x-ably-signature", &signature)].into_iter().collect()
    }

    fn parse(body: &Value) -> Vec<(String, String, String, bool, i64)> {
        let body = body.to_string();
        let changes = verify_and_parse(&signed(&body, "app.key", "secret"), body.as_bytes(), &key(), &names());
        let tell = |(session, change): (SessionId, PresenceChange)| {
            let (user, session) = (change.user.to_string(), session.to_string());
            (session, user, change.connection, change.present, change.at.as_millis())
        };
        changes.unwrap().into_iter().map(tell).collect()
    }

    #[test]
    fn a_batch_and_an_envelope_give_the_same_changes() {
        let message = |id: &str, action: Value, at: i64| json!({"id": id, "clientId": "ann", "connectionId": "K1", "action": action, "timestamp": at, "data": "…"});
        let batch = json!({"items": [
            {"webhookId": "w", "name": "presence.message", "timestamp": 9, "data": {"channelId": "p:csession01", "site": "x",
                "presence": [message("K1:2:0", json!(3), 20), message("K1:1:1", json!(4), 10), message("K1:1:0", json!(2), 10)]}},
            {"name": "channel.message", "data": {"channelId": "s:csession01", "messages": []}},
            {"name": "presence.message", "data": {"channelId": "elsewhere", "presence": [message("K1:3:0", json!(2), 30)]}},
            {"name": "presence.message", "timestamp": 40, "data": {"channelId": "s:csession01:presence",
                "presence": [{"clientId": "bob", "connectionId": "K2", "action": 1}, {"clientId": "bob", "action": 0}]}},
        ]});
        let ann = |present, at| ("csession01".into(), "ann".into(), "K1/1".into(), present, at);
        let bob = ("csession01".into(), "bob".into(), "K2".into(), true, 40);
        assert_eq!(parse(&batch), [ann(true, 10), ann(true, 10), ann(false, 20), bob]);
        let envelope = json!({"source": "channel.presence", "appId": "a", "channel": "p:csession01",
            "presence": [message("K1:1:0", json!(2), 10), message("K1:2:0", json!("leave"), 20)]});
        assert_eq!(parse(&envelope), [ann(true, 10), ann(false, 20)]);
    }

    #[test]
    fn only_this_nodes_key_is_believed() {
        let body = json!({"items": []}).to_string();
        let check = |headers: &HeaderMap, body: &str| {
            verify_and_parse(headers, body.as_bytes(), &key(), &names()).map(|changes| changes.len())
        };
        let right = signed(&body, "app.key", "secret");
        assert_eq!(check(&right, &body), Ok(0));
        assert_eq!(check(&right, "{\"items\": [ ]}"), Err(WebhookError::WrongSignature));
        assert_eq!(check(&signed(&body, "app.key", "other"), &body), Err(WebhookError::WrongSignature));
        assert_eq!(check(&signed(&body, "app.other", "secret"), &body), Err(WebhookError::WrongSignature));
        assert_eq!(check(&HeaderMap::new(), &body), Err(WebhookError::Unsigned));
        assert_eq!(check(&signed("[]", "app.key", "secret"), "[]"), Err(WebhookError::Malformed));
    }
}
