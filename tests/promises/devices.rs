//! What a push says, and to whose devices it goes.

use serde_json::json;

use crate::{
    harness::{Conversation, server, shared},
    routing::{DEVICE, scene},
};

#[tokio::test]
async fn pushes_hold_the_specified_fields_and_nothing_else() {
    let (server, expo, both) = scene(server(), Some(DEVICE)).await;
    both.anna.sign().await.done();
    let push = expo.push(DEVICE, "partner.signed_compact").await;
    assert_eq!(
        (&push["title"], &push["body"]),
        (&json!("Partner is ready"), &json!("They signed the Curiosity Compact. Your turn!"))
    );
    assert_eq!(push["sound"], "default");
    let event = both
        .ben
        .events()
        .await
        .into_iter()
        .find(|event| event["name"] == "partner.signed_compact")
        .expect("it is in the events");
    assert_eq!(
        push["data"],
        json!({ "sessionId": both.session, "event": "partner.signed_compact", "seq": event["seq"] })
    );

    let empathy = Conversation::at_stage(&server, 2).await;
    empathy.ben.register_push_token("ExponentPushToken[empathy]").await.ok();
    empathy.anna.share_attempt().await;
    let push = expo.push("ExponentPushToken[empathy]", "partner.empathy_shared").await;
    assert_eq!(
        (&push["title"], &push["body"]),
        (&json!("Partner shared their empathy attempt"), &json!("See how they imagine you might be feeling."))
    );

    let (agreed, ids) = Conversation::overlapping(&server).await;
    agreed.ben.register_push_token("ExponentPushToken[agreed]").await.ok();
    agreed.anna.propose(&ids[0]).await.created();
    let push = expo.push("ExponentPushToken[agreed]", "agreement.proposed").await;
    assert_eq!(
        (&push["title"], &push["body"]),
        (&json!("New experiment proposed"), &json!("Review and confirm the agreement."))
    );

    let other = Conversation::joined(&server).await;
    other.ben.register_push_token("ExponentPushToken[other]").await.ok();
    other.anna.say("/pause", json!({ "reason": "not for lock screens" })).await.done();
    let push = expo.push("ExponentPushToken[other]", "session.paused").await;
    assert_eq!((&push["title"], &push["body"]), (&json!("Meet Without Fear"), &json!("You have an update")));
    for push in expo.pushes() {
        let mut keys: Vec<_> = push["data"].as_object().expect("data").keys().cloned().collect();
        keys.sort();
        assert_eq!(keys, ["event", "seq", "sessionId"], "{push}");
    }
}

#[tokio::test]
async fn a_device_belongs_to_its_latest_user_until_the_user_signs_out() {
    let (server, expo, both) = scene(server(), Some(DEVICE)).await;
    let carl = Conversation::joined(&server).await;
    carl.ben.register_push_token(DEVICE).await.ok();
    both.anna.sign().await.done();
    carl.anna.press("/pause").await.done();
    let push = expo.push(DEVICE, "session.paused").await;
    assert_eq!(push["data"]["sessionId"], carl.session);
    let out = carl
        .ben
        .request(reqwest::Method::DELETE, "/auth/push-token")
        .json(&json!({ "pushToken": DEVICE }))
        .send()
        .await;
    assert_eq!(out.ok()["registered"], false);
    carl.anna.press("/resume").await.done();
    both.ben.register_push_token("ExponentPushToken[new]").await.ok();
    both.anna.press("/pause").await.done();
    expo.push("ExponentPushToken[new]", "session.paused").await;
    assert_eq!(expo.pushes_to(DEVICE).len(), 1);
}

#[tokio::test]
async fn malformed_push_tokens_are_refused_and_registrations_are_limited() {
    let (_server, _expo, both) = scene(server(), None).await;
    for wrong in [
        json!({ "pushToken": "hello", "platform": "ios" }),
        json!({ "platform": "ios" }),
        json!({ "pushToken": DEVICE, "platform": "fridge" }),
    ] {
        both.ben.post("/auth/push-token", wrong).await.refused(400, "VALIDATION_ERROR");
    }
    let answers = futures_util::future::join_all((0..6).map(|_| both.ben.register_push_token(DEVICE))).await;
    for limited in answers.iter().filter(|answer| answer.status != 200) {
        limited.refused(429, "RATE_LIMITED");
    }
    assert!(answers.iter().filter(|answer| answer.status == 200).count() <= 5);
}

#[tokio::test]
async fn a_device_counts_whatever_its_time_zone_is_called() {
    let anna = shared().await.partner("Anna");
    for (zone, known) in [("Europe/Berlin", true), ("GMT+05:30", true), ("Mars/Olympus", false), ("", false)] {
        let token = format!("ExponentPushToken[zone{}]", zone.len());
        let body = json!({ "pushToken": token, "platform": "android", "timeZone": zone });
        let registered = anna.post("/auth/push-token", body).await.ok();
        assert_eq!((&registered["registered"], &registered["timeZoneKnown"]), (&json!(true), &json!(known)), "{zone}");
    }
    assert_eq!(anna.get("/auth/me").await.ok()["pushNotificationsEnabled"], true);
}
