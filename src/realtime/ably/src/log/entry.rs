//! Entries of a log: the messages or presence events of one frame, with their position.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::{
    application::EventRef,
    outbox::Frame,
    protocol::{
        Action, ChannelSerial, Format, Message, Outbound, PresenceMessage,
        frame::PublishResult,
        message::{LogPosition, PositionedMessage},
        serial::message_serial,
    },
};

#[derive(Debug)]
pub enum EntryBody {
    Messages(Vec<Message>),
    Presence(Vec<PresenceMessage>),
}

/// The messages or presence events of one frame.
#[derive(Debug)]
pub struct Entry {
    pub seq: u64,
    pub at: i64,
    pub channel: Arc<str>,
    /// The channel serial of this position.
    pub serial: Arc<str>,
    pub id: Arc<str>,
    /// The connection that published it. None for REST and for the server itself.
    pub connection_id: Option<Arc<str>>,
    pub body: EntryBody,
    pub event: Option<Arc<EventRef>>,
    json: OnceLock<Bytes>,
    msgpack: OnceLock<Bytes>,
}

impl Entry {
    /// The entry with this number in `log`.
    pub fn new(channel: &Arc<str>, log: Arc<str>, seq: u64, at: i64, new_entry: NewEntry) -> Arc<Self> {
        Arc::new(Self {
            seq,
            at,
            channel: channel.clone(),
            serial: ChannelSerial { at, seq, log }.to_text().into(),
            id: new_entry.id,
            connection_id: new_entry.connection_id,
            body: new_entry.body,
            event: new_entry.event,
            json: OnceLock::new(),
            msgpack: OnceLock::new(),
        })
    }

    /// The frame with this entry, encoded once for each format.
    pub fn bytes(&self, format: Format) -> Bytes {
        let cell = match format {
            Format::Json => &self.json,
            Format::Msgpack => &self.msgpack,
        };
        cell.get_or_init(|| self.encode(format, &self.channel, 0..self.count())).clone()
    }

    pub fn frame(&self, format: Format) -> Frame {
        Frame { bytes: self.bytes(format), event: self.event.clone() }
    }

    /// The frame without its first `skip` messages.
    pub fn frame_from(&self, format: Format, skip: usize) -> Frame {
        if skip == 0 {
            return self.frame(format);
        }
        Frame { bytes: self.encode(format, &self.channel, skip..self.count()), event: self.event.clone() }
    }

    /// The frame with some of its messages, for a client that knows the channel by another name. Presence events are
    /// always complete.
    pub fn frame_as(&self, format: Format, channel: &str, picked: &[usize]) -> Frame {
        Frame { bytes: self.encode(format, channel, picked.iter().copied()), event: self.event.clone() }
    }

    fn encode(&self, format: Format, channel: &str, picked: impl Iterator<Item = usize> + Clone) -> Bytes {
        let frame = |action| Outbound {
            id: Some(&self.id),
            channel_serial: Some(&self.serial),
            connection_id: self.connection_id.as_deref(),
            timestamp: Some(self.at),
            ..Outbound::on(action, channel)
        };
        match &self.body {
            EntryBody::Presence(events) => {
                Outbound { presence: Some(events.iter().collect()), ..frame(Action::Presence) }.encode(format)
            }
            EntryBody::Messages(messages) => {
                // Receivers derive ids from the frame's id and the index. A frame with omitted messages must state
                // the ids.
                let own =
                    |(place, index)| ((place != index).then(|| self.message_id(index)), self.message_serial(index));
                let own: Vec<_> = picked.clone().enumerate().map(own).collect();
                let positioned = own.iter().zip(picked).map(|((id, serial), index)| {
                    let position = LogPosition { id: id.as_deref(), connection_id: None, timestamp: None, serial };
                    PositionedMessage { message: &messages[index], position }
                });
                Outbound { messages: Some(positioned.collect()), ..frame(Action::Message) }.encode(format)
            }
        }
    }

    pub fn message_serial(&self, index: usize) -> String {
        message_serial(&self.serial, index)
    }

    pub fn message_id(&self, index: usize) -> String {
        match &self.body {
            EntryBody::Messages(messages) => match messages.get(index).and_then(|message| message.id.as_deref()) {
                Some(own) => own.to_owned(),
                None => format!("{}:{index}", self.id),
            },
            EntryBody::Presence(_) => format!("{}:{index}", self.id),
        }
    }

    pub fn count(&self) -> usize {
        match &self.body {
            EntryBody::Messages(messages) => messages.len(),
            EntryBody::Presence(events) => events.len(),
        }
    }

    /// The bytes of its content.
    pub fn size(&self) -> usize {
        match &self.body {
            EntryBody::Messages(messages) => messages.iter().map(Message::size).sum(),
            EntryBody::Presence(events) => events.iter().map(PresenceMessage::size).sum(),
        }
    }

    /// The bytes of memory that it takes: its content, the encoded frame of one format, and overhead.
    pub fn footprint(&self) -> usize {
        const PARTS: usize = 512;
        let ids = self.chosen_id().map_or(0, |id| id.len());
        PARTS + 2 * (self.size() + ids) + PARTS / 2 * self.count()
    }

    /// Whether it contains these presence events.
    pub fn contains_presence(&self, events: &[PresenceMessage]) -> bool {
        let EntryBody::Presence(told) = &self.body else { return false };
        let is_told = |event: &PresenceMessage| {
            told.iter().any(|told| {
                let same = told.client_id == event.client_id && told.is_present() == event.is_present();
                // A leave without data has the member's last data.
                same && (told.payload == event.payload || !event.is_present() && event.payload.data.is_none())
            })
        };
        events.iter().all(is_told)
    }

    /// Its position, for the publisher.
    pub fn published(&self) -> PublishResult {
        PublishResult { serial: Some(self.serial.clone()), messages: self.count() }
    }

    /// The id that identifies a repetition: that of the first message, if the publisher chose one.
    pub fn chosen_id(&self) -> Option<&Arc<str>> {
        match &self.body {
            EntryBody::Messages(messages) => messages.first().and_then(|message| message.id.as_ref()),
            EntryBody::Presence(_) => None,
        }
    }
}

/// The content of a new entry.
pub struct NewEntry {
    pub id: Arc<str>,
    pub connection_id: Option<Arc<str>>,
    pub body: EntryBody,
    pub event: Option<Arc<EventRef>>,
}
