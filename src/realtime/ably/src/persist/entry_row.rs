//! The stored form of a log's entry.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    application::EventRef,
    log::{Entry, EntryBody, NewEntry},
    protocol::{Data, Message, PresenceAction, PresenceMessage, data::Payload},
};

#[derive(Serialize, Deserialize)]
pub struct EntryRow {
    pub log: String,
    pub at: i64,
    id: String,
    connection_id: Option<String>,
    #[serde(default)]
    messages: Option<Vec<MessageRow>>,
    #[serde(default)]
    presence: Option<Vec<PresenceRow>>,
    #[serde(default, rename = "mark")]
    event: Option<(String, u64)>,
}

#[derive(Serialize, Deserialize)]
struct PayloadRow {
    text: Option<String>,
    binary: Option<serde_bytes::ByteBuf>,
    encoding: Option<String>,
    /// As JSON text.
    extras: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct MessageRow {
    id: Option<String>,
    name: Option<String>,
    client_id: Option<String>,
    payload: PayloadRow,
}

#[derive(Serialize, Deserialize)]
pub struct PresenceRow {
    action: u8,
    id: String,
    client_id: String,
    connection_id: String,
    timestamp: i64,
    payload: PayloadRow,
}

impl PayloadRow {
    fn of(payload: &Payload, extras: Option<&serde_json::Value>) -> Self {
        let (text, binary) = match &payload.data {
            None => (None, None),
            Some(Data::Text(text)) => (Some(text.to_string()), None),
            Some(Data::Binary(bytes)) => (None, Some(serde_bytes::ByteBuf::from(bytes.to_vec()))),
        };
        let encoding = payload.encoding.as_deref().map(str::to_owned);
        Self { text, binary, encoding, extras: extras.map(ToString::to_string) }
    }

    fn read(self) -> (Payload, Option<Box<serde_json::Value>>) {
        let binary = self.binary.map(|bytes| Data::Binary(bytes.into_vec().into()));
        let data = self.text.map(|text| Data::Text(text.into())).or(binary);
        let extras = self.extras.and_then(|text| serde_json::from_str(&text).ok()).map(Box::new);
        (Payload { data, encoding: self.encoding.map(Into::into) }, extras)
    }
}

impl PresenceRow {
    pub fn of(event: &PresenceMessage) -> Self {
        Self {
            action: event.action as u8,
            id: event.id.as_ref().to_owned(),
            client_id: event.client_id.as_ref().to_owned(),
            connection_id: event.connection_id.as_ref().to_owned(),
            timestamp: event.timestamp,
            payload: PayloadRow::of(&event.payload, event.extras.as_deref()),
        }
    }

    pub fn read(self) -> PresenceMessage {
        let (payload, extras) = self.payload.read();
        PresenceMessage {
            action: PresenceAction::from_number(self.action.into()).unwrap_or(PresenceAction::Absent),
            id: self.id.into(),
            client_id: self.client_id.into(),
            connection_id: self.connection_id.into(),
            timestamp: self.timestamp,
            payload,
            extras,
        }
    }
}

impl EntryRow {
    pub fn of(entry: &Entry, log: &str) -> Self {
        let text = |part: &Arc<str>| part.as_ref().to_owned();
        let mut row = EntryRow {
            log: log.to_owned(),
            at: entry.at,
            id: text(&entry.id),
            connection_id: entry.connection_id.as_ref().map(text),
            messages: None,
            presence: None,
            event: entry.event.as_ref().map(|event| (text(&event.stream), event.seq)),
        };
        match &entry.body {
            EntryBody::Messages(messages) => {
                let rows = messages.iter().map(|message| MessageRow {
                    id: message.id.as_ref().map(text),
                    name: message.name.as_deref().map(str::to_owned),
                    client_id: message.client_id.as_ref().map(text),
                    payload: PayloadRow::of(&message.payload, message.extras.as_deref()),
                });
                row.messages = Some(rows.collect());
            }
            EntryBody::Presence(events) => {
                row.presence = Some(events.iter().map(PresenceRow::of).collect());
            }
        }
        row
    }

    pub fn new_entry(self) -> NewEntry {
        let messages = self.messages.unwrap_or_default().into_iter().map(|row| {
            let (payload, extras) = row.payload.read();
            Message {
                id: row.id.map(Into::into),
                name: row.name.map(Into::into),
                client_id: row.client_id.map(Into::into),
                payload,
                extras,
            }
        });
        let body = match self.presence {
            None => EntryBody::Messages(messages.collect()),
            Some(events) => EntryBody::Presence(events.into_iter().map(PresenceRow::read).collect()),
        };
        let event = self.event.map(|(stream, seq)| Arc::new(EventRef { stream: stream.into(), seq }));
        NewEntry { id: self.id.into(), connection_id: self.connection_id.map(Into::into), body, event }
    }
}
