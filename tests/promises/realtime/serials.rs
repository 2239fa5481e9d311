//! Serials of publishes: an ACK means delivered, for any serials. A repeated frame has one reply on each socket and
//! is delivered once.

use std::sync::Arc;

use serde_json::{Value, json};
use tandem_ably::{Config, Namespace};

use super::{
    node::{MemoryStore, Node},
    wire::{Wire, names},
};

fn node() -> Node {
    Node::start(Config::default())
}

/// The acknowledged serials, in the order of the replies.
fn acknowledged(frames: &[Value]) -> Vec<u64> {
    let acks = frames.iter().filter(|frame| frame["action"] == 1);
    let number = |frame: &Value, field: &str| frame[field].as_u64().unwrap();
    acks.flat_map(|ack| (0..number(ack, "count")).map(|n| number(ack, "msgSerial") + n)).collect()
}

fn resume(connected: &Value) -> String {
    format!("resume={}", connected["connectionDetails"]["connectionKey"].as_str().unwrap())
}

#[tokio::test]
async fn serials_in_any_order_are_delivered_and_acknowledged() {
    let node = node();
    for serials in [[5, 0, 1], [7, 3, 8], [0, 2, 1]] {
        let (mut wire, _) = Wire::connected(&node, "").await;
        wire.attach("c").await;
        for serial in serials {
            wire.publish("c", serial, &format!("m{serial}")).await;
        }
        let frames = wire.settle().await;
        assert_eq!(acknowledged(&frames), serials);
        assert_eq!(names(&frames), serials.map(|serial| format!("m{serial}")), "{serials:?}");
        for frame in frames.iter().filter(|frame| frame["action"] == 1) {
            assert_eq!(frame["res"].as_array().unwrap().len() as u64, frame["count"].as_u64().unwrap(), "{frame}");
        }
    }
}

#[tokio::test]
async fn presence_in_any_order_of_serials_is_delivered_as_newer_and_acknowledged() {
    let node = node();
    let (mut watcher, _) = Wire::connected(&node, "").await;
    watcher.attach("c").await;
    let (mut wire, connected) = Wire::connected(&node, "clientId=alice").await;
    for (serial, data) in [(5, "first"), (0, "second"), (1, "third")] {
        let event = json!([{"action": 4, "data": data}]);
        wire.send(json!({"action": 14, "channel": "c", "msgSerial": serial, "presence": event})).await;
        assert_eq!(wire.next_of(1).await["msgSerial"], serial);
    }
    let mut newest = None;
    for data in ["first", "second", "third"] {
        let told = watcher.next_of(14).await;
        assert_eq!(told["presence"][0]["data"], data);
        // The SDK compares these numbers to find the newer event.
        let id = told["presence"][0]["id"].as_str().unwrap();
        let [connection, number, _]: [&str; 3] = id.split(':').collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(connection, connected["connectionId"]);
        let number: u64 = number.parse().unwrap();
        assert!(newest.is_none_or(|newest| newest < number), "{id} looks older than what came before it");
        newest = Some(number);
    }
}

#[tokio::test]
async fn two_messages_with_the_same_serial_are_both_published() {
    let node = node();
    let (mut wire, _) = Wire::connected(&node, "").await;
    wire.attach("c").await;
    for (serial, name) in [(2, "woken"), (0, "a"), (1, "b"), (2, "c")] {
        wire.publish("c", serial, name).await;
    }
    let frames = wire.settle().await;
    assert_eq!(acknowledged(&frames), [2, 0, 1, 2]);
    assert_eq!(names(&frames), ["woken", "a", "b", "c"]);
    let ids: std::collections::BTreeSet<_> =
        frames.iter().filter(|frame| frame["action"] == 15).map(|frame| frame["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 4, "each has an id of its own");
}

#[tokio::test]
async fn a_repetition_has_one_reply_on_each_socket_and_is_delivered_once() {
    let node = node();
    let (mut wire, connected) = Wire::connected(&node, "").await;
    wire.attach("c").await;
    for serial in [5, 0, 5, 0, 5] {
        wire.publish("c", serial, "once").await;
    }
    let frames = wire.settle().await;
    assert_eq!(acknowledged(&frames), [5, 0]);
    assert_eq!(names(&frames), ["once", "once"]);
    let first: Vec<Value> = frames.into_iter().filter(|frame| frame["action"] == 1).collect();
    let (mut again, _) = Wire::connected(&node, &resume(&connected)).await;
    again.attach("c").await;
    for serial in [5, 0, 5] {
        again.publish("c", serial, "once").await;
    }
    let frames = again.settle().await;
    assert_eq!(names(&frames), Vec::<&str>::new());
    let second: Vec<Value> = frames.into_iter().filter(|frame| frame["action"] == 1).collect();
    assert_eq!(second, first, "with the first serials");
}

#[tokio::test]
async fn after_a_restart_only_what_is_stored_is_a_repetition() {
    let config = || Config { namespaces: vec![Namespace { id: "kept".into(), persisted: true }], ..Config::default() };
    let store = Arc::new(MemoryStore::default());
    let node = Node::start_on(config(), store.clone(), 0);
    let (mut wire, connected) = Wire::connected(&node, "").await;
    wire.publish("kept:a", 5, "five").await;
    wire.next_of(1).await;
    drop((wire, node));
    let node = Node::start_on(config(), store, 0);
    let (mut wire, again) = Wire::connected(&node, &resume(&connected)).await;
    assert_eq!(again["connectionId"], connected["connectionId"]);
    wire.attach("kept:a").await;
    for (serial, name) in [(5, "five"), (0, "zero"), (1, "one"), (5, "another")] {
        wire.publish("kept:a", serial, name).await;
    }
    let frames = wire.settle_with(4).await;
    assert_eq!(acknowledged(&frames), [5, 0, 1, 5]);
    assert_eq!(names(&frames), ["zero", "one", "another"]);
}

#[tokio::test]
async fn repeated_presence_after_a_restart_is_not_delivered_again() {
    let config = || Config { namespaces: vec![Namespace { id: "kept".into(), persisted: true }], ..Config::default() };
    let store = Arc::new(MemoryStore::default());
    let node = Node::start_on(config(), store.clone(), 0);
    let event = |action: u64, serial: u64, data: &str| {
        let presence = json!([{"action": action, "data": data}]);
        json!({"action": 14, "channel": "kept:a", "msgSerial": serial, "presence": presence})
    };
    let frames = [event(2, 0, "first"), event(4, 1, "second")];
    let (mut alice, connected) = Wire::connected(&node, "clientId=alice").await;
    for (serial, frame) in frames.iter().enumerate() {
        alice.send(frame.clone()).await;
        assert_eq!(alice.next_of(1).await["msgSerial"], serial);
    }
    drop((alice, node));
    let node = Node::start_on(config(), store, 0);
    let (mut watcher, _) = Wire::connected(&node, "").await;
    watcher.attach("kept:a").await;
    assert_eq!(watcher.next_of(16).await["presence"][0]["data"], "second");
    let (mut alice, _) = Wire::connected(&node, &format!("clientId=alice&{}", resume(&connected))).await;
    for frame in frames.into_iter().chain([event(4, 1, "third")]) {
        alice.send(frame).await;
    }
    let answers = alice.settle_with(3).await;
    assert_eq!(acknowledged(&answers), [0, 1, 1]);
    let told = watcher.settle().await;
    let data: Vec<_> =
        told.iter().filter(|frame| frame["action"] == 14).map(|frame| &frame["presence"][0]["data"]).collect();
    assert_eq!(data, ["third"], "and what is new is told, whatever its serial");
}

#[tokio::test]
async fn ids_of_an_earlier_publish_with_fewer_messages_are_refused_and_not_acknowledged() {
    let node = node();
    let (mut wire, _) = Wire::connected(&node, "").await;
    wire.attach("c").await;
    for (serial, count) in [(0, 2), (1, 3), (2, 2)] {
        let messages: Vec<_> =
            (0..count).map(|n| json!({"id": format!("base:{n}"), "name": format!("m{n}")})).collect();
        wire.send(json!({"action": 15, "channel": "c", "msgSerial": serial, "messages": messages})).await;
    }
    let frames = wire.settle().await;
    assert_eq!(acknowledged(&frames), [0, 2]);
    let nacks: Vec<_> = frames.iter().filter(|frame| frame["action"] == 2).collect();
    assert_eq!((nacks.len(), &nacks[0]["msgSerial"], &nacks[0]["error"]["code"]), (1, &json!(1), &json!(40031)));
    assert_eq!(names(&frames), ["m0", "m1"]);
}
