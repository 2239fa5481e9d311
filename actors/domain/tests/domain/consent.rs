use serde_json::{Value, json};
use tandem_domain::{Code, Command, Query, command::*};

use crate::world::*;

fn revoke(world: &mut World, who: &str, kind: &str) -> Value {
    world.post::<RevokeConsentRequest>(who, json!({ "kind": kind }))
}

#[test]
fn a_revoked_attempt_is_hidden_at_once_and_may_be_shared_anew() {
    let mut world = World::at_stage(2);
    world.each(|world, who| world.draft(who, &format!("{who} imagines")));
    world.each(|world, who| world.post::<ConsentEmpathyRequest>(who, json!({ "consent": true })));
    let seq = world.session.seq();
    let answer = revoke(&mut world, ANN, "EMPATHY");
    assert_eq!((&answer["revoked"], &answer["kind"]), (&json!(true), &json!("empathy")));
    assert_eq!(world.announced_since(seq), ["partner.consent_revoked"]);
    assert_eq!(world.get(BEN, Query::EmpathyPartner)["attempt"], Value::Null);
    assert_eq!(world.get(ANN, Query::Gates(2.try_into().unwrap()))["gates"]["empathyConsented"], false);
    assert_eq!(world.post_refused::<RevokeConsentRequest>(ANN, json!({ "kind": "empathy" })).code, Code::Conflict);
    world.post::<ConsentEmpathyRequest>(ANN, json!({ "consent": true }));
    assert_eq!(world.get(BEN, Query::EmpathyPartner)["attempt"]["content"], "ann imagines");
}

#[test]
fn a_partner_who_revokes_after_advancing_does_not_block_the_other() {
    let mut world = World::at_stage(2);
    world.each(|world, who| world.draft(who, "words"));
    world.each(|world, who| world.post::<ConsentEmpathyRequest>(who, json!({ "consent": true })));
    world.each(|world, who| world.post::<ValidateEmpathyRequest>(who, json!({ "validated": true })));
    world.advance(ANN);
    revoke(&mut world, ANN, "empathy");
    assert_eq!(world.get(BEN, Query::EmpathyPartner)["attempt"], Value::Null);
    world.advance(BEN);
    world.post::<ConsentEmpathyRequest>(ANN, json!({ "consent": true }));

    world.each(|world, who| world.share_need(who, "SAFETY"));
    world.each(World::confirm_common_ground);
    world.advance(ANN);
    revoke(&mut world, ANN, "needs");
    assert_eq!(world.query(BEN, Query::NeedsComparison).unwrap_err().code, Code::PartnerNotReady);
    assert_eq!(world.get(BEN, Query::CommonGround)["analysisComplete"], false);
    world.advance(BEN);
}

#[test]
fn earlier_agreements_are_marked_stale() {
    let (mut world, ids) = World::revealed();
    let before = world.propose(ANN, Some(&ids[0]));
    revoke(&mut world, BEN, "needs");
    let after = world.propose(BEN, Some(&ids[1]));
    let list = world.get(ANN, Query::Agreements);
    let stale = |id: &str| {
        let found = list["agreements"].as_array().unwrap().iter().find(|agreement| agreement["id"] == *id);
        found.unwrap()["hasStaleInputs"].clone()
    };
    assert_eq!((stale(&before), stale(&after)), (json!(true), json!(false)));
}

#[test]
fn consent_can_be_revoked_when_the_session_is_over() {
    let (mut world, ids) = World::revealed();
    let agreement = world.propose(ANN, Some(&ids[0]));
    world.confirm(BEN, &agreement, true);
    world.ok(ANN, Command::Resolve);
    revoke(&mut world, BEN, "needs");
    assert_eq!(world.query(ANN, Query::NeedsComparison).unwrap_err().code, Code::PartnerNotReady);
}
