//! Clients that no SDK is like: missing serials, floods, malformed frames, sockets that nobody reads.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tandem_ably::Config;
use tokio::{io::AsyncWriteExt, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};

use super::{node::Node, wire::Wire};

fn node() -> Node {
    Node::start(Config::default())
}

#[tokio::test]
async fn connected_has_all_details_that_a_client_needs() {
    let node = node();
    let (_, connected) = Wire::connected(&node, "clientId=alice").await;
    let details = &connected["connectionDetails"];
    let id = connected["connectionId"].as_str().unwrap();
    assert!(details["connectionKey"].as_str().unwrap().starts_with(&format!("{id}!")));
    assert_eq!(details["clientId"], "alice");
    assert_eq!(details["maxMessageSize"], 65_536);
    assert_eq!(details["maxFrameSize"], 524_288);
    assert_eq!(details["connectionStateTtl"], 120_000);
    assert_eq!(details["maxIdleInterval"], 15_000);
    assert!(details["maxInboundRate"].as_u64().unwrap() > 0);
    assert!(connected.get("error").is_none());
}

#[tokio::test]
async fn a_refused_client_gets_its_error_over_the_socket() {
    let node = node();
    for (query, code) in [
        ("", 40101),
        ("key=nonsense", 40101),
        ("key=no.app:x", 40101),
        ("key=nobody.app:x", 40400),
        ("key=tandem.other:x", 40400),
        ("key=tandem.main:wrong", 40101),
        ("access_token=tandem.x", 40143),
    ] {
        let mut wire = Wire::open_with(&node, query).await;
        assert_eq!(wire.next_of(9).await["error"]["code"], code, "{query}");
        assert_eq!(wire.next().await, None, "{query}");
    }
}

#[tokio::test]
async fn a_publish_without_a_serial_fails_the_channel_and_not_the_connection() {
    let node = node();
    let (mut wire, _) = Wire::connected(&node, "").await;
    for serial in [json!(null), json!(-1), json!("x"), json!(1.5)] {
        wire.send(json!({"action": 15, "channel": "c", "msgSerial": serial, "messages": [{"name": "x"}]})).await;
        let error = wire.next_of(9).await;
        assert_eq!((&error["channel"], &error["error"]["code"]), (&json!("c"), &json!(40000)));
    }
    assert_eq!(wire.settle().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_malformed_publish_is_refused_with_its_serial() {
    let node = node();
    let (mut wire, _) = Wire::connected(&node, "").await;
    let publishes = [
        json!({"action": 15, "channel": "c", "messages": [{"name": 7}]}),
        json!({"action": 15, "channel": "c", "messages": "x"}),
        json!({"action": 15, "channel": "c", "messages": [{"data": 7}]}),
        json!({"action": 15, "channel": "c", "messages": [{"extras": "x"}]}),
        json!({"action": 15, "channel": "", "messages": [{"name": "x"}]}),
        json!({"action": 14, "channel": "c", "presence": [{"action": 9, "clientId": "x"}]}),
        json!({"action": 14, "channel": "c", "presence": [{"action": 2}]}),
        json!({"action": 19, "channel": "c", "state": []}),
    ];
    for (serial, mut publish) in publishes.into_iter().enumerate() {
        publish["msgSerial"] = json!(serial);
        wire.send(publish.clone()).await;
        let nack = wire.next_of(2).await;
        assert_eq!(nack["msgSerial"], serial, "{publish}");
        assert!(nack["error"]["code"].as_u64().is_some_and(|code| code >= 40000), "{publish}");
    }
    wire.publish("c", 99, "fine").await;
    assert_eq!(wire.next_of(1).await["msgSerial"], 99);
}

#[tokio::test]
async fn unknown_actions_and_fields_are_ignored() {
    let node = node();
    let (mut wire, _) = Wire::connected(&node, "").await;
    wire.send(json!({"action": 77, "channel": "c"})).await;
    wire.send(json!({"action": "attach"})).await;
    wire.send(json!({"nothing": true})).await;
    wire.send(json!({"action": 0, "id": "x", "unknown": {"deep": []}})).await;
    assert_eq!(wire.next_of(0).await["id"], "x");
}

#[tokio::test]
async fn bytes_that_are_no_frame_end_the_connection_with_a_reason() {
    let node = node();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for bytes in ["", "nonsense", "[]", deep.as_str()] {
        let (mut wire, _) = Wire::connected(&node, "").await;
        wire.send_raw(Message::text(bytes.to_owned())).await;
        assert_eq!(wire.next_of(9).await["error"]["code"], 40000);
        assert_eq!(wire.next().await, None);
    }
}

#[tokio::test]
async fn a_frame_that_is_too_large_ends_the_connection_with_40009() {
    let node = node();
    for size in [530_000, 600_000, 4_000_000] {
        let (wire, _) = Wire::connected(&node, "").await;
        let (mut sink, stream) = wire.socket.split();
        let sending = tokio::spawn(async move {
            // The server may stop reading.
            drop(sink.send(Message::text("x".repeat(size))).await);
        });
        let texts = stream.filter_map(|message| async move { message.ok()?.into_text().ok() });
        let frames: Vec<_> =
            tokio::time::timeout(Duration::from_secs(10), texts.collect()).await.expect("the socket is closed");
        let error = frames.iter().find(|frame| frame.contains("40009"));
        assert!(error.is_some() || size > 1_000_000, "{size}: {frames:?}");
        sending.await.unwrap();
    }
}

#[tokio::test]
async fn a_flood_is_refused_with_42910_and_others_do_not_notice() {
    let node = Node::start(Config { max_inbound_rate: 20, ..Config::default() });
    let (mut flooder, _) = Wire::connected(&node, "").await;
    let (mut other, _) = Wire::connected(&node, "").await;
    for serial in 0..60 {
        flooder.publish("c", serial, "x").await;
    }
    let frames = flooder.settle().await;
    // One frame may acknowledge several.
    let acks: u64 = frames.iter().filter(|frame| frame["action"] == 1).map(|ack| ack["count"].as_u64().unwrap()).sum();
    let nacks: Vec<_> = frames.iter().filter(|frame| frame["action"] == 2).collect();
    assert!((20..40).contains(&acks), "{acks} were taken");
    assert!(nacks.iter().all(|nack| nack["error"]["code"] == 42910));
    assert_eq!(acks as usize + nacks.len(), 60);
    other.publish("c", 0, "calm").await;
    assert_eq!(other.next_of(1).await["msgSerial"], 0);
    for serial in 60..400 {
        flooder.publish("c", serial, "x").await;
    }
    assert_eq!(flooder.next_of(6).await["error"]["code"], 42910);
}

#[tokio::test]
async fn heartbeat_frames_come_to_clients_that_cannot_see_pings() {
    let node = Node::start(Config { max_idle_interval: Duration::from_secs(1), ..Config::default() });
    let (mut wire, connected) = Wire::connected(&node, "heartbeats=true").await;
    assert_eq!(connected["connectionDetails"]["maxIdleInterval"], 1_000);
    wire.next_of(0).await;
    wire.next_of(0).await;
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_slows_nobody_and_can_continue_from_the_log() {
    let mut config = Config { outbound_queue: 65_536, max_inbound_rate: 1_000_000, ..Config::default() };
    // All messages fit in the log of one channel and within the rate of one connection.
    (config.limits.log_bytes, config.limits.inbound_bytes) = (64 << 20, 1 << 30);
    let node = Node::start(config);
    let (mut stuck, connected) = Wire::connected(&node, "").await;
    let attached = stuck.attach("c").await;
    let (mut quick, _) = Wire::connected(&node, "").await;
    quick.attach("c").await;
    let (mut publisher, _) = Wire::connected(&node, "echo=false").await;
    // More than the sockets and the queue hold together, and less than may wait for a replay.
    let data = "x".repeat(60_000);
    let count = 240;
    for serial in 0..count {
        publisher
            .send(json!({"action": 15, "channel": "c", "msgSerial": serial, "messages": [{"name": "m", "data": data}]}))
            .await;
        assert_eq!(publisher.next_of(1).await["msgSerial"], serial);
        quick.next_of(15).await;
    }
    let mut seen = 0;
    let error = loop {
        let frame = stuck.next().await.expect("DISCONNECTED comes before the end");
        match frame["action"].as_u64() {
            Some(15) => seen += 1,
            Some(6) => break frame["error"]["code"].clone(),
            _ => {}
        }
    };
    assert_eq!(error, 80003);
    assert!(seen < count, "it was not stuck at all");
    let key = connected["connectionDetails"]["connectionKey"].as_str().unwrap();
    let (mut back, again) = Wire::connected(&node, &format!("resume={key}")).await;
    assert_eq!(again["connectionId"], connected["connectionId"]);
    back.send(json!({"action": 10, "channel": "c", "channelSerial": attached["channelSerial"]})).await;
    assert_ne!(back.next_of(11).await["flags"].as_u64().unwrap() & 4, 0, "RESUMED");
    for _ in 0..count {
        back.next_of(15).await;
    }
}

#[tokio::test]
async fn an_attachment_that_is_refused_later_delivers_nothing_more() {
    let node = node();
    let (mut wire, _) = Wire::connected(&node, "").await;
    let (mut publisher, _) = Wire::connected(&node, "").await;
    for (serial, (params, code)) in
        [(json!({"rewind": "soon"}), 40000), (json!({"modes": "object_publish"}), 40160)].into_iter().enumerate()
    {
        wire.attach("c").await;
        wire.send(json!({"action": 10, "channel": "c", "params": params})).await;
        assert_eq!(wire.next_of(9).await["error"]["code"], code);
        publisher.publish("c", serial as u64, "late").await;
        publisher.next_of(1).await;
        assert_eq!(wire.settle().await, Vec::<Value>::new());
    }
}

#[tokio::test]
async fn messagepack_and_json_see_the_same() {
    let node = node();
    let (mut json_wire, _) = Wire::connected(&node, "").await;
    json_wire.attach("c").await;
    let mut packed = Wire::open(&node, "format=msgpack").await;
    let frame = rmp_serde::to_vec_named(
        &json!({"action": 15, "channel": "c", "msgSerial": 0, "messages": [{"name": "m", "extras": {"a": [1]}}]}),
    );
    packed.send_raw(Message::binary(frame.unwrap())).await;
    let message = json_wire.next_of(15).await;
    assert_eq!(message["messages"][0]["extras"], json!({"a": [1]}));
    assert_eq!(message["messages"][0]["action"], 0);
}

#[tokio::test]
async fn half_an_emoji_becomes_a_replacement_character() {
    let node = node();
    let (mut wire, _) = Wire::connected(&node, "").await;
    wire.attach("c").await;
    let frame = r#"{"action":15,"channel":"c","msgSerial":0,"messages":[{"name":"cut","data":"so sad \ud83d"}]}"#;
    wire.send_raw(Message::text(frame)).await;
    assert_eq!(wire.next_of(15).await["messages"][0]["data"], "so sad \u{fffd}");
}

#[tokio::test]
async fn a_frame_that_violates_the_websocket_protocol_closes_the_socket() {
    let node = node();
    let (mut wire, _) = Wire::connected(&node, "").await;
    // An unmasked frame, as only servers may send.
    let MaybeTlsStream::Plain(stream) = wire.socket.get_mut() else { panic!("a plain socket") };
    stream.write_all(b"\x81\x02{}").await.unwrap();
    let closed = loop {
        match timeout(Duration::from_secs(20), wire.socket.next()).await.expect("an end within 20 s") {
            Some(Ok(Message::Close(reason))) => break reason.unwrap(),
            Some(Ok(_)) => {}
            other => panic!("ended without a close: {other:?}"),
        }
    };
    assert_eq!(closed.code, CloseCode::Protocol);
}
