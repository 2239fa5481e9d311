//! Only a connection's own client can resume it, and only in time.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tandem_ably::Config;

use super::{
    node::{KEY_SECRET, MemoryStore, Node, OTHER_KEY_NAME},
    wire::Wire,
};

fn key(connected: &Value) -> &str {
    connected["connectionDetails"]["connectionKey"].as_str().unwrap()
}

/// The error that comes with a new connection.
async fn refused(node: &Node, params: &str, earlier: &Value) -> Value {
    let (_, connected) = Wire::connected(node, &format!("{params}&resume={}", key(earlier))).await;
    assert_ne!(connected["connectionId"], earlier["connectionId"]);
    connected["error"]["code"].clone()
}

#[tokio::test]
async fn a_connection_cannot_be_resumed_with_another_client_id() {
    let store = Arc::new(MemoryStore::default());
    let node = Node::start_on(Config::default(), store.clone(), 0);
    let (mut wire, connected) = Wire::connected(&node, "clientId=alice").await;
    wire.attach("c").await;
    assert_eq!(refused(&node, "clientId=mallory", &connected).await, 80018);
    drop((wire, node));
    let node = Node::start_on(Config::default(), store, 0);
    assert_eq!(refused(&node, "clientId=mallory", &connected).await, 80008);
    let (_, again) = Wire::connected(&node, &format!("clientId=alice&resume={}", key(&connected))).await;
    assert_eq!(again["connectionId"], connected["connectionId"]);
}

#[tokio::test]
async fn an_expired_connection_cannot_be_resumed_even_after_a_restart() {
    let ttl = Duration::from_millis(300);
    let config = || Config { connection_state_ttl: ttl, ..Config::default() };
    let store = Arc::new(MemoryStore::default());
    let node = Node::start_on(config(), store.clone(), 0);
    let (mut wire, connected) = Wire::connected(&node, "").await;
    wire.attach("c").await;
    drop((wire, node));
    let node = Node::start_on(config(), store, 0);
    // This test is about time itself, so it sleeps.
    tokio::time::sleep(2 * ttl).await;
    assert_eq!(refused(&node, "", &connected).await, 80008);
}

#[tokio::test]
async fn a_connection_cannot_be_resumed_with_another_key() {
    let store = Arc::new(MemoryStore::default());
    let node = Node::start_on(Config::default(), store.clone(), 0);
    let (mut wire, connected) = Wire::connected(&node, "clientId=alice").await;
    wire.attach("c").await;
    let other = format!("key={OTHER_KEY_NAME}:{KEY_SECRET}&clientId=alice&resume={}", key(&connected));
    let mut stolen = Wire::open_with(&node, &other).await;
    assert_eq!(stolen.next_of(4).await["error"]["code"], 80018);
    drop((wire, stolen, node));
    let node = Node::start_on(Config::default(), store, 0);
    let mut stolen = Wire::open_with(&node, &other).await;
    assert_eq!(stolen.next_of(4).await["error"]["code"], 80008);
}
