//! A client of Ably's realtime protocol, JSON over a WebSocket: just enough to be present and to listen.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, Ordering},
};

use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};

use super::{
    answer::{has, items, text},
    partner::{Partner, Request},
    wait::{eventually, in_time},
};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const HEARTBEAT: u64 = 0;
const ACK: u64 = 1;
const CONNECTED: u64 = 4;
const CLOSE: u64 = 7;
const CLOSED: u64 = 8;
const ATTACH: u64 = 10;
const ATTACHED: u64 = 11;
const PRESENCE: u64 = 14;
const MESSAGE: u64 = 15;
const ENTER: u64 = 2;
const LEAVE: u64 = 3;

pub struct Realtime {
    user: String,
    out: SplitSink<Socket, Message>,
    frames: Arc<Mutex<Vec<Value>>>,
    reader: JoinHandle<SplitStream<Socket>>,
    serial: AtomicI64,
}

/// A session's two channels by their default names.
fn session_channel(session: &str) -> String {
    format!("meetwithoutfear:session:{session}")
}

fn presence_channel(session: &str) -> String {
    format!("meetwithoutfear:session:{session}:presence")
}

impl Realtime {
    /// With a token for the sessions that the partner has at present.
    pub async fn connect(partner: &Partner) -> Self {
        let token = text(&Self::token(partner).await["token"]);
        let host = partner.origin.trim_start_matches("http://");
        let url = format!("ws://{host}/?v=3&format=json&heartbeats=true&access_token={token}");
        let (socket, _) = tokio_tungstenite::connect_async(url).await.expect("the WebSocket opens");
        let (out, mut incoming) = socket.split();
        let frames = Arc::new(Mutex::new(Vec::new()));
        let kept = frames.clone();
        let reader = tokio::spawn(async move {
            while let Some(Ok(message)) = incoming.next().await {
                if let Message::Text(frame) = message {
                    let frame = serde_json::from_str(&frame).expect("a JSON frame");
                    kept.lock().expect("nobody panics with it").push(frame);
                }
            }
            incoming
        });
        let client = Self { user: partner.id.clone(), out, frames, reader, serial: AtomicI64::new(0) };
        client.frame("CONNECTED", |frame| frame["action"] == CONNECTED).await;
        client
    }

    /// TokenDetails for a partner, as the SDK gets them.
    pub async fn token(partner: &Partner) -> Value {
        let answer = partner.get("/auth/ably-token").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let request = answer.json()["data"]["tokenRequest"].clone();
        has(&request, &["keyName", "ttl", "timestamp", "capability", "clientId", "nonce", "mac"]);
        let path = format!("/keys/{}/requestToken", text(&request["keyName"]));
        let answer = Request::new(Method::POST, &partner.origin, &path).json(&request).send().await;
        assert!(matches!(answer.status, 200 | 201), "{path}: {} {}", answer.status, answer.body);
        answer.json()
    }

    /// Listens to a session.
    pub async fn attach(&mut self, session: &str) {
        self.attach_to(&session_channel(session)).await;
    }

    /// Enters a session's presence set, as the app does on the session's screen.
    pub async fn enter(&mut self, session: &str) {
        self.enter_on(&presence_channel(session)).await;
    }

    /// The same with data of one's own.
    pub async fn enter_with(&mut self, session: &str, data: &str) {
        let channel = presence_channel(session);
        self.attach_to(&channel).await;
        self.presence(&channel, json!({ "action": ENTER, "data": data })).await;
    }

    /// Enters the presence set of any channel.
    pub async fn enter_on(&mut self, channel: &str) {
        self.attach_to(channel).await;
        let data = json!({ "userId": self.user, "stage": 0, "status": "IN_PROGRESS" }).to_string();
        self.presence(channel, json!({ "action": ENTER, "data": data, "encoding": "json" })).await;
    }

    pub async fn leave(&mut self, session: &str) {
        self.presence(&presence_channel(session), json!({ "action": LEAVE })).await;
    }

    async fn attach_to(&mut self, channel: &str) {
        self.send(json!({ "action": ATTACH, "channel": channel })).await;
        self.frame(&format!("ATTACHED {channel}"), |frame| frame["action"] == ATTACHED && frame["channel"] == channel)
            .await;
    }

    async fn presence(&mut self, channel: &str, entry: Value) {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        self.send(json!({ "action": PRESENCE, "channel": channel, "msgSerial": serial, "presence": [entry] })).await;
        self.frame(&format!("ACK {serial}"), |frame| frame["action"] == ACK && frame["msgSerial"] == serial).await;
    }

    pub async fn send(&mut self, frame: Value) {
        self.out.send(Message::text(frame.to_string())).await.expect("the socket is open");
    }

    #[track_caller]
    pub fn frame(&self, what: &str, is: impl Fn(&Value) -> bool) -> impl Future<Output = Value> {
        let what = format!("{what} (at {})", std::panic::Location::caller());
        async move { eventually(what, || async { self.frames().into_iter().find(&is) }).await }
    }

    /// Every frame so far.
    pub fn frames(&self) -> Vec<Value> {
        self.frames.lock().expect("nobody panics with it").clone()
    }

    /// What the session's channel carried so far: `{name, id, data…}`, with `data` decoded.
    pub fn messages(&self, session: &str) -> Vec<Value> {
        let channel = session_channel(session);
        let frames = self.frames();
        let frames = frames.iter().filter(|frame| frame["action"] == MESSAGE && frame["channel"] == channel);
        frames
            .flat_map(|frame| {
                items(&frame["messages"]).into_iter().enumerate().map(|(index, m)| decode(frame, index, m))
            })
            .collect()
    }

    #[track_caller]
    pub fn message(&self, session: &str, name: &str) -> impl Future<Output = Value> {
        let what = format!("{name} on the channel of {session} (at {})", std::panic::Location::caller());
        async move {
            eventually(what, || async { self.messages(session).into_iter().find(|message| message["name"] == name) })
                .await
        }
    }

    /// Comes back when the server knows that everything it has written so far has arrived here.
    pub async fn settled(&mut self) {
        let id = self.serial.fetch_add(1, Ordering::Relaxed).to_string();
        self.send(json!({ "action": HEARTBEAT, "id": format!("settled-{id}") })).await;
        let is_echo = |frame: &Value| frame["action"] == HEARTBEAT && frame["id"] == format!("settled-{id}");
        self.frame("the echo of a heartbeat", is_echo).await;
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        self.send(json!({ "action": CLOSE })).await;
        self.frame("CLOSED", |frame| frame["action"] == CLOSED).await;
    }

    /// The device loses its network: it reads nothing any more and answers nothing, but nobody hangs up.
    pub async fn freeze(self) -> Frozen {
        self.reader.abort();
        let _ = in_time("the reader stops", self.reader).await;
        Frozen { _out: self.out }
    }

    /// Refuses what a partner may not do: publishing under a name of the coordinator's.
    pub async fn publish(&mut self, session: &str, name: &str, data: &str) -> Value {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let channel = session_channel(session);
        let messages = json!([{ "name": name, "data": data }]);
        self.send(json!({ "action": MESSAGE, "channel": channel, "msgSerial": serial, "messages": messages })).await;
        self.frame("ACK or NACK", |frame| {
            matches!(frame["action"].as_u64(), Some(1 | 2)) && frame["msgSerial"] == serial
        })
        .await
    }
}

/// Keeps the socket open.
pub struct Frozen {
    _out: SplitSink<Socket, Message>,
}

fn decode(frame: &Value, index: usize, mut message: Value) -> Value {
    if message["encoding"] == "json" {
        let data = serde_json::from_str(message["data"].as_str().unwrap_or_default());
        message["data"] = data.expect("data of encoding json");
    }
    if message["id"].is_null() {
        message["id"] = json!(format!("{}:{index}", frame["id"].as_str().unwrap_or_default()));
    }
    message
}
