//! Consent can be revoked: from then on the content is hidden from the partner again.

use serde_json::json;

use crate::harness::{Conversation, has, items, shared};

#[tokio::test]
async fn a_revoked_attempt_is_hidden_again() {
    let both = Conversation::at_stage(&*shared().await, 2).await;
    for member in both.members() {
        member.share_attempt().await;
    }
    assert!(both.ben.read("/empathy/partner").await.body.contains("left alone"));
    both.anna.say("/consent/revoke", json!({ "kind": "empathy" })).await.done();
    for path in ["/empathy/partner", "/state", "/events", ""] {
        assert!(!both.ben.read(path).await.body.contains("left alone"), "{path}");
    }
    assert!(both.anna.read("/empathy/draft").await.body.contains("left alone"), "the author keeps it");
}

#[tokio::test]
async fn revoked_needs_are_hidden_again_and_agreements_built_on_them_say_so() {
    let (both, _) = Conversation::agreed(&*shared().await).await;
    assert!(both.ben.read("/needs/comparison").await.body.contains("to be seen"));
    let flagged = |agreements: serde_json::Value| items(&agreements["agreements"])[0]["hasStaleInputs"].clone();
    assert_ne!(flagged(both.ben.read("/agreements").await.ok()), true);
    both.anna.say("/consent/revoke", json!({ "kind": "needs" })).await.done();
    let answer = both.ben.read("/needs/comparison").await;
    if answer.status == 200 {
        assert_eq!(answer.body.matches("to be seen").count(), 1, "Ben's own only: {}", answer.body);
    } else {
        answer.refused(400, "PARTNER_NOT_READY");
    }
    for member in both.members() {
        assert_eq!(flagged(member.read("/agreements").await.ok()), true);
    }
}

#[tokio::test]
async fn there_must_be_a_consent_to_revoke_and_a_kind() {
    let both = Conversation::at_stage(&*shared().await, 2).await;
    let nothing = both.anna.say("/consent/revoke", json!({ "kind": "empathy" })).await;
    assert!(matches!(nothing.status, 400 | 409), "{}", nothing.body);
    both.anna.say("/consent/revoke", json!({ "kind": "everything" })).await.refused(400, "VALIDATION_ERROR");
    both.anna.say("/consent/revoke", json!({})).await.refused(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn prepared_content_is_a_pending_consent_and_a_consent_can_be_revoked_by_its_record() {
    let both = Conversation::at_stage(&*shared().await, 2).await;
    both.ben.share_attempt().await;
    both.anna.draft("anna imagines being ben").await.done();
    let asked = items(&both.anna.read("/consent/pending").await.ok()["pendingRequests"]);
    has(&asked[0], &["id", "contentType", "targetId", "createdAt", "metadata"]);
    let granted = json!({ "consentRequestId": asked[0]["id"], "decision": "GRANTED" });
    both.ben.say("/consent/decide", granted.clone()).await.refused(404, "NOT_FOUND");
    let decided = both.anna.say("/consent/decide", granted).await.done();
    assert_eq!((&decided["recorded"], &decided["consentRecord"]["decision"]), (&json!(true), &json!("GRANTED")));
    assert!(both.ben.read("/empathy/partner").await.body.contains("anna imagines"));

    let record = decided["consentRecord"]["id"].clone();
    both.ben.say("/consent/revoke", json!({ "consentRecordId": record })).await.refused(404, "NOT_FOUND");
    let revoked = both.anna.say("/consent/revoke", json!({ "consentRecordId": record })).await.done();
    assert_eq!(revoked["revoked"], true);
    for path in ["/empathy/partner", "/empathy/status", "/pending-actions", "/state", "/events", ""] {
        assert!(!both.ben.read(path).await.body.contains("anna imagines"), "{path}");
    }
    let history = items(&both.anna.read("/consent/history").await.ok()["records"]);
    assert_eq!(history[0]["id"], record);
    assert!(history[0]["revokedAt"].is_string());
}
