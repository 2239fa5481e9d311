//! Gates: what is needed to leave a stage, and that a blocked step changes nothing.

use serde_json::{Value, json};

use crate::harness::{Conversation, Member, has, items, shared};

#[track_caller]
fn blocked(answer: &Value, reason: &str) {
    has(answer, &["success", "advanced", "blockedReason", "unsatisfiedGates"]);
    assert_eq!(answer["success"], false, "{answer}");
    assert_eq!(answer["advanced"], false, "{answer}");
    assert_eq!(answer["blockedReason"], reason, "{answer}");
}

/// Tries to advance and insists that nothing happens.
async fn blocked_for(member: &Member, reason: &str) -> Value {
    let (seq, stage) = (member.seq().await, stage_of(member).await);
    let answer = member.advance().await.ok();
    blocked(&answer, reason);
    assert_eq!((member.seq().await, stage_of(member).await), (seq, stage), "a blocked step changes nothing");
    answer
}

async fn stage_of(member: &Member) -> Value {
    member.read("/progress").await.ok()["myProgress"]["stage"].clone()
}

#[tokio::test]
async fn stage_0_needs_both_signatures() {
    let both = Conversation::joined(&*shared().await).await;
    let answer = blocked_for(&both.anna, "GATES_NOT_SATISFIED").await;
    assert_eq!(answer["unsatisfiedGates"], json!(["compactSigned"]));
    both.anna.sign().await.done();
    blocked_for(&both.anna, "PARTNER_NOT_READY").await;
    blocked_for(&both.ben, "GATES_NOT_SATISFIED").await;
    both.ben.sign().await.done();
    assert_eq!(both.anna.advance().await.ok()["newStage"], 1);
    assert_eq!(stage_of(&both.ben).await, 0, "the caller only");
}

#[tokio::test]
async fn stage_1_needs_the_own_gate_only() {
    let both = Conversation::at_stage(&*shared().await, 1).await;
    let answer = blocked_for(&both.anna, "GATES_NOT_SATISFIED").await;
    assert_eq!(answer["unsatisfiedGates"], json!(["feelHeardConfirmed"]));
    both.anna.say("/feel-heard", json!({ "confirmed": false })).await;
    blocked_for(&both.anna, "GATES_NOT_SATISFIED").await;
    both.anna.feel_heard().await.done();
    assert_eq!(both.anna.advance().await.ok()["newStage"], 2);
}

#[tokio::test]
async fn stage_2_needs_both_shared_and_both_validated() {
    let both = Conversation::at_stage(&*shared().await, 2).await;
    let answer = blocked_for(&both.anna, "GATES_NOT_SATISFIED").await;
    let open = items(&answer["unsatisfiedGates"]);
    assert!(open.contains(&json!("empathyDraftReady")) && open.contains(&json!("empathyConsented")), "{open:?}");
    both.anna.validate().await.refused(403, "CONSENT_REQUIRED");
    both.anna.share_attempt().await;
    both.ben.share_attempt().await;
    blocked_for(&both.anna, "GATES_NOT_SATISFIED").await;
    both.anna.validate().await.done();
    blocked_for(&both.anna, "PARTNER_NOT_READY").await;
    both.ben.validate().await.done();
    assert_eq!(both.anna.advance().await.ok()["newStage"], 3);
}

#[tokio::test]
async fn stage_3_needs_the_partners_gates_not_the_partners_step() {
    let both = Conversation::at_stage(&*shared().await, 3).await;
    blocked_for(&both.anna, "GATES_NOT_SATISFIED").await;
    both.anna.share_needs().await;
    blocked_for(&both.anna, "GATES_NOT_SATISFIED").await;
    both.ben.share_needs().await;
    both.anna.confirm_common_ground().await;
    blocked_for(&both.anna, "PARTNER_NOT_READY").await;
    both.ben.confirm_common_ground().await;
    assert_eq!(both.anna.advance().await.ok()["newStage"], 4, "Ben has not advanced yet");
    assert_eq!(both.ben.advance().await.ok()["newStage"], 4);
}

#[tokio::test]
async fn stage_4_is_left_by_resolving() {
    let (both, _) = Conversation::agreed(&*shared().await).await;
    blocked_for(&both.anna, "INVALID_STAGE_TRANSITION").await;
}

#[tokio::test]
async fn a_step_that_was_made_can_be_repeated_without_effect() {
    let both = Conversation::joined(&*shared().await).await;
    both.satisfy(0).await;
    let step = json!({ "fromStage": 0, "toStage": 1 });
    assert_eq!(both.anna.say("/stages/advance", step.clone()).await.ok()["newStage"], 1);
    let seq = both.anna.seq().await;
    let again = both.anna.say("/stages/advance", step).await.ok();
    assert_eq!((&again["success"], &again["newStage"]), (&json!(true), &json!(1)));
    assert_eq!(both.anna.seq().await, seq, "nothing happened");
    blocked(
        &both.anna.say("/stages/advance", json!({ "fromStage": 1, "toStage": 3 })).await.ok(),
        "INVALID_STAGE_TRANSITION",
    );
    blocked(
        &both.anna.say("/stages/advance", json!({ "fromStage": 2, "toStage": 3 })).await.ok(),
        "INVALID_STAGE_TRANSITION",
    );
}

#[tokio::test]
async fn an_inactive_session_allows_no_advance() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    both.satisfy(0).await;
    both.ben.press("/pause").await.done();
    blocked_for(&both.anna, "SESSION_NOT_ACTIVE").await;
    let invited = Conversation::invited(&server).await;
    blocked_for(&invited.anna, "SESSION_NOT_ACTIVE").await;
}

#[tokio::test]
async fn two_simultaneous_advances_move_each_partner_by_one_stage() {
    let both = Conversation::joined(&*shared().await).await;
    both.satisfy(0).await;
    let steps = futures_util::future::join_all((0..4).flat_map(|_| [both.anna.advance(), both.ben.advance()])).await;
    let reached: Vec<_> = steps.iter().map(|step| step.ok()).filter(|step| step["advanced"] == true).collect();
    assert!(reached.iter().all(|step| step["newStage"] == 1), "nobody skips: {reached:?}");
    for member in both.members() {
        assert_eq!(stage_of(member).await, 1);
    }
    let advanced = |event: &&Value| event["name"] == "partner.advanced";
    assert_eq!(both.anna.events().await.iter().filter(advanced).count(), 2, "one step of each, told once");
}

#[tokio::test]
async fn gates_are_shown_for_every_stage() {
    let both = Conversation::joined(&*shared().await).await;
    for (stage, gates) in [
        (0, vec!["compactSigned", "partnerCompactSigned"]),
        (1, vec!["feelHeardConfirmed"]),
        (2, vec!["empathyDraftReady", "empathyConsented", "empathyValidated", "partnerConsented", "partnerValidated"]),
        (3, vec!["needsConfirmed", "needsShared", "commonGroundConfirmed", "needsValidated", "partnerNeedsConfirmed"]),
        (4, vec!["strategiesSubmitted", "rankingsSubmitted", "overlapIdentified", "agreementCreated"]),
    ] {
        let shown = both.anna.read(&format!("/stages/{stage}/gates")).await.ok();
        assert_eq!(shown["stage"], stage);
        has(&shown["gates"], &gates);
        assert!(shown["gates"].as_object().expect("fields").values().all(|gate| gate != true), "{shown}");
    }
}

#[tokio::test]
async fn a_partner_who_waits_sees_the_status_waiting() {
    let both = Conversation::joined(&*shared().await).await;
    both.anna.sign().await.done();
    assert_eq!(both.anna.read("").await.ok()["session"]["status"], "WAITING");
    assert_eq!(both.ben.read("").await.ok()["session"]["status"], "ACTIVE");
    both.ben.sign().await.done();
    assert_eq!(both.anna.read("").await.ok()["session"]["status"], "ACTIVE");
}

#[tokio::test]
async fn the_partners_signature_is_hidden_until_one_has_signed() {
    let both = Conversation::joined(&*shared().await).await;
    both.anna.sign().await.done();
    for signed in [false, true] {
        let status = both.ben.read("/compact/status").await.ok();
        assert_eq!(status["partnerSigned"] == true, signed, "{status}");
        assert_eq!(status["partnerSignedAt"].is_string(), signed, "{status}");
        let gates = both.ben.read("/stages/0/gates").await.ok();
        assert_eq!(gates["gates"]["partnerCompactSigned"] == true, signed, "{gates}");
        let state = both.ben.read("/state").await.ok();
        assert_eq!(state["compact"]["partnerSigned"] == true, signed, "{state}");
        if !signed {
            let progress = both.ben.read("/progress").await.ok();
            assert_eq!(
                progress["partnerProgress"]["status"], "IN_PROGRESS",
                "the status does not tell either: {progress}"
            );
            both.ben.sign().await.done();
        }
    }
}
