//! Messages: incoming, stored and delivered.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use super::{
    ErrorInfo,
    data::{Payload, RawData},
    lenient,
};

/// Ids up to this length do not count against the limit, because clients do not count them.
const MAX_ID: usize = 256;

/// A message from a client. Fields that only the server sets are read and dropped.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InboundMessage {
    pub id: Option<String>,
    pub name: Option<String>,
    pub client_id: Option<String>,
    pub connection_key: Option<String>,
    pub data: RawData,
    pub encoding: Option<String>,
    pub extras: Option<Value>,
    #[serde(deserialize_with = "lenient::integer")]
    pub action: Option<i64>,
    pub serial: Option<String>,
}

/// A message in a channel's log. Its entry has its serial and timestamp.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    pub id: Option<Arc<str>>,
    pub name: Option<Box<str>>,
    pub client_id: Option<Arc<str>>,
    pub payload: Payload,
    pub extras: Option<Box<Value>>,
}

impl Message {
    /// # Errors
    /// 40013 for numbers and booleans as data, 40000 for extras that are not an object, 40300 for updates and
    /// deletes.
    pub fn accept(inbound: InboundMessage) -> Result<Self, ErrorInfo> {
        if inbound.action.unwrap_or(0) != 0 {
            return Err(ErrorInfo::unsupported(
                "updating, deleting and annotating messages is not supported by this server",
            ));
        }
        let extras = match inbound.extras {
            None | Some(Value::Null) => None,
            Some(object @ Value::Object(_)) => Some(Box::new(object)),
            Some(_) => return Err(ErrorInfo::bad_request("extras must be an object")),
        };
        Ok(Self {
            id: inbound.id.filter(|id| !id.is_empty()).map(Into::into),
            name: inbound.name.map(Into::into),
            client_id: inbound.client_id.map(Into::into),
            payload: Payload::accept(inbound.data, inbound.encoding)?,
            extras,
        })
    }

    /// The bytes that count against the limit: name, client id, data and extras, and the excess of a long id.
    pub fn size(&self) -> usize {
        let extras = self.extras.as_ref().map_or(0, |extras| extras.to_string().len())
            + self.id.as_ref().map_or(0, |id| id.len().saturating_sub(MAX_ID));
        self.name.as_ref().map_or(0, |name| name.len())
            + self.client_id.as_ref().map_or(0, |id| id.len())
            + self.payload.size()
            + extras
    }
}

/// The fields that depend on the message's position in the log.
#[derive(Clone, Copy, Debug)]
pub struct LogPosition<'a> {
    /// Set in history. Absent in frames, which carry their own id.
    pub id: Option<&'a str>,
    pub connection_id: Option<&'a str>,
    pub timestamp: Option<i64>,
    pub serial: &'a str,
}

/// A message with its position, ready to encode.
#[derive(Clone, Copy, Debug)]
pub struct PositionedMessage<'a> {
    pub message: &'a Message,
    pub position: LogPosition<'a>,
}

impl Serialize for PositionedMessage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let PositionedMessage { message, position } = *self;
        let encoding = message.payload.wire_encoding(serializer.is_human_readable());
        let id = message.id.as_deref().or(position.id);
        let optional = [
            id.is_some(),
            message.name.is_some(),
            message.client_id.is_some(),
            position.connection_id.is_some(),
            position.timestamp.is_some(),
            message.payload.data.is_some(),
            encoding.is_some(),
            message.extras.is_some(),
        ];
        let fields = 3 + optional.iter().filter(|present| **present).count();
        let mut map = serializer.serialize_map(Some(fields))?;
        if let Some(id) = id {
            map.serialize_entry("id", id)?;
        }
        if let Some(name) = &message.name {
            map.serialize_entry("name", name)?;
        }
        if let Some(client_id) = &message.client_id {
            map.serialize_entry("clientId", &**client_id)?;
        }
        if let Some(connection_id) = position.connection_id {
            map.serialize_entry("connectionId", connection_id)?;
        }
        if let Some(timestamp) = position.timestamp {
            map.serialize_entry("timestamp", &timestamp)?;
        }
        if let Some(data) = &message.payload.data {
            map.serialize_entry("data", data)?;
        }
        if let Some(encoding) = &encoding {
            map.serialize_entry("encoding", encoding.as_ref())?;
        }
        if let Some(extras) = &message.extras {
            map.serialize_entry("extras", extras)?;
        }
        map.serialize_entry("serial", position.serial)?;
        map.serialize_entry("version", &Version { serial: position.serial })?;
        map.serialize_entry("action", &0)?;
        map.end()
    }
}

#[derive(Serialize)]
struct Version<'a> {
    serial: &'a str,
}
