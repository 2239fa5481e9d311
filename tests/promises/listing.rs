//! Lists, what is unread, the account.

use serde_json::{Value, json};

use crate::harness::{Conversation, Partner, has, items, server, shared, text};

async fn ids(partner: &Partner, query: &str) -> Vec<String> {
    let page = partner.get(&format!("/sessions{query}")).await.ok();
    has(&page, &["items", "sessions", "hasMore"]);
    assert_eq!(page.get("cursor").is_some(), page["hasMore"] == true, "absent at the end: {page}");
    assert_eq!(page["items"], page["sessions"]);
    items(&page["items"]).iter().map(|session| text(&session["id"])).collect()
}

#[tokio::test]
async fn the_newest_change_comes_first() {
    let anna = shared().await.partner("Anna");
    let mut made = Vec::new();
    for number in 0..3 {
        made.push(text(&anna.invite(&format!("Person {number}")).await.created()["session"]["id"]));
    }
    made.reverse();
    assert_eq!(ids(&anna, "").await, made);
    anna.delete(&format!("/sessions/{}", made[1])).await.ok();
    assert_eq!(ids(&anna, "").await, [made[0].clone(), made[2].clone()]);
}

#[tokio::test]
async fn a_change_by_the_partner_moves_a_session_to_the_top() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    let other = text(&both.anna.invite("Carl").await.created()["session"]["id"]);
    assert_eq!(ids(&both.anna, "").await, [other.clone(), both.session.clone()]);
    both.ben.sign().await.done();
    assert_eq!(ids(&both.anna, "").await, [both.session.clone(), other]);
}

#[tokio::test]
async fn a_list_comes_in_pages_each_session_once() {
    let anna = shared().await.partner("Anna");
    for number in 0..7 {
        anna.invite(&format!("Person {number}")).await.created();
    }
    let all = ids(&anna, "").await;
    assert_eq!(all.len(), 7);
    let mut paged = Vec::new();
    let mut query = "?limit=3".to_owned();
    loop {
        let page = anna.get(&format!("/sessions{query}")).await.ok();
        paged.extend(items(&page["items"]).iter().map(|session| text(&session["id"])));
        if page["hasMore"] == false {
            break;
        }
        query = format!("?limit=3&cursor={}", text(&page["cursor"]));
    }
    assert_eq!(paged, all);
    for wrong in ["?limit=0", "?limit=51", "?limit=many", "?cursor=nonsense", "?status=ASLEEP"] {
        anna.get(&format!("/sessions{wrong}")).await.refused(400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn a_list_can_be_of_one_status() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    let invited = text(&both.anna.invite("Carl").await.created()["session"]["id"]);
    assert_eq!(ids(&both.anna, "?status=INVITED").await, [invited]);
    assert_eq!(ids(&both.anna, "?status=ACTIVE").await, std::slice::from_ref(&both.session));
    assert!(ids(&both.anna, "?status=RESOLVED").await.is_empty());
    both.ben.press("/pause").await.done();
    assert_eq!(ids(&both.anna, "?status=PAUSED").await, std::slice::from_ref(&both.session));
    assert!(ids(&both.anna, "?status=ACTIVE").await.is_empty());
    assert!(ids(&server.partner("Carl"), "").await.is_empty(), "nobody else's");
}

async fn unread(partner: &Partner) -> Value {
    partner.get("/sessions/unread-count").await.ok()["count"].clone()
}

#[tokio::test]
async fn events_of_the_partner_are_unread_until_they_are_viewed() {
    let both = Conversation::joined(&*shared().await).await;
    both.anna.press("/viewed").await.ok();
    both.ben.press("/viewed").await.ok();
    assert_eq!(unread(&both.anna).await, 0);
    both.ben.sign().await.done();
    assert_eq!((unread(&both.anna).await, unread(&both.ben).await), (json!(1), json!(0)), "ones own steps are no news");
    let viewed = both.anna.press("/viewed").await.ok();
    has(&viewed, &["success", "lastViewedAt", "lastSeenSeq"]);
    assert_eq!((unread(&both.anna).await, &viewed["success"]), (json!(0), &json!(true)));
}

#[tokio::test]
async fn the_last_seen_seq_never_decreases() {
    let both = Conversation::joined(&*shared().await).await;
    let seen = both.anna.press("/viewed").await.ok()["lastSeenSeq"].as_u64();
    let back = both.anna.say("/viewed", json!({ "lastSeenSeq": 1 })).await.ok()["lastSeenSeq"].as_u64();
    assert!(back >= seen, "{back:?} after {seen:?}");
    let ahead = both.anna.say("/viewed", json!({ "lastSeenSeq": 1_000_000 })).await;
    if ahead.status == 200 {
        both.ben.sign().await.done();
        assert_eq!(unread(&both.anna).await, 1, "nobody has seen what is yet to come");
    }
}

#[tokio::test]
async fn a_user_is_known_from_the_first_token() {
    let server = shared().await;
    let anna = server.partner("Anna");
    let me = anna.get("/auth/me").await.ok();
    has(&me, &["user", "activeSessions", "pushNotificationsEnabled"]);
    has(&me["user"], &["id", "email", "name", "createdAt"]);
    assert_eq!((&me["user"]["id"], &me["user"]["name"]), (&json!(anna.id), &json!("Anna")));
    assert_eq!(anna.patch("/auth/me", json!({ "name": "Anna K." })).await.ok()["user"]["name"], "Anna K.");
    assert_eq!(anna.get("/auth/me").await.ok()["user"]["name"], "Anna K.");
    for wrong in [json!({ "name": "" }), json!({ "name": "x".repeat(101) })] {
        anna.patch("/auth/me", wrong).await.refused(400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn notification_preferences_are_kept() {
    let anna = shared().await.partner("Anna");
    let before = anna.get("/auth/me/notification-preferences").await.ok();
    has(&before["preferences"], &["pushEnabled", "newInvitations", "partnerActions", "followUpReminders"]);
    anna.patch("/auth/me/notification-preferences", json!({ "partnerActions": false })).await.ok();
    let after = anna.get("/auth/me/notification-preferences").await.ok();
    assert_eq!(after["preferences"]["partnerActions"], false);
    assert_eq!(after["preferences"]["newInvitations"], before["preferences"]["newInvitations"], "the others stay");
}

#[tokio::test]
async fn private_changes_do_not_move_the_session_in_the_partners_list() {
    let server = shared().await;
    let both = Conversation::at_stage(&server, 2).await;
    let other = text(&both.ben.invite("Carl").await.created()["session"]["id"]);
    both.anna.press("/nudge").await.done();
    let order = ids(&both.ben, "").await;
    let before = both.ben.read("").await.ok()["session"]["updatedAt"].clone();
    both.anna.draft("only for me").await.done();
    both.anna.press("/viewed").await.ok();
    both.anna.press("/nudge").await.refused(429, "RATE_LIMITED");
    assert_eq!(both.ben.read("").await.ok()["session"]["updatedAt"], before);
    assert_eq!(ids(&both.ben, "").await, order);
    assert!(order.contains(&other));
    both.anna.share_empathy().await.done();
    assert_ne!(both.ben.read("").await.ok()["session"]["updatedAt"], before, "this one was shared");
    assert_eq!(ids(&both.ben, "").await[0], both.session);
}

#[tokio::test]
async fn the_limit_of_live_sessions_is_enforced_and_named() {
    let server = server().set("sessions.live_per_user", 2).set("server.limits.create_session", 5).start().await;
    let (anna, ben) = (server.partner("Anna"), server.partner("Ben"));
    let first = anna.invite("One").await.created();
    anna.invite("Two").await.created();
    let refused = anna.invite("Three").await.refused(409, "CONFLICT");
    assert_eq!(refused["details"]["limit"], 2);
    let theirs = text(&ben.invite("Anna").await.created()["invitationId"]);
    anna.accept(&theirs).await.refused(409, "CONFLICT");
    anna.delete(&format!("/sessions/{}", text(&first["session"]["id"]))).await.ok();
    anna.accept(&theirs).await.ok();
    assert_eq!(anna.get("/auth/me").await.ok()["activeSessions"], 2);
    for _ in 0..3 {
        anna.invite("Four").await;
    }
    anna.invite("Five").await.refused(429, "RATE_LIMITED");
}
