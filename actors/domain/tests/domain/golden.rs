//! Events are kept for ever: each variant's bytes, as they were written first, can still be read and mean the same.
//! `GOLDEN=write cargo test` adds files for variants that have none; a file that is there is never changed.
//! A variant without a sample in [`samples`] gets one that is made from its type.

use std::{collections::BTreeMap, fs, path::PathBuf};

use tandem_domain::{
    Event, EventBody,
    agreement::AgreementType,
    consents::ConsentKind,
    event::{AbandonCause, VERSION},
    needs::{CapturedNeed, CommonGroundConfirmation, NeedCategory, NeedConfirmation, NeedEdit},
    private_text::{PrivateText, Salt},
    stage::Stage,
    stage4::{
        Anchor, Candidate, ChatRole, ClosedAgreement, ClosureKind, ClosureReason, Decision, Selection, Stage4Path,
        WalkStep,
    },
    tending::{ScheduledEntry, TendingEvent},
    time::Timestamp,
};

use crate::{records, sample};

/// The stored name of a variant.
pub fn name(body: &EventBody) -> String {
    let stored = serde_json::to_value(body).unwrap();
    stored.as_object().unwrap().keys().next().unwrap().clone()
}

/// Samples with telling values, one for a variant.
#[expect(clippy::too_many_lines, reason = "one table: a sample of each event")]
pub fn samples() -> Vec<EventBody> {
    let words = |text: &str| PrivateText::new(text);
    let at = Timestamp::from_millis(1_800_000_600_000);
    let id = "cabcdefghijklmnopqrstuvwx";
    vec![
        EventBody::Created {
            session: id.parse().unwrap(),
            invitation: id.parse().unwrap(),
            salt: Salt::new("salt"),
            name: Some(words("Ann")),
            invite_name: Some(words("Benny")),
            person: Some("ben".parse().unwrap()),
            context: Some(words("the kitchen")),
            expires_at: at,
        },
        EventBody::InvitationConfirmed { expires_at: at },
        EventBody::InvitationResent { expires_at: at },
        EventBody::InvitationExpired {},
        EventBody::InvitationDeclined {},
        EventBody::InvitationWritten { topic: Some(words("the kitchen")), message: Some(words("rest a while")) },
        EventBody::TopicFrameConfirmed { topic: words("the kitchen") },
        EventBody::InvitationSent { message: Some(words("rest a while")) },
        EventBody::AppNoticed { june: true },
        EventBody::FeelHeardOffered {},
        EventBody::Joined { name: Some(words("Ben")), told_to_app: false },
        EventBody::CompactSigned {},
        EventBody::FeelHeardConfirmed { feedback: Some(words("good")) },
        EventBody::StageCompleted { stage: Stage::Witness, moves_to: None },
        EventBody::Advanced { to: Stage::PerspectiveStretch, implicit: false },
        EventBody::EmpathyDraftSaved {
            draft: id.parse().unwrap(),
            content: words("draft"),
            ready: true,
            version: None,
        },
        EventBody::EmpathyShared { content: words("shared"), reveals: false, resubmits: false },
        EventBody::EmpathyJudged { validated: false, feedback: Some(words("not quite")), feedback_shared: true },
        EventBody::RefinementSkipped { willing_to_accept: true, reason: Some(words("let it be")) },
        EventBody::NeedAdded {
            id: id.parse().unwrap(),
            need: words("rest"),
            category: NeedCategory::Safety,
            description: Some(words("in the evening")),
        },
        EventBody::NeedsCaptured {
            needs: vec![CapturedNeed {
                id: id.parse().unwrap(),
                need: words("rest"),
                category: NeedCategory::Safety,
                description: Some(words("in the evening")),
                evidence: vec![words("so tired")],
            }],
        },
        EventBody::NeedsEdited {
            edits: vec![
                NeedEdit::Added { id: id.parse().unwrap(), need: words("play"), category: NeedCategory::Meaning },
                NeedEdit::Reworded { need: id.parse().unwrap(), before: words("rest"), after: words("quiet") },
                NeedEdit::Recategorized {
                    need: id.parse().unwrap(),
                    before: NeedCategory::Safety,
                    after: NeedCategory::Autonomy,
                },
                NeedEdit::Removed { need: id.parse().unwrap(), before: words("quiet") },
            ],
        },
        EventBody::NeedsConfirmed {
            needs: vec![NeedConfirmation {
                need: id.parse().unwrap(),
                confirmed: true,
                adjustment: Some(words("at night")),
            }],
            first: true,
        },
        EventBody::NeedsShared { needs: vec![id.parse().unwrap()], reveals: false },
        EventBody::CommonGroundConfirmed {
            categories: vec![CommonGroundConfirmation { category: NeedCategory::Fairness, confirmed: true }],
        },
        EventBody::NeedsValidated { validated: true },
        EventBody::ConsentRevoked { kind: ConsentKind::Empathy },
        EventBody::ConsentDenied { kind: ConsentKind::Empathy, version: 3 },
        EventBody::StrategyProposed {
            id: id.parse().unwrap(),
            description: words("walk"),
            needs_addressed: vec![words("rest")],
            duration: Some(words("a week")),
            measure_of_success: Some(words("both went")),
        },
        EventBody::ReadyToRank {},
        EventBody::RankingSubmitted { ranking: vec![id.parse().unwrap()], replaces: true },
        EventBody::OverlapRevealed { overlap: vec![id.parse().unwrap()], candidates: vec![id.parse().unwrap()] },
        EventBody::PathChosen { path: Stage4Path::Proposals, ready: true },
        EventBody::SelectionsMade {
            selections: vec![Selection {
                strategy: id.parse().unwrap(),
                decision: Decision::NotWilling,
                note: Some(words("too long")),
            }],
            takes_back: true,
        },
        EventBody::SelectionsShared { again: false },
        EventBody::SelectionsUnshared {},
        EventBody::NeedDeclined { need: id.parse().unwrap(), declined: true },
        EventBody::NeedWalked { need: id.parse().unwrap(), step: Some(WalkStep::Covered) },
        EventBody::StrategyRevised {
            id: id.parse().unwrap(),
            description: words("walk slowly"),
            needs_addressed: vec![words("rest")],
            duration: Some(words("a week")),
            measure_of_success: Some(words("both went")),
        },
        EventBody::SubChatOpened {
            id: id.parse().unwrap(),
            anchor: Anchor::NeedsBrainstorm,
            anchor_id: Some(id.to_owned()),
        },
        EventBody::SubChatSaid {
            chat: id.parse().unwrap(),
            role: ChatRole::Ai,
            content: words("how about a walk"),
            candidate: Some(Candidate {
                strategy: Some(id.parse().unwrap()),
                description: words("walk"),
                needs_addressed: vec![words("rest")],
                duration: Some(words("a week")),
                measure_of_success: Some(words("both went")),
            }),
        },
        EventBody::SubChatResolved {
            chat: id.parse().unwrap(),
            created: vec![id.parse().unwrap()],
            updated: Vec::new(),
        },
        EventBody::Closed {
            kind: ClosureKind::SharedAgreement,
            reason: ClosureReason::MutualSelection,
            summary: Some(words("good")),
            check_in_at: at,
            agreements: vec![ClosedAgreement {
                id: id.parse().unwrap(),
                strategy: id.parse().unwrap(),
                check_in_at: at,
            }],
        },
        EventBody::Tending(TendingEvent::Scheduled {
            entries: vec![ScheduledEntry { id: id.parse().unwrap(), agreement: id.parse().unwrap(), at, quiet: true }],
        }),
        EventBody::AgreementProposed {
            id: id.parse().unwrap(),
            strategy: Some(id.parse().unwrap()),
            description: words("walk"),
            kind: AgreementType::MicroExperiment,
            duration: Some(words("a week")),
            measure_of_success: Some(words("both went")),
            follow_up_at: Some(at),
        },
        EventBody::AgreementConfirmed { id: id.parse().unwrap() },
        EventBody::AgreementDeclined { id: id.parse().unwrap(), modification: Some(words("shorter")) },
        EventBody::FollowUpDue { agreements: vec![id.parse().unwrap()] },
        EventBody::Paused { reason: Some(words("a break")) },
        EventBody::Resumed {},
        EventBody::Resolved {},
        EventBody::Abandoned { cause: AbandonCause::Idle },
        EventBody::Archived {},
        EventBody::Left {},
        EventBody::AccountErased {},
        EventBody::Renamed { name: Some(words("Anna")) },
        EventBody::ActivityShown { shown: false },
        EventBody::Viewed { last_seen: 41, chat_item: None },
        EventBody::SawShareTab {},
        EventBody::Nudged {},
        EventBody::NudgeRefused {},
    ]
}

pub fn event(body: EventBody) -> Event {
    Event { seq: 42, at: Timestamp::from_millis(1_800_000_000_000), by: Some("ann".parse().unwrap()), body }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[test]
fn every_variant_has_a_golden_file_that_can_still_be_read() {
    let mut written: BTreeMap<_, _> = samples().into_iter().map(|body| (name(&body), body)).collect();
    for index in 0..EventBody::VARIANTS.len() {
        let derived = sample::of_variant(index);
        let form = name(&derived);
        check_golden(&form, &event(written.remove(&form).unwrap_or(derived)));
    }
    assert_eq!(written.into_keys().collect::<Vec<_>>(), Vec::<String>::new(), "each sample is of another variant");
}

/// `form` is the variant's name, with a suffix for a later form.
fn check_golden(form: &str, expected: &Event) {
    let path = folder().join(format!("{form}.v1.msgpack"));
    if std::env::var_os("GOLDEN").is_some() && !path.exists() {
        fs::write(&path, records::encode(expected)).unwrap();
    }
    let bytes = fs::read(&path).unwrap_or_else(|_| panic!("{form} has no golden file; GOLDEN=write adds it"));
    let read: Event = records::decode(&bytes).unwrap_or_else(|error| panic!("{form}: {error}"));
    assert_eq!(read, *expected, "{form}");
    assert_eq!(Some(&*name_of_stored(&bytes)), form.split('.').next(), "the stored name is a promise");
}

/// Forms that a variant took later, when it had got more fields. The file of its first form stays as it is.
fn later_forms() -> Vec<(&'static str, EventBody)> {
    let words = |text: &str| PrivateText::new(text);
    let id = "cabcdefghijklmnopqrstuvwx";
    vec![
        (
            "empathy_shared.revealing",
            EventBody::EmpathyShared { content: words("shared"), reveals: true, resubmits: false },
        ),
        (
            "empathy_shared.resubmitted",
            EventBody::EmpathyShared { content: words("shared"), reveals: false, resubmits: true },
        ),
        (
            "empathy_draft_saved.counted",
            EventBody::EmpathyDraftSaved {
                draft: id.parse().unwrap(),
                content: words("draft"),
                ready: true,
                version: Some(3),
            },
        ),
        ("needs_shared.revealing", EventBody::NeedsShared { needs: vec![id.parse().unwrap()], reveals: true }),
    ]
}

#[test]
fn later_forms_have_golden_files_of_their_own() {
    for (form, body) in later_forms() {
        check_golden(form, &event(body));
    }
}

/// The one key of the body, by a reader that knows nothing of the types.
fn name_of_stored(bytes: &[u8]) -> String {
    let record: serde_json::Value = rmp_serde::from_slice(bytes).unwrap();
    assert_eq!(record["v"], VERSION);
    record["body"].as_object().unwrap().keys().next().unwrap().clone()
}

/// MessagePack maps keep the order in which they are written; the version has to be first.
#[derive(serde::Serialize)]
struct Later<'a> {
    v: &'a serde_json::Value,
    seq: &'a serde_json::Value,
    at: &'a serde_json::Value,
    body: &'a serde_json::Value,
}

#[test]
fn a_record_of_a_later_version_is_refused_with_its_number() {
    let mut record: serde_json::Map<_, _> =
        rmp_serde::from_slice(&records::encode(&event(EventBody::Resumed {}))).unwrap();
    record.insert("v".into(), 99.into());
    let later = Later { v: &record["v"], seq: &record["seq"], at: &record["at"], body: &record["body"] };
    let error = records::decode::<Event>(&records::encode(&later)).unwrap_err().to_string();
    assert!(error.contains("version 99"), "{error}");
}

#[test]
fn an_earlier_reader_ignores_a_later_field() {
    #[derive(serde::Serialize)]
    struct Richer {
        v: u8,
        seq: u64,
        at: i64,
        by: Option<&'static str>,
        trace: &'static str,
        body: BTreeMap<&'static str, BTreeMap<&'static str, &'static str>>,
    }
    let body = BTreeMap::from([("paused", BTreeMap::from([("reason", "a break"), ("mood", "calm")]))]);
    let richer = Richer { v: VERSION, seq: 42, at: 1_800_000_000_000, by: Some("ann"), trace: "x", body };
    let read: Event = records::decode(&records::encode(&richer)).unwrap();
    assert_eq!(read, event(EventBody::Paused { reason: Some(PrivateText::new("a break")) }));
}

#[test]
fn debug_output_shows_no_text() {
    for body in samples() {
        let text = format!("{body:?}");
        for word in [
            "Ann",
            "Benny",
            "kitchen",
            "draft\"",
            "rest",
            "walk",
            "not quite",
            "shorter",
            "a break",
            "too long",
            "how about",
            "so tired",
            "quiet",
            "let it be",
            "salt\"",
        ] {
            assert!(!text.contains(&format!("\"{word}")), "{text}");
        }
    }
}
