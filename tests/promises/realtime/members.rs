//! Presence in ways that no SDK uses: large members, lost connections, leaves without an attachment.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_ably::Config;

use super::{node::Node, wire::Wire};

fn node() -> Node {
    Node::start(Config::default())
}

#[tokio::test]
async fn a_client_may_say_how_long_it_stays_present_without_a_socket() {
    let node = Node::start(Config { presence_grace: Duration::from_secs(90), ..Config::default() });
    let (mut watcher, _) = Wire::connected(&node, "").await;
    watcher.attach("c").await;
    for (client, params) in [("usual", "remainPresentFor=soon"), ("brief", "remainPresentFor=1")] {
        let (mut wire, _) = Wire::connected(&node, &format!("clientId={client}&{params}")).await;
        wire.enter("c").await;
        wire.next_of(1).await;
        assert_eq!(watcher.next_of(14).await["presence"][0]["action"], 2);
    }
    let left = watcher.next_of(14).await;
    assert_eq!((&left["presence"][0]["action"], &left["presence"][0]["clientId"]), (&json!(3), &json!("brief")));
    assert_eq!(watcher.settle().await, Vec::<Value>::new());
}

#[tokio::test]
async fn all_fields_of_a_member_count_against_the_size_limit() {
    let node = node();
    let (mut wire, _) = Wire::connected(&node, "clientId=alice").await;
    let large = "x".repeat(70_000);
    let publishes = [
        json!({"action": 14, "channel": "c", "presence": [{"action": 2, "extras": {"a": large}}]}),
        json!({"action": 14, "channel": "c", "presence": [{"action": 2, "id": large}]}),
        json!({"action": 14, "channel": "c", "presence": [{"action": 2, "encoding": large}]}),
        json!({"action": 15, "channel": "c", "messages": [{"id": large}]}),
        json!({"action": 15, "channel": "c", "messages": [{"encoding": large}]}),
    ];
    for (serial, mut publish) in publishes.into_iter().enumerate() {
        publish["msgSerial"] = json!(serial);
        wire.send(publish).await;
        let nack = wire.next_of(2).await;
        assert_eq!((&nack["msgSerial"], &nack["error"]["code"]), (&json!(serial), &json!(40009)));
    }
}

#[tokio::test]
async fn a_member_who_never_attached_leaves_by_detaching() {
    let node = node();
    let (mut watcher, _) = Wire::connected(&node, "").await;
    watcher.attach("c").await;
    let (mut wire, _) = Wire::connected(&node, "clientId=alice").await;
    wire.enter("c").await;
    assert_eq!(watcher.next_of(14).await["presence"][0]["action"], 2);
    wire.send(json!({"action": 12, "channel": "c"})).await;
    wire.next_of(13).await;
    assert_eq!(watcher.next_of(14).await["presence"][0]["action"], 3);
}

#[tokio::test]
async fn a_member_leaves_by_attaching_without_the_presence_mode() {
    let node = node();
    let (mut watcher, _) = Wire::connected(&node, "").await;
    watcher.attach("c").await;
    let (mut alice, _) = Wire::connected(&node, "clientId=alice").await;
    alice.attach("c").await;
    alice.enter("c").await;
    assert_eq!(watcher.next_of(14).await["presence"][0]["action"], 2);
    alice.send(json!({"action": 10, "channel": "c", "params": {"modes": "subscribe"}})).await;
    assert_eq!(watcher.next_of(14).await["presence"][0]["action"], 3);
}

#[tokio::test]
async fn a_silent_socket_is_closed() {
    let idle = Duration::from_secs(1);
    let node =
        Node::start(Config { max_idle_interval: idle, presence_grace: Duration::from_millis(50), ..Config::default() });
    let (mut watcher, _) = Wire::connected(&node, "").await;
    watcher.attach("c").await;
    // Open, but never read: it does not answer pings.
    let (mut dead, _) = Wire::connected(&node, "clientId=alice").await;
    dead.enter("c").await;
    assert_eq!(watcher.next_of(14).await["presence"][0]["action"], 2);
    assert_eq!(watcher.next_of(14).await["presence"][0]["action"], 3);
}

#[tokio::test]
async fn large_members_are_synced_in_frames_that_clients_take() {
    let node = node();
    let (mut wire, _) = Wire::connected(&node, "").await;
    let data = "x".repeat(50_000);
    for serial in 0..12 {
        let member = json!({"action": 2, "clientId": format!("client-{serial}"), "data": data});
        wire.send(json!({"action": 14, "channel": "c", "msgSerial": serial, "presence": [member]})).await;
        wire.next_of(1).await;
    }
    let (mut watcher, connected) = Wire::connected(&node, "").await;
    watcher.attach("c").await;
    let frames = watcher.settle().await;
    let most = connected["connectionDetails"]["maxFrameSize"].as_u64().unwrap() as usize;
    assert!(frames.len() > 1 && frames.iter().all(|frame| frame["action"] == 16 && frame.to_string().len() < most));
    let members: usize = frames.iter().map(|frame| frame["presence"].as_array().unwrap().len()).sum();
    assert_eq!(members, 12);
    let serials: Vec<_> = frames.iter().map(|frame| frame["channelSerial"].as_str().unwrap()).collect();
    assert!(serials.iter().enumerate().all(|(index, serial)| serial.ends_with(':') == (index + 1 == serials.len())));
}

#[tokio::test]
async fn large_members_of_a_lost_connection_leave_in_frames_that_clients_take() {
    let node = Node::start(Config { presence_grace: Duration::from_millis(100), ..Config::default() });
    let (mut watcher, connected) = Wire::connected(&node, "").await;
    let most = connected["connectionDetails"]["maxFrameSize"].as_u64().unwrap() as usize;
    watcher.attach("c").await;
    let (mut many, _) = Wire::connected(&node, "").await;
    let large = "\"".repeat(60_000);
    for serial in 0..9 {
        let member = json!({"action": 2, "clientId": format!("member-{serial}"), "data": large});
        many.send(json!({"action": 14, "channel": "c", "msgSerial": serial, "presence": [member]})).await;
        watcher.next_of(14).await;
    }
    drop(many);
    let mut left = 0;
    while left < 9 {
        let frame = watcher.next_of(14).await;
        assert!(frame.to_string().len() <= most);
        left += frame["presence"].as_array().unwrap().iter().filter(|event| event["action"] == 3).count();
    }
}
