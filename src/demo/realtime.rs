//! One partner's app: its realtime connection. A small client of Ably's protocol, in JSON over a WebSocket.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{timeout, timeout_at},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, http::Uri},
};

use super::{Error, client::Partner};

const WITHIN: Duration = Duration::from_secs(5);

mod action {
    pub const ACK: u64 = 1;
    pub const NACK: u64 = 2;
    pub const CONNECTED: u64 = 4;
    pub const CLOSE: u64 = 7;
    pub const CLOSED: u64 = 8;
    pub const ERROR: u64 = 9;
    pub const ATTACH: u64 = 10;
    pub const ATTACHED: u64 = 11;
    pub const PRESENCE: u64 = 14;
    pub const MESSAGE: u64 = 15;
}

const ENTER: u64 = 2;
const LEAVE: u64 = 3;

/// An event on the session's channel.
pub struct HeardEvent {
    pub name: String,
    pub data: Value,
    pub at: Instant,
}

/// A user enters or leaves the session's presence channel.
pub struct PresenceMove {
    pub user: String,
    pub here: bool,
}

pub struct Connection {
    who: &'static str,
    user: &'static str,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    next_serial: u64,
    heard: VecDeque<HeardEvent>,
    moved: VecDeque<PresenceMove>,
    last_seq: u64,
}

impl Connection {
    /// Connects like the SDK: a token request from the coordinator, a token from the realtime service, then the socket.
    pub async fn open(partner: &Partner, base: &str) -> Result<Self, Error> {
        let who = partner.name;
        let answer = partner.get("/auth/ably-token").await?;
        let key = answer.text("/tokenRequest/keyName")?;
        let details = partner.exchange(&format!("/keys/{key}/requestToken"), &answer.data["tokenRequest"]).await?;
        let token = details["token"].as_str().unwrap_or_default();
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("access_token", token), ("format", "json"), ("v", "6"), ("heartbeats", "false")])
            .extend_pairs([("agent", "tandem-demo")])
            .finish();
        let uri: Result<Uri, _> = format!("{}/?{query}", base.replacen("http", "ws", 1)).parse();
        let uri = uri.map_err(|error| failed(who, error))?;
        let (socket, _) = timeout(WITHIN, connect_async(uri))
            .await
            .map_err(|_| failed(who, "no answer to the upgrade"))?
            .map_err(|error| failed(who, error))?;
        let mut connection = Self {
            who,
            user: partner.user,
            socket,
            next_serial: 0,
            heard: VecDeque::new(),
            moved: VecDeque::new(),
            last_seq: 0,
        };
        connection.answer_to(action::CONNECTED, None).await?;
        Ok(connection)
    }

    pub async fn attach(&mut self, channel: &str) -> Result<(), Error> {
        self.send(json!({ "action": action::ATTACH, "channel": channel })).await?;
        self.answer_to(action::ATTACHED, Some(channel)).await.map(drop)
    }

    pub async fn enter(&mut self, channel: &str, data: Value) -> Result<(), Error> {
        let serial = self.next_serial;
        self.next_serial += 1;
        let presence = json!([{ "action": ENTER, "data": data.to_string(), "encoding": "json" }]);
        self.send(json!({ "action": action::PRESENCE, "channel": channel, "msgSerial": serial, "presence": presence }))
            .await?;
        self.answer_to(action::ACK, None).await.map(drop)
    }

    /// Closes the connection properly, so that presence ends at once.
    pub async fn close(mut self) -> Result<(), Error> {
        self.send(json!({ "action": action::CLOSE })).await?;
        self.answer_to(action::CLOSED, None).await.map(drop)
    }

    /// The next event of the partner or of the coordinator. Own events are dropped.
    pub async fn next_event(&mut self, within: Duration) -> Result<Option<HeardEvent>, Error> {
        let deadline = Instant::now() + within;
        while self.heard.is_empty() {
            if self.take_frame(deadline).await?.is_none() {
                return Ok(None);
            }
        }
        Ok(self.heard.pop_front())
    }

    pub async fn sees(&mut self, user: &str, here: bool, within: Duration) -> Result<bool, Error> {
        let deadline = Instant::now() + within;
        loop {
            while let Some(moved) = self.moved.pop_front() {
                if moved.user == user && moved.here == here {
                    return Ok(true);
                }
            }
            if self.take_frame(deadline).await?.is_none() {
                return Ok(false);
            }
        }
    }

    async fn send(&mut self, frame: Value) -> Result<(), Error> {
        self.socket.send(Message::text(frame.to_string())).await.map_err(|error| failed(self.who, error))
    }

    /// Waits for the frame with this action. Events in between are kept.
    async fn answer_to(&mut self, expected: u64, channel: Option<&str>) -> Result<Value, Error> {
        let deadline = Instant::now() + WITHIN;
        while let Some(frame) = self.take_frame(deadline).await? {
            let same_channel = channel.is_none_or(|channel| frame["channel"] == channel);
            if frame["action"] == expected && same_channel {
                return Ok(frame);
            }
        }
        Err(failed(self.who, format_args!("no answer with action {expected} within {WITHIN:?}")))
    }

    /// Reads one frame and keeps its events. `None` after the deadline.
    async fn take_frame(&mut self, deadline: Instant) -> Result<Option<Value>, Error> {
        loop {
            let Ok(read) = timeout_at(deadline.into(), self.socket.next()).await else { return Ok(None) };
            let text = match read {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Close(_))) | None => return Err(failed(self.who, "closed by the server")),
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(failed(self.who, error)),
            };
            let frame: Value = serde_json::from_str(&text).map_err(|error| failed(self.who, error))?;
            match frame["action"].as_u64() {
                Some(action::MESSAGE) => self.keep_messages(&frame)?,
                Some(action::PRESENCE) => self.keep_presence(&frame),
                Some(action::ERROR | action::NACK) => {
                    return Err(failed(self.who, format_args!("refused: {}", frame["error"])));
                }
                _ => {}
            }
            return Ok(Some(frame));
        }
    }

    fn keep_messages(&mut self, frame: &Value) -> Result<(), Error> {
        for message in frame["messages"].as_array().into_iter().flatten() {
            let data = decoded(message);
            let Some(seq) = data["seq"].as_u64() else { continue };
            if seq <= self.last_seq {
                return Err(failed(self.who, format_args!("event {seq} came after event {}", self.last_seq)));
            }
            self.last_seq = seq;
            if data["excludeUserId"] != self.user {
                let name = message["name"].as_str().unwrap_or_default().to_owned();
                self.heard.push_back(HeardEvent { name, data, at: Instant::now() });
            }
        }
        Ok(())
    }

    fn keep_presence(&mut self, frame: &Value) {
        for member in frame["presence"].as_array().into_iter().flatten() {
            let user = member["clientId"].as_str().unwrap_or_default().to_owned();
            self.moved.push_back(PresenceMove { user, here: member["action"] != LEAVE });
        }
    }
}

/// Reads the data of a message. Ably's protocol sends an object as a string of JSON.
fn decoded(message: &Value) -> Value {
    match message["data"].as_str() {
        Some(text) if message["encoding"] == "json" => serde_json::from_str(text).unwrap_or_default(),
        _ => message["data"].clone(),
    }
}

fn failed(who: &'static str, reason: impl ToString) -> Error {
    Error::Realtime { who, reason: reason.to_string() }
}
