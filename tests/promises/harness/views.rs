//! Everything that two partners can see, to compare a node with what was restored of it.

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Conversation, GET_ROUTES, Member, Request, Server, eventually, items};

const OWN: [&str; 11] = [
    "/auth/me",
    "/auth/me/notification-preferences",
    "/auth/me/privacy-preferences",
    "/me/export",
    "/sessions",
    "/sessions?status=RESOLVED",
    "/sessions/unread-count",
    "/notifications/badge-count",
    "/people",
    "/sessions/{id}/messages",
    "/sessions/{id}/stage4",
];

/// What one partner sees.
pub async fn of(member: &Member) -> Value {
    let mut views = Map::new();
    for path in GET_ROUTES.iter().map(|route| route.path).chain(OWN) {
        let answer = member.get(&path.replace("{id}", &member.session)).await;
        let mut body = answer.json();
        if let Some(data) = body["data"].as_object_mut() {
            // The time of the request.
            data.remove("exportedAt");
        }
        views.insert(path.to_owned(), json!({ "status": answer.status, "body": body }));
    }
    views.insert("all events".into(), member.events().await.into());
    views.into()
}

/// What the channel of a session has told, as the realtime endpoint keeps it.
async fn history(server: &Server, session: &str) -> Vec<Value> {
    let key = std::fs::read_to_string(server.data().join("realtime.key")).expect("the node's key");
    let path = format!("/channels/meetwithoutfear:session:{session}/messages?limit=1000");
    let request = Request::new(Method::GET, &server.origin, &path);
    let authorization = format!("Basic {}", STANDARD.encode(key.trim()));
    let answer = request.header("authorization", &authorization).send().await;
    items(&answer.json())
}

/// Both have looked at everything: what a first look changes is changed.
pub async fn looked_at(both: &Conversation) {
    for member in both.members() {
        of(member).await;
    }
}

/// The channel has told the last event of the session: an answer to a command does not wait for that.
pub async fn told(server: &Server, both: &Conversation) {
    let last = both.anna.events().await.pop().expect("an event");
    let id = format!("{}:{}", both.session, last["seq"]);
    eventually(format!("{id} on the channel"), || async {
        history(server, &both.session).await.iter().any(|message| message["id"] == id.as_str()).then_some(())
    })
    .await;
}

/// All that both see.
pub async fn all(server: &Server, both: &Conversation) -> Value {
    json!({
        "anna": of(&both.anna).await,
        "ben": of(&both.ben).await,
        "history": history(server, &both.session).await,
    })
}

/// Fails where something that was seen before is not there, or is another. What was added since is not looked at.
#[track_caller]
pub fn kept(before: &Value, after: &Value) {
    same(before, &without_additions(before, after));
}

fn without_additions(before: &Value, after: &Value) -> Value {
    match (before, after) {
        (Value::Object(one), Value::Object(other)) => {
            let known = other.iter().filter_map(|(name, value)| Some((name, one.get(name)?, value)));
            known.map(|(name, one, other)| (name.clone(), without_additions(one, other))).collect()
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            one.iter().zip(other).map(|(one, other)| without_additions(one, other)).collect()
        }
        _ => after.clone(),
    }
}

/// Fails with the places at which two differ.
#[track_caller]
pub fn same(before: &Value, after: &Value) {
    let mut differences = Vec::new();
    compare("", before, after, &mut differences);
    assert!(differences.is_empty(), "before and after:\n{}", differences.join("\n"));
}

fn compare(path: &str, before: &Value, after: &Value, differences: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(one), Value::Object(other)) => {
            for name in one.keys().chain(other.keys().filter(|name| !one.contains_key(*name))) {
                compare(&format!("{path} {name}"), &before[name], &after[name], differences);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&format!("{path} {index}"), one, other, differences);
            }
        }
        _ if before == after => {}
        _ => differences.push(format!("{path}: {before} {after}")),
    }
}
