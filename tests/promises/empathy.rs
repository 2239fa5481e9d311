//! Empathy: drafts are private, an attempt is seen when both have shared, and can be sent back once more.

use serde_json::json;

use crate::harness::{Conversation, Realtime, has, items, shared, text};

const OF_ANNA: &str = "anna believes that ben feels unheard";
const OF_BEN: &str = "ben believes that anna feels tired";

async fn drafted() -> Conversation {
    let both = Conversation::at_stage(&*shared().await, 2).await;
    both.anna.draft(OF_ANNA).await.done();
    both.ben.draft(OF_BEN).await.done();
    both
}

#[tokio::test]
async fn a_missing_draft_is_an_empty_answer() {
    let both = Conversation::at_stage(&*shared().await, 2).await;
    let none = both.anna.read("/empathy/draft").await.ok();
    has(&none, &["draft", "canConsent", "alreadyConsented"]);
    assert_eq!((&none["canConsent"], &none["alreadyConsented"]), (&json!(false), &json!(false)));
    both.anna.share_empathy().await.refused(400, "GATE_NOT_SATISFIED");
}

#[tokio::test]
async fn a_draft_is_visible_to_its_author_only() {
    let both = drafted().await;
    assert!(both.anna.read("/empathy/draft").await.body.contains(OF_ANNA));
    for path in ["/empathy/draft", "/empathy/partner", "/state", "/events", ""] {
        assert!(!both.ben.read(path).await.body.contains(OF_ANNA), "{path}");
    }
}

#[tokio::test]
async fn a_shared_attempt_is_seen_only_when_both_have_shared() {
    let both = drafted().await;
    let consented = both.anna.share_empathy().await.done();
    assert_eq!((&consented["waitingForPartner"], &consented["partnerConsented"]), (&json!(true), &json!(false)));
    for member in both.members() {
        let seen = member.read("/empathy/partner").await;
        assert_eq!(seen.ok()["waitingForPartner"], json!(member.id == both.anna.id), "{}", seen.body);
        assert!(seen.ok()["attempt"].is_null() && !seen.body.contains("believes"), "{}", seen.body);
    }
    let second = both.ben.share_empathy().await;
    assert_eq!(second.done()["waitingForPartner"], false);
    assert!(both.anna.read("/empathy/partner").await.ok()["attempt"].to_string().contains(OF_BEN));
    assert!(both.ben.read("/empathy/partner").await.ok()["attempt"].to_string().contains(OF_ANNA));
}

#[tokio::test]
async fn refusing_consent_stores_and_announces_nothing() {
    let both = drafted().await;
    let before = both.ben.events().await;
    let refused = both.anna.say("/empathy/consent", json!({ "consent": false })).await.ok();
    assert_eq!(refused["consented"], false);
    assert_eq!(both.ben.events().await, before);
    assert_eq!(both.anna.read("/empathy/draft").await.ok()["alreadyConsented"], false);
}

#[tokio::test]
async fn a_revision_can_be_requested_and_is_judged_again() {
    let both = drafted().await;
    both.anna.share_empathy().await.done();
    both.ben.share_empathy().await.done();
    let verdict = |feedback: &str, share: bool| json!({ "validated": false, "feedback": feedback, "consentToShareFeedback": share });
    both.ben.say("/empathy/validate", json!({ "validated": false })).await.refused(400, "VALIDATION_ERROR");
    let sent_back = both.ben.say("/empathy/validate", verdict("not quite, ask me again", true)).await.done();
    assert_eq!((&sent_back["validated"], &sent_back["awaitingRevision"]), (&json!(false), &json!(true)));
    assert_eq!((&sent_back["feedbackShared"], &sent_back["canAdvance"]), (&json!(true), &json!(false)));
    assert_eq!(both.ben.read("/empathy/partner").await.ok()["awaitingRevision"], true);
    both.anna.validate().await.done();
    assert_eq!(both.anna.advance().await.ok()["blockedReason"], "PARTNER_NOT_READY");
    both.anna.draft("anna believes that ben feels overlooked").await.done();
    assert!(!both.ben.read("/empathy/partner").await.body.contains("overlooked"), "a revision is a draft until shared");
    both.anna.share_empathy().await.done();
    let revised = both.ben.read("/empathy/partner").await;
    assert!(revised.body.contains("overlooked") && revised.ok()["awaitingRevision"] == false, "{}", revised.body);
    assert_eq!(both.ben.validate().await.done()["canAdvance"], true);
    assert_eq!(both.anna.advance().await.ok()["newStage"], 3);
}

#[tokio::test]
async fn feedback_is_shared_with_consent_only() {
    for share in [true, false] {
        let both = drafted().await;
        both.anna.share_empathy().await.done();
        both.ben.share_empathy().await.done();
        let verdict = json!({ "validated": false, "feedback": "it was the silence", "consentToShareFeedback": share });
        assert_eq!(both.ben.say("/empathy/validate", verdict).await.done()["feedbackShared"], share);
        let mut seen = String::new();
        for path in ["/empathy/draft", "/empathy/partner", "/state", "", "/events"] {
            seen += &both.anna.read(path).await.body;
        }
        assert_eq!(seen.contains("it was the silence"), share);
    }
}

#[tokio::test]
async fn an_attempt_that_is_not_shared_cannot_be_judged() {
    let both = drafted().await;
    both.anna.validate().await.refused(403, "CONSENT_REQUIRED");
    both.ben.share_empathy().await.done();
    both.anna.validate().await.refused(403, "CONSENT_REQUIRED");
    both.ben.validate().await.refused(400, "PARTNER_NOT_READY");
}

#[tokio::test]
async fn consent_names_a_draft_that_exists() {
    let both = drafted().await;
    let consent = json!({ "draftId": "cnotadraftofmine0", "finalContent": "x" });
    let answer = both.anna.say("/empathy/consent", consent).await;
    assert!(matches!(answer.status, 400 | 404 | 409), "{}", answer.body);
    assert_eq!(both.anna.read("/empathy/draft").await.ok()["alreadyConsented"], false);
    let draft = text(&both.anna.draft(OF_ANNA).await.done()["draftId"]);
    let theirs = both.ben.say("/empathy/consent", json!({ "draftId": draft })).await;
    assert!(matches!(theirs.status, 400 | 404 | 409), "a draft of the partner's: {}", theirs.body);
}

/// Both have shared, and both use the app: its screens ask for the status.
async fn revealed_in_the_app() -> Conversation {
    let both = drafted().await;
    for member in both.members() {
        member.read("/empathy/status").await.ok();
    }
    both.anna.share_empathy().await.done();
    both.ben.share_empathy().await.done();
    both
}

#[tokio::test]
async fn the_status_tells_each_partner_where_both_attempts_stand() {
    let both = drafted().await;
    let first = both.anna.share_empathy().await.done();
    assert_eq!((&first["status"], &first["empathyMessage"]["content"]), (&json!("HELD"), &json!(OF_ANNA)));
    let seen = both.ben.read("/empathy/status").await;
    let status = seen.ok();
    assert_eq!(
        (&status["partnerHasSubmittedEmpathy"], &status["partnerEmpathyHeldStatus"]),
        (&json!(true), &json!("HELD"))
    );
    assert!(status["partnerAttempt"].is_null() && !seen.body.contains(OF_ANNA), "{}", seen.body);
    both.ben.share_empathy().await.done();
    for (member, other) in [(&both.anna, OF_BEN), (&both.ben, OF_ANNA)] {
        let status = member.read("/empathy/status").await.ok();
        let theirs = &status["partnerAttempt"];
        assert_eq!((&theirs["content"], &theirs["status"]), (&json!(other), &json!("REVEALED")));
        has(theirs, &["id", "sourceUserId", "sharedAt", "revealedAt", "consentRecordId", "revisionCount"]);
        assert!(theirs["revealedAt"].is_string(), "{theirs}");
        let partner = member.read("/empathy/partner").await.ok();
        assert_eq!((&partner["attempt"], &partner["partnerStatus"]), (theirs, &json!("REVEALED")));
        let actions = items(&member.read("/pending-actions").await.ok()["actions"]);
        assert_eq!((&actions[0]["type"], &actions[0]["data"]["content"]), (&json!("validate_empathy"), &json!(other)));
    }
    let offer = both.anna.read("/reconciler/share-offer").await.ok();
    assert_eq!((&offer["hasSuggestion"], &offer["suggestion"]), (&json!(false), &serde_json::Value::Null));
}

#[tokio::test]
async fn in_the_app_an_attempt_is_refined_by_resubmitting_and_two_verdicts_take_both_on() {
    let both = revealed_in_the_app().await;
    let sent_back = json!({ "validated": false, "feedback": "not quite" });
    both.ben.say("/empathy/validate", sent_back).await.done();
    let asked = both.anna.read("/empathy/status").await.ok();
    assert_eq!((&asked["hasNewSharedContext"], &asked["messageCountSinceSharedContext"]), (&json!(true), &json!(1)));
    assert_eq!(asked["myAttempt"]["status"], "REFINING");
    let resubmitted = both.anna.say("/empathy/resubmit", json!({ "content": OF_ANNA })).await.done();
    has(&resubmitted["empathyMessage"], &["id", "content", "stage", "timestamp"]);
    let again = both.ben.read("/empathy/partner").await.ok();
    assert_eq!((&again["attempt"]["status"], &again["attempt"]["revisionCount"]), (&json!("REVEALED"), &json!(1)));
    assert_eq!((&again["validated"], &again["awaitingRevision"]), (&json!(false), &json!(false)));
    both.anna.validate().await.done();
    assert_eq!(both.anna.read("/progress").await.ok()["myProgress"]["stage"], 2);
    both.ben.validate().await.done();
    for member in both.members() {
        assert_eq!(member.read("/progress").await.ok()["myProgress"]["stage"], 3);
    }
    assert_eq!(both.ben.validate().await.ok()["validated"], true, "the app sends it again");
}

#[tokio::test]
async fn each_screen_is_told_of_the_reveal_and_of_a_revision_without_any_words() {
    let both = drafted().await;
    both.anna.read("/empathy/status").await.ok();
    let mut ear = Realtime::connect(&both.ben).await;
    ear.attach(&both.session).await;
    both.anna.share_empathy().await.done();
    both.ben.share_empathy().await.done();
    both.ben.say("/empathy/validate", json!({ "validated": false, "feedback": "not quite" })).await.done();
    both.anna.say("/empathy/resubmit", json!({ "content": "another text" })).await.done();
    both.ben.validate().await.done();
    ear.message(&both.session, "partner.validated").await;
    for (name, at_least) in [("empathy.revealed", 1), ("empathy.resubmitted", 2)] {
        for member in both.members() {
            let mine = |message: &&serde_json::Value| {
                message["name"] == name && message["data"]["forUserId"] == json!(member.id)
            };
            let messages = ear.messages(&both.session);
            let heard: Vec<_> = messages.iter().filter(mine).collect();
            assert!(heard.len() >= at_least, "{name} for {}: {messages:?}", member.id);
            for message in heard {
                assert!(message["data"].get("empathyStatus").is_none(), "{message}");
                assert!(message["data"].get("excludeUserId").is_none(), "{message}");
            }
        }
    }
    let frames = json!(ear.frames()).to_string();
    for words in [OF_ANNA, OF_BEN, "not quite", "another text"] {
        assert!(!frames.contains(words), "{words}");
    }
}

#[tokio::test]
async fn only_an_attempt_that_needs_a_revision_can_be_resubmitted_or_kept_in_the_app() {
    let both = drafted().await;
    let (text, skip) = (json!({ "content": "x" }), json!({ "willingToAccept": true }));
    both.anna.say("/empathy/resubmit", text.clone()).await.refused(404, "NOT_FOUND");
    both.anna.say("/empathy/skip-refinement", skip.clone()).await.refused(404, "NOT_FOUND");
    both.anna.share_empathy().await.done();
    both.ben.share_empathy().await.done();
    both.anna.say("/empathy/resubmit", text).await.refused(400, "VALIDATION_ERROR");
    both.anna.say("/empathy/skip-refinement", skip.clone()).await.refused(400, "VALIDATION_ERROR");
    both.ben.say("/empathy/validate", json!({ "validated": false, "feedback": "no" })).await.done();
    assert_eq!(both.anna.say("/empathy/skip-refinement", skip).await.done()["success"], true);
    assert_eq!(both.anna.read("/empathy/status").await.ok()["myAttempt"]["status"], "VALIDATED");
}
