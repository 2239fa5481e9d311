//! Consents as records: what is asked, decided, looked up and revoked one by one.

use serde_json::{Value, json};
use tandem_domain::{Code, Query, command::*};

use crate::world::*;

fn pending(world: &World, who: &str) -> Vec<Value> {
    world.get(who, Query::PendingConsents)["pendingRequests"].as_array().unwrap().clone()
}

fn decide(request: &Value, decision: &str) -> Value {
    json!({ "consentRequestId": request["id"], "decision": decision })
}

#[test]
fn a_ready_draft_is_a_pending_consent_until_it_is_decided() {
    let mut world = World::at_stage(2);
    assert!(pending(&world, ANN).is_empty());
    world.post::<SaveEmpathyDraftRequest>(ANN, json!({ "content": "not ready" }));
    assert!(pending(&world, ANN).is_empty());
    let draft = world.draft(ANN, "ann imagines");
    let asked = pending(&world, ANN);
    assert_eq!((&asked[0]["contentType"], &asked[0]["targetId"]), (&json!("EMPATHY_DRAFT"), &draft["draftId"]));
    assert!(pending(&world, BEN).is_empty(), "it is asked of its author");

    let denied = world.post::<DecideConsentRequest>(ANN, decide(&asked[0], "DENIED"));
    assert_eq!((&denied["recorded"], &denied["consentRecord"]["decision"]), (&json!(true), &json!("DENIED")));
    assert_eq!(denied["sharedContent"], Value::Null);
    assert!(pending(&world, ANN).is_empty());
    world.post::<DecideConsentRequest>(ANN, decide(&asked[0], "DENIED"));
    assert_eq!(world.post_refused::<DecideConsentRequest>(ANN, decide(&asked[0], "GRANTED")).code, Code::Conflict);

    world.draft(ANN, "ann imagines otherwise");
    let asked = pending(&world, ANN);
    let mut body = decide(&asked[0], "GRANTED");
    body["editedContent"] = json!("ann imagines at last");
    let granted = world.post::<DecideConsentRequest>(ANN, body);
    let record = &granted["consentRecord"];
    assert_eq!((&record["decision"], &record["contentType"]), (&json!("GRANTED"), &json!("EMPATHY_ATTEMPT")));
    assert_eq!(granted["sharedContent"]["transformedContent"], "ann imagines at last");
    assert_eq!(world.get(ANN, Query::EmpathyStatus)["myAttempt"]["consentRecordId"], record["id"]);
    assert!(pending(&world, ANN).is_empty());
}

#[test]
fn all_confirmed_needs_are_one_pending_consent() {
    let mut world = World::at_stage(3);
    let (one, two) = (world.need(ANN, "SAFETY"), world.need(ANN, "MEANING"));
    world.post::<ConfirmNeedsRequest>(ANN, json!({ "needIds": [one, two] }));
    let asked = pending(&world, ANN);
    assert_eq!(
        (&asked[0]["contentType"], &asked[0]["metadata"]["needIds"]),
        (&json!("IDENTIFIED_NEED"), &json!([one, two]))
    );
    let mut edited = decide(&asked[0], "GRANTED");
    edited["editedContent"] = json!("x");
    assert_eq!(world.post_refused::<DecideConsentRequest>(ANN, edited).code, Code::ValidationError);
    let seq = world.session.seq();
    world.post::<DecideConsentRequest>(ANN, decide(&asked[0], "GRANTED"));
    assert_eq!(world.announced_since(seq), ["partner.needs_shared"]);
    world.share_need(BEN, "SAFETY");
    assert_eq!(world.get(BEN, Query::NeedsComparison)["partnerNeeds"].as_array().unwrap().len(), 2);
}

#[test]
fn a_request_of_the_partner_is_unknown() {
    let mut world = World::at_stage(2);
    world.draft(ANN, "ann imagines");
    let asked = pending(&world, ANN);
    for decision in ["GRANTED", "DENIED"] {
        assert_eq!(world.post_refused::<DecideConsentRequest>(BEN, decide(&asked[0], decision)).code, Code::NotFound);
    }
    let unknown = json!({ "consentRequestId": "cunknown0request", "decision": "GRANTED" });
    assert_eq!(world.post_refused::<DecideConsentRequest>(ANN, unknown).code, Code::NotFound);
}

#[test]
fn the_history_lists_decisions_and_revocations_newest_first() {
    let mut world = World::at_stage(3);
    world.share_need(ANN, "SAFETY");
    let records = world.get(ANN, Query::ConsentHistory)["records"].clone();
    let kinds: Vec<_> = records.as_array().unwrap().iter().map(|record| text(&record["contentType"])).collect();
    assert_eq!(kinds, ["IDENTIFIED_NEED", "EMPATHY_ATTEMPT"]);
    assert!(!records.to_string().contains("ann needs") && !records.to_string().contains("ann imagines"));

    let id = records[0]["id"].clone();
    for _ in 0..2 {
        let revoked = world.post::<RevokeConsentRequest>(ANN, json!({ "consentRecordId": id }));
        assert_eq!((&revoked["revoked"], &revoked["revokedAt"]), (&json!(true), &json!(world.now)));
    }
    assert_eq!(world.get(ANN, Query::ConsentHistory)["records"][0]["revokedAt"], json!(world.now));
    assert_eq!(world.get(ANN, Query::ConsentHistory)["records"][1]["revokedAt"], Value::Null);
    assert_eq!(pending(&world, ANN).len(), 1, "what was revoked can be shared again");
}

#[test]
fn a_consent_can_be_revoked_only_by_its_owner() {
    let mut world = World::at_stage(3);
    let of_ann = world.get(ANN, Query::ConsentHistory)["records"][0]["id"].clone();
    for id in [of_ann, json!("cunknown0record")] {
        let refused = world.post_refused::<RevokeConsentRequest>(BEN, json!({ "consentRecordId": id }));
        assert_eq!(refused.code, Code::NotFound);
    }
    assert_eq!(world.get(BEN, Query::EmpathyPartner)["attempt"]["content"], "ann imagines");
}
