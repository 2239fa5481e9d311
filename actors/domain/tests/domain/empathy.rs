use serde_json::{Value, json};
use tandem_domain::{Code, Query, Session, command::*};

use crate::world::*;

fn consent(world: &mut World, who: &str) -> Value {
    world.post::<ConsentEmpathyRequest>(who, json!({ "consent": true }))
}

/// Only the last of many drafts stays, and what others can read.
#[test]
fn a_log_without_replaced_drafts_gives_the_same_state() {
    let mut world = World::at_stage(2);
    let begin = world.session.seq();
    world.session.forget_superseded();
    for number in 0..500 {
        world.post::<SaveEmpathyDraftRequest>(ANN, json!({ "content": format!("draft {number}") }));
        world.post::<ViewedRequest>(BEN, json!({ "lastSeenChatItemId": format!("item {number}") }));
    }
    assert_eq!(world.get(ANN, Query::EmpathyDraft)["draft"]["version"], 500);
    let superseded = world.session.superseded().to_vec();
    world.session.forget_superseded();
    let kept: Vec<_> = world.log.iter().filter(|event| !superseded.contains(&event.seq)).cloned().collect();
    assert!(kept.len() as u64 <= begin + 2, "{} events", kept.len());
    let mut replayed = Session::replay(kept).expect("a session");
    replayed.forget_superseded();
    assert_eq!(replayed, world.session);
}

#[test]
fn a_draft_is_visible_to_its_author_only_and_keeps_its_id() {
    let mut world = World::at_stage(2);
    assert_eq!(world.get(ANN, Query::EmpathyDraft)["draft"], json!({}));
    let first = world.post::<SaveEmpathyDraftRequest>(ANN, json!({ "content": "you felt alone" }));
    assert_eq!((&first["readyToShare"], &first["draft"]["version"]), (&json!(false), &json!(1)));
    let second = world.draft(ANN, "you felt left alone");
    assert_eq!(first["draftId"], second["draftId"]);
    let mine = world.get(ANN, Query::EmpathyDraft);
    assert_eq!((&mine["draft"]["content"], &mine["canConsent"]), (&json!("you felt left alone"), &json!(true)));
    assert_eq!(world.get(BEN, Query::EmpathyPartner)["attempt"], Value::Null);
}

#[test]
fn only_a_draft_that_is_ready_can_be_shared() {
    let mut world = World::at_stage(2);
    assert_eq!(
        world.post_refused::<ConsentEmpathyRequest>(ANN, json!({ "consent": true })).code,
        Code::GateNotSatisfied
    );
    world.post::<SaveEmpathyDraftRequest>(ANN, json!({ "content": "not ready" }));
    assert_eq!(
        world.post_refused::<ConsentEmpathyRequest>(ANN, json!({ "consent": true })).code,
        Code::GateNotSatisfied
    );
    world.draft(ANN, "ready");
    let other = world.post_refused::<ConsentEmpathyRequest>(ANN, json!({ "draftId": "cnot0mine0draft" }));
    assert_eq!(other.code, Code::NotFound);
}

#[test]
fn refusing_consent_stores_and_announces_nothing() {
    let mut world = World::at_stage(2);
    world.draft(ANN, "private");
    let seq = world.session.seq();
    let answer = world.post::<ConsentEmpathyRequest>(ANN, json!({ "consent": false }));
    assert_eq!((&answer["consented"], &answer["consentedAt"]), (&json!(false), &Value::Null));
    assert_eq!(world.session.seq(), seq);
}

#[test]
fn the_attempts_are_visible_only_when_both_have_consented() {
    let mut world = World::at_stage(2);
    world.draft(ANN, "ann's words");
    let draft = text(&world.draft(BEN, "ben's words")["draftId"]);
    let seq = world.session.seq();
    let first = consent(&mut world, ANN);
    assert_eq!((&first["consented"], &first["waitingForPartner"]), (&json!(true), &json!(true)));
    assert_eq!(world.get(BEN, Query::EmpathyPartner)["attempt"], Value::Null);
    assert_eq!(
        world.post_refused::<ValidateEmpathyRequest>(ANN, json!({ "validated": true })).code,
        Code::PartnerNotReady
    );
    assert_eq!(
        world.post_refused::<ValidateEmpathyRequest>(BEN, json!({ "validated": true })).code,
        Code::ConsentRequired
    );

    let body = json!({ "draftId": draft, "finalContent": "ben's final words" });
    let second = world.post::<ConsentEmpathyRequest>(BEN, body);
    assert_eq!(second["partnerAttempt"]["content"], "ann's words");
    assert_eq!(world.get(ANN, Query::EmpathyPartner)["attempt"]["content"], "ben's final words");
    assert_eq!(world.announced_since(seq), ["partner.empathy_shared", "partner.empathy_shared"]);
    assert_eq!(world.post_refused::<ConsentEmpathyRequest>(ANN, json!({ "consent": true })).code, Code::Conflict);
    assert_eq!(world.post_refused::<SaveEmpathyDraftRequest>(ANN, json!({ "content": "later" })).code, Code::Conflict);
}

#[test]
fn a_revision_resets_the_verdict() {
    let mut world = World::at_stage(2);
    world.each(|world, who| world.draft(who, &format!("{who} tries")));
    world.each(consent);
    let missing = world.post_refused::<ValidateEmpathyRequest>(BEN, json!({ "validated": false, "feedback": " " }));
    assert_eq!(missing.code, Code::ValidationError);
    let seq = world.session.seq();
    let body = json!({ "validated": false, "feedback": "not quite", "consentToShareFeedback": true });
    let verdict = world.post::<ValidateEmpathyRequest>(BEN, body);
    assert_eq!((&verdict["awaitingRevision"], &verdict["feedbackShared"]), (&json!(true), &json!(true)));
    assert_eq!(world.announced_since(seq), ["partner.revision_requested"]);
    let mine = world.get(ANN, Query::EmpathyDraft);
    assert_eq!((&mine["awaitingRevision"], &mine["partnerFeedback"]), (&json!(true), &json!("not quite")));

    world.draft(ANN, "ann tries again");
    consent(&mut world, ANN);
    let theirs = world.get(BEN, Query::EmpathyPartner);
    assert_eq!(theirs["attempt"]["content"], "ann tries again");
    assert_eq!((&theirs["awaitingRevision"], &theirs["validated"]), (&json!(false), &json!(false)));
    let seq = world.session.seq();
    assert_eq!(world.post::<ValidateEmpathyRequest>(BEN, json!({ "validated": true }))["validated"], true);
    assert_eq!(world.announced_since(seq), ["partner.validated", "partner.stage_completed"]);
}

#[test]
fn feedback_stays_private_without_consent() {
    let mut world = World::at_stage(2);
    world.each(|world, who| world.draft(who, "words"));
    world.each(consent);
    world.post::<ValidateEmpathyRequest>(BEN, json!({ "validated": false, "feedback": "between me and me" }));
    assert_eq!(world.get(ANN, Query::EmpathyDraft)["partnerFeedback"], Value::Null);
    assert_eq!(world.get(BEN, Query::EmpathyPartner)["feedback"], "between me and me");
}

#[test]
fn leaving_stage_two_needs_both_shared_and_both_validated() {
    let mut world = World::at_stage(2);
    world.each(|world, who| world.draft(who, "words"));
    world.each(consent);
    world.post::<ValidateEmpathyRequest>(ANN, json!({ "validated": true }));
    assert_eq!(world.status(ANN), "WAITING");
    let blocked = world.post::<AdvanceRequest>(ANN, json!({}));
    assert_eq!(
        (&blocked["blockedReason"], &blocked["unsatisfiedGates"]),
        (&json!("PARTNER_NOT_READY"), &json!(["partnerValidated"]))
    );
    world.post::<ValidateEmpathyRequest>(BEN, json!({ "validated": true }));
    world.each(World::advance);
}
