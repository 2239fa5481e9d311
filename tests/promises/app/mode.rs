//! App mode from outside: who the app is shows in what it calls, is kept, and changes nothing for the other partner.

use serde_json::{Value, json};

use crate::harness::{Conversation, Expo, Member, Partner, Realtime, Server, eventually, items, server, shared, text};

fn stage(progress: &Value) -> &Value {
    &progress["myProgress"]["stage"]
}

async fn stage_of(member: &Member) -> Value {
    stage(&member.read("/progress").await.ok()).clone()
}

/// A user whose client has asked what the app asks before it begins a session.
async fn app_user(server: &Server, name: &str) -> Partner {
    let user = server.partner(name);
    user.get("/people").await.ok();
    user
}

#[tokio::test]
async fn the_apps_creator_begins_with_a_draft_also_after_a_crash() {
    let running = server().start().await;
    let anna = app_user(&running, "Anna").await;
    let running = running.kill_and_start().await;
    let anna = anna.at(&running.origin);
    let created = anna.invite("Ben").await.created();
    assert_eq!(created["session"]["status"], "CREATED");
    let member = Member::new(anna.clone(), &text(&created["session"]["id"]));
    assert_eq!(member.sign().await.ok()["signed"], true);
    assert!(member.read("/state").await.ok()["invitation"]["invitationMessage"].is_string());
    let sent = member.say("/invitation/confirm", json!({ "message": "please come" })).await.ok();
    assert_eq!((&sent["advancedToStage"], &stage_of(&member).await), (&json!(1), &json!(1)));
    let at_once = anna.post("/sessions", json!({ "inviteName": "Carl", "draft": false })).await.created();
    assert_eq!(at_once["session"]["status"], "INVITED", "as it is asked for");
}

#[tokio::test]
async fn an_implicit_advance_survives_a_crash_together_with_its_cause() {
    let running = server().start().await;
    let both = Conversation::joined(&running).await;
    for member in both.members() {
        member.sign().await.ok();
    }
    assert_eq!(stage_of(&both.ben).await, 0);
    // Asking for the chat shows the app; the answer is as durable as any.
    let page = both.ben.read("/messages?limit=25").await.ok();
    assert_eq!(page, json!({ "messages": [], "hasMore": false }));
    let running = running.kill_and_start().await;
    let (anna, ben) = (both.anna.at(&running.origin), both.ben.at(&running.origin));
    let (anna, ben) = (Member::new(anna, &both.session), Member::new(ben, &both.session));
    assert_eq!((stage_of(&anna).await, stage_of(&ben).await), (json!(0), json!(1)));
    assert_eq!(anna.advance().await.done()["newStage"], 1, "the other partner keeps the explicit contract");
}

#[tokio::test]
async fn the_app_gets_the_existing_session_with_the_same_person() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    let (anna, ben) = (&both.anna, &both.ben);
    anna.post("/sessions", json!({ "personId": ben.id })).await.refused(409, "CONFLICT");
    anna.get("/people").await.ok();
    let existing = anna.post("/sessions", json!({ "personId": ben.id })).await;
    assert_eq!(existing.status, 200, "{}", existing.body);
    let existing = existing.ok();
    assert_eq!(existing["existingActiveSession"]["id"], both.session);
    assert_eq!(existing["existingActiveSession"]["status"], "ACTIVE");
    assert_eq!(existing["session"]["id"], both.session);
    assert_eq!(items(&anna.get("/sessions").await.ok()["items"]).len(), 1);
}

#[tokio::test]
async fn a_link_that_was_followed_is_acknowledged() {
    let server = shared().await;
    let both = Conversation::invited(&server).await;
    let path = format!("/invitations/{}/acknowledge", both.invitation);
    let pending = both.ben.post(&path, json!({})).await.ok();
    assert_eq!((&pending["acknowledged"], &pending["invitation"]["status"]), (&json!(true), &json!("PENDING")));
    assert_eq!(pending["invitation"]["session"]["id"], both.session);
    both.anna.post(&path, json!({})).await.refused(400, "VALIDATION_ERROR");
    both.ben.post("/invitations/cno0such0invitation/acknowledge", json!({})).await.refused(404, "NOT_FOUND");
    both.ben.accept(&both.invitation).await.ok();
    let used = both.ben.post(&path, json!({})).await.ok();
    assert_eq!(used["acknowledged"], false);
    assert!(used["reason"].is_string());
    both.anna.sign().await.ok();
    both.ben.sign().await.ok();
    assert_eq!(stage_of(&both.ben).await, 1, "who has followed the link in the app is taken on");
}

#[tokio::test]
async fn the_operator_decides_whom_the_app_mode_serves() {
    for (mode, creator, invitee) in [("on", 1, 1), ("off", 0, 0)] {
        let running = server().set("app.mode", mode).start().await;
        let both = Conversation::invited(&running).await;
        both.ben.get("/people").await.ok();
        both.anna.sign().await.ok();
        both.anna.press("/invitation/confirm").await.ok();
        both.ben.accept(&both.invitation).await.ok();
        both.ben.sign().await.ok();
        assert_eq!((stage_of(&both.anna).await, stage_of(&both.ben).await), (json!(creator), json!(invitee)), "{mode}");
    }
}

#[tokio::test]
async fn a_partner_in_any_presence_channel_is_present() {
    let expo = Expo::start();
    let running = server().set("push.base_url", &expo.url).start().await;
    for channel in ["session:{id}:presence", "presence:{id}", "session:{id}"] {
        let both = Conversation::joined(&running).await;
        let device = format!("ExponentPushToken[{}]", both.session);
        both.ben.register_push_token(&device).await.ok();
        let mut phone = Realtime::connect(&both.ben).await;
        phone.attach(&both.session).await;
        phone.enter_on(&format!("meetwithoutfear:{}", channel.replace("{id}", &both.session))).await;
        both.anna.sign().await.ok();
        phone.message(&both.session, "partner.signed_compact").await;
        phone.settled().await;
        phone.close().await;
        both.anna.press("/pause").await.ok();
        expo.push(&device, "session.paused").await;
        let pushed: Vec<_> = expo.pushes_to(&device).iter().map(|push| push["data"]["event"].clone()).collect();
        assert_eq!(pushed, ["session.paused"], "{channel}: there while it was entered, and not after");
    }
}

#[tokio::test]
async fn the_badge_counts_the_sessions_with_something_unseen() {
    let server = shared().await;
    let both = Conversation::invited(&server).await;
    let badge = async || both.anna.get("/notifications/badge-count").await.ok();
    assert_eq!(badge().await, json!({ "count": 0, "bySession": { &both.session: 0 } }));
    both.ben.accept(&both.invitation).await.ok();
    assert_eq!(badge().await, json!({ "count": 1, "bySession": { &both.session: 1 } }));
    both.anna.press("/viewed").await.ok();
    assert_eq!(badge().await["count"], 0);
}

#[tokio::test]
async fn the_inviters_app_gets_an_event_when_the_partner_joins() {
    let server = shared().await;
    let anna = app_user(&server, "Anna").await;
    let ben = server.partner("Ben");
    let created = anna.invite("Ben").await.created();
    let member = Member::new(anna.clone(), &text(&created["session"]["id"]));
    member.sign().await.ok();
    member.press("/invitation/confirm").await.ok();
    let mut ear = Realtime::connect(&member).await;
    ear.attach(&member.session).await;
    ben.accept(&text(&created["invitationId"])).await.ok();
    ear.message(&member.session, "session.joined").await;
    // The app has no handler for that name; this one makes it ask for the state.
    let heard = ear.message(&member.session, "partner.advanced").await;
    assert_eq!((&heard["data"]["toStage"], &heard["data"]["triggeredByUserId"]), (&json!(0), &json!(ben.id)));
    eventually("the partner shows", || async {
        (member.read("/state").await.ok()["session"]["partner"]["id"] == ben.id).then_some(())
    })
    .await;
}
