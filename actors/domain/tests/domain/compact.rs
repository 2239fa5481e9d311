use serde_json::{Value, json};
use tandem_domain::{Code, Command, Query, command::*};

use crate::world::*;

#[test]
fn the_creator_may_sign_while_the_invitation_is_out() {
    let mut world = World::invited();
    let answer = world.ok(ANN, Command::SignCompact);
    assert_eq!(answer["signed"], true);
    assert_eq!(answer["signedAt"], json!(world.now));
    assert_eq!(answer["partnerSigned"], false);
    assert_eq!(answer["canAdvance"], false);
    assert_eq!(answer["seq"], world.session.seq());
    assert_eq!(world.announced_since(0), ["partner.signed_compact"]);
}

#[test]
fn signing_twice_is_refused() {
    let mut world = World::active();
    world.ok(ANN, Command::SignCompact);
    assert_eq!(world.code(ANN, Command::SignCompact), Code::Conflict);
}

#[test]
fn declining_to_agree_signs_nothing() {
    assert_eq!(parse::<SignCompactRequest>(json!({ "agreed": false })).unwrap_err().code, Code::ValidationError);
    assert_eq!(parse::<SignCompactRequest>(json!({ "agreed": true, "sessionId": "x" })).unwrap(), Command::SignCompact);
    assert_eq!(parse::<SignCompactRequest>(json!({})).unwrap(), Command::SignCompact);
}

#[test]
fn the_partners_signature_is_visible_only_after_ones_own() {
    let mut world = World::active();
    world.ok(ANN, Command::SignCompact);
    let ben = world.get(BEN, Query::CompactStatus);
    assert_eq!((&ben["partnerSigned"], &ben["partnerSignedAt"]), (&json!(false), &Value::Null));
    assert_eq!(world.get(BEN, Query::Progress)["partnerProgress"], json!({ "stage": 0, "status": "IN_PROGRESS" }));
    assert_eq!(world.get(BEN, Query::Summary)["partnerProgress"]["status"], "IN_PROGRESS");

    world.ok(BEN, Command::SignCompact);
    let ben = world.get(BEN, Query::CompactStatus);
    assert_eq!((&ben["partnerSigned"], &ben["canAdvance"]), (&json!(true), &json!(true)));
    assert_eq!(ben["partnerSignedAt"], json!(world.now));
    assert_eq!(world.get(BEN, Query::Progress)["partnerProgress"]["status"], "IN_PROGRESS");
}

#[test]
fn only_the_partner_who_has_signed_sees_waiting() {
    let mut world = World::active();
    world.ok(ANN, Command::SignCompact);
    let ann = world.get(ANN, Query::Summary);
    assert_eq!(
        (&ann["status"], &ann["storedStatus"], &ann["isWaiting"]),
        (&json!("WAITING"), &json!("ACTIVE"), &json!(true))
    );
    assert_eq!(world.get(ANN, Query::Progress)["sessionStatus"], "WAITING");
    assert_eq!(world.get(ANN, Query::State)["session"]["status"], "WAITING");
    assert_eq!(world.status(BEN), "ACTIVE");
    let blocked = world.post::<AdvanceRequest>(ANN, json!({}));
    assert_eq!(blocked["blockedReason"], "PARTNER_NOT_READY");
    assert_eq!(blocked["unsatisfiedGates"], json!(["partnerCompactSigned"]));
    assert_eq!(world.ok(ANN, Command::Pause(Pause::default()))["status"], "PAUSED");
}
