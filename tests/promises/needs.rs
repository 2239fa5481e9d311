//! Needs and common ground: what is confirmed and consented to is shared, and only once both have.

use serde_json::{Value, json};

use crate::harness::{Conversation, Member, Realtime, has, items, shared, text};

async fn add(member: &Member, need: &str, category: &str) -> String {
    text(&member.need(need, category).await.created()["need"]["id"])
}

async fn confirm(member: &Member, ids: &[&String]) -> Value {
    member.say("/needs/confirm", json!({ "needIds": ids })).await.done()
}

async fn consent(member: &Member, ids: &[&String]) -> Value {
    member.say("/needs/consent", json!({ "needIds": ids })).await.done()
}

#[tokio::test]
async fn needs_are_private_until_both_have_consented_and_then_only_the_chosen_ones_show() {
    let both = Conversation::at_stage(&*shared().await, 3).await;
    let shown = add(&both.anna, "to be asked first", "RECOGNITION").await;
    let kept = add(&both.anna, "to be left in peace", "AUTONOMY").await;
    confirm(&both.anna, &[&shown, &kept]).await;
    let shared = consent(&both.anna, &[&shown]).await;
    assert_eq!((&shared["waitingForPartner"], &shared["commonGroundReady"]), (&json!(true), &json!(false)));
    both.anna.read("/needs/comparison").await.refused(400, "PARTNER_NOT_READY");
    both.ben.read("/needs/comparison").await.refused(403, "CONSENT_REQUIRED");
    for path in ["/needs", "/common-ground", "/state", "/events"] {
        let seen = both.ben.read(path).await.body;
        assert!(!seen.contains("to be asked") && !seen.contains("to be left"), "{path}: {seen}");
    }
    let of_ben = add(&both.ben, "to be told", "RECOGNITION").await;
    confirm(&both.ben, &[&of_ben]).await;
    assert_eq!(consent(&both.ben, &[&of_ben]).await["commonGroundReady"], true);
    let seen = both.ben.read("/needs/comparison").await;
    seen.ok();
    assert!(seen.body.contains("to be asked first") && seen.body.contains("to be told"), "{}", seen.body);
    assert!(!seen.body.contains("to be left in peace"), "never consented: {}", seen.body);
}

#[tokio::test]
async fn only_confirmed_needs_of_ones_own_can_be_shared() {
    let both = Conversation::at_stage(&*shared().await, 3).await;
    let (mine, of_ben) = (add(&both.anna, "to rest", "SAFETY").await, add(&both.ben, "to talk", "SAFETY").await);
    let early = both.anna.say("/needs/consent", json!({ "needIds": [mine] })).await;
    assert!(early.status == 400, "not confirmed yet: {}", early.body);
    confirm(&both.anna, &[&mine]).await;
    confirm(&both.ben, &[&of_ben]).await;
    for ids in [json!([]), json!([of_ben]), json!([mine, of_ben]), json!(["cnosuchneed0"])] {
        let answer = both.anna.say("/needs/consent", json!({ "needIds": ids })).await;
        assert!(matches!(answer.status, 400 | 404), "{ids}: {}", answer.body);
    }
    let theirs = both.anna.say("/needs/confirm", json!({ "needIds": [of_ben] })).await;
    assert!(matches!(theirs.status, 400 | 404), "{}", theirs.body);
    consent(&both.anna, &[&mine]).await;
}

#[tokio::test]
async fn needs_are_confirmed_one_by_one_too() {
    let both = Conversation::at_stage(&*shared().await, 3).await;
    let (one, two) = (add(&both.anna, "to rest", "SAFETY").await, add(&both.anna, "to play", "MEANING").await);
    let first = json!({ "confirmations": [{ "needId": one, "confirmed": true }] });
    assert_eq!(both.anna.say("/needs/confirm", first).await.done()["allConfirmed"], false);
    assert_eq!(both.anna.advance().await.ok()["blockedReason"], "GATES_NOT_SATISFIED");
    let second = json!({ "confirmations": [{ "needId": two, "confirmed": true }] });
    assert_eq!(both.anna.say("/needs/confirm", second).await.done()["allConfirmed"], true);
}

#[tokio::test]
async fn common_ground_is_what_both_shared() {
    let both = Conversation::at_stage(&*shared().await, 3).await;
    let of_anna = ["SAFETY", "MEANING", "FAIRNESS", "AUTONOMY"];
    let of_ben = ["FAIRNESS", "MEANING", "SAFETY", "CONNECTION"];
    // Anna keeps FAIRNESS to herself: it is not common, though both have it.
    for (member, categories, shows) in [(&both.anna, of_anna, [0, 1, 3]), (&both.ben, of_ben, [0, 1, 2])] {
        let mut ids = Vec::new();
        for category in categories {
            ids.push(add(member, "a need", category).await);
        }
        confirm(member, &ids.iter().collect::<Vec<_>>()).await;
        assert_eq!(member.read("/common-ground").await.ok()["analysisComplete"], false);
        consent(member, &shows.map(|at: usize| &ids[at])).await;
    }
    for member in both.members() {
        let ground = items(&member.read("/common-ground").await.ok()["commonGround"]);
        let mut categories: Vec<_> = ground.iter().map(|one| text(&one["category"])).collect();
        categories.sort();
        assert_eq!(categories, ["MEANING", "SAFETY"]);
    }
}

#[tokio::test]
async fn common_ground_is_confirmed_by_each_for_themselves() {
    let both = Conversation::at_stage(&*shared().await, 3).await;
    let early = both.anna.say("/common-ground/confirm", json!({ "confirmations": [] })).await;
    early.refused(403, "CONSENT_REQUIRED");
    both.anna.share_needs().await;
    both.ben.share_needs().await;
    let ground = items(&both.anna.read("/common-ground").await.ok()["commonGround"]);
    assert_eq!(ground.len(), 2);
    let half = json!({ "confirmations": [{ "commonGroundId": ground[0]["id"], "confirmed": true }] });
    assert_eq!(both.anna.say("/common-ground/confirm", half).await.done()["allConfirmedByMe"], false);
    let all = both.anna.confirm_common_ground().await;
    assert_eq!((&all["allConfirmedByMe"], &all["allConfirmedByBoth"]), (&json!(true), &json!(false)));
    assert_eq!(both.ben.read("/common-ground").await.ok()["bothConfirmed"], false);
    assert_eq!(both.ben.confirm_common_ground().await["allConfirmedByBoth"], true);
    assert_eq!(both.anna.read("/common-ground").await.ok()["bothConfirmed"], true);
}

/// Both use the app: its screens ask for the status of stage 2.
async fn in_the_app() -> Conversation {
    let both = Conversation::at_stage(&*shared().await, 3).await;
    for member in both.members() {
        member.read("/empathy/status").await.ok();
    }
    both
}

async fn stages(both: &Conversation) -> [Value; 2] {
    let stage = async |member: &Member| member.read("/progress").await.ok()["myProgress"]["stage"].clone();
    [stage(&both.anna).await, stage(&both.ben).await]
}

#[tokio::test]
async fn in_the_app_the_comparison_is_empty_until_both_have_shared() {
    let both = in_the_app().await;
    both.anna.share_needs().await;
    for member in both.members() {
        let empty = member.read("/needs/comparison").await.ok();
        for list in ["myNeeds", "partnerNeeds", "commonGround"] {
            assert_eq!(empty[list], json!([]), "{empty}");
        }
        assert_eq!((&empty["analysisComplete"], &empty["noOverlap"]), (&json!(false), &json!(false)));
    }
    both.ben.share_needs().await;
    let full = both.anna.read("/needs/comparison").await.ok();
    assert_eq!((items(&full["myNeeds"]).len(), items(&full["partnerNeeds"]).len()), (2, 2));
    assert_eq!((&full["analysisComplete"], &full["noOverlap"]), (&json!(true), &json!(false)));
    both.ben.say("/consent/revoke", json!({ "kind": "needs" })).await.done();
    assert_eq!(both.anna.read("/needs/comparison").await.ok()["partnerNeeds"], json!([]));
}

/// Each of the two generations ends the stage in its own way, and a session may have both.
#[tokio::test]
async fn confirming_and_validating_together_advance_both_partners() {
    let both = in_the_app().await;
    let early = both.ben.say("/needs/validate", json!({})).await;
    early.refused(400, "GATE_NOT_SATISFIED");
    both.anna.share_needs().await;
    both.ben.share_needs().await;
    assert_eq!(stages(&both).await, [3, 3], "sharing alone is no validation");
    both.anna.confirm_common_ground().await;
    let validated = both.ben.say("/needs/validate", json!({ "validated": true })).await.done();
    assert_eq!(validated["validated"], true);
    assert_eq!(stages(&both).await, [4, 4]);
    assert_eq!(both.ben.say("/needs/validate", json!({})).await.ok()["validated"], true, "the app sends it again");
}

#[tokio::test]
async fn in_the_app_partners_without_common_ground_advance() {
    let both = in_the_app().await;
    for (member, category) in [(&both.anna, "SAFETY"), (&both.ben, "MEANING")] {
        let id = add(member, "a need", category).await;
        confirm(member, &[&id]).await;
        consent(member, &[&id]).await;
    }
    for member in both.members() {
        let ground = member.read("/common-ground").await.ok();
        assert_eq!((&ground["analysisComplete"], &ground["noOverlap"]), (&json!(true), &json!(true)));
        member.say("/common-ground/confirm", json!({ "confirmations": [] })).await.done();
    }
    assert_eq!(stages(&both).await, [4, 4]);
}

#[tokio::test]
async fn needs_are_captured_edited_and_removed_until_they_are_shared() {
    let both = Conversation::at_stage(&*shared().await, 3).await;
    let mut ear = Realtime::connect(&both.anna).await;
    ear.attach(&both.session).await;
    let need =
        |need: &str| json!({ "need": need, "category": "SAFETY", "description": "d", "evidence": ["so I said"] });
    let captured =
        both.anna.say("/needs/capture", json!({ "needs": [need("to rest"), need("to play")] })).await.created();
    has(&captured, &["needs", "capturedAt"]);
    ear.message(&both.session, "session.needs_extracted").await;
    assert!(!json!(ear.frames()).to_string().contains("to rest"), "the channel hears no words");
    let ids: Vec<_> = items(&captured["needs"]).iter().map(|need| text(&need["id"])).collect();
    let update = json!({ "type": "updateNeedText", "needId": ids[0], "newText": "to sleep" });
    let edited = both.anna.say("/needs/apply-edits", json!({ "operations": [update] })).await.done();
    assert_eq!(
        (&edited["applied"][0]["operation"], &edited["applied"][0]["after"]),
        (&json!("text_change"), &json!("to sleep"))
    );
    let path = |id: &str| both.anna.path(&format!("/needs/{id}"));
    let removed = both.anna.delete(&path(&ids[1])).await.ok();
    assert_eq!((&removed["deleted"], &removed["needId"]), (&json!(true), &json!(ids[1])));
    assert!(removed["need"]["deletedAt"].is_string());
    assert_eq!(both.anna.delete(&path(&ids[1])).await.ok()["deleted"], true, "the app sends it again");
    for unknown in ["cnosuchneed0", "no-id"] {
        both.anna.delete(&path(unknown)).await.refused(404, "NOT_FOUND");
    }
    confirm(&both.anna, &[&ids[0]]).await;
    consent(&both.anna, &[&ids[0]]).await;
    both.anna.delete(&path(&ids[0])).await.refused(403, "FORBIDDEN");
    let seen = both.ben.read("/needs").await.body + &both.ben.read("/needs/comparison").await.body;
    assert!(!seen.contains("to sleep") && !seen.contains("so I said"), "{seen}");
}
