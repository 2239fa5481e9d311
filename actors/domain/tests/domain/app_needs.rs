//! Stage 3 as the app goes through it: April by the common ground, June by validating both lists, and both in one
//! session.

use serde_json::{Value, json};
use tandem_domain::{Code, Command, Query, command::*};

use crate::world::*;

fn validate(world: &mut World, who: &str) -> Value {
    world.post::<ValidateNeedsRequest>(who, json!({}))
}

/// Both use the app, and both have shared a need of this category.
fn shared(of_ann: &str, of_ben: &str) -> World {
    let mut world = World::app_at_stage(3);
    world.share_need(ANN, of_ann);
    world.share_need(BEN, of_ben);
    world
}

#[test]
fn before_both_have_shared_the_comparison_is_empty() {
    let mut world = World::app_at_stage(3);
    world.share_need(ANN, "SAFETY");
    for who in [ANN, BEN] {
        let seen = world.get(who, Query::NeedsComparison);
        for list in ["myNeeds", "partnerNeeds", "commonGround"] {
            assert_eq!(seen[list], json!([]), "{list}");
        }
        assert_eq!((&seen["analysisComplete"], &seen["noOverlap"]), (&json!(false), &json!(false)));
    }
    let second = world.share_need(BEN, "SAFETY");
    assert_eq!((&second["commonGroundReady"], &second["needsRevealReady"]), (&json!(true), &json!(true)));
    assert_eq!(second["advancedToStage4"], false);
    let seen = world.get(ANN, Query::NeedsComparison);
    assert_eq!(seen["partnerNeeds"][0]["need"], "ben needs SAFETY");
    assert_eq!((&seen["analysisComplete"], &seen["noOverlap"]), (&json!(true), &json!(false)));
    assert_eq!(world.stages(), [3, 3], "sharing is no validation");
}

#[test]
fn the_second_answer_of_either_kind_advances_both() {
    type Answer = fn(&mut World, &str) -> Value;
    let (april, june): (Answer, Answer) = (World::confirm_common_ground, validate);
    for (ann, ben) in [(april, april), (june, june), (april, june), (june, april)] {
        let mut world = shared("SAFETY", "SAFETY");
        ann(&mut world, ANN);
        assert_eq!(world.stages(), [3, 3]);
        let seq = world.session.seq();
        ben(&mut world, BEN);
        assert_eq!(world.stages(), [4, 4]);
        assert!(world.announced_since(seq).contains(&"partner.advanced"));
    }
}

#[test]
fn partners_without_a_shared_category_advance_with_empty_lists() {
    let mut world = shared("SAFETY", "MEANING");
    for query in [Query::CommonGround, Query::NeedsComparison] {
        let seen = world.get(ANN, query);
        assert_eq!((&seen["analysisComplete"], &seen["noOverlap"]), (&json!(true), &json!(true)), "{query:?}");
    }
    world.each(|world, who| world.post::<ConfirmCommonGroundRequest>(who, json!({ "confirmations": [] })));
    assert_eq!(world.stages(), [4, 4]);
}

#[test]
fn a_validation_needs_both_lists_and_can_be_taken_back() {
    let mut world = World::app_at_stage(3);
    assert_eq!(world.post_refused::<ValidateNeedsRequest>(ANN, json!({})).code, Code::GateNotSatisfied);
    world.share_need(ANN, "SAFETY");
    assert_eq!(world.post_refused::<ValidateNeedsRequest>(ANN, json!({})).code, Code::PartnerNotReady);
    world.share_need(BEN, "SAFETY");
    let seq = world.session.seq();
    let mine = validate(&mut world, ANN);
    assert_eq!((&mine["validated"], &mine["partnerValidated"]), (&json!(true), &json!(false)));
    assert_eq!(world.announced_since(seq), ["partner.needs_validated", "partner.stage_completed"]);
    assert_eq!(world.get(ANN, Query::Progress)["myProgress"]["gatesSatisfied"]["needsValidated"], true);
    assert_eq!(world.get(BEN, Query::NeedsComparison)["partnerValidated"], true);
    let back = world.post::<ValidateNeedsRequest>(ANN, json!({ "validated": false }));
    assert_eq!((&back["validated"], &back["validatedAt"]), (&json!(false), &Value::Null));
    validate(&mut world, BEN);
    assert_eq!(world.stages(), [3, 3], "what was taken back opens nothing");
}

#[test]
fn a_validation_is_void_when_the_other_shares_something_else() {
    let mut world = shared("SAFETY", "SAFETY");
    validate(&mut world, ANN);
    world.post::<RevokeConsentRequest>(BEN, json!({ "kind": "needs" }));
    assert_eq!(world.get(ANN, Query::Progress)["myProgress"]["gatesSatisfied"]["needsValidated"], false);
    world.share_need(BEN, "MEANING");
    assert_eq!(world.get(ANN, Query::NeedsComparison)["myValidated"], false);
}

#[test]
fn revoked_needs_are_gone_from_every_answer() {
    let mut world = shared("SAFETY", "SAFETY");
    world.post::<RevokeConsentRequest>(BEN, json!({ "kind": "needs" }));
    for query in [Query::NeedsComparison, Query::CommonGround, Query::State, Query::PendingActions] {
        assert!(!world.get(ANN, query).to_string().contains("ben needs"), "{query:?}");
    }
    assert_eq!(world.get(ANN, Query::CommonGround)["noOverlap"], false);
}

#[test]
fn captured_needs_replace_the_unconfirmed_ones() {
    let mut world = World::app_at_stage(3);
    let kept = world.need(ANN, "SAFETY");
    world.post::<ConfirmNeedsRequest>(ANN, json!({ "needIds": [kept] }));
    world.need(ANN, "MEANING");
    let need =
        |need: &str| json!({ "need": need, "category": "FAIRNESS", "description": "d", "evidence": ["so she said"] });
    let seq = world.session.seq();
    let captured = world.post::<CaptureNeedsRequest>(ANN, json!({ "needs": [need("one"), need("two")] }));
    let texts: Vec<_> = captured["needs"].as_array().unwrap().iter().map(|need| text(&need["need"])).collect();
    assert_eq!(texts, ["ann needs SAFETY", "one", "two"]);
    assert_eq!(captured["needs"][1]["evidence"], json!(["so she said"]));
    assert_eq!(world.announced_since(seq), ["session.needs_extracted"]);
    assert_eq!(world.get(BEN, Query::Summary)["unread"], world.get(BEN, Query::Detail)["session"]["unread"]);

    let ids: Vec<_> = captured["needs"].as_array().unwrap().iter().map(|need| need["id"].clone()).collect();
    world.post::<ConfirmNeedsRequest>(ANN, json!({ "needIds": ids }));
    world.post::<ShareNeedsRequest>(ANN, json!({ "needIds": ids }));
    world.share_need(BEN, "FAIRNESS");
    let seen = world.get(BEN, Query::NeedsComparison).to_string();
    assert!(seen.contains("two") && !seen.contains("so she said"), "the evidence stays with its owner: {seen}");
}

#[test]
fn edits_are_atomic() {
    let mut world = World::app_at_stage(3);
    let (one, two) = (world.need(ANN, "SAFETY"), world.need(ANN, "MEANING"));
    world.post::<ConfirmNeedsRequest>(ANN, json!({ "needIds": [one, two] }));
    let update =
        json!({ "type": "updateNeedText", "needId": one, "newText": "to be asked", "newCategory": "FAIRNESS" });
    let remove = json!({ "type": "removeNeed", "needId": two });
    let unknown = json!({ "type": "removeNeed", "needId": "cno0such0need" });
    let refused = world.post_refused::<EditNeedsRequest>(ANN, json!({ "operations": [update, unknown] }));
    assert_eq!(refused.code, Code::ValidationError);
    assert_eq!(world.get(ANN, Query::Needs)["needs"][0]["need"], "ann needs SAFETY");

    let add = json!({ "type": "addNeed", "text": "to play" });
    let edited = world.post::<EditNeedsRequest>(ANN, json!({ "operations": [update, remove, add] }));
    let applied: Vec<_> = edited["applied"].as_array().unwrap().iter().map(|edit| text(&edit["operation"])).collect();
    assert_eq!(applied, ["text_change", "category_change", "remove", "add"]);
    assert_eq!(
        (&edited["applied"][0]["before"], &edited["applied"][0]["after"]),
        (&json!("ann needs SAFETY"), &json!("to be asked"))
    );
    assert_eq!(edited["warnings"].as_array().unwrap().len(), 1, "the category was assumed");
    let needs = &edited["needs"];
    assert_eq!((&needs[0]["category"], &needs[0]["confirmed"]), (&json!("FAIRNESS"), &json!(false)));
    assert_eq!(
        (&needs[1]["need"], &needs[1]["category"], needs.as_array().unwrap().len()),
        (&json!("to play"), &json!("MEANING"), 2)
    );
    assert_eq!(world.get(ANN, Query::Progress)["myProgress"]["gatesSatisfied"]["needsConfirmed"], false);
}

#[test]
fn a_removed_need_is_gone_and_its_removal_can_be_repeated() {
    let mut world = World::app_at_stage(3);
    let (mine, of_ben) = (world.need(ANN, "SAFETY"), world.need(BEN, "SAFETY"));
    let remove = |id: &str| Command::RemoveNeed(RemoveNeed { need: id.parse().unwrap() });
    let removed = world.ok(ANN, remove(&mine));
    assert_eq!((&removed["deleted"], &removed["needId"]), (&json!(true), &json!(mine)));
    assert_eq!((&removed["need"]["need"], &removed["need"]["status"]), (&json!("ann needs SAFETY"), &json!("deleted")));
    assert!(removed["need"]["deletedAt"].is_string());
    assert_eq!(world.get(ANN, Query::Needs)["needs"], json!([]));
    let seq = world.session.seq();
    assert_eq!(world.ok(ANN, remove(&mine))["deleted"], true);
    assert_eq!(world.session.seq(), seq);
    assert_eq!(world.code(ANN, remove(&of_ben)), Code::NotFound);
    assert_eq!(world.get(BEN, Query::Needs)["needs"].as_array().unwrap().len(), 1);
}

#[test]
fn shared_needs_are_not_edited() {
    let mut world = shared("SAFETY", "SAFETY");
    let id = text(&world.get(ANN, Query::Needs)["needs"][0]["id"]);
    let edit = json!({ "operations": [{ "type": "removeNeed", "needId": id }] });
    assert_eq!(world.post_refused::<EditNeedsRequest>(ANN, edit).code, Code::Forbidden);
    assert_eq!(world.code(ANN, Command::RemoveNeed(RemoveNeed { need: id.parse().unwrap() })), Code::Forbidden);
    let capture = json!({ "needs": [{ "need": "x", "category": "SAFETY" }] });
    assert_eq!(world.post_refused::<CaptureNeedsRequest>(ANN, capture).code, Code::Forbidden);
}

#[test]
fn a_correction_rephrases_and_a_confirmed_need_is_locked() {
    let mut world = World::app_at_stage(3);
    let (one, two) = (world.need(ANN, "SAFETY"), world.need(ANN, "MEANING"));
    let body = json!({
        "needIds": [one, two],
        "adjustments": [{ "needId": one, "confirmed": true, "correction": "at home" }, { "needId": two, "confirmed": false }],
    });
    world.post::<ConfirmNeedsRequest>(ANN, body);
    let needs = world.get(ANN, Query::Needs)["needs"].clone();
    assert_eq!((&needs[0]["description"], &needs[0]["lockedAt"]), (&json!("at home"), &json!(world.now)));
    assert_eq!((&needs[0]["status"], &needs[1]["status"]), (&json!("locked"), &json!("draft")));
    assert_eq!((&needs[1]["confirmed"], &needs[1]["lockedAt"]), (&json!(false), &Value::Null));
    assert!(needs[0]["deletedAt"].is_null() && needs[0]["supersededByNeedId"].is_null());
}

/// Every answer may be lost on its way, and the app sends the same again.
#[test]
fn a_request_can_be_repeated() {
    let mut world = World::app_at_stage(3);
    let id = world.need(ANN, "SAFETY");
    let ids = json!({ "needIds": [id] });
    for _ in 0..2 {
        world.post::<ConfirmNeedsRequest>(ANN, ids.clone());
    }
    let seq = world.session.seq();
    for _ in 0..2 {
        assert_eq!(world.post::<ShareNeedsRequest>(ANN, ids.clone())["consented"], true);
        assert_eq!(world.session.seq(), seq + 1);
    }
    world.share_need(BEN, "SAFETY");
    let common = text(&world.get(ANN, Query::CommonGround)["commonGround"][0]["id"]);
    let confirmed = json!({ "confirmations": [{ "commonGroundId": common, "confirmed": true }] });
    validate(&mut world, BEN);
    world.post::<ConfirmCommonGroundRequest>(ANN, confirmed.clone());
    assert_eq!(world.stages(), [4, 4]);
    let seq = world.session.seq();
    assert_eq!(world.post::<ConfirmCommonGroundRequest>(ANN, confirmed)["allConfirmedByMe"], true);
    assert_eq!(validate(&mut world, BEN)["validated"], true);
    assert_eq!(world.post::<ShareNeedsRequest>(ANN, ids)["advancedToStage4"], true);
    assert_eq!(world.session.seq(), seq);
}
