//! Events without an SDK: `GET /sse` and `GET /event-stream`, as a plain `EventSource` or HTTP library uses them.

use std::{collections::HashSet, sync::Arc, time::Duration};

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tandem_ably::Config;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    node::{KEY_NAME, KEY_SECRET, MemoryStore, Node},
    wire::{Wire, eventually},
};
use crate::harness::{Conversation, Member, Realtime, Request, Server, in_time, server, shared, text};

fn node() -> Node {
    Node::start(Config::default())
}

/// A node that notices soon that a client is gone.
fn brisk(change: impl FnOnce(&mut Config)) -> Node {
    let mut config = Config { max_idle_interval: Duration::from_secs(1), ..Config::default() };
    change(&mut config);
    Node::start(config)
}

/// One event of a stream.
#[derive(Debug, Default, PartialEq)]
struct Event {
    id: Option<String>,
    kind: String,
    data: String,
}

impl Event {
    fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn name(&self) -> String {
        text(&self.json()["name"])
    }

    fn id(&self) -> &str {
        self.id.as_deref().expect("the event has an id")
    }
}

struct Stream {
    response: Response,
    unread: String,
}

impl Stream {
    async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = in_time("the stream begins", request.send()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        Self { response, unread: String::new() }
    }

    async fn open(origin: &str, query: &str) -> Self {
        Self::of(get(&format!("{origin}/sse?v=1.2&{query}"))).await
    }

    /// Opens a stream with the node's key, and reads the id that comes first.
    async fn opened(node: &Node, query: &str) -> Self {
        let mut stream = Self::open(&node.url, &format!("key={}&{query}", node.key())).await;
        assert_eq!(stream.part("\n\n").await.unwrap().split(": ").next(), Some("id"));
        stream
    }

    /// Everything up to a separator. None at the end of the stream.
    async fn part(&mut self, separator: &str) -> Option<String> {
        loop {
            if let Some((part, rest)) = self.unread.split_once(separator) {
                let part = part.to_owned();
                self.unread = rest.to_owned();
                return Some(part);
            }
            let chunk = in_time("more of the stream", self.response.chunk()).await.ok()??;
            self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event that has data.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let mut event = Event::default();
            let mut data = Vec::new();
            for line in self.part("\n\n").await?.lines() {
                match line.split_once(':').map(|(name, value)| (name, value.strip_prefix(' ').unwrap_or(value))) {
                    Some(("id", value)) => event.id = Some(value.to_owned()),
                    Some(("event", value)) => event.kind = value.to_owned(),
                    Some(("data", value)) => data.push(value.to_owned()),
                    _ => assert!(line.starts_with(':'), "{line}"),
                }
            }
            if !data.is_empty() {
                event.data = data.join("\n");
                return Some(event);
            }
        }
    }

    async fn message(&mut self) -> Event {
        let event = self.next().await.expect("the stream goes on");
        assert_eq!(event.kind, "message", "{event:?}");
        event
    }

    async fn names(&mut self, count: usize) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(self.message().await.name());
        }
        names
    }

    /// The code of the error with which the stream ends. Messages before it are skipped.
    async fn end(&mut self) -> Value {
        let event = loop {
            let event = self.next().await.expect("the stream says why it ends");
            if event.kind != "message" {
                break event;
            }
        };
        assert_eq!((event.kind.as_str(), &event.id), ("error", &None), "{event:?}");
        assert_eq!(self.next().await, None, "the stream has ended");
        event.json()["code"].clone()
    }
}

fn get(url: &str) -> reqwest::RequestBuilder {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap().get(url)
}

async fn publish(node: &Node, channel: &str, body: Value) {
    let url = format!("{}/channels/{channel}/messages", node.url);
    let request = reqwest::Client::new().post(url).basic_auth(KEY_NAME, Some(KEY_SECRET)).json(&body);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::CREATED);
}

async fn token(node: &Node, wanted: Value) -> String {
    let url = format!("{}/keys/{KEY_NAME}/requestToken", node.url);
    let request = reqwest::Client::new().post(url).basic_auth(KEY_NAME, Some(KEY_SECRET)).json(&wanted);
    text(&request.send().await.unwrap().json::<Value>().await.unwrap()["token"])
}

#[tokio::test]
async fn every_message_of_the_channels_is_an_event_with_its_envelope() {
    let node = node();
    let mut stream = Stream::opened(&node, "channels=a,b%3Fc").await;
    let headers = stream.response.headers();
    assert_eq!(headers["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(headers["cache-control"], "no-store");
    publish(&node, "a", json!({"name": "one", "data": {"n": 1}})).await;
    publish(&node, "elsewhere", json!({"name": "not for it"})).await;
    publish(&node, "b%3Fc", json!([{"name": "two", "data": "text"}, {"name": "three"}])).await;
    let first = stream.message().await;
    let message = first.json();
    assert_eq!((&message["name"], &message["channel"]), (&json!("one"), &json!("a")));
    assert_eq!((&message["data"], &message["encoding"]), (&json!("{\"n\":1}"), &json!("json")));
    assert!(message["id"].is_string() && message["timestamp"].is_u64(), "{message}");
    let (second, third) = (stream.message().await, stream.message().await);
    assert_eq!((second.name(), &second.json()["channel"]), ("two".to_owned(), &json!("b?c")));
    assert_eq!(third.name(), "three");
    assert_ne!(second.json()["id"], third.json()["id"]);
    assert_ne!(first.id(), third.id());
}

#[tokio::test]
async fn the_plain_stream_has_one_line_of_json_for_each_event() {
    let node = node();
    let url = format!("{}/event-stream?v=1.2&channel=a|b&separator=|&heartbeats=true", node.url);
    let request = get(&url).basic_auth(KEY_NAME, Some(KEY_SECRET));
    let mut stream = Stream::of(request.try_clone().unwrap()).await;
    assert_eq!(stream.response.headers()["content-type"], "application/x-ndjson");
    publish(&node, "b", json!({"name": "one", "data": "text"})).await;
    let line: Value = serde_json::from_str(&stream.part("\n").await.unwrap()).unwrap();
    assert_eq!((&line["event"], &line["data"]["name"]), (&json!("message"), &json!("one")));
    assert!(line["id"].is_string());
    let mut events = Stream::of(request.header("accept", "text/event-stream")).await;
    publish(&node, "a", json!({"name": "two"})).await;
    assert_eq!(events.message().await.name(), "two");
}

#[tokio::test]
async fn without_envelopes_the_data_is_the_payload() {
    let node = node();
    let mut stream = Stream::opened(&node, "channels=a&enveloped=false").await;
    publish(&node, "a", json!({"name": "one", "data": "two\nlines"})).await;
    publish(&node, "a", json!({"name": "two", "data": {"n": 1}})).await;
    assert_eq!(stream.message().await.data, "two\nlines");
    assert_eq!(stream.message().await.data, "{\"n\":1}");
}

#[tokio::test]
async fn a_quiet_stream_is_kept_alive() {
    let node = brisk(|_| ());
    let mut stream = Stream::opened(&node, "channels=a").await;
    assert_eq!(stream.part("\n\n").await.unwrap(), ":keepalive");
    let mut stream = Stream::opened(&node, "channels=a&heartbeats=true").await;
    assert_eq!(stream.next().await.unwrap().kind, "heartbeat");
}

#[tokio::test]
async fn a_stream_continues_in_every_channel_where_it_was_lost() {
    let node = node();
    let mut stream = Stream::opened(&node, "channels=a,b").await;
    publish(&node, "a", json!({"name": "a1"})).await;
    publish(&node, "b", json!({"name": "b1"})).await;
    publish(&node, "a", json!({"name": "a2"})).await;
    let first = stream.message().await;
    assert_eq!(stream.names(2).await, ["b1", "a2"]);
    drop(stream);
    publish(&node, "b", json!({"name": "b2"})).await;
    // Only the first event is known to the client.
    let mut back = Stream::opened(&node, &format!("channels=a,b&lastEvent={}", first.id())).await;
    assert_eq!(back.names(3).await, ["a2", "b1", "b2"]);
    publish(&node, "a", json!({"name": "a3"})).await;
    let last = back.message().await;
    drop(back);
    publish(&node, "b", json!({"name": "b3"})).await;
    // A browser sends the newest id as a header, and the URL stays as it was.
    let url = format!("{}/sse?v=1.2&channels=a,b&key={}&lastEvent={}&rewind=9", node.url, node.key(), first.id());
    let mut again = Stream::of(get(&url).header("last-event-id", last.id())).await;
    assert_eq!(again.names(1).await, ["b3"]);
}

#[tokio::test]
async fn a_stream_that_was_lost_before_its_first_event_misses_nothing() {
    let node = node();
    let mut stream = Stream::open(&node.url, &format!("key={}&channels=a", node.key())).await;
    let id = stream.part("\n\n").await.unwrap().strip_prefix("id: ").unwrap().to_owned();
    drop(stream);
    publish(&node, "a", json!({"name": "meanwhile"})).await;
    let mut back = Stream::opened(&node, &format!("channels=a&lastEvent={id}")).await;
    assert_eq!(back.names(1).await, ["meanwhile"]);
}

#[tokio::test]
async fn a_stream_reports_lost_continuity_and_continues_from_now() {
    let node = node();
    let mut stream = Stream::opened(&node, "channels=a&lastEvent=01700000000000-0000000001@elsewhere").await;
    let lost = stream.next().await.unwrap();
    assert_eq!((lost.kind.as_str(), &lost.json()["code"]), ("error", &json!(90003)));
    publish(&node, "a", json!({"name": "one"})).await;
    let first = stream.message().await;
    publish(&node, "a", json!({"name": "two"})).await;
    let mut back = Stream::opened(&node, &format!("channels=a&lastEvent={}", first.id())).await;
    assert_eq!(back.names(1).await, ["two"]);
}

#[tokio::test]
async fn rewind_counts_for_all_channels_unless_a_name_has_its_own() {
    let node = node();
    for n in 1..=3 {
        publish(&node, "a", json!({"name": format!("a{n}")})).await;
        publish(&node, "b", json!({"name": format!("b{n}")})).await;
    }
    let mut stream = Stream::opened(&node, "channels=a,%5B%3Frewind%3D1%5Db&rewind=2").await;
    assert_eq!(stream.names(3).await, ["a2", "a3", "b3"]);
    publish(&node, "b", json!({"name": "b4"})).await;
    assert_eq!(stream.message().await.json()["channel"], "[?rewind=1]b");
}

#[tokio::test]
async fn members_that_come_and_go_are_events() {
    let node = node();
    let mut stream = Stream::opened(&node, "channels=a").await;
    let (mut alice, _) = Wire::connected(&node, "clientId=alice").await;
    alice.enter("a").await;
    let entered = stream.next().await.unwrap();
    assert_eq!(entered.kind, "presence");
    let member = entered.json();
    assert_eq!((&member["clientId"], &member["action"], &member["channel"]), (&json!("alice"), &json!(2), &json!("a")));
    alice.send(json!({"action": 7})).await;
    assert_eq!(stream.next().await.unwrap().json()["action"], 3);
}

#[tokio::test]
async fn a_stream_that_cannot_begin_is_refused_with_the_reason() {
    let node = node();
    let (key, url) = (node.key(), &node.url);
    let narrow = token(&node, json!({"capability": "{\"a\":[\"subscribe\"],\"b\":[\"publish\",\"presence\"]}"})).await;
    for (query, status, code) in [
        ("v=1.2&channels=a".to_owned(), 401, 40101),
        ("v=1.2&channels=a&key=tandem.main:wrong".to_owned(), 401, 40101),
        ("v=1.2&channels=a&accessToken=tandem.x".to_owned(), 401, 40143),
        (format!("v=1.2&channels=a,b&accessToken={narrow}"), 401, 40160),
        (format!("v=1.2&channels=c&accessToken={narrow}"), 401, 40160),
        (format!("channels=a&key={key}"), 400, 40000),
        (format!("v=1.2&key={key}"), 400, 40000),
        (format!("v=1.2&channels=,&key={key}"), 400, 40000),
        (format!("v=1.2&channels=a,%3Ab&key={key}"), 400, 40010),
        (format!("v=1.2&channels={}&key={key}", (0..101).map(|n| format!("c{n},")).collect::<String>()), 400, 40000),
        (format!("v=1.2&channels=a&rewind=soon&key={key}"), 400, 40000),
        (format!("v=1.2&channels=a&enveloped=perhaps&key={key}"), 400, 40000),
        (format!("v=1.2&channels=a&lastEvent=x&key={key}"), 400, 40000),
        (format!("v=1.2&channels=a,b&lastEvent=01700000000000-0000000001@x&key={key}"), 400, 40000),
    ] {
        let response = get(&format!("{url}/sse?{query}")).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{query}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["code"], code, "{query}");
    }
    let mut stream = Stream::open(url, &format!("channels=a&accessToken={narrow}")).await;
    publish(&node, "a", json!({"name": "one"})).await;
    assert_eq!(stream.names(1).await, ["one"]);
    let bearer = get(&format!("{url}/sse?v=1.2&channels=a")).bearer_auth(&narrow);
    assert_eq!(bearer.send().await.unwrap().status(), StatusCode::OK);
    let post = reqwest::Client::new().post(format!("{url}/sse")).send().await.unwrap();
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_page_of_another_origin_may_read_the_stream() {
    let node = node();
    let url = format!("{}/sse?v=1.2&channels=a&key={}", node.url, node.key());
    let response = get(&url).header("origin", "https://app.example").send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let node = node();
    let short = token(&node, json!({"ttl": 1_500})).await;
    let mut stream = Stream::open(&node.url, &format!("channels=a&accessToken={short}")).await;
    publish(&node, "a", json!({"name": "one"})).await;
    let last = stream.message().await;
    assert_eq!(stream.end().await, 40142);
    publish(&node, "a", json!({"name": "two"})).await;
    let fresh = token(&node, json!({})).await;
    let query = format!("channels=a&accessToken={fresh}&lastEvent={}", last.id());
    assert_eq!(Stream::open(&node.url, &query).await.names(1).await, ["two"]);
}

#[tokio::test]
async fn a_closed_stream_leaves_no_state() {
    let node = brisk(|config| config.limits.connections_per_user = 1);
    let token = token(&node, json!({"clientId": "anna"})).await;
    let query = format!("channels=a&accessToken={token}");
    let stream = Stream::open(&node.url, &query).await;
    assert_eq!(subscribers(&node, "a").await, 1);
    let open = async || get(&format!("{}/sse?v=1.2&{query}", node.url)).send().await.unwrap();
    let refused = open().await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], 42910);
    drop(stream);
    let gone = async || (subscribers(&node, "a").await == 0).then_some(());
    crate::harness::eventually("the subscriber is gone", gone).await;
    assert_eq!(open().await.status(), StatusCode::OK, "the place is free");
}

/// The number of a channel's subscribers.
async fn subscribers(node: &Node, channel: &str) -> u64 {
    let request = get(&format!("{}/channels/{channel}", node.url)).basic_auth(KEY_NAME, Some(KEY_SECRET));
    let status: Value = request.send().await.unwrap().json().await.unwrap();
    status["status"]["occupancy"]["metrics"]["subscribers"].as_u64().unwrap_or_else(|| panic!("{status}"))
}

#[tokio::test]
async fn a_stream_stores_no_connection() {
    let store = Arc::new(MemoryStore::default());
    let node = Node::start_on(Config::default(), store.clone(), 0);
    let _stream = Stream::opened(&node, "channels=a").await;
    assert_eq!(store.rows(), 0);
    let (mut wire, _) = Wire::connected(&node, "").await;
    wire.attach("a").await;
    eventually("the row of a connection that can be resumed", || store.rows() > 0).await;
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_and_can_continue() {
    let mut config = Config { outbound_queue: 65_536, ..Config::default() };
    config.limits.log_bytes = 64 << 20;
    let node = Node::start(config);
    let address = node.url.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!("GET /sse?v=1.2&channels=a&key={} HTTP/1.1\r\nhost: {address}\r\n\r\n", node.key());
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 1_024];
    in_time("the beginning", socket.read(&mut begun)).await.unwrap();
    let begun = String::from_utf8_lossy(&begun).into_owned();
    let mut witness = Stream::opened(&node, "channels=a").await;
    let count = 240;
    for n in 0..count {
        publish(&node, "a", json!({"name": format!("m{n}"), "data": "x".repeat(60_000)})).await;
        witness.message().await;
    }
    let mut rest = Vec::new();
    in_time("the end", socket.read_to_end(&mut rest)).await.unwrap();
    let whole = begun + &String::from_utf8_lossy(&rest);
    assert!(whole.contains("event: error") && whole.contains("80003"), "it was not stuck at all");
    let seen = whole.matches("event: message").count();
    assert!(seen < count);
    let id = whole.rsplit("id: ").next().unwrap().lines().next().unwrap();
    let mut back = Stream::opened(&node, &format!("channels=a&lastEvent={id}")).await;
    assert_eq!(back.message().await.name(), format!("m{seen}"));
}

/// A stream of a partner's session, with the token that the app gets.
async fn listen(partner: &Member, rest: &str) -> (Stream, String) {
    let token = text(&Realtime::token(partner).await["token"]);
    let (session, query) = (&partner.session, format!("accessToken={token}{rest}"));
    (Stream::open(&partner.origin, &format!("channels=meetwithoutfear:session:{session}&{query}")).await, token)
}

#[tokio::test]
async fn a_partner_gets_events_of_the_session_also_across_a_kill() {
    let mut server = server().start().await;
    let both = Conversation::joined(&server).await;
    let (mut stream, _) = listen(&both.ben, "").await;
    both.anna.sign().await.done();
    let signed = stream.message().await;
    assert_eq!(signed.name(), "partner.signed_compact");
    let data: Value = serde_json::from_str(signed.json()["data"].as_str().unwrap()).unwrap();
    assert_eq!(data["triggeredByUserId"], both.anna.id);
    let mut heard = HashSet::from([signed.json()["id"].to_string()]);
    let mut last = signed;
    for (path, name) in [("/pause", "session.paused"), ("/resume", "session.resumed")].repeat(3) {
        server = server.kill_and_start().await;
        while let Some(event) = stream.next().await {
            assert!(heard.insert(event.json()["id"].to_string()), "nothing comes twice");
            last = event;
        }
        both.anna.back_at(&server).say(path, json!({})).await.done();
        (stream, _) = listen(&both.ben.back_at(&server), &format!("&lastEvent={}", last.id())).await;
        last = loop {
            let event = stream.message().await;
            assert!(heard.insert(event.json()["id"].to_string()), "nothing comes twice");
            if event.name() == name {
                break event;
            }
        };
    }
}

#[tokio::test]
async fn a_stop_ends_streams_with_a_goodbye() {
    let server = server().start().await;
    let both = Conversation::joined(&server).await;
    let (mut stream, _) = listen(&both.ben, "").await;
    server.terminate();
    assert_eq!(stream.end().await, 80003);
}

#[tokio::test]
async fn a_stream_ends_with_the_rights_to_its_channels() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    let (mut stream, token) = listen(&both.anna, "").await;
    both.anna.delete(&both.anna.path("")).await.done();
    assert_eq!(stream.end().await, 40160);
    let path = format!("/sse?v=1.2&channels=meetwithoutfear:session:{}&accessToken={token}", both.session);
    let answer = Request::new(reqwest::Method::GET, &server.origin, &path).send().await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (401, &json!(40160)));
}

#[tokio::test]
async fn signing_out_everywhere_ends_streams() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    let (mut stream, token) = listen(&both.anna, "").await;
    assert_eq!(both.anna.delete("/auth/ably-token").await.status, 200);
    assert_eq!(stream.end().await, 40141);
    let path = format!("/sse?v=1.2&channels=a&accessToken={token}");
    let answer = Request::new(reqwest::Method::GET, &server.origin, &path).send().await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (401, &json!(40141)));
}

/// Two sessions of Anna, one stream of both, and a reader that has stopped. Ben has then published more on the first
/// than any socket takes.
struct Stuck {
    both: Conversation,
    other: Conversation,
    socket: TcpStream,
}

const PUBLISHED: usize = 100;

impl Stuck {
    async fn on(server: &Server) -> Self {
        let both = Conversation::joined(server).await;
        let other = Conversation::between((*both.anna).clone(), server.partner("Ben")).await;
        other.ben.accept(&other.invitation).await.ok();
        let token = text(&Realtime::token(&both.anna).await["token"]);
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut socket = socket.connect(server.host().parse().unwrap()).await.unwrap();
        let channels = [&both, &other].map(|one| format!("meetwithoutfear:session:{}", one.session)).join(",");
        let head = format!("GET /sse?v=1.2&channels={channels}&accessToken={token} HTTP/1.1\r\nhost: tandem\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut begun = [0; 1_024];
        in_time("the beginning", socket.read(&mut begun)).await.unwrap();
        let bens = text(&Realtime::token(&both.ben).await["token"]);
        let data = "x".repeat(60_000);
        for n in 0..PUBLISHED {
            say(server, &both.session, &bens, json!({"name": format!("lost-{n}"), "data": data})).await;
        }
        Self { both, other, socket }
    }
}

async fn say(server: &Server, session: &str, token: &str, message: Value) {
    let path = format!("/channels/meetwithoutfear:session:{session}/messages");
    let sent = server.request(reqwest::Method::POST, &path).bearer(token).json(&message).send().await;
    assert_eq!(sent.status, 201, "{}", sent.body);
}

#[tokio::test]
async fn what_waits_on_a_channel_is_not_sent_after_its_rights_have_ended_while_others_remain() {
    let server = server().set("realtime.embedded.outbound_queue", 64 << 20).start().await;
    let Stuck { both, other, mut socket } = Stuck::on(&server).await;
    both.anna.delete(&both.anna.path("")).await.done();
    let token = text(&Realtime::token(&other.ben).await["token"]);
    say(&server, &other.session, &token, json!({"name": "still heard"})).await;
    let (mut heard, mut chunk) = (String::new(), vec![0; 65_536]);
    while !heard.contains("still heard") {
        let read = in_time("the rest", socket.read(&mut chunk)).await.unwrap();
        assert!(read > 0, "the stream goes on: …{}", &heard[heard.len().saturating_sub(300)..]);
        heard.push_str(&String::from_utf8_lossy(&chunk[..read]));
    }
    let seen = heard.matches("event: message").count();
    assert!(seen < PUBLISHED, "what no socket has taken yet is not sent");
    assert!(heard.contains("40160"), "the end of the rights is told");
}

#[tokio::test]
async fn a_reader_that_stopped_does_not_keep_its_place() {
    let setup = server().set("realtime.embedded.limits.connections_per_user", 1);
    let setup = setup.set("realtime.embedded.limits.connects_per_user", 1_000_000);
    let server = setup.set("realtime.embedded.outbound_queue", 64 << 20).start().await;
    let Stuck { both, socket, .. } = Stuck::on(&server).await;
    let token = text(&Realtime::token(&both.anna).await["token"]);
    let path = format!("/sse?v=1.2&channels=meetwithoutfear:session:{}&accessToken={token}", both.session);
    let open = async || get(&format!("{}{path}", server.origin)).send().await.unwrap().status();
    assert_eq!(open().await, StatusCode::TOO_MANY_REQUESTS);
    crate::harness::eventually("the place is free", async || (open().await == StatusCode::OK).then_some(())).await;
    let metrics = server.get("/metrics").send().await.body;
    assert!(metrics.contains(r#"tandem_connections_ended_total{reason="slow_reader"} 1"#), "the node ended it");
    drop(socket);
}
