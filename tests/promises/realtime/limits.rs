//! Limits: a client that sends too much does not affect other clients. Sizes, rates, counts and stored bytes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use serde_json::{Value, json};
use tandem_ably::{Config, LimitsConfig};
use tokio::{io::AsyncWriteExt, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};

use super::{
    node::{MemoryStore, Node},
    wire::{Wire, eventually},
};

fn node(change: impl FnOnce(&mut LimitsConfig)) -> Node {
    let mut config = Config::default();
    change(&mut config.limits);
    Node::start(config)
}

async fn token(node: &Node, client_id: &str) -> String {
    let url = format!("{}/keys/tandem.main/requestToken", node.url);
    let (name, secret) = (super::node::KEY_NAME, super::node::KEY_SECRET);
    let request = reqwest::Client::new().post(url).basic_auth(name, Some(secret)).json(&json!({"clientId": client_id}));
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["token"].as_str().unwrap().to_owned()
}

/// A socket of a user with a token.
async fn open(node: &Node, client_id: &str) -> Wire {
    Wire::open_with(node, &format!("access_token={}", token(node, client_id).await)).await
}

async fn connected(node: &Node, client_id: &str) -> Wire {
    let mut wire = open(node, client_id).await;
    wire.next_of(4).await;
    wire
}

fn message(channel: &str, msg_serial: u64, bytes: usize) -> Value {
    json!({"action": 15, "channel": channel, "msgSerial": msg_serial, "messages": [{"data": "x".repeat(bytes)}]})
}

/// The codes of refused publishes, and the number of accepted ones.
fn outcomes(frames: &[Value]) -> (Vec<u64>, u64) {
    let of = |action: u64| frames.iter().filter(move |frame| frame["action"] == action);
    let refused = of(2).map(|nack| nack["error"]["code"].as_u64().unwrap()).collect();
    (refused, of(1).map(|ack| ack["count"].as_u64().unwrap()).sum())
}

/// Sends raw bytes. Returns the last error and the close code.
async fn closed_for(mut wire: Wire, bytes: &[u8]) -> (Option<u64>, CloseCode) {
    let MaybeTlsStream::Plain(stream) = wire.socket.get_mut() else { panic!("a plain socket") };
    stream.write_all(bytes).await.unwrap();
    let mut code = None;
    loop {
        match timeout(Duration::from_secs(20), wire.socket.next()).await.expect("an end within 20 s") {
            Some(Ok(Message::Close(reason))) => return (code, reason.unwrap().code),
            Some(Ok(Message::Text(text))) => {
                let frame: Value = serde_json::from_str(&text).unwrap();
                code = frame["error"]["code"].as_u64().or(code);
            }
            Some(Ok(_)) => {}
            other => panic!("ended without a close: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_frame_that_is_too_large_is_refused_by_its_header() {
    let node = node(|_| ());
    let mut terabyte = vec![0x82, 0x80 | 127];
    terabyte.extend_from_slice(&(1u64 << 40).to_be_bytes());
    terabyte.extend_from_slice(b"mask and some bytes");
    // Each fragment is small, but together they are too large.
    let fragment = |first: u8| [&[first, 0x80 | 126, 0xff, 0xff, 0, 0, 0, 0][..], &[b'x'; 65_535]].concat();
    let mut fragments = fragment(0x01);
    (0..8).for_each(|_| fragments.extend(fragment(0x00)));
    for bytes in [terabyte, fragments] {
        let (wire, _) = Wire::connected(&node, "").await;
        assert_eq!(closed_for(wire, &bytes).await, (Some(40009), CloseCode::Size));
    }
}

#[tokio::test]
async fn bytes_beyond_the_rate_are_refused_and_the_connection_goes_on() {
    let node = node(|limits| limits.inbound_bytes = 100_000);
    let (mut wire, mut other) = (connected(&node, "anna").await, connected(&node, "anna").await);
    for serial in 0..30 {
        wire.send(message("c", serial, 60_000)).await;
        other.send(message("c", serial, 60_000)).await;
    }
    let (mut refused, mut taken) = outcomes(&wire.settle().await);
    let (of_other, by_other) = outcomes(&other.settle().await);
    refused.extend(of_other);
    taken += by_other;
    // Twice the rate at once, and what the rate allows in the meantime, for both connections together.
    assert!((3..30).contains(&taken) && refused.iter().all(|code| *code == 42910), "{taken} taken, {refused:?}");
    let mut ben = connected(&node, "ben").await;
    ben.send(message("c", 0, 60_000)).await;
    assert_eq!(outcomes(&ben.settle().await), (vec![], 1));
    let mut serial = 30;
    loop {
        wire.send(message("c", serial, 1_000)).await;
        if outcomes(&wire.settle().await).1 == 1 {
            break;
        }
        serial += 1;
    }
}

#[tokio::test]
async fn the_stored_bytes_of_a_user_are_limited_and_other_users_are_not_affected() {
    let node = node(|limits| limits.stored_bytes_per_user = 100_000);
    let mut anna = connected(&node, "anna").await;
    for serial in 0..4 {
        anna.send(message("meetwithoutfear:notes", serial, 40_000)).await;
    }
    anna.send(message("passing", 4, 40_000)).await;
    assert_eq!(outcomes(&anna.settle().await), (vec![42910, 42910], 3), "what is not persisted is not stored");
    let mut ben = connected(&node, "ben").await;
    ben.send(message("meetwithoutfear:notes", 0, 40_000)).await;
    assert_eq!(outcomes(&ben.settle().await), (vec![], 1));
    let published = reqwest::Client::new()
        .post(format!("{}/channels/meetwithoutfear:notes/messages", node.url))
        .bearer_auth(token(&node, "anna").await)
        .json(&json!({"data": "x".repeat(40_000)}));
    assert_eq!(published.send().await.unwrap().status(), 429);
}

#[tokio::test]
async fn a_flood_of_attaches_is_read_slowly_and_other_clients_are_served() {
    let node = node(|limits| limits.frame_rate = 1_000);
    let mut flood = connected(&node, "anna").await;
    let begun = Instant::now();
    for n in 0..150 {
        flood.send(json!({"action": 10, "channel": format!("c{}", n % 7)})).await;
        flood.send(json!({"action": 16, "channel": "c0"})).await;
        flood.send(json!({"action": 12, "channel": format!("c{}", n % 7)})).await;
    }
    let mut other = connected(&node, "ben").await;
    for _ in 0..10 {
        let asked = Instant::now();
        other.settle().await;
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    }
    flood.settle().await;
    // 3,000 units. 2,000 are there at once.
    assert!(begun.elapsed() > Duration::from_millis(800), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn attachments_and_names_of_a_channel_are_limited_for_a_connection() {
    let node = node(|limits| (limits.attachments, limits.names_per_channel) = (5, 3));
    let mut wire = connected(&node, "anna").await;
    for n in 0..3 {
        wire.attach(&format!("[?n={n}]c")).await;
    }
    wire.send(json!({"action": 10, "channel": "[?n=3]c"})).await;
    let refused = wire.next_of(9).await;
    assert_eq!((refused["error"]["code"].as_u64(), refused["channel"].as_str()), (Some(42910), Some("[?n=3]c")));
    wire.attach("[?n=1]c").await;
    for name in ["d", "e"] {
        wire.attach(name).await;
    }
    wire.send(json!({"action": 10, "channel": "f"})).await;
    assert_eq!(wire.next_of(9).await["error"]["code"], 42910);
    wire.send(json!({"action": 12, "channel": "d"})).await;
    wire.next_of(13).await;
    wire.attach("f").await;
}

#[tokio::test]
async fn a_users_sockets_are_limited_and_free_again_after_a_close() {
    let node = node(|limits| limits.connections_per_user = 3);
    let mut open_sockets =
        vec![connected(&node, "anna").await, connected(&node, "anna").await, connected(&node, "anna").await];
    let refused = open(&node, "anna").await.next().await.unwrap();
    assert_eq!((refused["action"].as_u64(), refused["error"]["code"].as_u64()), (Some(6), Some(42910)));
    connected(&node, "ben").await;
    open_sockets.pop();
    for _ in 0..200 {
        if open(&node, "anna").await.next().await.unwrap()["action"] == 4 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place of a socket that is gone is not given to another");
}

#[tokio::test]
async fn connections_that_come_too_fast_are_refused_and_leave_nothing() {
    let mut config = Config::default();
    config.limits.connects_per_user = 2;
    let store = Arc::new(MemoryStore::default());
    let node = Node::start_on(config, store.clone(), 0);
    let token = token(&node, "anna").await;
    let mut actions = Vec::new();
    for _ in 0..30 {
        let mut wire = Wire::open_with(&node, &format!("access_token={token}")).await;
        actions.push(wire.next().await.unwrap()["action"].as_u64().unwrap());
    }
    assert_eq!(actions[..20], [4; 20]);
    assert!(actions[20..].contains(&6));
    assert_eq!(store.rows(), 0, "of connections that attached nothing");
    let mut ben = connected(&node, "ben").await;
    ben.attach("c").await;
    eventually("a connection that may be resumed is stored", || store.rows() > 0).await;
}

#[tokio::test]
async fn a_presence_set_is_bounded_in_bytes() {
    let node = node(|limits| limits.presence_bytes = 10_000);
    let enter = |serial: u64, bytes: usize| json!({"action": 14, "channel": "c", "msgSerial": serial, "presence": [{"action": 2, "data": "x".repeat(bytes)}]});
    let (mut anna, mut ben) = (connected(&node, "anna").await, connected(&node, "ben").await);
    anna.send(enter(0, 6_000)).await;
    assert_eq!(outcomes(&anna.settle().await), (vec![], 1));
    ben.send(enter(0, 6_000)).await;
    ben.send(enter(1, 1_000)).await;
    assert_eq!(outcomes(&ben.settle().await), (vec![91003], 1));
}

#[tokio::test]
async fn a_page_of_history_is_bounded_in_bytes_and_links_to_the_rest() {
    let node = node(|_| ());
    let (mut wire, _) = Wire::connected(&node, "").await;
    for serial in 0..40 {
        wire.send(message("meetwithoutfear:long", serial, 60_000)).await;
    }
    assert_eq!(outcomes(&wire.settle_with(40).await), (vec![], 40));
    for direction in ["backwards", "forwards"] {
        let channel = format!("{}/channels/meetwithoutfear:long/", node.url);
        let mut page = format!("messages?limit=1000&direction={direction}");
        let (mut ids, mut pages) = (Vec::new(), 0);
        loop {
            let request = reqwest::Client::new().get(format!("{channel}{page}"));
            let answer = request.basic_auth(super::node::KEY_NAME, Some(super::node::KEY_SECRET)).send().await.unwrap();
            let links: Vec<String> = answer
                .headers()
                .get_all("link")
                .iter()
                .flat_map(|link| link.to_str().unwrap().split(", ").map(str::to_owned).collect::<Vec<_>>())
                .collect();
            let items: Vec<Value> = answer.json().await.unwrap();
            assert!(items.len() < 25, "{} items of 60 kB in a page", items.len());
            ids.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            pages += 1;
            let next = links.iter().find(|link| link.contains("rel=\"next\""));
            let Some(next) = next.and_then(|link| link.strip_prefix("<./")?.split_once('>')) else { break };
            page = next.0.to_owned();
        }
        assert!(pages >= 2);
        assert_eq!(ids.len(), 40);
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 40, "each once");
    }
}
