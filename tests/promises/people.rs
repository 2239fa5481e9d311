//! Those whom the caller has sessions with, and nobody else.

use serde_json::{Value, json};

use crate::harness::{Conversation, Partner, has, items, server, shared, text};

async fn people(of: &Partner) -> Vec<Value> {
    items(&of.get("/people").await.ok()["people"])
}

fn about(person: &str) -> String {
    format!("/people/{person}")
}

#[tokio::test]
async fn people_are_those_who_joined() {
    let server = shared().await;
    let both = Conversation::invited(&server).await;
    assert!(people(&both.anna).await.is_empty() && people(&both.ben).await.is_empty());
    both.ben.accept(&both.invitation).await.ok();
    for (me, other, name, initials, nickname) in
        [(&both.anna, &both.ben, "Ben", "B", json!("Ben")), (&both.ben, &both.anna, "Anna", "A", json!(null))]
    {
        let found = people(me).await;
        assert_eq!(found.len(), 1, "{found:?}");
        let person = &found[0];
        has(person, &["relationshipId", "connectedSince"]);
        assert_eq!((&person["id"], &person["name"]), (&json!(other.id), &json!(name)));
        assert_eq!((&person["initials"], &person["nickname"]), (&json!(initials), &nickname));
        assert_eq!(person["activeSessionCount"], 1);
        assert_eq!(person["lastSession"]["id"], both.session);
        has(&person["lastSession"], &["status", "updatedAt"]);
    }
}

#[tokio::test]
async fn one_person_has_many_sessions_and_the_newest_change_comes_first() {
    let server = shared().await;
    let first = Conversation::joined(&server).await;
    let anna = &first.anna;
    for name in ["Carl", "Dora"] {
        let other = server.partner(name);
        let created = anna.invite(name).await.created();
        other.accept(&text(&created["invitationId"])).await.ok();
    }
    let again = anna.invite("Ben").await.created();
    first.ben.accept(&text(&again["invitationId"])).await.ok();
    let names = async || -> Vec<String> { people(anna).await.iter().map(|person| text(&person["name"])).collect() };
    assert_eq!(names().await, ["Ben", "Dora", "Carl"]);
    let ben = &people(anna).await[0];
    assert_eq!((&ben["activeSessionCount"], &ben["lastSession"]["id"]), (&json!(2), &again["session"]["id"]));

    let page = anna.get("/people?limit=2").await.ok();
    assert_eq!((items(&page["people"]).len(), &page["hasMore"]), (2, &json!(true)));
    let rest = anna.get(&format!("/people?limit=2&cursor={}", text(&page["cursor"]))).await.ok();
    assert_eq!((&rest["people"][0]["name"], &rest["hasMore"]), (&json!("Carl"), &json!(false)));
    assert!(rest.get("cursor").is_none(), "absent at the end: {rest}");
    for wrong in ["limit=0", "limit=101", "cursor=x"] {
        anna.get(&format!("/people?{wrong}")).await.refused(400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn a_person_shows_whose_turn_it_is() {
    let server = shared().await;
    let both = Conversation::at_stage(&server, 2).await;
    let turn = async |me: &Partner, other: &Partner| {
        let person = me.get(&about(&other.id)).await.ok()["person"].clone();
        has(&person, &["id", "name", "initials", "connectedSince", "activeSession", "pendingInvitation"]);
        assert_eq!(person["activeSession"]["id"], both.session);
        assert!(person["activeSession"]["lastUpdate"].is_string());
        text(&person["activeSession"]["status"])
    };
    assert_eq!(turn(&both.anna, &both.ben).await, "both_active");
    for member in both.members() {
        member.share_attempt().await;
    }
    both.anna.validate().await.done();
    assert_eq!(turn(&both.anna, &both.ben).await, "waiting_on_partner");
    assert_eq!(turn(&both.ben, &both.anna).await, "waiting_on_you");
    both.ben.validate().await.done();
    assert_eq!(turn(&both.ben, &both.anna).await, "your_turn");
}

#[tokio::test]
async fn a_person_shows_an_invitation_that_is_still_open() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    both.anna.delete(&both.anna.path("")).await.done();
    // A partner who withdrew and the one who was left do not know each other by this session any more.
    for (me, other) in [(&both.anna, &both.ben), (&both.ben, &both.anna)] {
        me.get(&about(&other.id)).await.refused(404, "NOT_FOUND");
    }
    let both = Conversation::agreed(&server).await.0;
    both.anna.press("/resolve").await.done();
    let again = both.anna.post("/sessions", json!({ "personId": both.ben.id })).await.created();
    let person = both.anna.get(&about(&both.ben.id)).await.ok()["person"].clone();
    assert!(person["activeSession"].is_null(), "{person}");
    let pending = &person["pendingInvitation"];
    assert_eq!((&pending["id"], &pending["sessionId"]), (&again["invitationId"], &again["session"]["id"]));
    has(pending, &["sentAt", "expiresAt"]);
    let unseen = both.ben.get(&about(&both.anna.id)).await.ok();
    assert!(unseen["person"]["pendingInvitation"].is_null(), "{unseen}");
}

#[tokio::test]
async fn finished_sessions_with_a_person_are_listed() {
    let server = shared().await;
    let (both, _) = Conversation::agreed(&server).await;
    let of = |other: &Partner, query: &str| format!("/people/{}/sessions{query}", other.id);
    let none = both.anna.get(&of(&both.ben, "?status=completed")).await.ok();
    assert_eq!(none["sessions"], json!([]));
    assert_eq!(items(&both.anna.get(&of(&both.ben, "?status=active")).await.ok()["sessions"]).len(), 1);
    both.anna.press("/resolve").await.done();
    for (me, other) in [(&both.anna, &both.ben), (&both.ben, &both.anna)] {
        let sessions = items(&me.get(&of(other, "?status=completed")).await.ok()["sessions"]);
        assert_eq!(sessions.len(), 1);
        assert_eq!(sessions[0]["id"], both.session);
        assert!(sessions[0]["date"].is_string() && sessions[0]["topic"].is_string(), "{sessions:?}");
    }
    both.anna.get(&of(&both.ben, "?status=lost")).await.refused(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn a_topic_is_shown_to_its_author_only() {
    let server = shared().await;
    let (anna, ben) = (server.partner("Anna"), server.partner("Ben"));
    let created =
        anna.post("/sessions", json!({ "inviteName": "Ben", "context": "the kitchen secret" })).await.created();
    ben.accept(&text(&created["invitationId"])).await.ok();
    assert_eq!(
        anna.get(&format!("/people/{}/sessions", ben.id)).await.ok()["sessions"][0]["topic"],
        "the kitchen secret"
    );
    for path in ["/people", &about(&anna.id), &format!("/people/{}/sessions", anna.id)] {
        assert!(!ben.get(path).await.body.contains("kitchen secret"), "{path}");
    }
}

#[tokio::test]
async fn a_stranger_is_answered_that_there_is_no_such_person() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    let eve = server.partner("Eve");
    eve.get("/people").await.ok();
    let relationship = text(&people(&both.anna).await[0]["relationshipId"]);
    let nickname = json!({ "nickname": "somebody" });
    for path in [about(&both.ben.id), about("user_nobody"), about("%00"), about("x%2Fy"), about(&eve.id)] {
        for path in [path.clone(), format!("{path}/sessions"), format!("{path}/sessions?status=completed")] {
            let there = eve.get(&path).await.refused(404, "NOT_FOUND");
            assert_eq!(there, eve.get(&about("user_who_is_not_there")).await.refused(404, "NOT_FOUND"), "{path}");
        }
    }
    let there = eve.patch(&format!("/relationships/{relationship}/nickname"), nickname.clone()).await;
    let nowhere = eve.patch("/relationships/cnosuchrelationship/nickname", nickname).await;
    assert_eq!(there.refused(404, "NOT_FOUND"), nowhere.refused(404, "NOT_FOUND"));
    assert!(people(&eve).await.is_empty());
}

#[tokio::test]
async fn a_person_whose_id_needs_escaping_is_found() {
    let server = shared().await;
    let anna = server.partner("Anna");
    let id = "oidc|a/b?c%41+ü";
    let claims = crate::harness::Claims::of(id).with("name", "Odd");
    let odd = Partner::with_token(&server.origin, id, claims.hs256(crate::harness::SECRET));
    let created = anna.invite("Odd").await.created();
    odd.accept(&text(&created["invitationId"])).await;
    let escaped = "oidc%7Ca%2Fb%3Fc%2541%2B%C3%BC";
    assert_eq!(anna.get(&about(escaped)).await.json()["data"]["person"]["id"], id);
}

#[tokio::test]
async fn a_nickname_applies_to_all_sessions_and_only_its_giver_sees_it() {
    let server = server().start().await;
    let both = Conversation::joined(&server).await;
    let relationship = text(&people(&both.anna).await[0]["relationshipId"]);
    assert_eq!(
        both.ben.read("").await.ok()["session"]["relationshipId"],
        relationship,
        "one for both, in every answer"
    );
    let path = format!("/relationships/{relationship}/nickname");
    let named = both.anna.patch(&path, json!({ "nickname": "Benjamin the Great" })).await.ok();
    assert_eq!(named["nickname"], "Benjamin the Great");

    let again = both.anna.post("/sessions", json!({ "inviteName": "Ben", "draft": false })).await.created();
    both.ben.accept(&text(&again["invitationId"])).await.ok();
    let later = text(&again["session"]["id"]);
    let server = server.kill_and_start().await;
    let both = both.back_at(&server);
    for session in [&both.session, &later] {
        for path in [format!("/sessions/{session}"), format!("/sessions/{session}/state")] {
            let shown = both.anna.get(&path).await.ok();
            assert_eq!(shown["session"]["partner"]["nickname"], "Benjamin the Great", "{path}");
            assert!(!both.ben.get(&path).await.body.contains("the Great"), "{path}");
        }
    }
    for path in ["/people", "/sessions"] {
        assert!(both.anna.get(path).await.body.contains("the Great"), "{path}");
        assert!(!both.ben.get(path).await.body.contains("the Great"), "{path}");
    }
    for wrong in [json!({}), json!({ "nickname": "" }), json!({ "nickname": "x".repeat(101) })] {
        both.anna.patch(&path, wrong).await.refused(400, "VALIDATION_ERROR");
    }
    assert!(both.anna.patch(&path, json!({ "nickname": null })).await.ok()["nickname"].is_null());
    assert_eq!(people(&both.anna).await[0]["nickname"], "Ben", "what the invitation called him is left");
}

#[tokio::test]
async fn erasing_an_account_deletes_its_nicknames() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    let relationship = text(&people(&both.anna).await[0]["relationshipId"]);
    let nickname = json!({ "nickname": "the one of before" });
    both.anna.patch(&format!("/relationships/{relationship}/nickname"), nickname).await.ok();
    both.ben.delete("/auth/me").await.ok();
    assert!(people(&both.anna).await.is_empty());
    let again = both.anna.post("/sessions", json!({ "inviteName": "Benno", "draft": false })).await.created();
    both.ben.accept(&text(&again["invitationId"])).await.ok();
    assert_eq!(people(&both.anna).await[0]["nickname"], "Benno");
}
