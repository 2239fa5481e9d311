//! REST as no SDK uses it: what is wrong is said, and by whom it may not be asked.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use reqwest::{Client, RequestBuilder, header};
use serde_json::{Value, json};
use tandem::realtime::embedded::Config;

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
async fn a_body_that_cannot_be_read_is_named_by_what_is_wrong_with_it() {
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

#[tokio::test]
async fn statistics_are_for_those_who_may_see_them() {
    let node = node();
    let wanted = json!({"keyName": KEY_NAME, "capability": r#"{"c":["subscribe"]}"#, "timestamp": now() * 1000});
    let (_, token) = ask(post(&node, &format!("/keys/{KEY_NAME}/requestToken")).body(wanted.to_string())).await;
    let stats = || Client::new().get(format!("{}/stats", node.url));
    let (status, answer) = ask(stats().bearer_auth(token["token"].as_str().unwrap())).await;
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
async fn no_jwt_is_valid_for_longer_than_a_day() {
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
