use serde_json::{Value, json};
use tandem_domain::{Code, Query, command::*};

use crate::world::*;

#[test]
fn needs_are_private_until_confirmed_and_consented() {
    let mut world = World::at_stage(3);
    let safety = world.need(ANN, "SAFETY");
    let meaning = world.need(ANN, "MEANING");
    assert_eq!(world.get(ANN, Query::Needs)["needs"].as_array().unwrap().len(), 2);
    assert_eq!(world.get(BEN, Query::Needs)["needs"], json!([]));

    let unconfirmed = world.post_refused::<ShareNeedsRequest>(ANN, json!({ "needIds": [safety] }));
    assert_eq!(unconfirmed.code, Code::GateNotSatisfied);
    let seq = world.session.seq();
    let confirmed = world.post::<ConfirmNeedsRequest>(ANN, json!({ "needIds": [safety] }));
    assert_eq!((&confirmed["confirmed"], &confirmed["allConfirmed"]), (&json!(true), &json!(false)));
    assert_eq!(confirmed["updated"][0]["id"], json!(safety));
    let body = json!({ "confirmations": [{ "needId": meaning, "confirmed": true, "adjustment": "to matter" }] });
    let all = world.post::<ConfirmNeedsRequest>(ANN, body);
    assert_eq!((&all["allConfirmed"], &all["updated"][0]["description"]), (&json!(true), &json!("to matter")));
    assert_eq!(world.announced_since(seq), ["partner.needs_confirmed"]);

    assert_eq!(world.query(ANN, Query::NeedsComparison).unwrap_err().code, Code::ConsentRequired);
    let shared = world.post::<ShareNeedsRequest>(ANN, json!({ "needIds": [safety] }));
    assert_eq!((&shared["consented"], &shared["waitingForPartner"]), (&json!(true), &json!(true)));
    assert_eq!(world.query(ANN, Query::NeedsComparison).unwrap_err().code, Code::PartnerNotReady);
    assert_eq!(world.query(BEN, Query::NeedsComparison).unwrap_err().code, Code::ConsentRequired);

    world.share_need(BEN, "SAFETY");
    let comparison = world.get(BEN, Query::NeedsComparison);
    assert_eq!(comparison["partnerNeeds"].as_array().unwrap().len(), 1, "the other one is not consented");
    assert_eq!(comparison["partnerNeeds"][0]["need"], "ann needs SAFETY");
}

#[test]
fn shared_needs_cannot_be_changed_without_revoking() {
    let mut world = World::at_stage(3);
    let id = world.need(ANN, "SAFETY");
    world.post::<ConfirmNeedsRequest>(ANN, json!({ "needIds": [id] }));
    world.post::<ShareNeedsRequest>(ANN, json!({ "needIds": [id] }));
    for change in
        [json!({ "needId": id, "confirmed": false }), json!({ "needId": id, "confirmed": true, "adjustment": "x" })]
    {
        let refused = world.post_refused::<ConfirmNeedsRequest>(ANN, json!({ "confirmations": [change] }));
        assert_eq!(refused.code, Code::Conflict);
    }
    assert_eq!(world.post_refused::<ShareNeedsRequest>(ANN, json!({ "needIds": [id] })).code, Code::Conflict);
}

#[test]
fn a_partners_needs_are_not_ones_own() {
    let mut world = World::at_stage(3);
    let bens = world.need(BEN, "SAFETY");
    assert_eq!(
        world.post_refused::<ConfirmNeedsRequest>(ANN, json!({ "needIds": [bens] })).code,
        Code::ValidationError
    );
    assert_eq!(world.post_refused::<ShareNeedsRequest>(ANN, json!({ "needIds": [bens] })).code, Code::ValidationError);
}

#[test]
fn common_ground_is_the_categories_that_both_have_shared() {
    let mut world = World::at_stage(3);
    assert_eq!(world.get(ANN, Query::CommonGround)["analysisComplete"], false);
    world.share_need(ANN, "SAFETY");
    let early = world.post_refused::<ConfirmCommonGroundRequest>(ANN, json!({ "confirmations": [] }));
    assert_eq!(early.code, Code::PartnerNotReady);
    world.share_need(BEN, "SAFETY");
    let (ann, ben) = (world.get(ANN, Query::CommonGround), world.get(BEN, Query::CommonGround));
    assert_eq!(ann["commonGround"], ben["commonGround"]);
    assert_eq!(ann["commonGround"][0]["category"], "SAFETY");
    let id = ann["commonGround"][0]["id"].clone();
    assert!(text(&id).starts_with('c') && text(&id).len() == 25);

    for bad in [json!([]), json!([{ "commonGroundId": "cunknown0id", "confirmed": true }])] {
        let refused = world.post_refused::<ConfirmCommonGroundRequest>(ANN, json!({ "confirmations": bad }));
        assert_eq!(refused.code, Code::ValidationError);
    }
    let body = json!({ "confirmations": [{ "commonGroundId": id, "confirmed": true }] });
    let seq = world.session.seq();
    let mine = world.post::<ConfirmCommonGroundRequest>(ANN, body.clone());
    assert_eq!((&mine["allConfirmedByMe"], &mine["allConfirmedByBoth"]), (&json!(true), &json!(false)));
    assert_eq!(world.announced_since(seq), ["partner.common_ground_confirmed", "partner.stage_completed"]);
    let both = world.post::<ConfirmCommonGroundRequest>(BEN, body);
    assert_eq!((&both["allConfirmedByBoth"], &both["canAdvance"]), (&json!(true), &json!(true)));
    assert_eq!(world.get(ANN, Query::CommonGround)["bothConfirmed"], true);
}

#[test]
fn having_nothing_in_common_is_confirmed_with_an_empty_list() {
    let mut world = World::at_stage(3);
    world.share_need(ANN, "SAFETY");
    world.share_need(BEN, "MEANING");
    let common = world.get(ANN, Query::CommonGround);
    assert_eq!((&common["commonGround"], &common["analysisComplete"]), (&json!([]), &json!(true)));
    assert_eq!(common["bothConfirmed"], false);
    assert_eq!(world.get(ANN, Query::Gates(3.try_into().unwrap()))["gates"]["commonGroundConfirmed"], false);
    world.each(|world, who| world.post::<ConfirmCommonGroundRequest>(who, json!({ "confirmations": [] })));
    world.each(World::advance);
}

#[test]
fn confirmed_at_is_shown_when_both_have_confirmed() {
    let mut world = World::at_stage(3);
    world.each(|world, who| world.share_need(who, "FAIRNESS"));
    world.confirm_common_ground(ANN);
    assert_eq!(world.get(ANN, Query::CommonGround)["commonGround"][0]["confirmedAt"], Value::Null);
    world.pass(HOUR);
    world.confirm_common_ground(BEN);
    assert_eq!(world.get(ANN, Query::CommonGround)["commonGround"][0]["confirmedAt"], json!(world.now));
}
