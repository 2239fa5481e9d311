use serde_json::{Value, json};
use tandem_domain::{Code, Command, Query, command::*, stage::SessionStatus};

use crate::world::*;

#[test]
fn stage_one_has_no_waiting() {
    let mut world = World::at_stage(1);
    let refused = world.post::<AdvanceRequest>(ANN, json!({}));
    assert_eq!(refused["success"], false);
    assert_eq!(refused["blockedReason"], "GATES_NOT_SATISFIED");
    assert_eq!(refused["unsatisfiedGates"], json!(["feelHeardConfirmed"]));
    let heard = world.post::<FeelHeardRequest>(ANN, json!({ "confirmed": true }));
    assert_eq!((&heard["confirmed"], &heard["canAdvance"]), (&json!(true), &json!(true)));
    assert_eq!(world.status(ANN), "ACTIVE");
    assert_eq!(world.advance(ANN)["newStage"], 2);
    let ben = world.get(BEN, Query::Progress);
    assert_eq!((&ben["myProgress"]["stage"], &ben["partnerProgress"]["stage"]), (&json!(1), &json!(2)));
}

#[test]
fn not_yet_heard_changes_nothing() {
    let mut world = World::at_stage(1);
    let seq = world.session.seq();
    let answer = world.post::<FeelHeardRequest>(ANN, json!({ "confirmed": false }));
    assert_eq!((&answer["confirmed"], &answer["confirmedAt"]), (&json!(false), &Value::Null));
    assert_eq!(world.session.seq(), seq);
}

#[test]
fn completing_a_stage_is_announced_once() {
    let mut world = World::at_stage(1);
    let seq = world.session.seq();
    world.post::<FeelHeardRequest>(ANN, json!({ "confirmed": true }));
    world.post::<FeelHeardRequest>(ANN, json!({ "confirmed": true }));
    assert_eq!(world.announced_since(seq), ["partner.stage_completed"]);
    let announcement = world.log.last().unwrap().announcement(world.session.id()).unwrap();
    assert_eq!(announcement.payload["stage"], 1);
    assert_eq!(announcement.payload["completedAt"], json!(world.now));
    assert_eq!(announcement.payload["triggeredByUserId"], ANN);
}

#[test]
fn an_advance_moves_the_caller_alone_and_can_be_repeated() {
    let mut world = World::active();
    world.each(|world, who| world.ok(who, Command::SignCompact));
    let seq = world.session.seq();
    let first = world.post::<AdvanceRequest>(ANN, json!({ "fromStage": 0, "toStage": 1 }));
    assert_eq!(world.announced_since(seq), ["partner.advanced"]);
    let seq = world.session.seq();
    let again = world.post::<AdvanceRequest>(ANN, json!({ "fromStage": 0, "toStage": 1 }));
    assert_eq!(first, again);
    assert_eq!(
        (&again["success"], &again["newStage"], &again["newStatus"]),
        (&json!(true), &json!(1), &json!("IN_PROGRESS"))
    );
    assert_eq!(world.session.seq(), seq);
    assert_eq!(world.get(BEN, Query::Progress)["myProgress"]["stage"], 0);
}

#[test]
fn an_advance_is_blocked_for_the_first_reason_that_holds() {
    let table = [
        (json!({ "fromStage": 0, "toStage": 2 }), "INVALID_STAGE_TRANSITION"),
        (json!({ "fromStage": 3 }), "INVALID_STAGE_TRANSITION"),
        (json!({ "toStage": 4 }), "INVALID_STAGE_TRANSITION"),
        (json!({ "toStage": 1 }), "GATES_NOT_SATISFIED"),
        (json!({}), "GATES_NOT_SATISFIED"),
    ];
    let mut world = World::active();
    for (body, reason) in &table {
        let answer = world.post::<AdvanceRequest>(ANN, body.clone());
        assert_eq!((&answer["success"], &answer["advanced"]), (&json!(false), &json!(false)), "{body}");
        assert_eq!(&answer["blockedReason"], reason, "{body}");
    }
    world.post::<PauseRequest>(BEN, json!({}));
    for (body, _) in table {
        assert_eq!(world.post::<AdvanceRequest>(ANN, body)["blockedReason"], "SESSION_NOT_ACTIVE");
    }
    let mut world = World::at_stage(4);
    assert_eq!(world.post::<AdvanceRequest>(ANN, json!({}))["blockedReason"], "INVALID_STAGE_TRANSITION");
}

#[test]
fn three_to_four_needs_the_partners_gates_and_not_its_advance() {
    let mut world = World::at_stage(3);
    world.each(|world, who| world.share_need(who, "SAFETY"));
    world.confirm_common_ground(ANN);
    assert_eq!(world.post::<AdvanceRequest>(ANN, json!({}))["blockedReason"], "PARTNER_NOT_READY");
    assert_eq!(world.status(ANN), "WAITING");
    world.confirm_common_ground(BEN);
    assert_eq!(world.advance(ANN)["newStage"], 4);
    assert_eq!(world.get(BEN, Query::Progress)["myProgress"]["status"], "IN_PROGRESS");
    assert_eq!(world.advance(BEN)["newStage"], 4);
}

#[test]
fn a_command_of_another_stage_is_refused_and_names_both_stages() {
    let mut world = World::at_stage(1);
    let early = world.post_refused::<SaveEmpathyDraftRequest>(ANN, json!({ "content": "too early" }));
    assert_eq!(early.code, Code::InvalidStage);
    assert_eq!(*early.details.unwrap(), json!({ "currentStage": 1, "requiredStage": 2 }));
    let mut world = World::at_stage(2);
    let late = world.post_refused::<FeelHeardRequest>(ANN, json!({ "confirmed": true }));
    assert_eq!(*late.details.unwrap(), json!({ "currentStage": 2, "requiredStage": 1 }));
}

#[test]
fn gates_are_listed_for_each_stage() {
    let world = World::at_stage(4);
    let keys = |stage: u8| {
        let gates = world.get(ANN, Query::Gates(stage.try_into().unwrap()))["gates"].clone();
        let mut keys: Vec<_> = gates.as_object().unwrap().keys().cloned().collect();
        keys.retain(|key| gates[key].is_boolean());
        keys.sort();
        keys.join(" ")
    };
    let table = [
        "compactSigned partnerCompactSigned",
        "feelHeardConfirmed",
        "empathyConsented empathyDraftReady empathyValidated partnerConsented partnerValidated",
        "commonGroundConfirmed needsConfirmed needsShared needsValidated partnerNeedsConfirmed",
        "agreementCreated overlapIdentified rankingsSubmitted strategiesSubmitted",
    ];
    for (stage, expected) in table.into_iter().enumerate() {
        assert_eq!(keys(stage as u8), expected);
    }
}

#[test]
fn a_session_can_be_played_to_the_end() {
    let (mut world, ids) = World::revealed();
    let agreement = world.propose(ANN, Some(&ids[0]));
    world.confirm(BEN, &agreement, true);
    assert_eq!(world.get(ANN, Query::Progress)["myProgress"]["status"], "IN_PROGRESS");
    let answer = world.ok(ANN, Command::Resolve);
    assert_eq!((&answer["resolved"], &answer["agreements"][0]["status"]), (&json!(true), &json!("AGREED")));
    assert_eq!(world.session.status(), SessionStatus::Resolved);
    for who in [ANN, BEN] {
        assert_eq!(world.get(who, Query::Progress)["myProgress"]["status"], "COMPLETED");
        assert_eq!(world.code(who, Command::ReadyToRank), Code::SessionNotActive);
    }
}
