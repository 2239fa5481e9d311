//! A repetition under an `Idempotency-Key` never says more than the same question asked today.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Conversation, Member, has, server, shared, three_ideas};

const WORDS: &str = "the-words-of-anna";

async fn keyed(member: &Member, path: &str, key: &str, body: Value) -> Answer {
    let request = member.request(Method::POST, &member.path(path)).header("idempotency-key", key);
    request.json(&body).send().await
}

/// Both have shared an attempt; Ben's consent was answered with Anna's words.
async fn revealed(both: &Conversation) {
    both.anna.draft(WORDS).await.done();
    both.anna.share_empathy().await.done();
    both.ben.draft("what ben thinks").await.done();
    let revealed = keyed(&both.ben, "/empathy/consent", "key", json!({ "consent": true })).await;
    assert_eq!(revealed.ok()["partnerAttempt"]["content"], WORDS);
    let again = keyed(&both.ben, "/empathy/consent", "key", json!({ "consent": true })).await;
    assert_eq!((again.json(), again.header("idempotent-replayed")), (revealed.json(), Some("true")));
}

async fn hides_the_words(ben: &Member) {
    let again = keyed(ben, "/empathy/consent", "key", json!({ "consent": true })).await;
    assert!(!again.body.contains(WORDS), "{}", again.body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    has(&again.ok(), &["consented", "waitingForPartner"]);
}

#[tokio::test]
async fn a_repeated_request_does_not_show_withdrawn_content_also_after_a_kill() {
    let server = server().start().await;
    let (revoked, erased) = (Conversation::at_stage(&server, 2).await, Conversation::at_stage(&server, 2).await);
    for both in [&revoked, &erased] {
        revealed(both).await;
    }
    revoked.anna.say("/consent/revoke", json!({ "kind": "empathy" })).await.done();
    erased.anna.delete("/auth/me").await.ok();
    for both in [&revoked, &erased] {
        hides_the_words(&both.ben).await;
    }
    let server = server.kill_and_start().await;
    for both in [&revoked, &erased] {
        hides_the_words(&both.ben.back_at(&server)).await;
    }
}

#[tokio::test]
async fn no_post_of_a_whole_conversation_repeats_the_words_of_an_erased_partner() {
    let server = server().start().await;
    let (anna, ben) = (server.partner("Anna"), server.partner("Ben").with_keys());
    let both = Conversation::between(anna, ben).await;
    both.ben.accept(&both.invitation).await.ok();
    let both = both.brought_to(2).await;
    revealed_by_both(&both).await;
    for member in both.members() {
        member.validate().await.done();
    }
    for member in both.members() {
        assert_eq!(member.advance().await.done()["advanced"], true);
    }
    both.anna.need("canary of a need", "SAFETY").await.created();
    both.ben.need("to be seen", "RECOGNITION").await.created();
    let both = both.brought_from(3).await;
    three_ideas(&both).await;
    both.anna.strategy("canary of an idea").await.created();
    both.anna.say("/pause", json!({ "reason": "canary of a pause" })).await.done();
    both.ben.press("/resume").await.done();
    both.ben.press("/viewed").await.ok();
    both.ben.say("/presence", json!({ "status": "active" })).await.ok();

    let before = both.ben.post_all_again().await;
    let replayed = before.iter().filter(|answer| answer.header("idempotent-replayed") == Some("true")).count();
    assert!(replayed * 10 >= before.len() * 9, "{replayed} of {} were answered again", before.len());
    assert!(before.iter().any(|answer| answer.body.contains("canary")), "or this test finds nothing");
    both.anna.delete("/auth/me").await.ok();
    for answer in both.ben.post_all_again().await {
        assert!(!answer.body.to_lowercase().contains("canary"), "{}: {}", answer.to, answer.body);
    }
    both.ben.delete(&both.ben.path("")).await.ok();
    for answer in both.ben.post_all_again().await {
        if answer.to.contains("/sessions/") || answer.to.contains("/accept") {
            answer.refused(404, "NOT_FOUND");
        }
    }
}

async fn revealed_by_both(both: &Conversation) {
    both.anna.draft("canary of an attempt").await.done();
    both.ben.draft("what ben thinks").await.done();
    for member in both.members() {
        member.share_empathy().await.done();
    }
}

#[tokio::test]
async fn a_request_that_changed_nothing_may_be_made_again_under_its_key() {
    let both = Conversation::joined(&*shared().await).await;
    both.anna.sign().await.done();
    let blocked = keyed(&both.anna, "/stages/advance", "go-on", json!({})).await.ok();
    assert_eq!(blocked["advanced"], false);
    both.ben.sign().await.done();
    let moved = keyed(&both.anna, "/stages/advance", "go-on", json!({})).await.ok();
    assert_eq!((&moved["advanced"], &moved["newStage"]), (&json!(true), &json!(1)), "{moved}");
}

#[tokio::test]
async fn a_repetition_names_what_its_request_made_and_not_what_came_later() {
    let both = Conversation::at_stage(&*shared().await, 3).await;
    let body = |need: &str| json!({ "need": need, "category": "SAFETY" });
    let first = keyed(&both.anna, "/needs", "first", body("first")).await.created();
    keyed(&both.anna, "/needs", "second", body("second")).await.created();
    assert_eq!(keyed(&both.anna, "/needs", "first", body("first")).await.created()["need"], first["need"]);
}
