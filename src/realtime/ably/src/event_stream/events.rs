//! Frames of a connection as events: server-sent events, or one line of JSON for each.

use std::{collections::VecDeque, mem::take};

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

/// The form of the events, as the client has asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventForm {
    pub style: Style,
    /// An event holds a whole message, not only its data.
    pub enveloped: bool,
    /// Keepalives are sent as events.
    pub heartbeats: bool,
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

/// Bytes of events that are made at a time. More are made when the client has taken them. An event may be many times as
/// long as its part of a frame.
const PORTION: usize = 65_536;

/// The events of a channel that a client may still receive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllowedEvents {
    pub messages: bool,
    pub presence: bool,
}

/// A channel of the request.
struct FollowedChannel {
    name: String,
    serial: String,
    allowed: AllowedEvents,
}

/// The translation of one client's frames.
pub struct Events {
    form: EventForm,
    /// In the order of the request.
    channels: Vec<FollowedChannel>,
    /// Frames that are not translated yet.
    frames: VecDeque<Frame>,
    /// The rest of a frame, the next item first.
    rest: Option<Rest>,
}

struct Rest {
    sent: Sent,
    event: &'static str,
    items: std::vec::IntoIter<Map<String, Value>>,
    /// Items that are written.
    written: usize,
}

impl Events {
    pub fn new(form: EventForm) -> Self {
        Self { form, channels: Vec::new(), frames: VecDeque::new(), rest: None }
    }

    pub fn add_channel(&mut self, name: String, serial: String) {
        self.channels.push(FollowedChannel { name, serial, allowed: AllowedEvents { messages: true, presence: true } });
    }

    /// Sets which events the client may receive from now on. This also applies to frames that already wait.
    pub fn allow(&mut self, allowed: impl Fn(&str) -> AllowedEvents) {
        for channel in &mut self.channels {
            channel.allowed = allowed(&channel.name);
        }
    }

    pub fn add_frames(&mut self, frames: impl Iterator<Item = Frame>) {
        self.frames.extend(frames);
    }

    /// An id without an event. A browser remembers it, and misses nothing if it loses the stream before the first
    /// event.
    pub fn opening(&self) -> Option<Bytes> {
        (self.form.style == Style::ServerSent).then(|| format!("id: {}\n\n", self.id()).into())
    }

    pub fn keepalive(&self) -> Bytes {
        let text = match (self.form.style, self.form.heartbeats) {
            (Style::ServerSent, false) => ":keepalive\n\n",
            (Style::ServerSent, true) => "event: heartbeat\ndata:\n\n",
            (Style::JsonLines, false) => "\n",
            (Style::JsonLines, true) => "{\"event\":\"heartbeat\"}\n",
        };
        Bytes::from_static(text.as_bytes())
    }

    /// The next events. None if there is nothing left that makes one.
    pub fn next_portion(&mut self) -> Option<Bytes> {
        let mut written = BytesMut::new();
        while written.len() < PORTION {
            if let Some(rest) = self.rest.take() {
                self.write_item(rest, &mut written);
                continue;
            }
            let Some(frame) = self.frames.pop_front() else { break };
            match serde_json::from_slice(&frame.bytes) {
                Ok(sent) => self.write_frame(sent, &mut written),
                Err(error) => tracing::error!(%error, "a frame was not JSON"),
            }
        }
        (!written.is_empty()).then(|| written.freeze())
    }

    fn write_frame(&mut self, mut sent: Sent, into: &mut BytesMut) {
        let is = |action: Action| sent.action == action as u8;
        if is(Action::Message) || is(Action::Presence) {
            let (event, items) = match sent.messages.is_empty() {
                false => ("message", take(&mut sent.messages)),
                true => ("presence", take(&mut sent.presence)),
            };
            if self.may_have(sent.channel.as_deref(), event) {
                self.rest = Some(Rest { sent, event, items: items.into_iter(), written: 0 });
            }
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

    fn may_have(&self, channel: Option<&str>, event: &str) -> bool {
        let followed = self.channels.iter().find(|followed| Some(&*followed.name) == channel);
        followed.is_some_and(|followed| match event {
            "message" => followed.allowed.messages,
            _ => followed.allowed.presence,
        })
    }

    /// The last event of a frame moves the client on, and only it has an id: clients keep the id before it until then.
    /// If the client loses the stream in between, it gets the whole frame again.
    fn write_item(&mut self, mut rest: Rest, into: &mut BytesMut) {
        let Some(mut item) = rest.items.next().filter(|_| self.may_have(rest.sent.channel.as_deref(), rest.event))
        else {
            return;
        };
        let (sent, index) = (&rest.sent, rest.written);
        let data = match self.form.enveloped {
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
        if rest.items.len() == 0 {
            self.move_to(sent.channel.as_deref(), sent.channel_serial.clone());
            let id = self.id();
            return self.write(Some(&id), rest.event, Some(&data), into);
        }
        self.write(None, rest.event, Some(&data), into);
        rest.written += 1;
        self.rest = Some(rest);
    }

    fn move_to(&mut self, channel: Option<&str>, serial: Option<String>) {
        let place = self.channels.iter_mut().find(|followed| Some(&*followed.name) == channel);
        if let (Some(followed), Some(serial)) = (place, serial) {
            followed.serial = serial;
        }
    }

    /// The id of the last event.
    fn id(&self) -> String {
        let serials: Vec<&str> = self.channels.iter().map(|followed| followed.serial.as_str()).collect();
        serials.join(&Position::SEPARATOR.to_string())
    }

    fn write(&self, id: Option<&str>, event: &str, data: Option<&Value>, into: &mut BytesMut) {
        match self.form.style {
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

    const ENVELOPED: EventForm = EventForm { style: Style::ServerSent, enveloped: true, heartbeats: false };
    const PLAIN: EventForm = EventForm { enveloped: false, ..ENVELOPED };

    fn events(form: EventForm) -> Events {
        let mut events = Events::new(form);
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
        events.add_frames(frames.iter().map(frame));
        let portions = std::iter::from_fn(|| events.next_portion());
        String::from_utf8(portions.flatten().collect()).unwrap()
    }

    #[test]
    fn only_the_last_message_of_a_frame_moves_the_client_on() {
        let text = translated(&mut events(ENVELOPED), &[message(&["one", "two"])]);
        let ids: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
        assert_eq!(ids, ["a0,b1"]);
        assert!(text.find("id: ") > text.find("f:0"), "the id belongs to the last: {text}");
        assert!(text.contains(r#""id":"f:1""#) && text.contains(r#""channel":"b""#), "{text}");
    }

    #[test]
    fn a_payload_with_lines_is_one_event() {
        let text = translated(&mut events(PLAIN), &[message(&["one"])]);
        assert_eq!(text, "id: a0,b1\nevent: message\ndata: x\ndata: y\n\n");
        let text = translated(&mut events(EventForm { style: Style::JsonLines, ..PLAIN }), &[message(&["one"])]);
        assert_eq!(text, "{\"id\":\"a0,b1\",\"event\":\"message\",\"data\":\"x\\r\\ny\"}\n");
    }

    #[test]
    fn lost_continuity_is_an_error_and_a_position_from_now_on() {
        let mut events = events(ENVELOPED);
        let attached = serde_json::json!({"action": 11, "channel": "a", "channelSerial": "a9"});
        assert_eq!(translated(&mut events, std::slice::from_ref(&attached)), "", "without an error, nothing is lost");
        let mut lost = attached;
        lost["error"] = serde_json::json!({"code": 90003});
        let text = translated(&mut events, &[lost, message(&["one"])]);
        assert!(text.starts_with("event: error\ndata: {\"code\":90003}\n\nid: a9,b1\n"), "{text}");
    }

    #[test]
    fn events_are_made_a_portion_at_a_time_however_much_longer_than_their_frames_they_are() {
        let mut events = events(ENVELOPED);
        let names = vec!["one"; 10_000];
        events.add_frames([message(&names), message(&names)].iter().map(frame));
        let (mut portions, mut made) = (0, 0);
        while let Some(portion) = events.next_portion() {
            assert!(portion.len() < PORTION + 1_000, "{}", portion.len());
            portions += 1;
            made += String::from_utf8_lossy(&portion).matches("event: message").count();
        }
        assert!(portions > 20, "{portions}");
        assert_eq!(made, 20_000);
    }

    #[test]
    fn frames_that_wait_for_a_channel_that_the_client_lost_make_no_events() {
        let mut events = events(ENVELOPED);
        let on_a =
            serde_json::json!({"action": 15, "channel": "a", "channelSerial": "a1", "messages": [{"name": "kept"}]});
        let came = serde_json::json!({"action": 14, "channel": "b", "presence": [{"clientId": "x", "action": 2}]});
        let names = vec!["lost"; 10_000];
        events.add_frames([message(&names), message(&["lost"]), came, on_a].iter().map(frame));
        let first = events.next_portion().unwrap();
        assert!(String::from_utf8_lossy(&first).contains("lost"), "the frame is under way");
        events.allow(|name| AllowedEvents { messages: name == "a", presence: true });
        let rest = String::from_utf8(std::iter::from_fn(|| events.next_portion()).flatten().collect()).unwrap();
        assert!(!rest.contains("lost") && rest.contains("kept"), "{rest}");
        assert!(rest.contains("event: presence"), "{rest}");
    }
}
