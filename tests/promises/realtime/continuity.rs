//! Continuity beyond memory: missed messages come from the store, and ids are remembered as long as a client may
//! retry.

use std::sync::Arc;

use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tandem_ably::{Config, Namespace};

use super::{
    node::{MemoryStore, Node},
    wire::{Wire, names},
};

/// Far fewer entries in memory than the tests publish.
fn config() -> Config {
    let namespaces = vec![Namespace { id: "kept".into(), persisted: true }];
    Config { namespaces, log_entries: 10, ..Config::default() }
}

fn node() -> Node {
    Node::start(config())
}

async fn publish(wire: &mut Wire, channel: &str, serials: std::ops::Range<u64>) {
    for serial in serials {
        wire.publish(channel, serial, &serial.to_string()).await;
        assert_eq!(wire.next_of(1).await["msgSerial"], serial);
    }
}

async fn attach_at(wire: &mut Wire, channel: &str, serial: &Value) -> Value {
    wire.send(json!({"action": 10, "channel": channel, "channelSerial": serial})).await;
    wire.next_of(11).await
}

#[tokio::test]
async fn a_client_that_missed_more_than_memory_holds_continues_from_the_store() {
    let node = node();
    let (mut reader, _) = Wire::connected(&node, "").await;
    let (mut writer, _) = Wire::connected(&node, "").await;
    publish(&mut writer, "kept:a", 0..3).await;
    let left = reader.attach("kept:a").await;
    reader.send(json!({"action": 12, "channel": "kept:a"})).await;
    reader.next_of(13).await;
    publish(&mut writer, "kept:a", 3..60).await;
    let back = attach_at(&mut reader, "kept:a", &left["channelSerial"]).await;
    assert_ne!(back["flags"].as_u64().unwrap() & 4, 0, "RESUMED");
    assert_ne!(back["flags"].as_u64().unwrap() & 2, 0, "HAS_BACKLOG");
    let missed: Vec<String> = (3..60).map(|serial| serial.to_string()).collect();
    assert_eq!(names(&reader.settle().await), missed);
}

#[tokio::test]
async fn a_rewind_joins_stored_entries_and_those_in_memory() {
    let node = node();
    let (mut writer, _) = Wire::connected(&node, "").await;
    publish(&mut writer, "kept:a", 0..25).await;
    let (mut reader, _) = Wire::connected(&node, "").await;
    reader.send(json!({"action": 10, "channel": "kept:a", "params": {"rewind": "15"}})).await;
    let wanted: Vec<String> = (10..25).map(|serial| serial.to_string()).collect();
    assert_eq!(names(&reader.settle().await), wanted);
}

#[tokio::test]
async fn a_client_that_missed_more_than_is_kept_gets_error_90003() {
    let node = node();
    let (mut reader, _) = Wire::connected(&node, "").await;
    let left = reader.attach("ephemeral").await;
    reader.send(json!({"action": 12, "channel": "ephemeral"})).await;
    reader.next_of(13).await;
    let (mut writer, _) = Wire::connected(&node, "").await;
    publish(&mut writer, "ephemeral", 0..11).await;
    let back = attach_at(&mut reader, "ephemeral", &left["channelSerial"]).await;
    assert_eq!((&back["error"]["code"], back["flags"].as_u64().unwrap() & 4), (&json!(90003), 0));
    assert_eq!(names(&reader.settle().await), Vec::<&str>::new());
}

#[tokio::test]
async fn a_repeated_publish_is_recognised_after_its_entry_has_left_memory() {
    let node = node();
    for channel in ["kept:a", "ephemeral"] {
        let (mut reader, _) = Wire::connected(&node, "").await;
        reader.attach(channel).await;
        let (mut writer, _) = Wire::connected(&node, "").await;
        let publish_once = || async {
            let (name, secret) = node.key().split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
            let request = reqwest::Client::new().post(format!("{}/channels/{channel}/messages", node.url));
            let body = json!([{"id": "mine:0", "name": "once"}, {"id": "mine:1", "name": "once more"}]).to_string();
            let answer = request.basic_auth(name, Some(secret)).header(CONTENT_TYPE, "application/json").body(body);
            let answer = answer.send().await.unwrap();
            assert_eq!(answer.status(), 201);
            serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap()
        };
        let first = publish_once().await;
        publish(&mut writer, channel, 0..20).await;
        assert_eq!(publish_once().await, first, "the same answer");
        let heard = reader.settle().await;
        assert_eq!(names(&heard).iter().filter(|name| **name == "once").count(), 1, "{channel}");
    }
}

#[tokio::test]
async fn a_repetition_is_acknowledged_after_the_first_publish() {
    let store = Arc::new(MemoryStore::default());
    let node = Node::start_on(config(), store.clone(), 0);
    let (mut first, _) = Wire::connected(&node, "").await;
    first.attach("kept:a").await;
    let (mut again, _) = Wire::connected(&node, "").await;
    let publish =
        json!({"action": 15, "channel": "kept:a", "msgSerial": 0, "messages": [{"id": "mine", "name": "once"}]});
    let held = store.freeze();
    for wire in [&mut first, &mut again] {
        wire.send(publish.clone()).await;
        assert!(!wire.settle().await.iter().any(|frame| frame["action"] == 1), "nothing is on the disk yet");
    }
    drop(held);
    assert_eq!(first.next_of(1).await["res"], again.next_of(1).await["res"]);
}

#[tokio::test]
async fn presence_is_heard_and_acknowledged_when_it_is_on_the_disk() {
    let store = Arc::new(MemoryStore::default());
    let node = Node::start_on(config(), store.clone(), 0);
    let (mut alice, _) = Wire::connected(&node, "clientId=alice").await;
    alice.attach("kept:a").await;
    let held = store.freeze();
    alice.enter("kept:a").await;
    let heard = alice.settle().await;
    assert!(!heard.iter().any(|frame| frame["action"] == 14 || frame["action"] == 1), "{heard:?}");
    drop(held);
    assert_eq!(alice.next_of(14).await["presence"][0]["clientId"], "alice");
    assert_eq!(alice.next_of(1).await["msgSerial"], 0);
}

#[tokio::test]
async fn messages_are_heard_when_they_are_on_the_disk() {
    let store = Arc::new(MemoryStore::default());
    let node = Node::start_on(config(), store.clone(), 0);
    let (mut reader, _) = Wire::connected(&node, "").await;
    reader.attach("kept:a").await;
    let (mut writer, _) = Wire::connected(&node, "").await;
    publish(&mut writer, "kept:a", 0..1).await;
    assert_eq!(reader.next_of(15).await["messages"][0]["name"], "0");
    let (mut late, _) = Wire::connected(&node, "").await;
    let held = store.freeze();
    writer.publish("kept:a", 1, "1").await;
    writer.settle().await;
    assert_eq!(names(&reader.settle().await), [""; 0]);
    late.attach("kept:a").await;
    assert_eq!(names(&late.settle().await), [""; 0]);
    drop(held);
    for wire in [&mut reader, &mut late] {
        assert_eq!(wire.next_of(15).await["messages"][0]["name"], "1");
    }
    assert_eq!(writer.next_of(1).await["msgSerial"], 1);
}
