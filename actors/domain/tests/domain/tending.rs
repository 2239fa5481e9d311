//! Tending: check-ins open when they are due, choices about shared ones are held until both are in.

use serde_json::{Value, json};
use tandem_domain::{Code, Command, Query, Session, Timer, command::*};

use crate::world::*;

/// Closed with one agreement, whose check-in is in ten days.
fn closed() -> World {
    let mut world = World::at_stage(4);
    let id = world.strategy(ANN, "walk");
    world.each(|world, who| {
        crate::stage4::select(world, who, &id, "WILLING");
        crate::stage4::share(world, who)
    });
    world.post::<CloseStage4Request>(ANN, json!({}));
    world
}

/// The check-in is open.
pub fn due() -> World {
    let mut world = closed();
    world.pass(DAY * 10);
    assert_eq!(world.fire(Timer::TendingDue), 1);
    world
}

pub fn entry_of(world: &World, who: &str) -> String {
    text(&world.get(who, Query::Tending)["entries"][0]["id"])
}

fn entry(world: &World, who: &str) -> Value {
    world.get(who, Query::Tending)["entries"][0].clone()
}

fn choose(choice: &str) -> Value {
    json!({ "orientations": { "whatComesNext": { "continueChoice": choice } } })
}

fn check_in(world: &mut World, who: &str, body: Value) -> Value {
    world.post::<CheckInRequest>(who, body)
}

fn respond(entry: &str, body: Value) -> Command {
    let request: RespondTendingRequest = serde_json::from_value(body).unwrap();
    Command::try_from((entry.parse().unwrap(), request)).unwrap()
}

fn share(entry: &str, shared: bool) -> Command {
    TendingCommand::Share { entry: entry.parse().unwrap(), shared }.into()
}

#[test]
fn an_agreement_has_a_check_in_that_opens_once_when_it_is_due() {
    let mut world = closed();
    let scheduled = entry(&world, BEN);
    assert_eq!(
        (&scheduled["status"], &scheduled["scope"], &scheduled["summary"]),
        (&json!("SCHEDULED"), &json!("SHARED"), &json!("walk"))
    );
    assert_eq!(scheduled["scheduledFor"], json!(world.now + DAY * 10));
    assert_eq!(world.timers(), [(Timer::TendingDue, world.now + DAY * 10)]);
    let preview = crate::stage4::look(&mut world, ANN)["tendingPreview"].clone();
    assert_eq!((&preview["scheduledCount"], &preview["nextEntry"]["id"]), (&json!(1), &scheduled["id"]));
    assert_eq!(world.fire(Timer::TendingDue), 0, "not yet");
    world.pass(DAY * 11);
    let seq = world.session.seq();
    assert_eq!(world.fire(Timer::TendingDue), 1);
    assert_eq!(world.announced_since(seq), ["notification.pending_action"]);
    assert_eq!(world.fire(Timer::TendingDue), 0, "once");
    assert_eq!(entry(&world, ANN)["status"], "OPEN");
    assert_eq!(world.timers(), []);
}

#[test]
fn a_follow_up_date_of_the_ranking_path_reminds_once() {
    let (mut world, ids) = World::revealed();
    let body =
        json!({ "strategyId": ids[0], "description": "walk", "type": "COMMITMENT", "followUpDate": "2027-03-01" });
    let agreement = text(&world.post::<ProposeAgreementRequest>(ANN, body)["agreement"]["id"]);
    world.confirm(BEN, &agreement, true);
    world.ok(BEN, Command::Resolve);
    assert_eq!(entry(&world, ANN)["scheduledFor"], "2027-03-01T00:00:00.000Z");
    world.pass(DAY * 90);
    let seq = world.session.seq();
    assert_eq!((world.fire(Timer::FollowUp), world.fire(Timer::TendingDue)), (1, 1));
    assert_eq!(world.announced_since(seq), ["agreement.follow_up"], "nobody is woken twice");
    assert_eq!(entry(&world, BEN)["status"], "OPEN");
}

#[test]
fn a_session_is_over_since_the_last_thing_that_happens_or_is_planned_in_it() {
    assert_eq!(World::active().session.over_since(), None, "it goes on");
    let mut world = closed();
    let opens = world.now + DAY * 10;
    assert_eq!(world.session.over_since(), Some(opens), "a check-in is to come");
    world.pass(DAY * 11);
    world.fire(Timer::TendingDue);
    assert_eq!(world.session.over_since(), Some(world.now), "it has come");
    let since = world.now;
    world.pass(DAY);
    world.post::<ViewedRequest>(BEN, json!({}));
    assert_eq!(world.session.over_since(), Some(since), "to look at it changes nothing");
    check_in(&mut world, ANN, choose("EXTEND"));
    assert_eq!(world.session.over_since(), Some(world.now + DAY * 14), "the partner has so long");
    for who in [ANN, BEN] {
        world.ok(who, Command::Withdraw);
    }
    assert_eq!(world.session.over_since(), Some(world.now), "nobody is left for whom it is planned");
}

#[test]
fn the_first_check_in_has_no_effect_until_the_second() {
    let mut world = due();
    let mut body = choose("EXTEND");
    body["orientations"]["whatWorked"] = json!({ "reflection": "the reflection of ann" });
    let seq = world.session.seq();
    let answer = check_in(&mut world, ANN, body.clone());
    assert_eq!(world.announced_since(seq), ["notification.pending_action"]);
    assert_eq!(
        (&answer["coordinationCycle"]["status"], &answer["nextScheduledFor"]),
        (&json!("WAITING_FOR_PARTNER"), &Value::Null)
    );
    assert_eq!((&answer["entries"][0]["status"], &answer["continueChoice"]), (&json!("PARTIAL"), &json!("EXTEND")));
    let ben = world.get(BEN, Query::Tending);
    assert_eq!((&ben["entries"][0]["status"], &ben["entries"][0]["responseCount"]), (&json!("PARTIAL"), &json!(1)));
    assert_eq!(ben["entries"][0]["myResponse"], Value::Null);
    assert!(!ben.to_string().contains("of ann") && !ben.to_string().contains("EXTEND"), "a choice is private: {ben}");
    let seq = world.session.seq();
    assert_eq!(check_in(&mut world, ANN, body)["checkin"]["id"], answer["checkin"]["id"]);
    assert_eq!(world.session.seq(), seq, "a repetition changes nothing");

    let answer = check_in(&mut world, BEN, choose("EXTEND"));
    assert_eq!(
        (&answer["coordinationCycle"]["status"], &answer["nextScheduledFor"]),
        (&json!("RESOLVED"), &json!(world.now + DAY * 28))
    );
    assert_eq!(entry(&world, ANN)["status"], "SCHEDULED");
    let history = world.get(ANN, Query::TendingHistory);
    assert_eq!(history["cycles"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&history["cycles"][0]["reflectionSummary"], &history["cycles"][0]["coordinationStatus"]),
        (&json!("the reflection of ann"), &json!("RESOLVED"))
    );
    assert_eq!(world.get(BEN, Query::TendingHistory)["cycles"][0]["reflectionSummary"], Value::Null);
    world.pass(DAY * 28);
    assert_eq!(world.fire(Timer::TendingDue), 1);
    assert_eq!(entry(&world, ANN)["myResponse"], Value::Null, "the next one begins anew");
}

#[test]
fn the_status_of_a_check_in_follows_from_both_choices() {
    let partial = |world: &World, resolution: &str| {
        let mut body = choose("PARTIAL_CLOSURE");
        body["orientations"]["whatComesNext"]["partialClosure"] = json!({ (entry_of(world, ANN)): resolution });
        body
    };
    let table: [(&str, &str, &str); 6] = [
        ("EXTEND", "EXTEND", "SCHEDULED"),
        ("FULL_CLOSURE", "FULL_CLOSURE", "COMPLETED"),
        ("EXTEND", "FULL_CLOSURE", "PARTIAL"),
        ("NEW_PROCESS", "NEW_PROCESS", "PARTIAL"),
        ("partial RESOLVED", "partial RESOLVED", "COMPLETED"),
        ("partial RESOLVED", "partial CONTINUING", "SCHEDULED"),
    ];
    for (one, other, status) in table {
        let mut world = due();
        for (who, choice) in [(ANN, one), (BEN, other)] {
            let body = choice.strip_prefix("partial ").map_or_else(|| choose(choice), |how| partial(&world, how));
            check_in(&mut world, who, body);
        }
        assert_eq!(entry(&world, ANN)["status"], status, "{one} and {other}");
        let cycles = world.get(ANN, Query::Tending)["coordinationCycles"].clone();
        assert_eq!(cycles[0]["status"], "RESOLVED", "{one} and {other}");
    }
}

#[test]
fn a_cycle_waits_14_days_for_the_second_check_in() {
    let mut world = due();
    check_in(&mut world, ANN, choose("EXTEND"));
    assert_eq!(world.timers(), [(Timer::TendingDeadline, world.now + DAY * 14)]);
    world.pass(DAY * 14);
    let seq = world.session.seq();
    assert_eq!((world.fire(Timer::TendingDeadline), world.fire(Timer::TendingDeadline)), (1, 0));
    assert_eq!(world.announced_since(seq), ["notification.pending_action"]);
    let list = world.get(BEN, Query::Tending);
    assert_eq!(
        (&list["coordinationCycles"][0]["status"], &list["entries"][0]["status"]),
        (&json!("TIMED_OUT"), &json!("SCHEDULED"))
    );
}

#[test]
fn the_remaining_partner_checks_in_alone() {
    let mut world = due();
    world.ok(BEN, Command::Withdraw);
    let answer = check_in(&mut world, ANN, choose("FULL_CLOSURE"));
    assert_eq!(
        (&answer["coordinationCycle"]["status"], &answer["entries"][0]["status"]),
        (&json!("RESOLVED"), &json!("COMPLETED"))
    );
}

#[test]
fn full_closure_with_open_needs_has_to_be_explicit() {
    let mut world = due();
    let mut body = choose("FULL_CLOSURE");
    body["needOutcomes"] = json!([{ "needLabel": "rest", "resolutionStatus": "STILL_OPEN" }]);
    assert_eq!(world.post_refused::<CheckInRequest>(ANN, body.clone()).code, Code::GateNotSatisfied);
    body["resolvedEnoughOverride"] = json!(true);
    check_in(&mut world, ANN, body);
    check_in(&mut world, BEN, choose("FULL_CLOSURE"));
    assert_eq!(entry(&world, ANN)["status"], "COMPLETED");
    assert_eq!(
        world.post_refused::<CheckInRequest>(BEN, choose("EXTEND")).code,
        Code::GateNotSatisfied,
        "nothing is open"
    );
}

#[test]
fn a_check_in_may_name_only_open_entries_and_own_notes() {
    let mut world = due();
    let theirs = text(&world.post::<WriteTendingNoteRequest>(BEN, json!({ "content": "mine" }))["note"]["id"]);
    let shared = json!({ "scope": "SHARED", "remindAt": "2027-03-01" });
    let with = |field: &str, value: Value| {
        let mut body = choose("EXTEND");
        body[field] = value;
        body
    };
    let other = "cno0such0entry";
    for body in [
        with("entryOutcomes", json!([{ "tendingEntryId": other, "followThroughStatus": "HAPPENED" }])),
        with("adjustments", json!([{ "tendingEntryId": other }])),
        with("reminders", json!([{ "tendingEntryId": other, "scope": "PRIVATE", "remindAt": "2027-03-01" }])),
        with("reminders", json!([shared])),
        with("includedBetweenPeriodNoteIds", json!([theirs])),
        with("shareBetweenPeriodNoteIds", json!([theirs])),
        with("needOutcomes", json!([{ "needLabel": "", "resolutionStatus": "RESOLVED" }])),
        with("needOutcomes", json!([{ "needLabel": "rest", "resolutionStatus": "MAYBE" }])),
        with("nextAction", json!("NAP")),
        json!({}),
    ] {
        let refused = world.post_refused::<CheckInRequest>(ANN, body.clone());
        assert_eq!(refused.code, Code::ValidationError, "{body}");
    }
}

#[test]
fn an_own_entry_takes_effect_at_once_and_is_visible_when_shared() {
    let mut world = closed();
    let made = world.post::<ReenterTendingRequest>(ANN, json!({ "intent": "the intent of ann" }));
    let id = text(&made["entry"]["id"]);
    assert_eq!(
        (&made["entry"]["type"], &made["entry"]["status"], &made["entry"]["scope"]),
        (&json!("USER_INITIATED_REENTRY"), &json!("OPEN"), &json!("INDIVIDUAL"))
    );
    assert!(!world.get(BEN, Query::Tending).to_string().contains("of ann"));
    assert_eq!(world.code(BEN, respond(&id, json!({ "status": "WORKED" }))), Code::NotFound);
    let shared_entry = world.get(BEN, Query::Tending)["entries"][0]["id"].clone();
    assert_eq!(world.code(ANN, share(&text(&shared_entry), true)), Code::ValidationError);
    world.ok(ANN, share(&id, true));
    assert!(world.get(BEN, Query::Tending).to_string().contains("the intent of ann"));
    assert_eq!(world.code(BEN, respond(&id, json!({ "status": "WORKED" }))), Code::Forbidden);
    assert_eq!(world.code(BEN, share(&id, false)), Code::Forbidden);
    world.ok(ANN, share(&id, false));
    assert!(!world.get(BEN, Query::Tending).to_string().contains("of ann"));

    let answer = check_in(&mut world, ANN, choose("EXTEND"));
    assert_eq!((&answer["nextScheduledFor"], answer.get("coordinationCycle")), (&json!(world.now + DAY * 28), None));
    world.pass(DAY * 28);
    let seq = world.session.seq();
    world.fire(Timer::TendingDue);
    let only: Vec<_> =
        world.log.iter().filter(|event| event.seq > seq).filter_map(|event| event.only()).cloned().collect();
    assert!(only.contains(&user(ANN)) && !only.contains(&user(BEN)), "Ann's own is told to Ann alone");
}

#[test]
fn a_shared_entry_is_complete_when_both_have_answered() {
    let mut world = closed();
    let id = entry_of(&world, ANN);
    assert_eq!(world.code(ANN, respond(&id, json!({ "status": "WORKED" }))), Code::GateNotSatisfied);
    world.pass(DAY * 10);
    world.fire(Timer::TendingDue);
    let first = world.ok(ANN, respond(&id, json!({ "status": "WORKED", "reflection": "the reflection of ann" })));
    assert_eq!(
        (&first["entry"]["status"], &first["entry"]["myResponse"]["reflection"]),
        (&json!("PARTIAL"), &json!("the reflection of ann"))
    );
    assert!(!world.get(BEN, Query::Tending).to_string().contains("of ann"));
    assert_eq!(world.ok(BEN, respond(&id, json!({ "status": "PARTLY" })))["entry"]["status"], "COMPLETED");
}

#[test]
fn reminders_come_when_they_are_due_in_their_rhythm() {
    let mut world = due();
    let id = entry_of(&world, ANN);
    let at = world.now + DAY;
    let mut body = choose("EXTEND");
    body["reminders"] = json!([
        { "scope": "PRIVATE", "remindAt": at, "cadence": "WEEKLY", "note": "the reminder of ann" },
        { "scope": "SHARED", "remindAt": at, "tendingEntryId": id },
    ]);
    check_in(&mut world, ANN, body);
    world.pass(DAY * 9);
    let seq = world.session.seq();
    assert_eq!((world.fire(Timer::TendingReminder), world.fire(Timer::TendingReminder)), (2, 0));
    let told: Vec<_> = world.log.iter().filter(|event| event.seq > seq).map(|event| event.only().cloned()).collect();
    assert_eq!(told, [None, Some(user(ANN))]);
    assert!(world.timers().contains(&(Timer::TendingReminder, at + DAY * 14)), "what was missed is told once");
    let ben = world.get(BEN, Query::Tending).to_string();
    assert!(!ben.contains("the reminder of ann"), "{ben}");
    assert!(!world.session.unread_for(&user(EVE)));
}

#[test]
fn tending_belongs_to_a_resolved_session() {
    let mut world = World::at_stage(4);
    assert_eq!(world.get(ANN, Query::Tending)["entries"], json!([]));
    assert_eq!(
        world.post_refused::<WriteTendingNoteRequest>(ANN, json!({ "content": "x" })).code,
        Code::SessionNotActive
    );
    assert_eq!(world.post_refused::<ReenterTendingRequest>(ANN, json!({})).code, Code::SessionNotActive);
    assert_eq!(world.post_refused::<CheckInRequest>(ANN, choose("EXTEND")).code, Code::SessionNotActive);
    assert!(world.query(EVE, Query::Tending).is_err());
}

#[test]
fn notes_are_private_and_limited_in_number() {
    let mut world = closed();
    let note = world.post::<WriteTendingNoteRequest>(ANN, json!({ "content": "the note of ann" }))["note"].clone();
    assert_eq!((&note["carryForwardSelected"], &note["consentToShareWithPartner"]), (&json!(false), &json!(false)));
    assert!(!world.get(BEN, Query::Tending).to_string().contains("of ann"));
    let long = || parse::<WriteTendingNoteRequest>(json!({ "content": "x".repeat(4_000) })).unwrap();
    assert!((0..300).any(|_| world.act(ANN, long()).is_err()));
    for (body, field) in [(json!({ "content": "x".repeat(4_001) }), "content"), (json!({}), "content")] {
        assert!(parse::<WriteTendingNoteRequest>(body).unwrap_err().message.starts_with(field));
    }
    assert!(parse::<ReenterTendingRequest>(json!({ "intent": "x".repeat(1_001) })).is_err());
}

#[test]
fn erasure_removes_the_texts_of_tending() {
    let mut world = due();
    let note = text(&world.post::<WriteTendingNoteRequest>(ANN, json!({ "content": "the note of ann" }))["note"]["id"]);
    world.post::<ReenterTendingRequest>(ANN, json!({ "intent": "the intent of ann" }));
    let mut body = choose("EXTEND");
    body["orientations"]["whatWorked"] = json!({ "reflection": "the reflection of ann" });
    body["needOutcomes"] = json!([{ "needLabel": "the label of ann", "resolutionStatus": "RESOLVED" }]);
    body["reminders"] = json!([{ "scope": "PRIVATE", "remindAt": "2027-03-01", "note": "the reminder of ann" }]);
    body["includedBetweenPeriodNoteIds"] = json!([note]);
    body["shareBetweenPeriodNoteIds"] = json!([note]);
    check_in(&mut world, ANN, body);
    world.ok(ANN, Command::EraseAccount);
    world.log.iter_mut().for_each(|event| *event = event.redacted(&user(ANN)));
    let all = serde_json::to_string(&(&world.session, &world.log)).unwrap();
    assert!(!all.contains("of ann"), "{all}");
    assert_eq!(Session::replay(world.log.clone()).as_ref(), Some(&world.session));
}
