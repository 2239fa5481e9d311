//! A bare WebSocket, for frames that no SDK sends.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use super::node::Node;

pub struct Wire {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Wire {
    /// Opens a socket with these query parameters beside the key.
    pub async fn open(node: &Node, params: &str) -> Wire {
        Self::open_with(node, &format!("key={}&{params}", node.key())).await
    }

    pub async fn open_with(node: &Node, query: &str) -> Wire {
        Self::dial(&node.url, query).await
    }

    /// Opens a socket to a server at `http://…`.
    pub async fn dial(origin: &str, query: &str) -> Wire {
        let (socket, _) = connect_async(format!("{}/?v=6&{query}", origin.replacen("http", "ws", 1))).await.unwrap();
        Wire { socket }
    }

    /// Opens a socket and reads CONNECTED.
    pub async fn connected(node: &Node, params: &str) -> (Wire, Value) {
        let mut wire = Self::open(node, params).await;
        let connected = wire.next_of(4).await;
        (wire, connected)
    }

    pub async fn send(&mut self, frame: Value) {
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    pub async fn send_raw(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// The next frame. None after the server has closed the socket.
    pub async fn next(&mut self) -> Option<Value> {
        self.next_within(Duration::from_secs(20)).await
    }

    pub async fn next_within(&mut self, limit: Duration) -> Option<Value> {
        // Pings are skipped.
        let deadline = Instant::now() + limit;
        loop {
            match timeout_at(deadline, self.socket.next()).await.expect("nothing came in time") {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_))) => panic!("a binary frame on a JSON connection"),
                Some(Ok(Message::Close(_) | Message::Frame(_)) | Err(_)) | None => return None,
            }
        }
    }

    /// The next frame with this action. Others are skipped.
    pub async fn next_of(&mut self, action: u64) -> Value {
        loop {
            let frame = self.next().await.unwrap_or_else(|| panic!("closed before a frame with action {action}"));
            if frame["action"] == action {
                return frame;
            }
        }
    }

    /// All frames until the reply to a HEARTBEAT shows that the server is done.
    pub async fn settle(&mut self) -> Vec<Value> {
        self.settle_with(0).await
    }

    /// All frames until the reply to a HEARTBEAT, and until so many publishes have their replies. Replies of stored
    /// channels come when the store is done.
    pub async fn settle_with(&mut self, replies: u64) -> Vec<Value> {
        self.send(json!({"action": 0, "id": "settle"})).await;
        let (mut frames, mut replied, mut is_done) = (Vec::new(), 0, false);
        while !is_done || replied < replies {
            let frame = self.next().await.expect("the connection is open");
            if frame["action"] == 1 || frame["action"] == 2 {
                replied += frame["count"].as_u64().expect("a reply has a count");
            }
            match frame["action"] == 0 && frame["id"] == "settle" {
                true => is_done = true,
                false => frames.push(frame),
            }
        }
        frames
    }

    pub async fn attach(&mut self, channel: &str) -> Value {
        self.send(json!({"action": 10, "channel": channel})).await;
        self.next_of(11).await
    }

    /// The connection's first frame with a serial.
    pub async fn enter(&mut self, channel: &str) {
        self.send(json!({"action": 14, "channel": channel, "msgSerial": 0, "presence": [{"action": 2}]})).await;
    }

    pub async fn publish(&mut self, channel: &str, msg_serial: u64, name: &str) {
        self.send(json!({"action": 15, "channel": channel, "msgSerial": msg_serial, "messages": [{"name": name}]}))
            .await;
    }
}

pub fn names(frames: &[Value]) -> Vec<&str> {
    let messages =
        frames.iter().filter(|frame| frame["action"] == 15).flat_map(|frame| frame["messages"].as_array().unwrap());
    messages.map(|message| message["name"].as_str().unwrap_or_default()).collect()
}

/// Waits for a condition that another thread fulfils.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} did not come about");
}
