//! REST in ways that no SDK uses: faults are named, and callers without rights are refused.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use reqwest::{Client, RequestBuilder, header};
use serde_json::{Value, json};
use tandem_ably::Config;

use super::{
    node::{KEY_NAME, KEY_SECRET, Node},
    wire::Wire,
};

fn node() -> Node {
    Node::start(Config::default())
}

async fn ask(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

fn post(node: &Node, path: &str) -> RequestBuilder {
    let request = Client::new().post(format!("{}{path}", node.url));
    request.basic_auth(KEY_NAME, Some(KEY_SECRET)).header(header::CONTENT_TYPE, "application/json")
}

#[tokio::test]
async fn an_unreadable_body_is_refused_with_its_fault() {
    let node = node();
    let path = "/channels/c/messages";
    let (status, answer) = ask(post(&node, path).header(header::CONTENT_ENCODING, "gzip").body("not gzip")).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(40000)));
    assert!(answer["error"]["message"].as_str().unwrap().contains("encoding"), "{answer}");
    let (status, answer) = ask(post(&node, path).body("x".repeat(2 << 20))).await;
    assert_eq!((status, &answer["error"]["code"]), (413, &json!(40009)));
    let many = Value::Array(vec![json!({}); 3_000]);
    let (status, answer) = ask(post(&node, path).body(many.to_string())).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(40000)));
    assert!(answer["error"]["message"].as_str().unwrap().contains("2048 elements"), "{answer}");
    let (_, answer) = ask(post(&node, path).body(r#"{"name": 5, "data": "a partner's words"}"#)).await;
    assert!(!answer.to_string().contains("partner"), "{answer}");
}

async fn token_for(node: &Node, client_id: &str, capability: &str) -> String {
    let wanted =
        json!({"keyName": KEY_NAME, "capability": capability, "clientId": client_id, "timestamp": now() * 1000});
    let (_, token) = ask(post(node, &format!("/keys/{KEY_NAME}/requestToken")).body(wanted.to_string())).await;
    token["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_revocation_with_a_margin_ends_connections_that_have_not_renewed() {
    let node = node();
    let mut wires = Vec::new();
    for _ in 0..2 {
        let token = token_for(&node, "alice", r#"{"*":["*"]}"#).await;
        let mut wire = Wire::open_with(&node, &format!("access_token={token}")).await;
        wire.next_of(4).await;
        wires.push(wire);
    }
    let path = format!("/keys/{KEY_NAME}/revokeTokens");
    let wanted = json!({"targets": ["clientId:alice"], "allowReauthMargin": true});
    let (status, _) = ask(post(&node, &path).body(wanted.to_string())).await;
    assert_eq!(status, 200);
    let [mut renews, mut does_not] = wires.try_into().unwrap_or_else(|_| unreachable!());
    for wire in [&mut renews, &mut does_not] {
        wire.next_of(17).await;
    }
    let token = token_for(&node, "alice", r#"{"*":["*"]}"#).await;
    renews.send(json!({"action": 17, "auth": {"accessToken": token}})).await;
    renews.next_of(4).await;
    let limit = Duration::from_secs(40);
    let ended = tokio::select! {
        ended = does_not.next_within(limit) => ended.unwrap(),
        // It is read, too, so that it answers pings.
        other = renews.next_within(limit) => panic!("{other:?}"),
    };
    assert_eq!((&ended["action"], &ended["error"]["code"]), (&json!(6), &json!(40141)));
    assert_eq!(renews.settle().await, Vec::<Value>::new());
}

#[tokio::test]
async fn statistics_are_for_those_who_may_see_them() {
    let node = node();
    let token = token_for(&node, "alice", r#"{"c":["subscribe"]}"#).await;
    let stats = || Client::new().get(format!("{}/stats", node.url));
    let (status, answer) = ask(stats().bearer_auth(token)).await;
    assert_eq!((status, &answer["error"]["code"]), (401, &json!(40160)));
    assert_eq!(ask(stats().basic_auth(KEY_NAME, Some(KEY_SECRET))).await, (200, json!([])));
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn jwt(claims: &Value) -> String {
    let header = Header { kid: Some(KEY_NAME.into()), ..Header::default() };
    encode(&header, claims, &EncodingKey::from_secret(KEY_SECRET.as_bytes())).unwrap()
}

#[tokio::test]
async fn a_jwt_is_valid_for_at_most_a_day() {
    const HOUR: u64 = 3_600;
    let node = node();
    let time = now();
    for (claims, code) in [
        (json!({"iat": time - 25 * HOUR, "exp": time + 1_000 * HOUR}), 40142),
        (json!({"exp": time + HOUR}), 40144),
        (json!({"iat": time - 2 * HOUR, "exp": time - HOUR}), 40142),
    ] {
        let mut wire = Wire::open_with(&node, &format!("access_token={}", jwt(&claims))).await;
        let refused = wire.next().await.unwrap();
        assert_eq!(refused["error"]["code"], code, "{claims}");
    }
    let claims = json!({"iat": time - 23 * HOUR, "exp": time + 1_000 * HOUR});
    let mut wire = Wire::open_with(&node, &format!("access_token={}", jwt(&claims))).await;
    wire.next_of(4).await;
}

#[tokio::test]
async fn an_invalid_token_in_band_fails_the_connection_and_its_members_leave() {
    let node = node();
    let (mut watcher, _) = Wire::connected(&node, "").await;
    watcher.attach("c").await;
    let expired = jwt(&json!({"iat": now() - 20, "exp": now() - 10}));
    for (bad, code) in [("tandem.nonsense".to_owned(), 40143), ("nonsense".to_owned(), 40143), (expired, 40142)] {
        let token = token_for(&node, "alice", r#"{"*":["*"]}"#).await;
        let mut alice = Wire::open_with(&node, &format!("access_token={token}")).await;
        let connected = alice.next_of(4).await;
        alice.enter("c").await;
        assert_eq!(watcher.next_of(14).await["presence"][0]["action"], 2);
        alice.send(json!({"action": 17, "auth": {"accessToken": bad}})).await;
        // An ERROR without a channel: RTC8a2 of Ably's specification.
        let error = alice.next_of(9).await;
        assert_eq!((&error["channel"], &error["error"]["code"]), (&Value::Null, &json!(code)));
        assert_eq!(alice.next().await, None);
        assert_eq!(watcher.next_of(14).await["presence"][0]["action"], 3);
        let key = connected["connectionDetails"]["connectionKey"].as_str().unwrap();
        let mut late = Wire::open_with(&node, &format!("access_token={token}&resume={key}")).await;
        assert_eq!(late.next_of(4).await["error"]["code"], 80008, "a failed connection is over");
    }
}

#[tokio::test]
async fn members_leave_when_a_new_token_does_not_allow_presence() {
    let node = node();
    let (mut watcher, _) = Wire::connected(&node, "").await;
    watcher.attach("c").await;
    for (attached, in_band) in [(true, true), (false, true), (true, false), (false, false)] {
        let token = token_for(&node, "alice", r#"{"*":["*"]}"#).await;
        let mut alice = Wire::open_with(&node, &format!("access_token={token}")).await;
        let connected = alice.next_of(4).await;
        if attached {
            alice.attach("c").await;
        }
        alice.enter("c").await;
        assert_eq!(watcher.next_of(14).await["presence"][0]["action"], 2);
        let token = token_for(&node, "alice", r#"{"c":["subscribe"]}"#).await;
        if in_band {
            alice.send(json!({"action": 17, "auth": {"accessToken": token}})).await;
        } else {
            let key = connected["connectionDetails"]["connectionKey"].as_str().unwrap();
            alice = Wire::open_with(&node, &format!("access_token={token}&resume={key}")).await;
            assert_eq!(alice.next_of(4).await["connectionId"], connected["connectionId"]);
        }
        assert_eq!(watcher.next_of(14).await["presence"][0]["action"], 3, "attached: {attached}, in band: {in_band}");
    }
}
