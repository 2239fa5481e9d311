//! The endpoint as the coordinator uses it: events go out once and in order, presence and deliveries are reported,
//! and clients cannot forge events.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tandem::{
    realtime::{
        ApiKey,
        channels::ChannelNames,
        token::{ClientPublish, capability, fresh_nonce, sign_token_request},
    },
    secret::Secret,
};
use tandem_ably::Config;
use tandem_actors::{
    domain::{
        EventName,
        ids::{SessionId, UserId},
    },
    ports::{Channel, Clock, Publication, Realtime},
};

use super::{
    node::{KEY_NAME, KEY_SECRET, MemoryStore, Node, WallClock},
    wire::{Wire, eventually},
};

const SESSION_CHANNEL: &str = "meetwithoutfear:session:csession01";
const PRESENCE_CHANNEL: &str = "meetwithoutfear:session:csession01:presence";

fn session() -> SessionId {
    "csession01".parse().unwrap()
}

fn event(seq: u64) -> Publication {
    Publication {
        channel: Channel::Session(session()),
        id: format!("csession01:{seq}"),
        name: "agreement.confirmed",
        data: json!({"agreementId": "cagreement1", "seq": seq}).to_string().into(),
        at: WallClock.now(),
    }
}

/// A token for one user of the session, as `GET /api/v1/auth/ably-token` leads to.
async fn token(node: &Node, user: &str, client_publish: ClientPublish) -> String {
    let user: UserId = user.parse().unwrap();
    let capability = capability(&ChannelNames::default(), &user, [&session()], 50, client_publish);
    let key = ApiKey::new(KEY_NAME, Secret::new(KEY_SECRET));
    let request =
        sign_token_request(&key, capability, &user, Duration::from_secs(3600), WallClock.now(), fresh_nonce());
    let response = reqwest::Client::new()
        .post(format!("{}/keys/{KEY_NAME}/requestToken", node.url))
        .header("content-type", "application/json")
        .body(serde_json::to_string(&request).unwrap())
        .send()
        .await
        .unwrap();
    let details: serde_json::Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    details["token"].as_str().unwrap_or_else(|| panic!("{details}")).to_owned()
}

async fn partner(node: &Node, user: &str) -> Wire {
    let mut wire = Wire::open_with(
        node,
        &format!("access_token={}&heartbeats=true", token(node, user, ClientPublish::Allowed).await),
    )
    .await;
    assert_eq!(wire.next_of(4).await["connectionDetails"]["clientId"], user);
    wire
}

#[tokio::test]
async fn events_arrive_once_with_their_names_and_their_delivery_is_reported() {
    let node = Node::start(Config::default());
    let mut alice = partner(&node, "alice").await;
    alice.attach(SESSION_CHANNEL).await;
    node.embedded.publish(vec![event(1), event(2)]).await.unwrap();
    node.embedded.publish(vec![event(2), event(3)]).await.unwrap();
    for seq in 1..=3 {
        let frame = alice.next_of(15).await;
        let message = &frame["messages"][0];
        assert_eq!(message["id"], format!("csession01:{seq}"));
        assert_eq!(message["name"], "agreement.confirmed");
        assert_eq!(message["encoding"], "json");
    }
    alice.settle().await;
    let user: UserId = "alice".parse().unwrap();
    eventually("the report of the delivery", || node.heard.delivered.lock().contains(&(session(), user.clone(), 3)))
        .await;
}

#[tokio::test]
async fn only_the_coordinator_publishes_its_events() {
    let node = Node::start(Config::default());
    let mut alice = partner(&node, "alice").await;
    alice.publish(SESSION_CHANNEL, 0, "agreement.confirmed").await;
    assert_eq!(alice.next_of(2).await["error"]["code"], 40160);
    alice.publish(SESSION_CHANNEL, 1, "typing").await;
    assert_eq!(alice.next_of(1).await["msgSerial"], 1);
    // An id of a later event is refused, too: the event would look like a repetition.
    let forged = json!([{"name": "typing", "id": format!("{}:5", session())}]);
    alice.send(json!({"action": 15, "channel": SESSION_CHANNEL, "msgSerial": 2, "messages": forged})).await;
    assert_eq!(alice.next_of(2).await["error"]["code"], 40160);
    // REST refuses the same.
    for message in [json!({"name": "agreement.confirmed"}), forged[0].clone()] {
        let request = reqwest::Client::new().post(format!("{}/channels/{SESSION_CHANNEL}/messages", node.url));
        let request = request
            .bearer_auth(token(&node, "alice", ClientPublish::Allowed).await)
            .header("content-type", "application/json");
        let answer = request.body(message.to_string()).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["x-ably-errorcode"].to_str().unwrap()),
            (401, &"40160")
        );
    }
    // No token lets its user publish on another session's channel, or anywhere if publishing is off.
    alice.publish("meetwithoutfear:session:cother0001", 3, "typing").await;
    assert_eq!(alice.next_of(2).await["error"]["code"], 40160);
    let mut silent =
        Wire::open_with(&node, &format!("access_token={}", token(&node, "bob", ClientPublish::Refused).await)).await;
    silent.next_of(4).await;
    silent.publish(SESSION_CHANNEL, 0, "typing").await;
    assert_eq!(silent.next_of(2).await["error"]["code"], 40160);
}

/// Publishes every name of the table in every way.
#[tokio::test]
async fn no_event_name_of_the_coordinator_can_be_forged() {
    let node = Node::start(Config::default());
    let mut alice = partner(&node, "alice").await;
    alice.attach(SESSION_CHANNEL).await;
    let bearer = token(&node, "alice", ClientPublish::Allowed).await;
    let post = async |path: &str, body: serde_json::Value| {
        let request = reqwest::Client::new().post(format!("{}{path}", node.url)).bearer_auth(&bearer);
        let answer = request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
        answer.text().await.unwrap()
    };
    for (serial, name) in (0..).zip(EventName::ALL.iter().map(|name| name.as_str())) {
        alice.publish(SESSION_CHANNEL, serial, name).await;
        assert_eq!(alice.next_of(2).await["error"]["code"], 40160, "{name} by WebSocket");
        let message = json!({ "name": name, "data": "{}" });
        let one = post(&format!("/channels/{SESSION_CHANNEL}/messages"), message.clone()).await;
        assert!(one.contains("40160"), "{name} by REST: {one}");
        let batch = post("/messages", json!({ "channels": [SESSION_CHANNEL], "messages": [message] })).await;
        assert!(batch.contains("40160"), "{name} by batch: {batch}");
    }
    let other = post(&format!("/channels/{SESSION_CHANNEL}/messages"), json!({ "name": "typing.start" })).await;
    assert!(!other.contains("error"), "{other}");
    assert_eq!(alice.next_of(15).await["messages"][0]["name"], "typing.start", "nothing else has arrived");
}

#[tokio::test]
async fn presence_of_both_partners_is_reported_and_can_be_asked_for() {
    let node = Node::start(Config { presence_grace: Duration::from_millis(50), ..Config::default() });
    let mut alice = partner(&node, "alice").await;
    let mut bob = partner(&node, "bob").await;
    alice.attach(PRESENCE_CHANNEL).await;
    for wire in [&mut alice, &mut bob] {
        let enter = json!([{"action": 2, "data": "{\"stage\":1}", "encoding": "json"}]);
        wire.send(json!({"action": 14, "channel": PRESENCE_CHANNEL, "msgSerial": 0, "presence": enter})).await;
        wire.next_of(1).await;
    }
    let present = || node.heard.presence.lock().iter().filter(|(_, change)| change.present).count();
    eventually("the report of both partners", || present() == 2).await;
    let mut users: Vec<_> =
        node.embedded.members(&session()).await.unwrap().into_iter().map(|member| member.user.to_string()).collect();
    users.sort();
    assert_eq!(users, ["alice", "bob"]);
    // Bob's socket breaks without CLOSE.
    drop(bob);
    let left = |user: &str| {
        let heard = node.heard.presence.lock();
        heard.iter().any(|(id, change)| *id == session() && !change.present && change.user.as_str() == user)
    };
    eventually("the report that bob is gone", || left("bob")).await;
    let entered = node.heard.presence.lock().iter().find(|(_, change)| change.user.as_str() == "bob").cloned().unwrap();
    let gone = node.heard.presence.lock().iter().rfind(|(_, change)| change.user.as_str() == "bob").cloned().unwrap();
    assert_eq!(entered.1.connection, gone.1.connection);
    // Alice sends CLOSE.
    alice.send(json!({"action": 7})).await;
    alice.next_of(8).await;
    eventually("the report that alice is gone", || left("alice")).await;
    assert_eq!(node.embedded.members(&session()).await.unwrap(), vec![]);
}

#[tokio::test]
async fn partners_present_before_a_restart_count_as_present_after_it() {
    let store = Arc::new(MemoryStore::default());
    let node = Node::start_on(Config::default(), store.clone(), 0);
    let mut alice = partner(&node, "alice").await;
    alice.enter(PRESENCE_CHANNEL).await;
    alice.next_of(1).await;
    drop((alice, node));
    let node = Node::start_on(Config::default(), store, 0);
    let members = node.embedded.members(&session()).await.unwrap();
    assert_eq!(members.into_iter().map(|member| member.user.to_string()).collect::<Vec<_>>(), ["alice"]);
}
