//! Floods of messages against a node with little memory.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use super::connections::resident;
use crate::harness::{Server, server};

const KEYS: &str = r#"[{name="tandem.main",secret="tests"}]"#;

/// Publishes large messages on a channel of its own, as fast as the node takes them, and returns how many were taken
/// and refused.
async fn flood(server: &Server, channel: &str, messages: u64, bytes: usize) -> (u64, u64) {
    let url = format!("ws://{}/?v=6&format=json&key=tandem.main:tests", server.host());
    let (mut out, mut frames) = connect_async(url).await.expect("the WebSocket opens").0.split();
    let data = "x".repeat(bytes);
    let sending = async {
        for serial in 0..messages {
            let frame = json!({"action": 15, "channel": channel, "msgSerial": serial, "messages": [{"data": data}]});
            if out.send(Message::text(frame.to_string())).await.is_err() {
                return;
            }
        }
    };
    let reading = async {
        let (mut taken, mut refused) = (0, 0);
        while taken + refused < messages
            && let Some(Ok(message)) = frames.next().await
        {
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            match frame["action"].as_u64() {
                Some(1) => taken += frame["count"].as_u64().unwrap(),
                Some(2) => refused += 1,
                _ => {}
            }
        }
        (taken, refused)
    };
    tokio::join!(sending, reading).1
}

#[tokio::test]
async fn large_messages_grow_neither_memory_nor_disk_beyond_their_limits() {
    let server = server()
        .set("realtime.embedded.keys", KEYS)
        .set("realtime.embedded.limits.inbound_bytes", 1 << 30)
        .set("realtime.embedded.limits.log_bytes", 1 << 20)
        .set("realtime.embedded.limits.kept_bytes", 4 << 20)
        .set("realtime.embedded.limits.stored_bytes", 4 << 20)
        .system_limit("-v", 3 << 20)
        .start()
        .await;
    flood(&server, "warm", 50, 60_000).await;
    let before = resident(&server);
    for n in 0..8 {
        assert_eq!(flood(&server, &format!("passing:{n}"), 150, 60_000).await, (150, 0), "what is not stored is taken");
    }
    let (stored, refused) = flood(&server, "meetwithoutfear:stored", 150, 60_000).await;
    assert!((40..90).contains(&stored), "{stored} stored, {refused} refused");
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < 50 << 20, "{} MiB more after 72 MiB of messages", grown >> 20);
    server.partner("Anna").invite("Ben").await.created();
}
