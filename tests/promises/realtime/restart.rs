//! A restart of the node: history, continuity and connections continue. Ephemeral channels have no rows.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tandem_ably::{Config, Namespace};

use super::{
    node::{MemoryStore, Node},
    wire::{Wire, eventually, names},
};

fn config() -> Config {
    Config { namespaces: vec![Namespace { id: "kept".into(), persisted: true }], ..Config::default() }
}

async fn history(node: &Node, channel: &str) -> Vec<Value> {
    get(node, &format!("/channels/{channel}/messages?limit=2")).await
}

async fn get(node: &Node, path: &str) -> Vec<Value> {
    let (name, secret) = node.key().split_once(':').map(|(name, secret)| (name.to_owned(), secret.to_owned())).unwrap();
    let request = reqwest::Client::new().get(format!("{}{path}", node.url));
    let response = request.basic_auth(name, Some(secret)).send().await.unwrap();
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_client_comes_back_after_a_crash_and_has_missed_nothing() {
    let store = Arc::new(MemoryStore::default());
    let node = Node::start_on(config(), store.clone(), 0);
    let (mut wire, connected) = Wire::connected(&node, "clientId=alice").await;
    let attached = wire.attach("kept:a").await;
    let ephemeral = wire.attach("ephemeral").await;
    let large = "x".repeat(60_000);
    wire.send(json!({"action": 15, "channel": "kept:a", "msgSerial": 0, "messages": [{"name": "one", "data": large}]}))
        .await;
    wire.next_of(1).await;
    wire.publish("kept:a", 1, "two").await;
    assert_eq!(wire.next_of(1).await["msgSerial"], 1);
    wire.publish("ephemeral", 2, "gone").await;
    wire.next_of(1).await;
    let key = connected["connectionDetails"]["connectionKey"].as_str().unwrap().to_owned();
    drop(node);

    let node = Node::start_on(config(), store.clone(), 0);
    let (mut wire, again) = Wire::connected(&node, &format!("clientId=alice&resume={key}")).await;
    assert_eq!(again["connectionId"], connected["connectionId"]);
    assert!(again.get("error").is_none(), "{again}");
    // The reply to the last publish was lost with the node. The client sends it again, and it is not published twice.
    wire.publish("kept:a", 1, "two").await;
    wire.send(json!({"action": 10, "channel": "kept:a", "channelSerial": attached["channelSerial"]})).await;
    wire.send(json!({"action": 10, "channel": "ephemeral", "channelSerial": ephemeral["channelSerial"]})).await;
    let frames = wire.settle().await;
    let attached: Vec<_> = frames.iter().filter(|frame| frame["action"] == 11).collect();
    assert_ne!(attached[0]["flags"].as_u64().unwrap() & 4, 0, "kept:a is continued");
    assert_eq!(attached[1]["error"]["code"], 90003, "the other one is told that it is not");
    assert_eq!(names(&frames), ["one", "two"]);
    let names: Vec<_> = history(&node, "kept:a").await.into_iter().map(|message| message["name"].clone()).collect();
    assert_eq!(names, ["two", "one"]);
    assert_eq!(store.rows_with(b"ephemeral"), 0, "ephemeral channels cost no disk");
}

#[tokio::test]
async fn a_stopping_node_tells_clients_to_reconnect() {
    let node = Node::start(config());
    let mut wires = Vec::new();
    for _ in 0..5 {
        wires.push(Wire::connected(&node, "").await.0);
    }
    let embedded = node.embedded.clone();
    let stopping = tokio::spawn(async move { embedded.endpoint.stop(Duration::from_millis(200)).await });
    for wire in &mut wires {
        assert_eq!(wire.next_of(6).await["error"]["code"], 80003);
        assert_eq!(wire.next().await, None);
    }
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_closed_connection_leaves_no_row() {
    let store = Arc::new(MemoryStore::default());
    let node = Node::start_on(config(), store.clone(), 0);
    let (mut wire, _) = Wire::connected(&node, "").await;
    // A connection without attachments has nothing to continue.
    assert_eq!(store.rows(), 0);
    wire.attach("c").await;
    eventually("the connection's row", || store.rows() == 1).await;
    wire.send(json!({"action": 7})).await;
    wire.next_of(8).await;
    eventually("the end of the row", || store.rows() == 0).await;
}

async fn enter(wire: &mut Wire, channel: &str, msg_serial: u64) {
    let member = json!({"action": 2, "data": "here"});
    wire.send(json!({"action": 14, "channel": channel, "msgSerial": msg_serial, "presence": [member]})).await;
    assert_eq!(wire.next_of(1).await["msgSerial"], msg_serial);
}

fn presence_of(frames: &[Value]) -> Vec<(u64, &str)> {
    let events = frames.iter().filter(|frame| frame["action"] == 14 || frame["action"] == 16);
    let events = events.flat_map(|frame| frame["presence"].as_array().unwrap());
    let mut members: Vec<_> =
        events.map(|event| (event["action"].as_u64().unwrap(), event["clientId"].as_str().unwrap())).collect();
    members.sort_unstable();
    members
}

#[tokio::test]
async fn members_who_come_back_after_a_restart_never_left_and_the_others_leave_after_the_grace() {
    let store = Arc::new(MemoryStore::default());
    let config = || Config { presence_grace: Duration::from_secs(3), ..config() };
    let node = Node::start_on(config(), store.clone(), 0);
    let (mut alice, connected) = Wire::connected(&node, "clientId=alice").await;
    let (mut bob, _) = Wire::connected(&node, "clientId=bob").await;
    let (mut carol, _) = Wire::connected(&node, "clientId=carol").await;
    for (wire, channel) in [(&mut alice, "kept:room"), (&mut bob, "kept:room"), (&mut carol, "kept:room")] {
        enter(wire, channel, 0).await;
    }
    carol.send(json!({"action": 14, "channel": "kept:room", "msgSerial": 1, "presence": [{"action": 3}]})).await;
    assert_eq!(carol.next_of(1).await["msgSerial"], 1);
    eventually("the rows of the two who are left", || store.rows_with(b"mtandem\0kept:room\0") == 2).await;
    let key = connected["connectionDetails"]["connectionKey"].as_str().unwrap().to_owned();
    drop(node);

    let node = Node::start_on(config(), store.clone(), 0);
    let (mut watcher, _) = Wire::connected(&node, "").await;
    let attached = watcher.attach("kept:room").await;
    assert_ne!(attached["flags"].as_u64().unwrap() & 1, 0, "HAS_PRESENCE");
    let frames = watcher.settle().await;
    assert_eq!(presence_of(&frames), [(1, "alice"), (1, "bob")]);
    let members = frames.iter().flat_map(|frame| frame["presence"].as_array().into_iter().flatten());
    let id = members.into_iter().find(|member| member["clientId"] == "alice").unwrap()["id"].clone();
    let (mut alice, _) = Wire::connected(&node, &format!("clientId=alice&resume={key}")).await;
    // The SDK re-enters with the member's earlier id.
    let member = json!({"action": 2, "data": "here", "id": id});
    alice.send(json!({"action": 14, "channel": "kept:room", "msgSerial": 1, "presence": [member]})).await;
    assert_eq!(alice.next_of(1).await["msgSerial"], 1);
    let left = watcher.next_of(14).await;
    assert_eq!(presence_of(&[left]), [(3, "bob")]);
    assert_eq!(presence_of(&watcher.settle().await), [], "alice was there all the time");
    alice.send(json!({"action": 7})).await;
    assert_eq!(presence_of(&[watcher.next_of(14).await]), [(3, "alice")]);
    eventually("no rows of members", || store.rows_with(b"mtandem\0kept:room\0") == 0).await;
}

/// Alice enters, and the node crashes. Returns her CONNECTED.
async fn alice_was_there(store: &Arc<MemoryStore>, config: Config) -> Value {
    let node = Node::start_on(config, store.clone(), 0);
    let (mut alice, connected) = Wire::connected(&node, "clientId=alice").await;
    enter(&mut alice, "kept:room", 0).await;
    eventually("alice's row", || store.rows_with(b"mtandem\0kept:room\0") == 1).await;
    connected
}

#[tokio::test]
async fn a_member_that_returns_under_another_connection_is_present_once() {
    let store = Arc::new(MemoryStore::default());
    alice_was_there(&store, config()).await;
    let node = Node::start_on(config(), store, 0);
    let (mut watcher, _) = Wire::connected(&node, "").await;
    watcher.attach("kept:room").await;
    assert_eq!(presence_of(&watcher.settle().await), [(1, "alice")]);
    let (mut alice, _) = Wire::connected(&node, "clientId=alice").await;
    enter(&mut alice, "kept:room", 0).await;
    assert_eq!(presence_of(&[watcher.next_of(14).await]), [(3, "alice")], "the old member leaves first");
    assert_eq!(presence_of(&[watcher.next_of(14).await]), [(2, "alice")]);
    alice.send(json!({"action": 7})).await;
    assert_eq!(presence_of(&[watcher.next_of(14).await]), [(3, "alice")]);
}

#[tokio::test]
async fn a_resumed_client_that_closes_without_attaching_has_left() {
    for (goodbye, answer) in [(json!({"action": 7}), 8), (json!({"action": 12, "channel": "kept:room"}), 13)] {
        says_goodbye(goodbye, answer).await;
    }
}

async fn says_goodbye(goodbye: Value, answer: u64) {
    let store = Arc::new(MemoryStore::default());
    let connected = alice_was_there(&store, config()).await;
    let key = connected["connectionDetails"]["connectionKey"].as_str().unwrap().to_owned();
    let node = Node::start_on(config(), store.clone(), 0);
    let (mut alice, again) = Wire::connected(&node, &format!("clientId=alice&resume={key}")).await;
    assert_eq!(again["connectionId"], connected["connectionId"]);
    alice.send(goodbye).await;
    alice.next_of(answer).await;
    let (mut watcher, _) = Wire::connected(&node, "").await;
    assert_eq!(watcher.attach("kept:room").await["flags"].as_u64().unwrap() & 1, 0, "nobody is there");
    eventually("no rows of members", || store.rows_with(b"mtandem\0kept:room\0") == 0).await;
}

#[tokio::test]
async fn rest_lists_restored_members_before_the_first_attach() {
    let store = Arc::new(MemoryStore::default());
    alice_was_there(&store, config()).await;
    let node = Node::start_on(config(), store, 0);
    let present = get(&node, "/channels/kept:room/presence").await;
    assert_eq!((present.len(), &present[0]["clientId"]), (1, &json!("alice")));
}

#[tokio::test]
async fn a_wrong_key_keeps_nobody_present() {
    let store = Arc::new(MemoryStore::default());
    let config = || Config { presence_grace: Duration::from_secs(1), ..config() };
    let connected = alice_was_there(&store, config()).await;
    let node = Node::start_on(config(), store.clone(), 0);
    let id = connected["connectionId"].as_str().unwrap();
    let (_wire, refused) = Wire::connected(&node, &format!("clientId=alice&resume={id}!guessed")).await;
    assert_eq!(refused["error"]["code"], 80008);
    eventually("alice has left", || store.rows_with(b"mtandem\0kept:room\0") == 0).await;
}

#[tokio::test]
async fn a_rewind_reaches_into_the_stored_history() {
    let store = Arc::new(MemoryStore::default());
    let config = || Config { continuity: Duration::from_millis(1), ..config() };
    let node = Node::start_on(config(), store.clone(), 0);
    let (mut wire, _) = Wire::connected(&node, "").await;
    for (serial, name) in ["one", "two", "three"].into_iter().enumerate() {
        wire.publish("kept:a", serial as u64, name).await;
        wire.next_of(1).await;
    }
    drop(node);

    let node = Node::start_on(config(), store, 0);
    let (mut wire, _) = Wire::connected(&node, "").await;
    wire.send(json!({"action": 10, "channel": "kept:a", "params": {"rewind": "2"}})).await;
    let attached = wire.next_of(11).await;
    assert_ne!(attached["flags"].as_u64().unwrap() & 2, 0, "HAS_BACKLOG");
    assert_eq!(names(&wire.settle().await), ["two", "three"]);
}
