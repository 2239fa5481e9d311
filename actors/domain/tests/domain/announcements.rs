//! Which events the channel hears of, under which name, and what they tell.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tandem_domain::{
    Audience, Event, EventBody, EventName, consents::ConsentKind, event::is_reserved, private_text::PrivateText,
    stage::Stage,
};

use crate::{
    golden::{event, name, samples},
    world::user,
};

const ID: &str = "cabcdefghijklmnopqrstuvwx";

/// All variants that are announced as they are in the samples; every other one is silent.
fn table() -> BTreeMap<&'static str, (&'static str, Value)> {
    BTreeMap::from([
        ("joined", ("session.joined", json!({}))),
        ("invitation_declined", ("invitation.declined", json!({}))),
        ("invitation_sent", ("invitation.confirmed", json!({}))),
        ("compact_signed", ("partner.signed_compact", json!({ "signedAt": "2027-01-15T08:00:00.000Z" }))),
        (
            "stage_completed",
            ("partner.stage_completed", json!({ "stage": 1, "completedAt": "2027-01-15T08:00:00.000Z" })),
        ),
        ("advanced", ("partner.advanced", json!({ "toStage": 2 }))),
        ("empathy_shared", ("partner.empathy_shared", json!({}))),
        ("empathy_judged", ("partner.revision_requested", json!({}))),
        ("refinement_skipped", ("partner.skipped_refinement", json!({ "willingToAccept": true }))),
        ("needs_captured", ("session.needs_extracted", json!({}))),
        ("needs_confirmed", ("partner.needs_confirmed", json!({}))),
        ("common_ground_confirmed", ("partner.common_ground_confirmed", json!({}))),
        ("needs_validated", ("partner.needs_validated", json!({}))),
        ("needs_shared", ("partner.needs_shared", json!({}))),
        ("consent_revoked", ("partner.consent_revoked", json!({ "kind": "empathy" }))),
        ("ready_to_rank", ("partner.ready_to_rank", json!({}))),
        ("strategy_proposed", ("session.strategies_updated", json!({}))),
        ("strategy_revised", ("session.strategies_updated", json!({}))),
        ("path_chosen", ("partner.ready_to_rank", json!({}))),
        (
            "selections_made",
            ("session.strategies_updated", json!({ "change": "stage4_selection_revised", "submittedBy": "ann" })),
        ),
        (
            "selections_shared",
            ("partner.ranking_submitted", json!({ "change": "stage4_selection_submitted", "submittedBy": "ann" })),
        ),
        (
            "selections_unshared",
            ("session.strategies_updated", json!({ "change": "stage4_selection_revised", "submittedBy": "ann" })),
        ),
        ("sub_chat_resolved", ("session.strategies_updated", json!({ "change": "stage4_subchat_resolved" }))),
        (
            "closed",
            ("session.resolved", json!({ "closedBy": "ann", "kind": "SHARED_AGREEMENT", "agreementIds": [ID] })),
        ),
        ("overlap_revealed", ("strategies.overlap_ready", json!({}))),
        ("agreement_proposed", ("agreement.proposed", json!({ "agreementId": ID }))),
        ("agreement_confirmed", ("agreement.confirmed", json!({ "agreementId": ID }))),
        ("agreement_declined", ("agreement.declined", json!({ "agreementId": ID }))),
        ("follow_up_due", ("agreement.follow_up", json!({ "agreementIds": [ID] }))),
        ("paused", ("session.paused", json!({ "by": "ann", "reason": "a break" }))),
        ("resumed", ("session.resumed", json!({}))),
        ("resolved", ("session.resolved", json!({}))),
        ("abandoned", ("session.abandoned", json!({}))),
        ("nudged", ("partner.nudged", json!({}))),
    ])
}

fn announce(event: &Event) -> Option<(&'static str, Value)> {
    event.announcement(&ID.parse().unwrap()).map(|told| (told.name, Value::Object(told.payload)))
}

#[test]
fn each_event_is_published_as_the_table_says_and_no_other() {
    let table = table();
    for body in samples() {
        let variant = name(&body);
        let expected = table.get(variant.as_str()).map(|(name, fields)| {
            let mut fields = fields.clone();
            fields["sessionId"] = json!(ID);
            fields["seq"] = json!(42);
            fields["timestamp"] = json!(1_800_000_000_000_i64);
            match EventName::parse(name).map(EventName::audience) {
                Some(Audience::Partner) => {
                    fields["excludeUserId"] = json!("ann");
                    fields["triggeredByUserId"] = json!("ann");
                }
                Some(Audience::Each) => fields["triggeredByUserId"] = json!("ann"),
                Some(Audience::Both) | None => {}
            }
            (*name, fields)
        });
        assert_eq!(announce(&event(body)), expected, "{variant}");
    }
}

/// Screens of stage 4 load anew on names of their own.
#[test]
fn changes_of_stage_4_are_published_under_every_name_that_screens_wait_for() {
    let marked = "partner.marked_ready";
    let updated = "session.strategies_updated";
    let expected: BTreeMap<&str, Vec<&str>> = BTreeMap::from([
        ("strategy_proposed", vec![marked]),
        ("strategy_revised", vec![marked]),
        ("ready_to_rank", vec![marked]),
        ("path_chosen", vec![marked]),
        ("overlap_revealed", vec![marked]),
        ("selections_made", vec![marked]),
        ("selections_shared", vec![updated, marked]),
        ("selections_unshared", vec![marked]),
        ("agreement_proposed", vec![marked]),
        ("agreement_confirmed", vec![marked]),
        ("agreement_declined", vec![updated, marked]),
    ]);
    for body in samples() {
        let variant = name(&body);
        let hints = event(body).hints(&ID.parse().unwrap());
        let names: Vec<_> =
            hints.iter().map(|hint| hint.name).filter(|name| [marked, updated].contains(name)).collect();
        assert_eq!(names, expected.get(variant.as_str()).cloned().unwrap_or_default(), "{variant}");
        for hint in hints.iter().filter(|hint| hint.name == marked) {
            assert!(!hint.pushes, "{variant}");
            for named in ["excludeUserId", "triggeredByUserId"] {
                assert!(!hint.payload.contains_key(named), "{variant}: {marked} names {named}, whose client drops it");
            }
        }
    }
}

/// Messages that make the app's screens look again, beside the one that tells.
#[test]
fn the_apps_screens_get_names_that_make_them_reload() {
    let shared = |reveals, resubmits| EventBody::EmpathyShared { content: PrivateText::new("x"), reveals, resubmits };
    let needs = |reveals| EventBody::NeedsShared { needs: vec![], reveals };
    let judged = EventBody::EmpathyJudged { validated: false, feedback: None, feedback_shared: false };
    let revoked = |kind| EventBody::ConsentRevoked { kind };
    let table: [(EventBody, &[&str]); 8] = [
        (shared(false, false), &[]),
        (shared(true, false), &["empathy.revealed"]),
        (shared(false, true), &["empathy.resubmitted"]),
        (judged, &["empathy.resubmitted"]),
        (revoked(ConsentKind::Empathy), &["empathy.resubmitted"]),
        (needs(false), &[]),
        (needs(true), &["session.common_ground_ready", "session.needs_reveal_ready"]),
        (revoked(ConsentKind::Needs), &["session.common_ground_ready"]),
    ];
    for (body, expected) in table {
        let hints = event(body).hints(&ID.parse().unwrap());
        assert_eq!(hints.iter().map(|hint| hint.name).collect::<Vec<_>>(), expected);
        for hint in hints {
            assert!(!hint.pushes && !hint.payload.contains_key("empathyStatus"), "{}", hint.name);
            let own = hint.payload_for(&user("ben"));
            let names_receiver = hint.audience == Audience::Each;
            assert_eq!(own.get("forUserId"), names_receiver.then(|| json!("ben")).as_ref(), "{}", hint.name);
            assert!(!own.contains_key("excludeUserId"), "the author's own screen looks again, too");
        }
    }
}

#[test]
fn some_events_are_announced_depending_on_their_fields() {
    let told = |body| event(body).name();
    let judged = |validated| EventBody::EmpathyJudged { validated, feedback: None, feedback_shared: false };
    assert_eq!(told(judged(true)), Some("partner.validated"));
    assert_eq!(told(EventBody::NeedsValidated { validated: false }), None);
    let ranked = |replaces| EventBody::RankingSubmitted { ranking: vec![], replaces };
    assert_eq!((told(ranked(false)), told(ranked(true))), (Some("partner.ranking_submitted"), None));
    let completed = EventBody::StageCompleted { stage: Stage::Witness, moves_to: Some(Stage::PerspectiveStretch) };
    let payload = event(completed).announcement(&ID.parse().unwrap()).unwrap().payload;
    assert_eq!((&payload["previousStage"], &payload["currentStage"]), (&json!(1), &json!(2)));
    assert_eq!(told(EventBody::NeedsConfirmed { needs: vec![], first: false }), None);
}

#[test]
fn the_table_of_names_is_sorted_and_names_can_be_parsed() {
    let names: Vec<_> = EventName::ALL.iter().map(|name| name.as_str()).collect();
    assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
    for name in EventName::ALL {
        assert_eq!(EventName::parse(name.as_str()), Some(*name));
        assert!(is_reserved(name.as_str()));
    }
    assert!(!is_reserved("typing.start") && !is_reserved("message.ai_response"));
}

/// Its author's own screen waits for it.
#[test]
fn resolving_is_published_to_both_partners() {
    let told = event(EventBody::Resolved {}).announcement(&ID.parse().unwrap()).unwrap();
    assert_eq!(told.audience, Audience::Both);
    assert!(!told.payload.contains_key("excludeUserId") && !told.payload.contains_key("triggeredByUserId"));
}

#[test]
fn an_event_without_an_author_is_published_to_both_partners() {
    let mut event = event(EventBody::Resumed {});
    assert_eq!(event.announcement(&ID.parse().unwrap()).unwrap().audience, Audience::Partner);
    event.by = None;
    let told = event.announcement(&ID.parse().unwrap()).unwrap();
    assert_eq!((told.audience, &told.payload["excludeUserId"]), (Audience::Both, &Value::Null));
}

/// What has led to it is the news already.
#[test]
fn an_advance_by_the_coordinator_causes_no_push() {
    for implicit in [false, true] {
        let told = event(EventBody::Advanced { to: Stage::Witness, implicit }).announcement(&ID.parse().unwrap());
        assert_eq!(told.unwrap().pushes, !implicit);
    }
}

/// The app has no handler for `session.joined`.
#[test]
fn the_partners_joining_is_published_under_a_name_that_the_creators_app_knows() {
    let joined = event(EventBody::Joined { name: None, told_to_app: true });
    let hints = joined.hints(&ID.parse().unwrap());
    assert_eq!((joined.name(), hints.len(), hints[0].name), (Some("session.joined"), 1, "partner.advanced"));
    assert_eq!((&hints[0].payload["toStage"], hints[0].pushes), (&json!(0), false));
}
