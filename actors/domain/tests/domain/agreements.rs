use serde_json::json;
use tandem_domain::{Code, Command, Query, Timer, command::*};

use crate::world::*;

#[test]
fn agreements_are_refused_before_the_reveal() {
    let mut world = World::at_stage(4);
    let body = json!({ "description": "let us try", "type": "HYBRID" });
    assert_eq!(world.post_refused::<ProposeAgreementRequest>(ANN, body).code, Code::GateNotSatisfied);
}

#[test]
fn the_proposer_has_agreed_and_the_partner_decides() {
    let (mut world, ids) = World::revealed();
    let seq = world.session.seq();
    let agreement = world.propose(ANN, Some(&ids[0]));
    assert_eq!(world.announced_since(seq), ["agreement.proposed"]);
    let seen = world.get(BEN, Query::Agreements)["agreements"][0].clone();
    assert_eq!(
        (&seen["agreedByMe"], &seen["agreedByPartner"], &seen["status"]),
        (&json!(false), &json!(true), &json!("PROPOSED"))
    );

    let seq = world.session.seq();
    let own = world.confirm(ANN, &agreement, true);
    assert_eq!((&own["confirmed"], &own["partnerConfirmed"]), (&json!(true), &json!(false)));
    assert_eq!(world.session.seq(), seq, "one cannot confirm for the other");

    let both = world.confirm(BEN, &agreement, true);
    assert_eq!((&both["agreement"]["status"], &both["sessionCanResolve"]), (&json!("AGREED"), &json!(true)));
    assert_eq!((&both["confirmedAt"], &both["sessionComplete"]), (&json!(world.now), &json!(false)));
    assert_eq!(world.announced_since(seq), ["agreement.confirmed"]);
    world.confirm(BEN, &agreement, true);
    assert_eq!(world.announced_since(seq).len(), 1, "confirming twice is no news");
    assert_eq!(world.code(BEN, answer_agreement(&agreement, json!({ "confirmed": false }))), Code::Conflict);
    assert_eq!(world.get(BEN, Query::Strategies)["phase"], "AGREED");
}

#[test]
fn a_decline_is_announced_and_frees_its_place() {
    let (mut world, ids) = World::revealed();
    let first = world.propose(ANN, Some(&ids[0]));
    world.propose(BEN, Some(&ids[1]));
    let full = json!({ "description": "a third", "type": "COMMITMENT" });
    assert_eq!(world.post_refused::<ProposeAgreementRequest>(ANN, full.clone()).code, Code::Conflict);
    let same = json!({ "strategyId": ids[0], "description": "again", "type": "COMMITMENT" });
    assert_eq!(world.post_refused::<ProposeAgreementRequest>(BEN, same).code, Code::Conflict);

    let seq = world.session.seq();
    let answer = world.ok(BEN, answer_agreement(&first, json!({ "confirmed": false, "modification": "shorter" })));
    assert_eq!((&answer["confirmed"], &answer["agreement"]["status"]), (&json!(false), &json!("ABANDONED")));
    assert_eq!(answer["agreement"]["modification"], "shorter");
    assert_eq!(world.announced_since(seq), ["agreement.declined"]);
    assert_eq!(world.code(BEN, answer_agreement(&first, json!({ "confirmed": true }))), Code::Conflict);
    world.post::<ProposeAgreementRequest>(ANN, full);
    assert_eq!(world.get(ANN, Query::Agreements)["agreements"].as_array().unwrap().len(), 3);
}

#[test]
fn declined_proposals_never_use_up_the_limit_nor_the_memory() {
    let (mut world, ids) = World::revealed();
    for _ in 0..100 {
        let agreement = world.propose(ANN, Some(&ids[0]));
        world.confirm(BEN, &agreement, false);
    }
    assert_eq!(world.get(ANN, Query::Agreements)["agreements"].as_array().unwrap().len(), 20);
}

#[test]
fn an_agreement_needs_a_strategy_of_the_overlap() {
    let (mut world, _) = World::revealed();
    let body = json!({ "strategyId": "cnot0a0candidate", "description": "x", "type": "CHECK_IN" });
    assert_eq!(world.post_refused::<ProposeAgreementRequest>(ANN, body).code, Code::ValidationError);
    assert_eq!(world.code(ANN, answer_agreement("cno0such0agreement", json!({ "confirmed": true }))), Code::NotFound);
}

#[test]
fn resolving_needs_an_agreement_of_both() {
    let (mut world, ids) = World::revealed();
    assert_eq!(world.code(ANN, Command::Resolve), Code::GateNotSatisfied);
    let agreement = world.propose(ANN, Some(&ids[0]));
    assert_eq!(world.code(BEN, Command::Resolve), Code::GateNotSatisfied);
    world.confirm(BEN, &agreement, true);
    let seq = world.session.seq();
    assert_eq!(world.ok(BEN, Command::Resolve)["followUpScheduled"], false);
    assert_eq!(world.announced_since(seq), ["session.resolved"]);
    assert_eq!(world.code(ANN, Command::Resolve), Code::SessionNotActive);
}

#[test]
fn both_are_reminded_once_when_a_follow_up_is_due() {
    let (mut world, _) = World::revealed();
    let day = "2027-02-01";
    let body = json!({ "description": "walk", "type": "CHECK_IN", "followUpDate": day });
    let proposed = world.post::<ProposeAgreementRequest>(ANN, body);
    assert_eq!(proposed["agreement"]["followUpDate"], "2027-02-01T00:00:00.000Z");
    assert!(world.timers().iter().all(|(timer, _)| *timer != Timer::FollowUp), "nothing is agreed yet");
    world.confirm(BEN, &text(&proposed["agreement"]["id"]), true);
    assert_eq!(world.ok(ANN, Command::Resolve)["followUpScheduled"], true);
    let (timer, at) = world.timers()[0];
    assert_eq!(timer, Timer::FollowUp);
    assert_eq!(world.fire(Timer::FollowUp), 0, "it is not due yet");
    world.now = at;
    assert_eq!(world.fire(Timer::FollowUp), 1);
    assert_eq!(world.log.last().unwrap().name(), Some("agreement.follow_up"));
    assert_eq!(world.fire(Timer::FollowUp), 0);
    // The check-in of the agreement opens at the same time, and nobody is told of it again.
    let seq = world.session.seq();
    assert_eq!(world.fire(Timer::TendingDue), 1);
    assert!(world.announced_since(seq).is_empty());
    assert!(world.timers().is_empty());
    assert!(world.session.unread_for(&user(ANN)) && world.session.unread_for(&user(BEN)));
}
