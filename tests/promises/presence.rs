//! A partner who is in any of the presence channels is there, also where Ably's cloud tells it: when it is asked, and
//! when it reports by webhook.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};

use crate::{
    cloud::fake_ably::{FakeAbly, KEY},
    harness::{Conversation, Expo, Server, eventually, server},
};

const CHANNELS: [&str; 3] = ["session:{id}:presence", "presence:{id}", "session:{id}"];

async fn on_the_cloud(ably: &FakeAbly, expo: &Expo, presence_max_age: &str) -> Server {
    let setup = server().set("push.base_url", &expo.url).set("push.spacing", "0s").set("push.spacing_later", "0s");
    let setup = setup.set("realtime.provider", "ably").set("realtime.ably.key", KEY);
    let setup = setup.set("realtime.ably.rest_url", &ably.url).set("routing.leave_grace", "0s");
    setup.set("routing.presence_max_age", presence_max_age).start().await
}

fn ben_in(both: &Conversation, action: u8, at: i64) -> Value {
    json!({ "id": format!("K1:{at}:0"), "clientId": both.ben.id, "connectionId": "K1", "action": action, "timestamp": at })
}

/// Anna acts while Ben is there, and when he has gone; he is pushed to for the second alone.
async fn told_by_presence(both: &Conversation, ably: &FakeAbly, expo: &Expo, gone: impl AsyncFnOnce()) {
    let device = format!("ExponentPushToken[{}]", both.session);
    both.ben.register_push_token(&device).await.ok();
    both.anna.sign().await.ok();
    let channel = format!("meetwithoutfear:session:{}", both.session);
    eventually("the event is published", || async {
        let state = ably.state.lock();
        let told = state.channels.get(&channel).into_iter().flatten();
        told.into_iter().any(|message| message["name"] == "partner.signed_compact").then_some(())
    })
    .await;
    gone().await;
    // What the cloud has answered counts for a while.
    let pushed = eventually("a push", || async {
        both.anna.press("/pause").await.ok();
        both.anna.press("/resume").await.ok();
        expo.pushes_to(&device).into_iter().next()
    })
    .await;
    assert_ne!(pushed["data"]["event"], "partner.signed_compact");
}

#[tokio::test]
async fn the_cloud_is_asked_for_each_of_the_channels() {
    let (ably, expo) = (FakeAbly::start().await, Expo::start());
    let running = on_the_cloud(&ably, &expo, "300ms").await;
    for channel in CHANNELS {
        let both = Conversation::joined(&running).await;
        let channel = format!("meetwithoutfear:{}", channel.replace("{id}", &both.session));
        ably.state.lock().present.insert(channel.clone(), vec![ben_in(&both, 1, 1)]);
        told_by_presence(&both, &ably, &expo, async || {
            ably.state.lock().present.remove(&channel);
        })
        .await;
    }
}

#[tokio::test]
async fn webhooks_of_each_of_the_channels_are_understood() {
    let (ably, expo) = (FakeAbly::start().await, Expo::start());
    let running = on_the_cloud(&ably, &expo, "30s").await;
    let report = async |body: Value, secret: &str| {
        let body = body.to_string();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
        mac.update(body.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let request = running.request(reqwest::Method::POST, "/api/v1/webhooks/ably").body(body);
        request.header("x-ably-key", "app.key").header("x-ably-signature", &signature).send().await
    };
    for channel in CHANNELS {
        let both = Conversation::joined(&running).await;
        let channel = format!("meetwithoutfear:{}", channel.replace("{id}", &both.session));
        let now = jiff::Timestamp::now().as_millisecond();
        let set = |action, at| {
            let data = json!({ "channelId": channel, "presence": [ben_in(&both, action, at)] });
            json!({ "items": [{ "name": "presence.message", "timestamp": at, "data": data }] })
        };
        report(set(2, now), "another secret").await.refused(401, "UNAUTHORIZED");
        assert_eq!(report(set(2, now), "canarysecret").await.ok()["accepted"], 1);
        told_by_presence(&both, &ably, &expo, async || {
            report(set(3, now + 1), "canarysecret").await.ok();
        })
        .await;
    }
}
