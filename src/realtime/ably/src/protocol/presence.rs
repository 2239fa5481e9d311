//! Presence messages: incoming, stored and delivered.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use super::{
    ErrorInfo,
    data::{Payload, RawData},
    lenient,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum PresenceAction {
    Absent = 0,
    Present = 1,
    Enter = 2,
    Leave = 3,
    Update = 4,
}

impl PresenceAction {
    pub fn from_number(number: i64) -> Option<Self> {
        [Self::Absent, Self::Present, Self::Enter, Self::Leave, Self::Update].into_iter().find(|a| *a as i64 == number)
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InboundPresence {
    pub id: Option<String>,
    #[serde(deserialize_with = "lenient::integer")]
    pub action: Option<i64>,
    pub client_id: Option<String>,
    pub data: RawData,
    pub encoding: Option<String>,
    pub extras: Option<Value>,
}

/// A presence event, or a member of a presence set.
#[derive(Clone, Debug, PartialEq)]
pub struct PresenceMessage {
    /// What happened, or `Present` for a member of a set.
    pub action: PresenceAction,
    /// `<connection>:<msgSerial>:<index>`; decides which of two messages about a member is newer.
    pub id: Arc<str>,
    /// The member's client id.
    pub client_id: Arc<str>,
    /// The member's connection. One client can be a member over several.
    pub connection_id: Arc<str>,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// What the member says about itself.
    pub payload: Payload,
    /// As the client sent them.
    pub extras: Option<Box<Value>>,
}

impl PresenceMessage {
    /// Whether the client is a member after this event.
    pub fn is_present(&self) -> bool {
        self.action != PresenceAction::Leave
    }

    /// The bytes that count against the limit: ids, data, encoding and extras.
    pub fn size(&self) -> usize {
        let extras = self.extras.as_ref().map_or(0, |extras| extras.to_string().len());
        self.id.len() + self.client_id.len() + self.payload.size() + extras
    }

    /// The same member and data, with another action.
    #[must_use]
    pub fn with_action(&self, action: PresenceAction) -> Self {
        Self { action, ..self.clone() }
    }
}

impl InboundPresence {
    /// # Errors
    /// 40000 for an action that clients must not send.
    pub fn wanted(&self) -> Result<PresenceAction, ErrorInfo> {
        match self.action.and_then(PresenceAction::from_number) {
            Some(action @ (PresenceAction::Enter | PresenceAction::Update | PresenceAction::Leave)) => Ok(action),
            // Clients may send Present when they re-enter their members.
            Some(PresenceAction::Present) => Ok(PresenceAction::Enter),
            _ => Err(ErrorInfo::bad_request("the presence action must be enter (2), leave (3) or update (4)")),
        }
    }
}

impl Serialize for PresenceMessage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let encoding = self.payload.wire_encoding(serializer.is_human_readable());
        let optional = [self.payload.data.is_some(), encoding.is_some(), self.extras.is_some()];
        let mut map = serializer.serialize_map(Some(5 + optional.iter().filter(|present| **present).count()))?;
        map.serialize_entry("action", &(self.action as u8))?;
        map.serialize_entry("id", &*self.id)?;
        map.serialize_entry("clientId", &*self.client_id)?;
        map.serialize_entry("connectionId", &*self.connection_id)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        if let Some(data) = &self.payload.data {
            map.serialize_entry("data", data)?;
        }
        if let Some(encoding) = &encoding {
            map.serialize_entry("encoding", encoding.as_ref())?;
        }
        if let Some(extras) = &self.extras {
            map.serialize_entry("extras", extras)?;
        }
        map.end()
    }
}
