//! Frames of a connection as events: server-sent events, or one line of JSON for each.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Position;
use crate::{outbox::Frame, protocol::Action};

/// How an event is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    ServerSent,
    JsonLines,
}

impl Style {
    pub fn content_type(self) -> &'static str {
        match self {
            Style::ServerSent => "text/event-stream; charset=utf-8",
            Style::JsonLines => "application/x-ndjson",
        }
    }
}

/// The fields of a frame that events are made of.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Sent {
    action: u8,
    id: Option<String>,
    channel: Option<String>,
    channel_serial: Option<String>,
    connection_id: Option<String>,
    timestamp: Option<i64>,
    messages: Vec<Map<String, Value>>,
    presence: Vec<Map<String, Value>>,
    error: Option<Value>,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
}

/// The translation of one client's frames.
pub struct Events {
    style: Style,
    enveloped: bool,
    heartbeats: bool,
    /// The channels in the order of the request, each with its position.
    channels: Vec<(String, String)>,
}

impl Events {
    pub fn new(style: Style, enveloped: bool, heartbeats: bool) -> Self {
        Self { style, enveloped, heartbeats, channels: Vec::new() }
    }

    pub fn add_channel(&mut self, name: String, serial: String) {
        self.channels.push((name, serial));
    }

    /// An id without an event. A browser remembers it, and misses nothing if it loses the stream before the first
    /// event.
    pub fn opening(&self) -> Option<Bytes> {
        (self.style == Style::ServerSent).then(|| format!("id: {}\n\n", self.id()).into())
    }

    pub fn keepalive(&self) -> Bytes {
        let text = match (self.style, self.heartbeats) {
            (Style::ServerSent, false) => ":keepalive\n\n",
            (Style::ServerSent, true) => "event: heartbeat\ndata:\n\n",
            (Style::JsonLines, false) => "\n",
            (Style::JsonLines, true) => "{\"event\":\"heartbeat\"}\n",
        };
        Bytes::from_static(text.as_bytes())
    }

    pub fn translate(&mut self, frames: impl Iterator<Item = Frame>) -> Bytes {
        let mut written = BytesMut::new();
        for frame in frames {
            match serde_json::from_slice(&frame.bytes) {
                Ok(sent) => self.write_frame(sent, &mut written),
                Err(error) => tracing::error!(%error, "a frame was not JSON"),
            }
        }
        written.freeze()
    }

    fn write_frame(&mut self, sent: Sent, into: &mut BytesMut) {
        let is = |action: Action| sent.action == action as u8;
        if is(Action::Message) || is(Action::Presence) {
            self.write_items(sent, into);
        } else if is(Action::Attached) {
            // Without an error, the client's position is still good.
            if let Some(error) = sent.error {
                self.write(None, "error", Some(&error), into);
                self.move_to(sent.channel.as_deref(), sent.channel_serial);
            }
        } else if let Some(error) = sent.error {
            self.write(None, "error", Some(&error), into);
        }
    }

    /// The last event of a frame moves the client on. If it loses the stream before that, it gets all of them again.
    fn write_items(&mut self, sent: Sent, into: &mut BytesMut) {
        let (event, items) = match sent.messages.is_empty() {
            false => ("message", sent.messages),
            true => ("presence", sent.presence),
        };
        let last = items.len().saturating_sub(1);
        for (index, mut item) in items.into_iter().enumerate() {
            if index == last {
                self.move_to(sent.channel.as_deref(), sent.channel_serial.clone());
            }
            let data = match self.enveloped {
                false => item.remove("data").unwrap_or_else(|| "".into()),
                true => {
                    let mut inherit = |name: &str, value: Option<Value>| {
                        if let Some(value) = value.filter(|_| !item.contains_key(name)) {
                            item.insert(name.to_owned(), value);
                        }
                    };
                    inherit("id", sent.id.as_ref().map(|id| format!("{id}:{index}").into()));
                    inherit("connectionId", sent.connection_id.as_deref().map(Into::into));
                    inherit("timestamp", sent.timestamp.map(Into::into));
                    inherit("channel", sent.channel.as_deref().map(Into::into));
                    Value::Object(item)
                }
            };
            let id = self.id();
            self.write(Some(&id), event, Some(&data), into);
        }
    }

    fn move_to(&mut self, channel: Option<&str>, serial: Option<String>) {
        let place = self.channels.iter_mut().find(|(name, _)| Some(&**name) == channel);
        if let (Some((_, position)), Some(serial)) = (place, serial) {
            *position = serial;
        }
    }

    /// The id of the last event.
    fn id(&self) -> String {
        let serials: Vec<&str> = self.channels.iter().map(|(_, serial)| serial.as_str()).collect();
        serials.join(&Position::SEPARATOR.to_string())
    }

    fn write(&self, id: Option<&str>, event: &str, data: Option<&Value>, into: &mut BytesMut) {
        match self.style {
            Style::JsonLines => {
                let line = serde_json::to_vec(&Line { id, event, data });
                into.extend_from_slice(&line.expect("a map with text keys is JSON"));
                into.extend_from_slice(b"\n");
            }
            Style::ServerSent => {
                if let Some(id) = id {
                    into.extend_from_slice(format!("id: {id}\n").as_bytes());
                }
                into.extend_from_slice(format!("event: {event}\n").as_bytes());
                let text = data.map(|data| data.as_str().map_or_else(|| data.to_string(), str::to_owned));
                // A line may end in three ways, and none of them may end the field.
                let text = text.unwrap_or_default().replace("\r\n", "\n").replace('\r', "\n");
                for line in text.split('\n') {
                    into.extend_from_slice(format!("data: {line}\n").as_bytes());
                }
                into.extend_from_slice(b"\n");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(value: &Value) -> Frame {
        Frame { bytes: value.to_string().into(), event: None }
    }

    fn events(style: Style, enveloped: bool) -> Events {
        let mut events = Events::new(style, enveloped, false);
        events.add_channel("a".into(), "a0".into());
        events.add_channel("b".into(), "b0".into());
        events
    }

    fn message(names: &[&str]) -> Value {
        let messages: Vec<Value> =
            names.iter().map(|name| serde_json::json!({"name": name, "data": "x\r\ny"})).collect();
        serde_json::json!({"action": 15, "id": "f", "channel": "b", "channelSerial": "b1", "timestamp": 7, "messages": messages})
    }

    fn translated(events: &mut Events, frames: &[Value]) -> String {
        String::from_utf8(events.translate(frames.iter().map(frame)).to_vec()).unwrap()
    }

    #[test]
    fn only_the_last_message_of_a_frame_moves_the_client_on() {
        let text = translated(&mut events(Style::ServerSent, true), &[message(&["one", "two"])]);
        let ids: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
        assert_eq!(ids, ["a0,b0", "a0,b1"]);
        assert!(text.contains(r#""id":"f:1""#) && text.contains(r#""channel":"b""#), "{text}");
    }

    #[test]
    fn a_payload_with_lines_is_one_event() {
        let text = translated(&mut events(Style::ServerSent, false), &[message(&["one"])]);
        assert_eq!(text, "id: a0,b1\nevent: message\ndata: x\ndata: y\n\n");
        let text = translated(&mut events(Style::JsonLines, false), &[message(&["one"])]);
        assert_eq!(text, "{\"id\":\"a0,b1\",\"event\":\"message\",\"data\":\"x\\r\\ny\"}\n");
    }

    #[test]
    fn lost_continuity_is_an_error_and_a_position_from_now_on() {
        let mut events = events(Style::ServerSent, true);
        let attached = serde_json::json!({"action": 11, "channel": "a", "channelSerial": "a9"});
        assert_eq!(translated(&mut events, std::slice::from_ref(&attached)), "", "without an error, nothing is lost");
        let mut lost = attached;
        lost["error"] = serde_json::json!({"code": 90003});
        let text = translated(&mut events, &[lost, message(&["one"])]);
        assert!(text.starts_with("event: error\ndata: {\"code\":90003}\n\nid: a9,b1\n"), "{text}");
    }
}
