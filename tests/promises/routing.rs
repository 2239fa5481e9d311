//! How a partner hears of an event: over the channel while present, by a push while absent, and never by nothing.

use serde_json::{Value, json};

use crate::harness::{Conversation, Expo, Member, Realtime, Server, Setup, eventually, has, server};

/// A session at stage 0 whose Ben has a device (or not).
pub async fn scene(setup: Setup, device: Option<&str>) -> (Server, Expo, Conversation) {
    let expo = Expo::start();
    let server = setup.set("push.base_url", &expo.url).start().await;
    let both = Conversation::joined(&server).await;
    if let Some(device) = device {
        has(&both.ben.register_push_token(device).await.ok(), &["registered"]);
    }
    (server, expo, both)
}

pub const DEVICE: &str = "ExponentPushToken[device-of-ben]";

async fn heartbeat(member: &Member, status: &str) -> Value {
    member.say("/presence", json!({ "status": status })).await.ok()
}

fn events(pushes: &[Value]) -> Vec<String> {
    pushes.iter().map(|push| push["data"]["event"].as_str().expect("an event").to_owned()).collect()
}

#[tokio::test]
async fn a_heartbeat_returns_the_last_seq() {
    let (_server, _expo, both) = scene(server(), None).await;
    for (step, status) in [("/pause", "active"), ("/resume", "away")] {
        let done = both.anna.press(step).await.done();
        assert_eq!(heartbeat(&both.ben, status).await["seq"], done["seq"]);
    }
}

#[tokio::test]
async fn a_partner_on_the_channel_gets_the_event_there_and_no_push() {
    let (_server, expo, both) = scene(server(), Some(DEVICE)).await;
    let mut phone = Realtime::connect(&both.ben).await;
    phone.attach(&both.session).await;
    phone.enter(&both.session).await;
    both.anna.sign().await.done();
    phone.message(&both.session, "partner.signed_compact").await;
    // It was delivered on a live connection: nothing is missed by leaving.
    phone.settled().await;
    phone.leave(&both.session).await;
    phone.close().await;
    both.anna.press("/pause").await.done();
    expo.push(DEVICE, "session.paused").await;
    assert_eq!(events(&expo.pushes()), ["session.paused"], "only what happened after leaving");
}

#[tokio::test]
async fn a_partner_present_by_heartbeat_gets_the_event_on_the_channel() {
    let (_server, expo, both) = scene(server(), Some(DEVICE)).await;
    let mut ear = Realtime::connect(&both.ben).await;
    ear.attach(&both.session).await;
    let beat = heartbeat(&both.ben, "active").await;
    has(&beat, &["present", "expiresAt"]);
    assert_eq!(beat["present"], true);
    both.anna.sign().await.done();
    ear.message(&both.session, "partner.signed_compact").await;
    both.ben.press("/viewed").await.ok();
    assert_eq!(heartbeat(&both.ben, "away").await["present"], false);
    both.anna.press("/pause").await.done();
    expo.push(DEVICE, "session.paused").await;
    assert_eq!(events(&expo.pushes()), ["session.paused"]);
}

#[tokio::test]
async fn an_absent_partner_gets_a_push_and_nothing_is_published() {
    let (_server, expo, both) = scene(server(), Some(DEVICE)).await;
    let mut ear = Realtime::connect(&both.ben).await;
    ear.attach(&both.session).await;
    both.anna.sign().await.done();
    expo.push(DEVICE, "partner.signed_compact").await;
    heartbeat(&both.ben, "active").await;
    both.anna.press("/pause").await.done();
    ear.message(&both.session, "session.paused").await;
    let heard: Vec<_> = ear.messages(&both.session).iter().map(|message| message["name"].clone()).collect();
    assert_eq!(heard, ["session.paused"], "what was pushed is not published too");
}

#[tokio::test]
async fn an_absent_partner_without_a_device_gets_the_event_on_the_channel_only() {
    let (server, expo, both) = scene(server(), None).await;
    let mut ear = Realtime::connect(&both.ben).await;
    ear.attach(&both.session).await;
    both.anna.sign().await.done();
    ear.message(&both.session, "partner.signed_compact").await;
    let other = Conversation::joined(&server).await;
    other.ben.register_push_token("ExponentPushToken[another]").await.ok();
    other.anna.sign().await.done();
    expo.push("ExponentPushToken[another]", "partner.signed_compact").await;
    assert_eq!(expo.pushes().len(), 1, "none for who has no device: {:?}", expo.pushes());
}

#[tokio::test]
async fn a_partner_who_leaves_before_seeing_the_event_gets_a_push() {
    let (_server, expo, both) = scene(server(), Some(DEVICE)).await;
    heartbeat(&both.ben, "active").await;
    both.anna.sign().await.done();
    let seq = both.anna.seq().await;
    heartbeat(&both.ben, "away").await;
    let push = expo.push(DEVICE, "partner.signed_compact").await;
    assert!(push["data"]["seq"].as_u64() <= Some(seq));
}

#[tokio::test]
async fn a_partner_who_leaves_after_seeing_the_event_gets_no_push() {
    for seen in ["viewed", "events"] {
        let (_server, expo, both) = scene(server(), Some(DEVICE)).await;
        heartbeat(&both.ben, "active").await;
        both.anna.sign().await.done();
        if seen == "viewed" {
            both.ben.press("/viewed").await.ok();
        } else {
            assert!(!both.ben.events().await.is_empty());
        }
        heartbeat(&both.ben, "away").await;
        both.anna.press("/pause").await.done();
        expo.push(DEVICE, "session.paused").await;
        assert_eq!(events(&expo.pushes()), ["session.paused"], "{seen}");
    }
}

#[tokio::test]
async fn a_phone_without_network_gets_the_push_when_its_connection_is_closed() {
    let setup = server().set("realtime.embedded.presence_grace", "300ms");
    let (_server, expo, both) = scene(setup, Some(DEVICE)).await;
    let mut phone = Realtime::connect(&both.ben).await;
    phone.attach(&both.session).await;
    phone.enter(&both.session).await;
    let frozen = phone.freeze().await;
    both.anna.sign().await.done();
    drop(frozen);
    expo.push(DEVICE, "partner.signed_compact").await;
}

#[tokio::test]
async fn a_phone_whose_connection_breaks_with_an_event_unread_gets_the_push() {
    let setup = server().set("realtime.embedded.presence_grace", "300ms");
    let (_server, expo, both) = scene(setup, Some(DEVICE)).await;
    let mut ear = Realtime::connect(&both.anna).await;
    ear.attach(&both.session).await;
    let mut phone = Realtime::connect(&both.ben).await;
    phone.attach(&both.session).await;
    phone.enter(&both.session).await;
    let frozen = phone.freeze().await;
    both.anna.sign().await.done();
    // It is on its way to both; what lies unread in a socket when it is closed resets the connection.
    ear.message(&both.session, "partner.signed_compact").await;
    drop(frozen);
    expo.push(DEVICE, "partner.signed_compact").await;
}

#[tokio::test]
async fn a_missing_heartbeat_counts_as_leaving() {
    let (_server, expo, both) = scene(server().set("routing.heartbeat_ttl", "500ms"), Some(DEVICE)).await;
    heartbeat(&both.ben, "active").await;
    both.anna.sign().await.done();
    expo.push(DEVICE, "partner.signed_compact").await;
}

#[tokio::test]
async fn a_partner_who_leaves_after_the_grace_gets_no_push() {
    const GRACE: std::time::Duration = std::time::Duration::from_millis(100);
    let setup = server().set("routing.leave_grace", "100ms").set("routing.heartbeat_ttl", "10m");
    let (_server, expo, both) = scene(setup, Some(DEVICE)).await;
    heartbeat(&both.ben, "active").await;
    let mut ear = Realtime::connect(&both.anna).await;
    ear.attach(&both.session).await;
    both.anna.sign().await.done();
    // The grace begins with the publication. Its end can be seen on the clock only.
    ear.message(&both.session, "partner.signed_compact").await;
    let published = std::time::Instant::now();
    eventually("the grace is over", async || (published.elapsed() > 2 * GRACE).then_some(())).await;
    heartbeat(&both.ben, "away").await;
    both.anna.press("/pause").await.done();
    expo.push(DEVICE, "session.paused").await;
    assert_eq!(events(&expo.pushes()), ["session.paused"]);
}

#[tokio::test]
async fn push_and_publish_does_both() {
    let (_server, expo, both) = scene(server().set("routing.when_absent", "push_and_publish"), Some(DEVICE)).await;
    // Ben must not hear it on a live connection: then there is nothing left to push.
    let mut ear = Realtime::connect(&both.anna).await;
    ear.attach(&both.session).await;
    both.anna.sign().await.done();
    ear.message(&both.session, "partner.signed_compact").await;
    expo.push(DEVICE, "partner.signed_compact").await;
}

#[tokio::test]
async fn commands_continue_while_the_push_service_is_down() {
    // The stand-in is not even started: the default of the harness leads nowhere.
    let server = server().start().await;
    let both = Conversation::joined(&server).await;
    both.ben.register_push_token(DEVICE).await.ok();
    both.anna.sign().await.done();
    let mut ear = Realtime::connect(&both.ben).await;
    ear.attach(&both.session).await;
    heartbeat(&both.ben, "active").await;
    both.anna.press("/pause").await.done();
    ear.message(&both.session, "session.paused").await;
}

#[tokio::test]
async fn acknowledged_events_are_delivered_also_after_a_kill() {
    let (server, expo, both) = scene(server(), Some(DEVICE)).await;
    both.anna.sign().await.done();
    let setup = server.kill();
    let server = setup.start().await;
    expo.push(DEVICE, "partner.signed_compact").await;
    let both = both.back_at(&server);
    let mut ear = Realtime::connect(&both.ben).await;
    ear.attach(&both.session).await;
    heartbeat(&both.ben, "active").await;
    both.anna.press("/pause").await.done();
    ear.message(&both.session, "session.paused").await;
}
