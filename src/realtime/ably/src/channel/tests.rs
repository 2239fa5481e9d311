use std::task::{Context, Waker};

use serde_json::Value;

use super::*;
use crate::{
    log::LogLimits,
    outbox::Outbox,
    protocol::{Format, Modes, PresenceAction, data::Payload},
};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn channel() -> Channel {
    let log = Log::new(&LogLimits::of_entries(100));
    Channel::new("c".into(), ChannelBinding::default(), Persistence::Persisted, log, Members::default(), NOW)
}

/// Attaches a new subscriber, and returns its outbox and the position that it got.
fn attach(channel: &Channel, serial: Option<&str>) -> (Arc<Outbox>, String) {
    attach_with(channel, serial, Vec::new())
}

/// With stored messages for a rewind.
fn attach_with(channel: &Channel, serial: Option<&str>, stored: Vec<Arc<Entry>>) -> (Arc<Outbox>, String) {
    let outbox = Arc::new(Outbox::new(Format::Json, 1 << 20, Budget::new(1 << 20)));
    let subscriber = Subscriber {
        connection_id: "subscriber".into(),
        outbox: outbox.clone(),
        modes: Modes::DEFAULT,
        echo: true,
        alias: None,
    };
    let request = Attach {
        serial,
        missed: Vec::new(),
        resumes: false,
        rewind: serial.is_none().then_some(Rewind::Messages(10)),
        stored,
        params: &[],
        refusal: None,
    };
    let head = channel.attach(subscriber, &request, NOW);
    (outbox, head)
}

/// The frames that wait.
fn frames(outbox: &Outbox) -> Vec<Value> {
    let mut frames = Vec::new();
    let _ = outbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut frames);
    frames.iter().map(|frame| serde_json::from_slice(&frame.bytes).unwrap()).collect()
}

/// The names of the messages that wait.
fn heard(outbox: &Outbox) -> Vec<String> {
    let messages = |frame: Value| frame.get("messages").and_then(Value::as_array).cloned().unwrap_or_default();
    let name = |message: Value| message["name"].as_str().unwrap().to_owned();
    frames(outbox).into_iter().flat_map(messages).map(name).collect()
}

fn publish(channel: &Channel, name: &str, delivery: Delivery) -> Arc<Entry> {
    let message = Message { name: Some(name.into()), id: Some(name.into()), ..Message::default() };
    let mut kept = None;
    let keep = |entry: &Arc<Entry>, _: &Log| {
        kept = Some(entry.clone());
        delivery
    };
    channel.publish("frame".into(), None, vec![message], RepeatDetection::ByConnection, NOW, keep).unwrap();
    kept.expect("a new entry")
}

#[test]
fn messages_are_heard_when_they_are_stored_and_in_their_order() {
    let channel = channel();
    let (outbox, start) = attach(&channel, None);
    let [first, second] = ["first", "second"].map(|name| publish(&channel, name, Delivery::WhenStored));
    let (later, head) = attach(&channel, None);
    assert_eq!((heard(&outbox), heard(&later)), (vec![], vec![]), "neither live nor by a rewind");
    assert_eq!(head, start, "a position that a client gets is one of stored entries");
    assert_eq!(channel.recent().len(), 0, "nor in the history");
    channel.tell(second.seq);
    assert_eq!(heard(&outbox), [""; 0], "the first is not stored yet");
    channel.tell(first.seq);
    for outbox in [&outbox, &later] {
        assert_eq!(heard(outbox), ["first", "second"]);
    }
    channel.tell(first.seq);
    assert_eq!(heard(&outbox), [""; 0], "nothing comes twice");
    let (back, _) = attach(&channel, Some(&first.serial));
    assert_eq!(heard(&back), ["second"]);
}

#[test]
fn a_message_that_is_stored_during_an_attach_is_heard_once() {
    let channel = channel();
    let entry = publish(&channel, "message", Delivery::WhenStored);
    let (outbox, _) = attach_with(&channel, None, vec![entry.clone()]);
    assert_eq!(heard(&outbox), [""; 0]);
    channel.tell(entry.seq);
    assert_eq!(heard(&outbox), ["message"]);
}

#[test]
fn those_after_a_message_that_could_not_be_stored_are_heard() {
    let channel = channel();
    let (outbox, _) = attach(&channel, None);
    let [refused, stored] = ["refused", "stored"].map(|name| publish(&channel, name, Delivery::WhenStored));
    channel.tell(stored.seq);
    channel.withdraw(&refused);
    assert_eq!(heard(&outbox), ["stored"]);
}

#[test]
fn a_message_that_could_not_be_stored_is_heard_by_nobody_until_it_is_published_again() {
    let channel = channel();
    let (outbox, _) = attach(&channel, None);
    let refused = publish(&channel, "message", Delivery::WhenStored);
    assert!(!channel.has_told(&refused.published()));
    channel.withdraw(&refused);
    channel.tell(refused.seq);
    assert_eq!(heard(&outbox), [""; 0]);
    assert!(!channel.has_told(&refused.published()), "a repetition that arrived before it is refused, too");
    let again = publish(&channel, "message", Delivery::WhenStored);
    channel.tell(again.seq);
    assert_eq!((heard(&outbox), again.seq), (vec!["message".into()], refused.seq));
    assert!(channel.has_told(&again.published()));
}

#[test]
fn a_leave_that_could_not_be_stored_is_heard() {
    let channel = channel();
    let connection_id: Arc<str> = "conn".into();
    let enter = PresenceMessage {
        action: PresenceAction::Enter,
        id: "conn:0:0".into(),
        client_id: "anna".into(),
        connection_id: connection_id.clone(),
        timestamp: NOW.as_millis(),
        payload: Payload::default(),
        extras: None,
    };
    let by = RepeatDetection::ByConnection;
    let entered =
        channel
            .take_presence("f".into(), &connection_id, vec![enter], by, PresenceLimits::ANY, NOW, |_, _| Delivery::Now);
    assert!(entered.unwrap().is_some());
    let (outbox, _) = attach(&channel, None);
    frames(&outbox);
    let left = channel.leave(&connection_id, None, NOW, |_, _| Delivery::WhenStored).unwrap();
    assert_eq!(frames(&outbox), [Value::Null; 0]);
    channel.withdraw(&left);
    assert_eq!(frames(&outbox)[0]["presence"][0]["clientId"], "anna");
}
