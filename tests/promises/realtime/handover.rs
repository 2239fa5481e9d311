//! A planned restart: unstored channels continue once.

use std::{os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc};

use serde_json::{Value, json};
use tandem_ably::Config;

use super::{
    node::{MemoryStore, Node},
    wire::{Wire, names},
};
use crate::harness::{Server, Setup, server};

fn resume(connected: &Value) -> String {
    format!("resume={}", connected["connectionDetails"]["connectionKey"].as_str().unwrap())
}

fn file(server: &Server) -> PathBuf {
    server.data().join("realtime.handover")
}

/// A socket with the operator's key.
async fn dial(server: &Server, query: &str) -> (Wire, Value) {
    let key = std::fs::read_to_string(server.data().join("realtime.key")).unwrap();
    let mut wire = Wire::dial(&server.origin, &format!("key={}&{query}", key.trim())).await;
    let connected = wire.next_of(4).await;
    (wire, connected)
}

#[tokio::test]
async fn unstored_channels_continue_after_a_planned_restart() {
    continue_after_a_planned_restart(server(), |file| contains(file, "lobby")).await;
}

#[tokio::test]
async fn unstored_channels_continue_in_an_encrypted_store_and_their_file_shows_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    std::fs::write(&key, "a".repeat(64)).unwrap();
    let setup = server().set("store.encryption_key_file", key.display());
    let is_sealed = |file: &[u8]| !["lobby", "alice", "one"].iter().any(|word| contains(file, word));
    continue_after_a_planned_restart(setup, is_sealed).await;
}

fn contains(file: &[u8], word: &str) -> bool {
    file.windows(word.len()).any(|part| part == word.as_bytes())
}

async fn continue_after_a_planned_restart(setup: Setup, is_right: impl Fn(&[u8]) -> bool) {
    let first = setup.start().await;
    let (mut wire, connected) = dial(&first, "clientId=alice").await;
    let attached = wire.attach("lobby").await;
    wire.enter("lobby").await;
    wire.publish("lobby", 1, "one").await;
    wire.publish("lobby", 2, "two").await;
    wire.settle().await;
    let path = file(&first);
    let setup = first.stop().await;
    assert_eq!(wire.next_of(6).await["error"]["code"], 80003);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(is_right(&std::fs::read(&path).unwrap()));

    let second = setup.start().await;
    assert!(!path.exists(), "it is used once");
    let (mut watcher, _) = dial(&second, "").await;
    watcher.attach("lobby").await;
    let there = watcher.next_of(16).await;
    assert_eq!((&there["presence"][0]["clientId"], &there["presence"][0]["action"]), (&json!("alice"), &json!(1)));
    let (mut wire, again) = dial(&second, &format!("clientId=alice&{}", resume(&connected))).await;
    assert_eq!(again["connectionId"], connected["connectionId"]);
    // The reply to the last publish was lost. The client sends it again.
    wire.publish("lobby", 2, "two").await;
    wire.publish("lobby", 3, "three").await;
    wire.send(json!({"action": 10, "channel": "lobby", "channelSerial": attached["channelSerial"]})).await;
    let frames = wire.settle().await;
    let attached = frames.iter().find(|frame| frame["action"] == 11).unwrap();
    assert_ne!(attached["flags"].as_u64().unwrap() & 4, 0, "RESUMED");
    assert_eq!(names(&frames), ["one", "two", "three"]);
    let heard = watcher.settle().await;
    assert_eq!(names(&heard), ["three"]);
    assert!(heard.iter().all(|frame| frame["action"] != 14), "alice was there all the time");

    let third = second.kill_and_start().await;
    let (mut wire, _) = dial(&third, "").await;
    let attached = wire.attach("lobby").await;
    assert_eq!(attached["flags"].as_u64().unwrap() & 1, 0, "a crash hands nothing over");
}

#[tokio::test]
async fn damaged_and_old_handover_files_are_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("handover");
    let config = |continuity| Config {
        continuity: std::time::Duration::from_secs(continuity),
        connection_state_ttl: std::time::Duration::from_secs(continuity),
        ..Config::default()
    };
    let written = async || {
        let node = Node::start(config(100));
        let (mut wire, _) = Wire::connected(&node, "").await;
        wire.publish("c", 0, "one").await;
        wire.next_of(1).await;
        node.embedded.endpoint.hand_over(&path, |content| content);
    };
    let history = async |continuity| {
        let node = Node::start_on(config(continuity), Arc::new(MemoryStore::default()), 0);
        node.embedded.endpoint.take_over(&path, Some);
        assert!(!path.exists());
        let (name, secret) = node.key().split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let request = reqwest::Client::new().get(format!("{}/channels/c/messages", node.url));
        let answer = request.basic_auth(name, Some(secret)).send().await.unwrap().text().await.unwrap();
        serde_json::from_str::<Vec<Value>>(&answer).unwrap().len()
    };
    written().await;
    assert_eq!(history(100).await, 1);
    written().await;
    // This test is about time itself, so it sleeps.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    assert_eq!(history(0).await, 0, "too old");
    written().await;
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(history(100).await, 0, "damaged");
}
