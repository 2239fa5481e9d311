//! The session's channel: the events of the design with their payloads, in order, each once; and tokens for it.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::{Conversation, Realtime, has, now, server, shared, text, three_ideas};

const COMMON: [&str; 5] = ["sessionId", "seq", "timestamp", "excludeUserId", "triggeredByUserId"];

/// The payload is what the design says and no more.
#[track_caller]
fn payload(message: &Value, session: &str, by: &str, own: &[&str]) {
    let data = &message["data"];
    let mut expected: Vec<_> = COMMON.iter().chain(own).copied().collect();
    expected.sort_unstable();
    let mut found: Vec<_> =
        data.as_object().unwrap_or_else(|| panic!("an object: {message}")).keys().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(found, expected, "{message}");
    assert_eq!(
        (&data["sessionId"], &data["excludeUserId"], &data["triggeredByUserId"]),
        (&json!(session), &json!(by), &json!(by))
    );
    let sent = data["timestamp"].as_i64().expect("milliseconds") / 1000;
    assert!((now() - 600..=now() + 1).contains(&sent), "{message}");
    let id = text(&message["id"]);
    assert!(id.contains(session) && id.contains(&data["seq"].to_string()), "the id is made of session and seq: {id}");
}

#[tokio::test]
async fn the_events_of_a_conversation_arrive_with_their_payloads_in_the_order_of_seq() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    let mut ear = Realtime::connect(&both.ben).await;
    ear.attach(&both.session).await;
    let (anna, ben, session) = (&both.anna, &both.ben, &both.session);
    both.satisfy(0).await;
    for stage in 0..4 {
        if stage > 0 {
            both.satisfy(stage).await;
        }
        anna.advance().await.done();
        ben.advance().await.done();
    }
    three_ideas(&both).await;
    for member in both.members() {
        member.press("/strategies/ready").await.done();
    }
    let ids = crate::harness::strategies_of(anna).await;
    for member in both.members() {
        member.rank(&ids).await.done();
    }
    let agreement = text(&anna.propose(&ids[0]).await.created()["agreement"]["id"]);
    ben.confirm(&agreement).await.done();
    anna.say("/pause", json!({ "reason": "dinner" })).await.done();
    anna.press("/resume").await.done();
    anna.press("/resolve").await.done();
    ear.message(session, "session.resolved").await;

    for (name, by, own) in [
        ("partner.signed_compact", &anna.id, &["signedAt"][..]),
        ("partner.stage_completed", &anna.id, &["stage", "completedAt"]),
        ("partner.advanced", &anna.id, &["toStage"]),
        ("partner.empathy_shared", &anna.id, &[]),
        ("partner.needs_shared", &anna.id, &[]),
        ("partner.ranking_submitted", &anna.id, &[]),
        ("agreement.proposed", &anna.id, &["agreementId"]),
        ("agreement.confirmed", &ben.id, &["agreementId"]),
        ("session.paused", &anna.id, &["by", "reason"]),
        ("session.resumed", &anna.id, &[]),
    ] {
        payload(&ear.message(session, name).await, session, by, own);
    }
    // The screen of the one who resolves waits for it, too: it excludes nobody.
    let resolved = ear.message(session, "session.resolved").await;
    assert_eq!(resolved["data"]["sessionId"], *session);
    for author in ["excludeUserId", "triggeredByUserId"] {
        assert!(resolved["data"].get(author).is_none(), "{resolved}");
    }
    assert_eq!(ear.message(session, "session.paused").await["data"]["reason"], "dinner");
    assert_eq!(ear.message(session, "agreement.confirmed").await["data"]["agreementId"], agreement);
    let heard = ear.messages(session);
    let seqs: Vec<_> = heard.iter().map(|message| message["data"]["seq"].as_u64()).collect();
    assert!(seqs.is_sorted(), "in order: {seqs:?}");
    let ids: std::collections::HashSet<_> = heard.iter().map(|message| message["id"].as_str()).collect();
    assert_eq!(ids.len(), heard.len(), "each once: {heard:?}");
    let confirmed = heard.iter().filter(|message| message["name"] == "agreement.confirmed").count();
    assert_eq!(confirmed, 1);
}

#[tokio::test]
async fn events_on_the_channel_are_in_the_list_of_events_too() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    let mut ear = Realtime::connect(&both.ben).await;
    ear.attach(&both.session).await;
    both.anna.sign().await.done();
    let heard = ear.message(&both.session, "partner.signed_compact").await;
    let event = both.ben.events().await.into_iter().find(|event| event["seq"] == heard["data"]["seq"]);
    assert_eq!(event.expect("the same seq")["name"], "partner.signed_compact");
}

#[tokio::test]
async fn a_participant_cannot_forge_events_of_the_coordinator() {
    let both = Conversation::joined(&*shared().await).await;
    let mut ear = Realtime::connect(&both.anna).await;
    ear.attach(&both.session).await;
    let mut forger = Realtime::connect(&both.ben).await;
    forger.attach(&both.session).await;
    for name in ["agreement.confirmed", "partner.signed_compact", "session.resolved"] {
        let refused = forger.publish(&both.session, name, "{}").await;
        assert_eq!((&refused["action"], &refused["error"]["code"]), (&json!(2), &json!(40160)), "{refused}");
    }
    assert_eq!(forger.publish(&both.session, "typing", "{}").await["action"], 1, "other names are the partners' own");
    ear.message(&both.session, "typing").await;
    assert!(ear.messages(&both.session).iter().all(|message| message["name"] == "typing"));
}

fn names_of(capability: &Value) -> serde_json::Map<String, Value> {
    let capability: Value = serde_json::from_str(&text(capability)).expect("a JSON string");
    capability.as_object().expect("an object").clone()
}

#[tokio::test]
async fn a_token_covers_the_callers_live_sessions_for_an_hour() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    let stranger = Conversation::joined(&server).await;
    let ended = text(&both.anna.invite("Carl").await.created()["session"]["id"]);
    both.anna.delete(&format!("/sessions/{ended}")).await.ok();
    let request = both.anna.get("/auth/ably-token").await.json()["data"]["tokenRequest"].clone();
    assert_eq!((&request["ttl"], &request["clientId"]), (&json!(3_600_000), &json!(both.anna.id)));
    assert!(text(&request["nonce"]).len() >= 16);
    let capability = names_of(&request["capability"]);
    let id = &both.session;
    let mut operations = capability[&format!("meetwithoutfear:session:{id}")].clone();
    operations.as_array_mut().expect("a list").sort_by_key(|operation| operation.to_string());
    assert_eq!(operations, json!(["presence", "publish", "subscribe"]));
    for channel in ["session:{id}:presence", "presence:{id}"] {
        let mut operations = capability[&format!("meetwithoutfear:{}", channel.replace("{id}", id))].clone();
        operations.as_array_mut().expect("a list").sort_by_key(|operation| operation.to_string());
        assert_eq!(operations, json!(["presence", "subscribe"]), "{channel}");
    }
    assert_eq!(capability[&format!("meetwithoutfear:user:{}", both.anna.id)], json!(["subscribe"]));
    let channels = text(&request["capability"]);
    assert!(!channels.contains(&stranger.session) && !channels.contains(&ended), "{channels}");
    assert!(!channels.contains(&both.ben.id), "{channels}");
}

#[tokio::test]
async fn the_mac_of_a_token_request_is_ablys() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("config.toml");
    let config = r#"
        [[realtime.embedded.keys]]
        name = "promise.key"
        secret = "the secret of the key"
        capability = '{"*":["*"]}'
    "#;
    std::fs::write(&file, config).expect("a file");
    let server = server().arguments(&["--config", file.to_str().expect("a path")]).start().await;
    let both = Conversation::joined(&server).await;
    let request = both.anna.get("/auth/ably-token").await.json()["data"]["tokenRequest"].clone();
    assert_eq!(request["keyName"], "promise.key");
    let fields =
        ["keyName", "ttl", "capability", "clientId", "timestamp", "nonce"].map(|field| match &request[field] {
            Value::String(text) => format!("{text}\n"),
            number => format!("{number}\n"),
        });
    let mut mac = Hmac::<Sha256>::new_from_slice(b"the secret of the key").expect("any length");
    mac.update(fields.concat().as_bytes());
    assert_eq!(request["mac"], STANDARD.encode(mac.finalize().into_bytes()));
    Realtime::connect(&both.anna).await.close().await;
}

#[tokio::test]
async fn without_client_publish_tokens_only_allow_subscribing() {
    let server = server().set("realtime.client_publish", false).start().await;
    let both = Conversation::joined(&server).await;
    let request = both.anna.get("/auth/ably-token").await.json()["data"]["tokenRequest"].clone();
    let capability = names_of(&request["capability"]);
    assert_eq!(capability[&format!("meetwithoutfear:session:{}", both.session)], json!(["presence", "subscribe"]));
}

#[tokio::test]
async fn tokens_are_limited_to_ten_a_minute_for_each_user() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    let answers = futures_util::future::join_all((0..12).map(|_| both.anna.get("/auth/ably-token"))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 10);
    for limited in answers.iter().filter(|answer| answer.status != 200) {
        limited.refused(429, "RATE_LIMITED");
    }
    assert_eq!(both.ben.get("/auth/ably-token").await.status, 200, "of each user");
}

#[tokio::test]
async fn the_client_is_told_how_to_connect_and_to_recover() {
    let both = Conversation::joined(&*shared().await).await;
    let config = both.anna.get(&format!("/realtime/config?sessionId={}", both.session)).await.ok();
    let all = config.to_string();
    for value in ["connectionStateTtl", "120000", "disconnectedRetryTimeout", "5000", "suspendedRetryTimeout", "15000"]
    {
        assert!(all.contains(value), "{value} in {all}");
    }
    has(&config, &["host", "port", "tls"]);
    assert!(all.contains(&format!("meetwithoutfear:session:{}:presence", both.session)), "{all}");
    let stranger = Conversation::joined(&*shared().await).await;
    stranger.anna.get(&format!("/realtime/config?sessionId={}", both.session)).await.refused(404, "NOT_FOUND");
}
