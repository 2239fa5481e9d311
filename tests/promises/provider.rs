//! The same server with Ably's cloud instead of the embedded endpoint: presence by REST and by webhook, and what
//! happens when the cloud is down.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    cloud::fake_ably::{FakeAbly, KEY},
    harness::{Answer, Conversation, Expo, Server, Setup, eventually, now, server, text},
};

const DEVICE: &str = "ExponentPushToken[device-of-ben]";

fn on_ably(url: &str) -> Setup {
    server().set("realtime.provider", "ably").set("realtime.ably.key", KEY).set("realtime.ably.rest_url", url)
}

async fn scene(ably: &str) -> (Server, Expo, Conversation) {
    let expo = Expo::start();
    let server = on_ably(ably).set("push.base_url", &expo.url).start().await;
    let both = Conversation::joined(&server).await;
    both.ben.register_push_token(DEVICE).await.ok();
    (server, expo, both)
}

fn channel(session: &str) -> String {
    format!("meetwithoutfear:session:{session}")
}

fn published(ably: &FakeAbly, session: &str) -> Vec<Value> {
    ably.state.lock().channels.get(&channel(session)).cloned().unwrap_or_default()
}

async fn hears(ably: &FakeAbly, session: &str, name: &str) -> Value {
    eventually(format!("{name} at Ably"), || async {
        published(ably, session).into_iter().find(|message| message["name"] == name)
    })
    .await
}

#[tokio::test]
async fn a_partner_absent_from_ably_gets_a_push_and_a_present_one_gets_the_event_there() {
    let ably = FakeAbly::start().await;
    let (server, expo, both) = scene(&ably.url).await;
    both.anna.sign().await.done();
    expo.push(DEVICE, "partner.signed_compact").await;
    let ben = json!({ "clientId": both.ben.id, "connectionId": "phone", "action": 1, "timestamp": now() * 1000 });
    // The webhook tells of the one who came; a look by REST will see it, too.
    ably.state.lock().present.insert(format!("{}:presence", channel(&both.session)), vec![ben]);
    webhook(&server, &both, 2, true).await.ok();
    both.anna.press("/pause").await.done();
    let paused = hears(&ably, &both.session, "session.paused").await;
    assert!(text(&paused["id"]).contains(&both.session), "{paused}");
    assert!(published(&ably, &both.session).iter().all(|message| message["name"] != "partner.signed_compact"));
}

/// What Ably sends when a member enters (2) or leaves (3).
async fn webhook(server: &Server, both: &Conversation, action: u8, signed: bool) -> Answer {
    let time = now() * 1000 + 500;
    let member = json!({ "clientId": both.ben.id, "connectionId": "phone", "action": action, "timestamp": time,
        "id": format!("phone:{action}:0") });
    let data = json!({ "channelId": format!("{}:presence", channel(&both.session)), "presence": [member] });
    let body = json!({ "items": [{ "webhookId": "w", "source": "channel.presence", "name": "presence.message",
        "timestamp": time, "data": data }] });
    let body = body.to_string();
    let (name, secret) = KEY.split_once(':').expect("name and secret");
    let secret = if signed { secret } else { "another secret" };
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(body.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let request = server.request(reqwest::Method::POST, "/api/v1/webhooks/ably");
    let request = request.header("content-type", "application/json");
    request.header("x-ably-key", name).header("x-ably-signature", &signature).body(body).send().await
}

#[tokio::test]
async fn a_partner_who_leaves_ably_before_seeing_an_event_gets_a_push_and_forged_webhooks_have_no_effect() {
    let ably = FakeAbly::start().await;
    let (server, expo, both) = scene(&ably.url).await;
    assert_eq!(webhook(&server, &both, 2, false).await.status, 401);
    both.anna.sign().await.done();
    expo.push(DEVICE, "partner.signed_compact").await;
    webhook(&server, &both, 2, true).await.ok();
    both.anna.press("/pause").await.done();
    hears(&ably, &both.session, "session.paused").await;
    webhook(&server, &both, 3, true).await.ok();
    expo.push(DEVICE, "session.paused").await;
}

#[tokio::test]
async fn commands_and_pushes_continue_while_the_cloud_is_down() {
    let (server, expo, both) = scene("http://127.0.0.1:9").await;
    let started = std::time::Instant::now();
    both.satisfy(0).await;
    for member in both.members() {
        assert_eq!(member.advance().await.done()["newStage"], 1);
    }
    assert!(started.elapsed().as_secs() < 5, "commands do not wait for the cloud: {:?}", started.elapsed());
    let push = eventually("a push", || async { expo.pushes_to(DEVICE).into_iter().next() }).await;
    assert_eq!(push["data"]["sessionId"], both.session);
    // What could not be published waits, also over a restart, until the cloud is back.
    let ably = FakeAbly::start().await;
    let server = server.kill().set("realtime.ably.rest_url", &ably.url).start().await;
    both.anna.back_at(&server).press("/pause").await.done();
    eventually("what was told while the cloud was down", || async {
        let heard = published(&ably, &both.session);
        heard.iter().any(|message| message["name"] == "partner.signed_compact").then_some(())
    })
    .await;
    let heard = published(&ably, &both.session);
    let seqs: Vec<_> = heard.iter().map(seq).collect();
    assert!(seqs.is_sorted_by(|one, next| one < next), "in order, each once: {seqs:?}");
}

fn seq(message: &Value) -> u64 {
    let data = match &message["data"] {
        Value::String(text) => serde_json::from_str(text).expect("JSON"),
        data => data.clone(),
    };
    data["seq"].as_u64().expect("a seq")
}

#[tokio::test]
async fn a_sign_out_that_ends_nothing_does_not_say_that_it_did() {
    let ably = FakeAbly::start().await;
    let (_server, _expo, both) = scene(&ably.url).await;
    assert_eq!(both.anna.delete("/auth/ably-token").await.ok(), json!({ "signedOut": false }));
}

#[tokio::test]
async fn tokens_are_signed_with_the_clouds_key() {
    let ably = FakeAbly::start().await;
    let (_server, _expo, both) = scene(&ably.url).await;
    let answer = both.anna.get("/auth/ably-token").await;
    let request = answer.json()["data"]["tokenRequest"].clone();
    assert_eq!(request["keyName"], "app.key", "{}", answer.body);
    assert!(!answer.body.contains("canarysecret"));
}
