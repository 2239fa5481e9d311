//! What holds for every answer: the envelope, the codes, empty bodies, both bases, idempotency.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Conversation, Member, Request, fill, has, items, server, shared, text};

#[tokio::test]
async fn every_refusal_has_its_code_and_its_status() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    let (anna, ben) = (&both.anna, &both.ben);
    server.get("/api/v1/sessions").send().await.refused(401, "UNAUTHORIZED");
    server.partner("Eve").get(&anna.path("")).await.refused(404, "NOT_FOUND");
    anna.post("/sessions", json!({})).await.refused(400, "VALIDATION_ERROR");
    anna.feel_heard().await.refused(400, "INVALID_STAGE");
    anna.say("/compact/sign", json!({ "agreed": false })).await.refused(400, "VALIDATION_ERROR");
    anna.sign().await.done();
    anna.sign().await.refused(409, "CONFLICT");
    let other = Conversation::invited(&server).await;
    other.anna.accept(&other.invitation).await.refused(403, "FORBIDDEN");
    other.anna.press("/nudge").await.refused(400, "SESSION_NOT_ACTIVE");
    let stage_3 = Conversation::at_stage(&server, 3).await;
    stage_3.ben.read("/needs/comparison").await.refused(403, "CONSENT_REQUIRED");
    stage_3.ben.share_needs().await;
    stage_3.ben.read("/needs/comparison").await.refused(400, "PARTNER_NOT_READY");
    ben.get("/no-such-route").await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_refused_command_leaves_no_trace() {
    let both = Conversation::joined(&*shared().await).await;
    let before = (both.anna.seq().await, both.anna.events().await.len());
    both.anna.feel_heard().await.refused(400, "INVALID_STAGE");
    both.ben.press("/resume").await.refused(400, "VALIDATION_ERROR");
    both.ben.say("/pause", json!({ "reason": "x".repeat(201) })).await.refused(400, "VALIDATION_ERROR");
    assert_eq!((both.anna.seq().await, both.anna.events().await.len()), before);
}

#[tokio::test]
async fn wrong_lengths_and_names_are_validation_errors() {
    let server = shared().await;
    let (anna, stage_2) = (server.partner("Anna"), Conversation::at_stage(&server, 2).await);
    for body in [
        json!({ "inviteName": "" }),
        json!({ "inviteName": "x".repeat(101) }),
        json!({ "inviteName": 7 }),
        json!({ "inviteName": "Ben", "context": "x".repeat(501) }),
        json!([]),
    ] {
        anna.post("/sessions", body).await.refused(400, "VALIDATION_ERROR");
    }
    anna.post("/sessions", json!({ "inviteName": "x".repeat(100), "context": "ü".repeat(500) })).await.created();
    for body in [json!({ "content": "" }), json!({ "content": "x".repeat(2001) }), json!({})] {
        stage_2.anna.say("/empathy/draft", body).await.refused(400, "VALIDATION_ERROR");
    }
    stage_2.anna.say("/empathy/draft", json!({ "content": "é".repeat(2000) })).await.done();
    let stage_3 = Conversation::at_stage(&server, 3).await;
    for body in [
        json!({ "need": "x", "category": "MONEY" }),
        json!({ "need": "x".repeat(201), "category": "SAFETY" }),
        json!({ "need": "", "category": "SAFETY" }),
        json!({ "category": "SAFETY" }),
    ] {
        stage_3.anna.say("/needs", body).await.refused(400, "VALIDATION_ERROR");
    }
    let stage_4 = Conversation::at_stage(&server, 4).await;
    for body in [
        json!({ "description": "x".repeat(1001) }),
        json!({ "description": "x", "needsAddressed": ["a", "b", "c", "d"] }),
        json!({ "description": "x", "duration": "x".repeat(101) }),
        json!({ "description": "x", "measureOfSuccess": "x".repeat(501) }),
    ] {
        stage_4.anna.say("/strategies", body).await.refused(400, "VALIDATION_ERROR");
    }
    let bad_status = server.get("/api/v1/sessions?status=SLEEPING").bearer(&anna.token).send().await;
    bad_status.refused(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn a_message_about_a_wrong_value_does_not_repeat_it() {
    let anna = shared().await.partner("Anna");
    for body in [json!({ "inviteName": "tell-nobody-".repeat(20) }), json!({ "inviteName": ["tell-nobody-"] })] {
        let answer = anna.post("/sessions", body).await;
        answer.refused(400, "VALIDATION_ERROR");
        assert!(!answer.body.contains("tell-nobody-"), "{}", answer.body);
    }
}

#[tokio::test]
async fn an_empty_body_of_type_json_is_an_absent_body() {
    let server = shared().await;
    let both = Conversation::invited(&server).await;
    both.ben.post_nothing(&format!("/invitations/{}/accept", both.invitation)).await.ok();
    for member in both.members() {
        member.press("/compact/sign").await.done();
        member.press("/stages/advance").await.done();
        member.press("/viewed").await.ok();
    }
    both.anna.press("/pause").await.done();
    both.ben.press("/resume").await.done();
    both.anna.press("/nudge").await.ok();
    let (both, _) = Conversation::agreed(&server).await;
    both.ben.press("/resolve").await.done();
    both.ben.press("/archive").await.done();
}

#[tokio::test]
async fn a_malformed_body_is_refused_in_the_envelope() {
    let anna = shared().await.partner("Anna");
    for body in ["{", "null", "\"text\"", "{\"inviteName\":\"Ben\"} and more", "\u{0}"] {
        let request = anna.request(Method::POST, "/sessions").header("content-type", "application/json").body(body);
        request.send().await.refused(400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn both_bases_lead_to_the_same_session() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    let other_base =
        |method, path: &str| Request::new(method, &server.origin, &format!("/api{path}")).bearer(&both.anna.token);
    let path = fill("/sessions/{id}/compact/sign", &both.session, "");
    other_base(Method::POST, &path).header("content-type", "application/json").send().await.done();
    let status = both.anna.read("/compact/status").await.ok();
    assert_eq!(status["mySigned"], true);
    let same = other_base(Method::GET, &both.anna.path("/compact/status")).send().await.ok();
    assert_eq!(same, status);
    other_base(Method::GET, "/no-such-route").send().await.refused(404, "NOT_FOUND");
    assert_eq!(items(&other_base(Method::GET, "/sessions").send().await.ok()["items"]).len(), 1);
}

fn keyed(member: &Member, path: &str, key: &str, body: &Value) -> Request {
    member.request(Method::POST, &member.path(path)).header("idempotency-key", key).json(body)
}

#[tokio::test]
async fn a_repeated_key_replays_the_answer_also_after_a_kill() {
    let server = server().start().await;
    let both = Conversation::at_stage(&server, 3).await;
    let need = json!({ "need": "to rest", "category": "SAFETY" });
    let first = keyed(&both.anna, "/needs", "key-of-anna", &need).send().await;
    first.created();
    let again = keyed(&both.anna, "/needs", "key-of-anna", &need).send().await;
    assert_eq!((again.status, again.json()), (first.status, first.json()));
    let server = server.kill_and_start().await;
    let anna = both.anna.back_at(&server);
    let later = keyed(&anna, "/needs", "key-of-anna", &need).send().await;
    assert_eq!((later.status, later.json()), (first.status, first.json()));
    assert_eq!(items(&anna.read("/needs").await.ok()["needs"]).len(), 1);
    keyed(&anna, "/needs", "another-key", &need).send().await.created();
    assert_eq!(items(&anna.read("/needs").await.ok()["needs"]).len(), 2);
}

#[tokio::test]
async fn a_key_belongs_to_one_user_and_to_one_request() {
    let both = Conversation::at_stage(&*shared().await, 3).await;
    let need = json!({ "need": "to rest", "category": "SAFETY" });
    keyed(&both.anna, "/needs", "shared-key", &need).send().await.created();
    keyed(&both.ben, "/needs", "shared-key", &need).send().await.created();
    assert_eq!(items(&both.ben.read("/needs").await.ok()["needs"]).len(), 1, "Ben's need is his own");
    let other = json!({ "need": "to play", "category": "SAFETY" });
    keyed(&both.anna, "/needs", "shared-key", &other).send().await.refused(409, "CONFLICT");
    assert_eq!(items(&both.anna.read("/needs").await.ok()["needs"]).len(), 1);
}

#[tokio::test]
async fn simultaneous_duplicates_make_one_session() {
    let server = shared().await;
    let anna = server.partner("Anna");
    let create = || {
        let request = anna.request(Method::POST, "/sessions").header("idempotency-key", "one-tap");
        request.json(&json!({ "inviteName": "Ben" })).send()
    };
    let answers = futures_util::future::join_all((0..8).map(|_| create())).await;
    let mut made: Vec<_> = Vec::new();
    for answer in &answers {
        match answer.status {
            201 => made.push(text(&answer.created()["session"]["id"])),
            409 => drop(answer.refused(409, "CONFLICT")),
            _ => drop(answer.refused(503, "SERVICE_UNAVAILABLE")),
        }
    }
    made.dedup();
    assert_eq!(made.len(), 1, "one session for all of them");
    assert_eq!(items(&anna.get("/sessions").await.ok()["items"]).len(), 1);
    assert_eq!(text(&create().await.created()["session"]["id"]), made[0]);
}

#[tokio::test]
async fn the_catch_up_call_comes_in_pages_without_gaps_for_the_reader() {
    let both = Conversation::at_stage(&*shared().await, 1).await;
    let all = both.anna.events().await;
    let mut paged = Vec::new();
    loop {
        let after = paged.last().map_or(0, |event: &Value| event["seq"].as_u64().expect("seq"));
        let page = both.anna.read(&format!("/events?after={after}&limit=2")).await.ok();
        has(&page, &["events", "seq", "hasMore"]);
        let events = items(&page["events"]);
        assert!(events.len() <= 2);
        paged.extend(events);
        if page["hasMore"] == false {
            break;
        }
    }
    assert_eq!(paged, all);
    let seq = both.anna.seq().await;
    let none = both.anna.read(&format!("/events?after={seq}")).await.ok();
    assert_eq!(items(&none["events"]).len(), 0);
}
