//! Rights begin and end with their reason, not with a token. An older connection can use a new session. A user who
//! has left a session, erased the account or signed out has no rights at once, and after a restart.

use reqwest::Method;
use serde_json::{Value, json};

use super::wire::Wire;
use crate::harness::{Answer, Conversation, Member, Partner, Realtime, Request, Server, server, shared, text};

const ATTACHED: u64 = 11;
const CHANNEL_ERROR: u64 = 9;
const DISCONNECTED: u64 = 6;

fn channels(session: &str) -> [String; 2] {
    [format!("meetwithoutfear:session:{session}"), format!("meetwithoutfear:session:{session}:presence")]
}

async fn token(partner: &Partner) -> String {
    text(&Realtime::token(partner).await["token"])
}

/// A socket with this token, and its CONNECTED.
async fn connect(origin: &str, token: &str) -> (Wire, Value) {
    let mut wire = Wire::dial(origin, &format!("access_token={token}")).await;
    let connected = wire.next_of(4).await;
    (wire, connected)
}

/// The error code of a refused token.
async fn refused(origin: &str, query: &str) -> Value {
    let mut wire = Wire::dial(origin, query).await;
    wire.next_of(9).await["error"]["code"].clone()
}

async fn attach(wire: &mut Wire, channel: &str) -> Value {
    wire.send(json!({"action": 10, "channel": channel})).await;
    loop {
        let frame = wire.next().await.expect("the connection is open");
        if frame["channel"] == channel && [ATTACHED, CHANNEL_ERROR].contains(&frame["action"].as_u64().unwrap()) {
            return frame;
        }
    }
}

async fn enter(wire: &mut Wire, channel: &str, serial: u64) -> Value {
    let event = json!([{"action": 2, "data": "here"}]);
    wire.send(json!({"action": 14, "channel": channel, "msgSerial": serial, "presence": event})).await;
    answer(wire, serial).await
}

async fn publish(wire: &mut Wire, channel: &str, serial: u64) -> Value {
    wire.publish(channel, serial, "typing").await;
    answer(wire, serial).await
}

/// The ACK (1) or NACK (2) of a frame, with its code.
async fn answer(wire: &mut Wire, serial: u64) -> Value {
    loop {
        let frame = wire.next().await.expect("the connection is open");
        if frame["msgSerial"] == serial {
            return json!([frame["action"], frame["error"]["code"]]);
        }
    }
}

fn ack() -> Value {
    json!([1, null])
}

fn nack() -> Value {
    json!([2, 40160])
}

async fn rest(origin: &str, token: &str, method: Method, path: &str, body: Value) -> Answer {
    Request::new(method, origin, path).bearer(token).json(&body).send().await
}

/// Tries all operations on a session's channels, and returns each result.
async fn attempts(origin: &str, token: &str, session: &str) -> Vec<(String, Value)> {
    let (mut wire, _) = connect(origin, token).await;
    let [channel, presence] = channels(session);
    let mut outcomes = vec![
        ("publish".to_owned(), publish(&mut wire, &channel, 0).await),
        ("enter".to_owned(), enter(&mut wire, &presence, 1).await),
    ];
    for name in [&channel, &presence, &format!("[?rewind=1]{channel}")] {
        let frame = attach(&mut wire, name).await;
        outcomes.push((format!("attach {name}"), json!([frame["action"], frame["error"]["code"]])));
    }
    for (method, path, body) in [
        (Method::POST, format!("/channels/{channel}/messages"), json!({"name": "typing"})),
        (Method::GET, format!("/channels/{presence}/presence"), Value::Null),
        (Method::GET, format!("/presence?channels={presence}"), Value::Null),
        (Method::POST, "/messages".to_owned(), json!({"channels": [channel], "messages": [{"name": "typing"}]})),
    ] {
        let answer = rest(origin, token, method, &path, body).await;
        let body = answer.json();
        let code = [&body["error"]["code"], &body["results"][0]["error"]["code"]];
        let code = code.into_iter().find(|code| !code.is_null()).cloned().unwrap_or_default();
        outcomes.push((path, json!([if code.is_null() { "done" } else { "refused" }, code])));
    }
    outcomes
}

async fn may_nothing(origin: &str, token: &str, session: &str) {
    for (what, outcome) in attempts(origin, token, session).await {
        assert_eq!(outcome[1], 40160, "{what}: {outcome}");
    }
}

async fn may_everything(origin: &str, token: &str, session: &str) {
    for (what, outcome) in attempts(origin, token, session).await {
        assert_eq!(outcome[1], Value::Null, "{what}: {outcome}");
    }
}

#[tokio::test]
async fn a_session_that_has_just_begun_needs_no_new_token() {
    let server = shared().await;
    let (anna, ben) = (server.partner("Anna"), server.partner("Ben"));
    let (annas, bens) = (token(&anna).await, token(&ben).await);
    let (mut wire, _) = connect(&server.origin, &bens).await;
    let created = anna.invite("Ben").await.created();
    let session = text(&created["session"]["id"]);
    may_everything(&server.origin, &annas, &session).await;
    // Ben has no rights before he accepts.
    may_nothing(&server.origin, &bens, &session).await;
    let [channel, presence] = channels(&session);
    assert_eq!(attach(&mut wire, &channel).await["error"]["code"], 40160);
    ben.accept(&text(&created["invitation"]["id"])).await.done();
    assert_eq!(attach(&mut wire, &channel).await["action"], ATTACHED, "on the connection from before");
    assert_eq!(publish(&mut wire, &channel, 0).await, ack());
    assert_eq!(enter(&mut wire, &presence, 1).await, ack());
    may_everything(&server.origin, &bens, &session).await;
    let stranger = token(&server.partner("Eve")).await;
    may_nothing(&server.origin, &stranger, &session).await;
}

#[tokio::test]
async fn a_token_signed_by_the_operator_keeps_its_rights() {
    let server = shared().await;
    let anna = server.partner("Anna");
    let (name, basic) = basic(&server);
    let wanted = json!({"clientId": anna.id, "capability": "{\"lobby\":[\"subscribe\"]}", "timestamp": 0});
    let request = Request::new(Method::POST, &server.origin, &format!("/keys/{name}/requestToken")).json(&wanted);
    let answer = request.header("authorization", &basic).send().await;
    let narrow = text(&answer.json()["token"]);
    let session = text(&anna.invite("Ben").await.created()["session"]["id"]);
    may_nothing(&server.origin, &narrow, &session).await;
}

/// Anna's old token, her socket on both channels with a member, and Ben, who watches the presence.
struct There {
    token: String,
    wire: Wire,
    connected: Value,
    witness: Wire,
}

async fn there(origin: &str, leaver: &Member, stays: &Member) -> There {
    let [channel, presence] = channels(&leaver.session);
    let token = token(leaver).await;
    let (mut wire, connected) = connect(origin, &token).await;
    for name in [&channel, &presence] {
        assert_eq!(attach(&mut wire, name).await["action"], ATTACHED);
    }
    assert_eq!(enter(&mut wire, &presence, 0).await, ack());
    let (mut witness, _) = connect(origin, &self::token(stays).await).await;
    assert_eq!(attach(&mut witness, &presence).await["action"], ATTACHED);
    let there = witness.next_of(16).await;
    assert_eq!(there["presence"][0]["clientId"], leaver.id);
    There { token, wire, connected, witness }
}

impl There {
    async fn sees_the_leave(&mut self, who: &str) {
        let left = self.witness.next_of(14).await;
        assert_eq!((&left["presence"][0]["action"], &left["presence"][0]["clientId"]), (&json!(3), &json!(who)));
    }
}

#[tokio::test]
async fn a_withdrawal_ends_the_partners_rights_on_that_session_alone() {
    let server = server().start().await;
    let both = Conversation::joined(&server).await;
    let other = text(&both.anna.invite("Carl").await.created()["session"]["id"]);
    let leaver = &both.anna;
    {
        let mut there = there(&server.origin, leaver, &both.ben).await;
        let held_back = leaver.get("/auth/ably-token").await.json()["data"]["tokenRequest"].clone();
        let [channel, presence] = channels(&both.session);
        leaver.delete(&leaver.path("")).await.done();
        let mut ended: Vec<String> = Vec::new();
        for _ in 0..2 {
            let error = there.wire.next_of(CHANNEL_ERROR).await;
            assert_eq!(error["error"]["code"], 40160);
            ended.push(text(&error["channel"]));
        }
        ended.sort();
        assert_eq!(ended, [channel.clone(), presence.clone()]);
        there.sees_the_leave(&leaver.id).await;
        assert_eq!(publish(&mut there.wire, &channel, 1).await, nack());
        assert_eq!(enter(&mut there.wire, &presence, 2).await, nack());
        may_nothing(&server.origin, &there.token, &both.session).await;
        may_everything(&server.origin, &there.token, &other).await;
        // A token request that was signed before is refused, too.
        let path = format!("/keys/{}/requestToken", text(&held_back["keyName"]));
        let late = Request::new(Method::POST, &server.origin, &path).json(&held_back).send().await;
        may_nothing(&server.origin, &text(&late.json()["token"]), &both.session).await;
        // The remaining partner can still reconnect.
        assert_eq!(attach(&mut there.witness, &channel).await["action"], ATTACHED);

        let server = server.kill_and_start().await;
        may_nothing(&server.origin, &there.token, &both.session).await;
        may_everything(&server.origin, &there.token, &other).await;
    }
}

/// The operator's key, for Basic authentication.
fn basic(server: &Server) -> (String, String) {
    let key = std::fs::read_to_string(server.data().join("realtime.key")).unwrap();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key.trim());
    (key.split(':').next().unwrap().to_owned(), format!("Basic {encoded}"))
}

async fn is_out_after(end: impl AsyncFn(&Server, &Member)) {
    let server = server().start().await;
    let both = Conversation::joined(&server).await;
    let mut there = there(&server.origin, &both.anna, &both.ben).await;
    let held_back = both.anna.get("/auth/ably-token").await.json()["data"]["tokenRequest"].clone();
    end(&server, &both.anna).await;
    assert_eq!(there.wire.next_of(DISCONNECTED).await["error"]["code"], 40141);
    there.sees_the_leave(&both.anna.id).await;
    let by_token = format!("access_token={}", there.token);
    assert_eq!(refused(&server.origin, &by_token).await, 40141);
    let key = text(&there.connected["connectionDetails"]["connectionKey"]);
    for way in ["resume", "recover"] {
        assert_eq!(refused(&server.origin, &format!("{by_token}&{way}={key}")).await, 40141);
    }
    let [channel, _] = channels(&both.session);
    let path = format!("/channels/{channel}/messages");
    let answer = rest(&server.origin, &there.token, Method::POST, &path, json!({"name": "typing"})).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (401, &json!(40141)));
    let path = format!("/keys/{}/requestToken", text(&held_back["keyName"]));
    let late = Request::new(Method::POST, &server.origin, &path).json(&held_back).send().await;
    assert_eq!((late.status, &late.json()["error"]["code"]), (401, &json!(40141)), "signed before");
    // The old token is refused in AUTH on a new connection, too.
    let (mut fresh, again) = connect(&server.origin, &token(&both.anna).await).await;
    assert_ne!(again["connectionId"], there.connected["connectionId"]);
    fresh.send(json!({"action": 17, "auth": {"accessToken": there.token}})).await;
    assert_eq!(fresh.next_of(9).await["error"]["code"], 40141);
    assert_eq!(publish(&mut there.witness, &channel, 0).await, ack(), "the partner goes on");

    let server = server.kill_and_start().await;
    assert_eq!(refused(&server.origin, &by_token).await, 40141, "also after a restart");
    let (_, again) = connect(&server.origin, &token(&both.anna.back_at(&server)).await).await;
    assert_eq!(again["connectionDetails"]["clientId"], both.anna.id);
}

#[tokio::test]
async fn an_erased_account_is_out_everywhere() {
    is_out_after(async |_, anna| assert_eq!(anna.delete("/auth/me").await.status, 200)).await;
}

#[tokio::test]
async fn signing_out_everywhere_ends_every_realtime_token() {
    let sign_out = async |_: &Server, anna: &Member| {
        assert_eq!(anna.delete("/auth/ably-token").await.json()["data"], json!({"signedOut": true}));
    };
    is_out_after(sign_out).await;
}

#[tokio::test]
async fn a_revocation_by_the_operator_ends_the_rights_too() {
    let revoke = async |server: &Server, anna: &Member| {
        let (key, basic) = basic(server);
        let request = Request::new(Method::POST, &server.origin, &format!("/keys/{key}/revokeTokens"));
        let targets = json!({"targets": [format!("clientId:{}", anna.id)]});
        let answer = request.header("authorization", &basic).json(&targets).send().await;
        assert_eq!(answer.json()["successCount"], 1, "{}", answer.body);
    };
    is_out_after(revoke).await;
}

#[tokio::test]
async fn a_person_who_declines_has_no_rights() {
    let server = shared().await;
    let (anna, ben) = (server.partner("Anna"), server.partner("Ben"));
    let created = anna.post("/sessions", json!({ "personId": ben.id })).await.created();
    let session = text(&created["session"]["id"]);
    let before = token(&ben).await;
    may_nothing(&server.origin, &before, &session).await;
    let annas = token(&anna).await;
    ben.post_nothing(&format!("/invitations/{}/decline", text(&created["invitation"]["id"]))).await.done();
    may_nothing(&server.origin, &before, &session).await;
    // The inviter still gets events on her connection.
    let (mut wire, _) = connect(&server.origin, &annas).await;
    assert_eq!(attach(&mut wire, &channels(&session)[0]).await["action"], ATTACHED);
}
