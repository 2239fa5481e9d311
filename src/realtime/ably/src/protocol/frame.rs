//! ProtocolMessages: one per WebSocket frame.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    ErrorInfo, Format, InboundMessage, InboundPresence, Modes, PresenceMessage, lenient, message::PositionedMessage,
    serial::message_serial,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Action {
    Heartbeat = 0,
    Ack = 1,
    Nack = 2,
    Connect = 3,
    Connected = 4,
    Disconnect = 5,
    Disconnected = 6,
    Close = 7,
    Closed = 8,
    Error = 9,
    Attach = 10,
    Attached = 11,
    Detach = 12,
    Detached = 13,
    Presence = 14,
    Message = 15,
    Sync = 16,
    Auth = 17,
    Object = 19,
    ObjectSync = 20,
    Annotation = 21,
}

impl Action {
    fn from_number(number: i64) -> Option<Self> {
        use Action::*;
        [
            Heartbeat,
            Ack,
            Nack,
            Connect,
            Connected,
            Disconnect,
            Disconnected,
            Close,
            Closed,
            Error,
            Attach,
            Attached,
            Detach,
            Detached,
            Presence,
            Message,
            Sync,
            Auth,
            Object,
            ObjectSync,
            Annotation,
        ]
        .into_iter()
        .find(|action| *action as i64 == number)
    }
}

impl Serialize for Action {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthDetails {
    pub access_token: Option<String>,
}

impl std::fmt::Debug for AuthDetails {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthDetails")
    }
}

/// A frame from a client. Unknown fields are ignored.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Inbound {
    #[serde(rename = "action", deserialize_with = "lenient::integer")]
    number: Option<i64>,
    pub id: Option<String>,
    pub channel: Option<String>,
    pub channel_serial: Option<String>,
    #[serde(deserialize_with = "lenient::integer")]
    msg_serial: Option<i64>,
    #[serde(deserialize_with = "lenient::integer")]
    flags: Option<i64>,
    #[serde(deserialize_with = "lenient::params")]
    pub params: Vec<(String, String)>,
    #[serde(deserialize_with = "lenient::bounded_list")]
    pub messages: Option<Vec<InboundMessage>>,
    #[serde(deserialize_with = "lenient::bounded_list")]
    pub presence: Option<Vec<InboundPresence>>,
    pub auth: Option<AuthDetails>,
}

/// The fields that can be read even if the rest of the frame is invalid.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct FrameHeader {
    #[serde(rename = "action", deserialize_with = "lenient::integer")]
    number: Option<i64>,
    #[serde(deserialize_with = "lenient::integer")]
    msg_serial: Option<i64>,
}

/// A frame that cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The serial of the publish, if it was one. Only that publish is refused.
    pub msg_serial: Option<u64>,
    pub error: ErrorInfo,
}

impl Inbound {
    /// # Errors
    /// If the bytes are not a ProtocolMessage.
    pub fn decode(format: Format, bytes: &[u8]) -> Result<Self, Unreadable> {
        if !is_map(format, bytes) {
            // Serde would accept a list, too.
            let error = ErrorInfo::bad_request("a frame must be a map");
            return Err(Unreadable { msg_serial: None, error });
        }
        format.decode(bytes).map_err(|error| {
            let header: Option<FrameHeader> = format.decode(bytes).ok();
            let publish = header.filter(|header| {
                let action = header.number.and_then(Action::from_number);
                matches!(action, Some(Action::Message | Action::Presence | Action::Object | Action::Annotation))
            });
            Unreadable { msg_serial: publish.and_then(|header| serial(header.msg_serial)), error }
        })
    }

    /// An ATTACH.
    pub fn attach(channel: String, serial: Option<String>, params: Vec<(String, String)>, modes: Modes) -> Self {
        Self {
            number: Some(Action::Attach as i64),
            channel: Some(channel),
            channel_serial: serial,
            params,
            flags: i64::try_from(modes.bits()).ok(),
            ..Self::default()
        }
    }

    /// None for an unknown action.
    pub fn action(&self) -> Option<Action> {
        self.number.and_then(Action::from_number)
    }

    pub fn msg_serial(&self) -> Option<u64> {
        serial(self.msg_serial)
    }

    pub fn flags(&self) -> u64 {
        self.flags.and_then(|flags| u64::try_from(flags).ok()).unwrap_or(0)
    }
}

fn is_map(format: Format, bytes: &[u8]) -> bool {
    match format {
        Format::Json => bytes.trim_ascii_start().first() == Some(&b'{'),
        Format::Msgpack => matches!(bytes.first(), Some(0x80..=0x8f | 0xde | 0xdf)),
    }
}

fn serial(number: Option<i64>) -> Option<u64> {
    number.and_then(|number| u64::try_from(number).ok())
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    pub connection_key: String,
    pub max_message_size: usize,
    pub max_frame_size: usize,
    pub max_inbound_rate: u32,
    pub connection_state_ttl: u64,
    pub max_idle_interval: u64,
    pub server_id: String,
}

/// The result of a publish. On the wire: the serials of its messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishResult {
    /// The serial of its entry. None if it changed nothing.
    pub serial: Option<Arc<str>>,
    pub messages: usize,
}

impl PublishResult {
    /// The serials of its messages.
    pub fn serials(&self) -> impl Iterator<Item = String> {
        let serial = self.serial.as_deref().unwrap_or_default();
        (0..self.messages).map(move |index| message_serial(serial, index))
    }
}

impl Serialize for PublishResult {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Serials<'a>(&'a PublishResult);
        impl Serialize for Serials<'_> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.serials())
            }
        }
        serializer.collect_map([("serials", Serials(self))])
    }
}

/// A frame to a client. Absent fields are omitted.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outbound<'a> {
    pub action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_serial: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_details: Option<ConnectionDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg_serial: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub res: Option<Vec<PublishResult>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Params<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<PositionedMessage<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<Vec<&'a PresenceMessage>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a ErrorInfo>,
}

impl<'a> Outbound<'a> {
    pub fn new(action: Action) -> Self {
        Self {
            action,
            id: None,
            channel: None,
            channel_serial: None,
            connection_id: None,
            connection_details: None,
            msg_serial: None,
            count: None,
            res: None,
            flags: None,
            params: None,
            timestamp: None,
            messages: None,
            presence: None,
            error: None,
        }
    }

    pub fn on(action: Action, channel: &'a str) -> Self {
        Self { channel: Some(channel), ..Self::new(action) }
    }

    pub fn encode(&self, format: Format) -> Bytes {
        format.encode(self)
    }
}

/// Channel parameters that the server confirms.
#[derive(Clone, Debug)]
pub struct Params<'a>(pub &'a [(String, String)]);

impl Serialize for Params<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
