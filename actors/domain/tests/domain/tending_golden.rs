//! The stored form of what happens while partners tend to their agreements.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use tandem_domain::{Event, EventBody, command::*, tending::TendingEvent};

use crate::{golden::event, records, world::*};

/// One of each kind, in the form in which it is stored.
fn samples() -> Vec<(&'static str, Value)> {
    let id = "cabcdefghijklmnopqrstuvwx";
    let at = 1_800_000_600_000_i64;
    let check_in = json!({
        "id": id, "choice": "PARTIAL_CLOSURE", "next_action": "PARTIAL_CLOSURE", "worked": "we walked", "support": null,
        "entry_notes": { (id): { "worked": "often", "support": "more" } }, "partial_closure": { (id): "RESOLVED" },
        "outcomes": [{
            "tendingEntryId": id, "followThroughStatus": "HAPPENED", "helpfulnessStatus": "HELPED",
            "blockerCategories": ["FORGOT"], "whatHappened": "we walked", "helpedNeed": "rest", "blockerNote": null,
            "stillWorthTrying": true,
        }],
        "needs": [{
            "needId": id, "needLabel": "rest", "sourceUserId": "ann", "resolutionStatus": "IMPROVING", "note": null,
            "changedNeedLabel": null, "nextAction": "EXTEND",
        }],
        "adjustments": [{
            "tendingEntryId": id, "privacyScope": "PRIVATE", "revisedCommitmentText": "walk less",
            "revisedCadence": null, "revisedSuccessCriteria": null, "reason": null, "blockerAddressed": ["TOO_HARD"],
        }],
        "reminders": [{ "id": id, "entry": id, "scope": "SHARED", "remind_at": at, "cadence": "WEEKLY", "note": "shoes" }],
        "included_notes": [id], "shared_notes": [], "overrides": true, "override_note": "enough",
    });
    vec![
        ("opened", json!({ "opened": { "entries": [id], "only": "ann", "quiet": true } })),
        ("note_written", json!({ "note_written": { "id": id, "content": "a note" } })),
        ("reentered", json!({ "reentered": { "id": id, "intent": "talk" } })),
        (
            "responded",
            json!({ "responded": { "entry": id, "status": "WORKED", "reflection": "good", "choice": "EXTEND", "shared": true } }),
        ),
        ("entry_shared", json!({ "entry_shared": { "entry": id, "shared": true } })),
        ("checked_in", json!({ "checked_in": { "check_in": check_in, "cycle": id } })),
        ("cycle_resolved", json!({ "cycle_resolved": { "cycle": id, "result": "HELD", "next": at } })),
        ("cycle_timed_out", json!({ "cycle_timed_out": { "cycle": id, "result": "EXTENDED", "next": at } })),
        ("reminders_due", json!({ "reminders_due": { "reminders": [[id, at]], "only": "ann" } })),
    ]
}

#[test]
fn each_kind_has_a_golden_file_that_can_still_be_read() {
    for (name, body) in samples() {
        let tending: TendingEvent = rmp_serde::from_slice(&rmp_serde::to_vec_named(&body).unwrap()).unwrap();
        let expected = event(EventBody::Tending(tending));
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/tending_{name}.v1.msgpack"));
        if std::env::var_os("GOLDEN").is_some() && !path.exists() {
            fs::write(&path, records::encode(&expected)).unwrap();
        }
        let bytes = fs::read(&path).unwrap_or_else(|_| panic!("{name} has no golden file; GOLDEN=write adds it"));
        let read: Event = records::decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read, expected, "{name}");
        let stored: Value = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(stored["body"]["tending"], body, "{name}: stored names are a promise");
    }
}

#[test]
fn redaction_removes_every_text() {
    for (name, body) in samples() {
        let tending: TendingEvent = rmp_serde::from_slice(&rmp_serde::to_vec_named(&body).unwrap()).unwrap();
        let redacted = serde_json::to_string(&event(EventBody::Tending(tending)).redacted(&user(ANN))).unwrap();
        for words in ["walk", "often", "more", "rest\"", "shoes", "enough", "a note", "talk", "good", "WEEKLY"] {
            assert!(!redacted.contains(words), "{name} keeps {words}: {redacted}");
        }
    }
}

/// What a request says is what is kept.
#[test]
fn a_whole_check_in_is_understood() {
    let mut world = crate::tending::due();
    let entry = crate::tending::entry_of(&world, ANN);
    let note = text(&world.post::<WriteTendingNoteRequest>(ANN, json!({ "content": "the note of ann" }))["note"]["id"]);
    let answer = world.post::<CheckInRequest>(
        ANN,
        json!({
            "orientations": {
                "whatWorked": { "reflection": "", "perEntryNotes": { (&entry): "often" } },
                "whereMoreSupport": { "reflection": "", "perEntryNotes": {} },
                "whatComesNext": {
                    "continueChoice": "PARTIAL_CLOSURE", "partialClosure": { (&entry): "CONTINUING" },
                    "reminders": [{ "scope": "PRIVATE", "remindAt": "2027-03-01T09:00:00Z", "cadence": "ONCE" }],
                },
            },
            "entryOutcomes": [{
                "tendingEntryId": entry, "followThroughStatus": "PARTLY_HAPPENED", "helpfulnessStatus": "HELPED",
                "blockerCategories": ["FORGOT", "OTHER"], "whatHappened": "twice", "stillWorthTrying": true,
            }],
            "needOutcomes": [{ "needId": entry, "needLabel": "rest", "resolutionStatus": "IMPROVING" }],
            "reminders": [{ "tendingEntryId": entry, "scope": "SHARED", "remindAt": "2027-03-02", "note": "shoes" }],
            "adjustments": [{ "tendingEntryId": entry, "revisedCommitmentText": "walk less", "blockerAddressed": ["TOO_HARD"] }],
            "includedBetweenPeriodNoteIds": [note], "shareBetweenPeriodNoteIds": [note],
            "resolvedEnoughOverride": false,
        }),
    );
    assert_eq!(answer["checkin"]["nextAction"], "PARTIAL_CLOSURE");
    assert_eq!(answer["checkin"]["reminders"].as_array().unwrap().len(), 2);
    assert_eq!(answer["checkin"]["adjustments"][0]["privacyScope"], "PRIVATE");
    assert_eq!(answer["entries"][0]["latestOutcome"]["blockerCategories"], json!(["FORGOT", "OTHER"]));
    let ben = world.get(BEN, tandem_domain::Query::Tending);
    assert_eq!(ben["partnerNotes"][0]["content"], "the note of ann", "shared with the check-in");
    assert_eq!(ben["entries"][0]["reminders"].as_array().unwrap().len(), 1, "the shared one");
    assert!(!ben.to_string().contains("twice") && !ben.to_string().contains("often"));
}
