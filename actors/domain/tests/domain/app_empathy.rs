//! Stage 2 as the app goes through it, in both generations: reveal, verdict, revision, and the move to stage 3 by
//! itself.

use serde_json::{Value, json};
use tandem_domain::{Code, Query, command::*};

use crate::world::*;

fn consent(world: &mut World, who: &str) -> Value {
    world.post::<ConsentEmpathyRequest>(who, json!({ "consent": true }))
}

fn judge(world: &mut World, who: &str, validated: bool) -> Value {
    let body = json!({ "validated": validated, "feedback": format!("{who} judges") });
    world.post::<ValidateEmpathyRequest>(who, body)
}

fn resubmit(content: &str) -> Value {
    json!({ "content": content })
}

/// Both use the app, and both have shared.
fn revealed() -> World {
    let mut world = World::app_at_stage(2);
    world.each(|world, who| world.draft(who, &format!("{who} imagines")));
    world.each(consent);
    world
}

/// Ben has said that Ann's attempt does not fit.
fn refining() -> World {
    let mut world = revealed();
    judge(&mut world, BEN, false);
    world
}

#[test]
fn an_attempt_is_held_until_both_have_shared_and_then_revealed() {
    let mut world = World::app_at_stage(2);
    world.each(|world, who| world.draft(who, &format!("{who} imagines")));
    let first = consent(&mut world, ANN);
    assert_eq!((&first["status"], &first["empathyMessage"]["content"]), (&json!("HELD"), &json!("ann imagines")));
    let (mine, theirs) = (world.get(ANN, Query::EmpathyStatus), world.get(BEN, Query::EmpathyStatus));
    assert_eq!((&mine["myAttempt"]["status"], &mine["myAttempt"]["revealedAt"]), (&json!("HELD"), &Value::Null));
    assert_eq!(mine["myAttempt"]["deliveryStatus"], "pending");
    assert_eq!((&theirs["partnerAttempt"], &theirs["partnerHasSubmittedEmpathy"]), (&Value::Null, &json!(true)));
    assert_eq!(theirs["partnerEmpathyHeldStatus"], "HELD");
    assert_eq!(world.get(BEN, Query::EmpathyPartner)["partnerStatus"], "HELD");
    assert_eq!(world.get(BEN, Query::PendingActions)["actions"], json!([]));

    world.pass(HOUR);
    assert_eq!(consent(&mut world, BEN)["status"], "REVEALED");
    for who in [ANN, BEN] {
        let seen = world.get(who, Query::EmpathyPartner);
        assert_eq!((&seen["attempt"]["status"], &seen["partnerStatus"]), (&json!("REVEALED"), &json!("REVEALED")));
        assert_eq!(seen["attempt"]["revealedAt"], json!(world.now));
        assert_eq!(seen["attempt"]["revisionCount"], 0);
        let status = world.get(who, Query::EmpathyStatus);
        assert_eq!(status["partnerAttempt"], seen["attempt"]);
        assert_eq!((&status["myAttempt"]["status"], &status["readyForStage3"]), (&json!("REVEALED"), &json!(false)));
        let action = &world.get(who, Query::PendingActions)["actions"][0];
        assert_eq!((&action["type"], &action["id"]), (&json!("validate_empathy"), &seen["attempt"]["id"]));
        assert_eq!(action["data"]["content"], seen["attempt"]["content"]);
    }
}

#[test]
fn the_status_has_every_field_that_a_screen_reads() {
    let world = revealed();
    let status = world.get(ANN, Query::EmpathyStatus);
    for null in [
        "sharedContext",
        "refinementHint",
        "sharedContentDeliveryStatus",
        "mySharedContext",
        "mySharedAt",
        "myReconcilerResult",
    ] {
        assert_eq!(status.get(null), Some(&Value::Null), "{null}");
    }
    for no in ["analyzing", "awaitingSharing", "hasNewSharedContext", "hasUnviewedSharedContext", "readyForStage3"] {
        assert_eq!(status[no], false, "{no}");
    }
    assert_eq!(
        (&status["partnerCompletedStage1"], &status["messageCountSinceSharedContext"]),
        (&json!(true), &json!(0))
    );
    assert!(status["partnerEmpathySubmittedAt"].is_string() && status["statusVersion"].is_u64());
    let attempt =
        ["id", "sourceUserId", "content", "sharedAt", "status", "revealedAt", "consentRecordId", "revisionCount"];
    for field in attempt.into_iter().chain(["deliveryStatus"]) {
        assert!(!status["myAttempt"][field].is_null() && !status["partnerAttempt"][field].is_null(), "{field}");
    }
    assert_eq!(world.get(ANN, Query::ShareOffer)["hasSuggestion"], false);
}

#[test]
fn an_attempt_that_does_not_fit_is_refined_and_judged_again() {
    let mut world = refining();
    let mine = world.get(ANN, Query::EmpathyStatus);
    assert_eq!((&mine["hasNewSharedContext"], &mine["messageCountSinceSharedContext"]), (&json!(true), &json!(1)));
    assert_eq!((&mine["myAttempt"]["status"], &mine["partnerFeedback"]), (&json!("REFINING"), &Value::Null));
    let theirs = world.get(BEN, Query::EmpathyStatus);
    assert_eq!((&theirs["partnerAttempt"], &theirs["partnerEmpathyHeldStatus"]), (&Value::Null, &json!("REFINING")));
    assert_eq!(world.get(BEN, Query::PendingActions)["actions"], json!([]));

    world.pass(HOUR);
    let seq = world.session.seq();
    let sent = world.post::<ResubmitEmpathyRequest>(ANN, resubmit("ann imagines anew"));
    assert_eq!((&sent["status"], &sent["revisionCount"]), (&json!("REVEALED"), &json!(1)));
    assert_eq!(
        (&sent["empathyMessage"]["content"], &sent["empathyMessage"]["stage"]),
        (&json!("ann imagines anew"), &json!(2))
    );
    assert!(sent["message"].is_string() && sent["empathyMessage"]["id"].is_string());
    assert_eq!(world.announced_since(seq), ["partner.empathy_shared"]);
    let seen = world.get(BEN, Query::EmpathyPartner);
    assert_eq!(
        (&seen["attempt"]["content"], &seen["attempt"]["revealedAt"]),
        (&json!("ann imagines anew"), &json!(world.now))
    );
    assert_eq!((&seen["validated"], &seen["awaitingRevision"]), (&json!(false), &json!(false)));
    assert_eq!(world.get(BEN, Query::PendingActions)["actions"][0]["type"], "validate_empathy");
    assert_eq!(world.get(ANN, Query::EmpathyStatus)["hasNewSharedContext"], false);
}

/// The April client may send its old text, the June client never does.
#[test]
fn an_unchanged_text_is_refused_for_june_only() {
    let mut world = refining();
    world.post::<ResubmitEmpathyRequest>(ANN, resubmit("ann imagines"));
    assert_eq!(world.get(BEN, Query::EmpathyPartner)["attempt"]["revisionCount"], 1);

    let mut world = refining();
    world.june(ANN);
    let refused = world.post_refused::<ResubmitEmpathyRequest>(ANN, resubmit("ann imagines"));
    assert_eq!(refused.code, Code::ValidationError);
    world.post::<ResubmitEmpathyRequest>(ANN, resubmit("ann imagines anew"));
}

#[test]
fn only_an_attempt_that_needs_a_revision_can_be_resubmitted_or_kept() {
    let skip = json!({ "willingToAccept": true });
    let mut world = World::app_at_stage(2);
    assert_eq!(world.post_refused::<ResubmitEmpathyRequest>(ANN, resubmit("x")).code, Code::NotFound);
    assert_eq!(world.post_refused::<SkipRefinementRequest>(ANN, skip.clone()).code, Code::NotFound);
    let mut world = revealed();
    assert_eq!(world.post_refused::<ResubmitEmpathyRequest>(ANN, resubmit("x")).code, Code::ValidationError);
    assert_eq!(world.post_refused::<SkipRefinementRequest>(ANN, skip).code, Code::ValidationError);
}

#[test]
fn the_second_positive_verdict_advances_both() {
    let mut world = revealed();
    let first = judge(&mut world, ANN, true);
    assert_eq!((&first["validated"], &first["partnerValidated"]), (&json!(true), &json!(false)));
    assert_eq!(world.stages(), [2, 2]);
    let seq = world.session.seq();
    judge(&mut world, BEN, true);
    assert_eq!(world.stages(), [3, 3]);
    let told = world.announced_since(seq);
    assert_eq!(told.iter().filter(|name| **name == "partner.advanced").count(), 2, "{told:?}");
    assert_eq!(world.get(ANN, Query::EmpathyStatus)["readyForStage3"], true);
    assert_eq!(world.get(ANN, Query::EmpathyStatus)["myAttempt"]["status"], "VALIDATED");
}

#[test]
fn an_author_may_keep_the_attempt() {
    let mut world = refining();
    let seq = world.session.seq();
    let skipped = world.post::<SkipRefinementRequest>(ANN, json!({ "willingToAccept": false, "reason": "of ann" }));
    assert_eq!((&skipped["success"], &skipped["status"]), (&json!(true), &json!("VALIDATED")));
    assert!(world.announced_since(seq).contains(&"partner.skipped_refinement"));
    assert_eq!(world.stages(), [3, 3]);
    world.post::<SkipRefinementRequest>(ANN, json!({ "willingToAccept": false }));
}

/// Every answer may be lost on its way, and the app sends the same again.
#[test]
fn a_request_can_be_repeated() {
    let mut world = revealed();
    let seq = world.session.seq();
    assert_eq!(consent(&mut world, ANN)["status"], "REVEALED");
    assert_eq!(world.session.seq(), seq);
    let other = json!({ "consent": true, "finalContent": "other words" });
    assert_eq!(world.post_refused::<ConsentEmpathyRequest>(ANN, other).code, Code::Conflict);

    let mut world = refining();
    world.post::<ResubmitEmpathyRequest>(ANN, resubmit("ann imagines anew"));
    let seq = world.session.seq();
    assert!(world.post::<ResubmitEmpathyRequest>(ANN, resubmit("ann imagines anew"))["empathyMessage"].is_object());
    assert_eq!(world.session.seq(), seq);

    world.each(|world, who| judge(world, who, true));
    assert_eq!(world.stages(), [3, 3]);
    assert_eq!(judge(&mut world, BEN, true)["validated"], true);
    assert_eq!(consent(&mut world, BEN)["consented"], true);
    assert_eq!(world.stages(), [3, 3]);
}

#[test]
fn a_missing_attempt_is_refused_with_the_apps_codes() {
    let mut world = World::app_at_stage(2);
    let body = json!({ "validated": true });
    assert_eq!(world.post_refused::<ValidateEmpathyRequest>(ANN, body.clone()).code, Code::NotFound);
    world.draft(BEN, "ben imagines");
    consent(&mut world, BEN);
    assert_eq!(world.post_refused::<ValidateEmpathyRequest>(ANN, body).code, Code::Conflict);
}

/// The consent is looked at on every read, in every shape.
#[test]
fn a_revoked_attempt_is_gone_from_every_answer() {
    for by_record in [false, true] {
        let mut world = revealed();
        let record = world.get(ANN, Query::EmpathyStatus)["myAttempt"]["consentRecordId"].clone();
        let body = if by_record { json!({ "consentRecordId": record }) } else { json!({ "kind": "empathy" }) };
        world.post::<RevokeConsentRequest>(ANN, body);
        for query in [Query::EmpathyPartner, Query::EmpathyStatus, Query::PendingActions, Query::State] {
            assert!(!world.get(BEN, query).to_string().contains("ann imagines"), "{query:?}");
        }
        let status = world.get(BEN, Query::EmpathyStatus);
        assert_eq!((&status["partnerAttempt"], &status["partnerEmpathyHeldStatus"]), (&Value::Null, &Value::Null));
        assert_eq!(
            (&status["partnerHasSubmittedEmpathy"], &status["myAttempt"]["status"]),
            (&json!(false), &json!("HELD"))
        );
        let gone = world.get(ANN, Query::EmpathyStatus);
        assert_eq!((&gone["myAttempt"], &gone["partnerAttempt"]), (&Value::Null, &Value::Null));
    }
}
