use std::time::Duration;

use serde_json::{Value, json};
use tandem_domain::{
    Audience, Code, Command, Query, Session, Timer,
    command::*,
    private_text::PrivateText,
    stage::SessionStatus::{self, *},
};

use crate::world::*;

#[test]
fn only_the_transitions_of_the_table_happen() {
    let all = [Created, Invited, Active, Paused, Waiting, Resolved, Abandoned, Archived];
    let allowed: Vec<(SessionStatus, SessionStatus)> =
        all.iter().flat_map(|from| all.map(|to| (*from, to))).filter(|(from, to)| from.may_become(*to)).collect();
    assert_eq!(
        allowed,
        [
            (Created, Invited),
            (Created, Abandoned),
            (Invited, Active),
            (Invited, Abandoned),
            (Active, Paused),
            (Active, Resolved),
            (Active, Abandoned),
            (Paused, Active),
            (Paused, Abandoned),
            (Resolved, Archived),
            (Abandoned, Archived),
        ]
    );
}

#[test]
fn either_pauses_and_either_resumes() {
    let mut world = World::active();
    assert_eq!(world.code(ANN, Command::Resume), Code::ValidationError);
    let seq = world.session.seq();
    let paused = world.post::<PauseRequest>(ANN, json!({ "reason": "I need a break" }));
    assert_eq!(
        (&paused["paused"], &paused["status"], &paused["pausedAt"]),
        (&json!(true), &json!("PAUSED"), &json!(world.now))
    );
    let payload = world.log.last().unwrap().announcement(world.session.id()).unwrap().payload;
    assert_eq!((&payload["by"], &payload["reason"]), (&json!(ANN), &json!("I need a break")));
    let seen = world.get(BEN, Query::Summary);
    assert_eq!((&seen["pausedBy"], &seen["pauseReason"]), (&json!(ANN), &json!("I need a break")));
    assert_eq!(world.code(BEN, Command::Pause(Pause::default())), Code::SessionNotActive);
    assert_eq!(world.code(BEN, Command::SignCompact), Code::SessionNotActive);
    assert_eq!(world.code(BEN, Command::Nudge), Code::SessionNotActive);
    let resumed = world.ok(BEN, Command::Resume);
    assert_eq!((&resumed["resumed"], &resumed["status"]), (&json!(true), &json!("ACTIVE")));
    assert_eq!(world.get(ANN, Query::Summary)["pausedAt"], Value::Null);
    assert_eq!(world.announced_since(seq), ["session.paused", "session.resumed"]);
}

#[test]
fn only_a_session_that_is_over_can_be_archived() {
    let mut world = World::active();
    assert_eq!(world.code(ANN, Command::Archive), Code::Conflict);
    world.ok(BEN, Command::Withdraw);
    assert_eq!(world.code(ANN, Command::Resume), Code::ValidationError, "what is over is not resumed");
    let first = world.ok(ANN, Command::Archive);
    assert_eq!((&first["archived"], &first["archivedAt"]), (&json!(true), &json!(world.now)));
    world.pass(HOUR);
    assert_eq!(world.ok(ANN, Command::Archive), first, "archiving again changes nothing");
    assert_eq!(world.session.status(), Archived);
}

#[test]
fn a_partner_who_withdraws_no_longer_sees_the_session() {
    let mut world = World::active();
    let seq = world.session.seq();
    let answer = world.ok(ANN, Command::Withdraw);
    assert_eq!((&answer["deleted"], &answer["summary"]["sessionAbandoned"]), (&json!(true), &json!(true)));
    assert_eq!(world.announced_since(seq), ["session.abandoned"]);
    assert_eq!(world.session.members().collect::<Vec<_>>(), [&user(BEN)]);
    assert_eq!(world.query(ANN, Query::Detail).unwrap_err().code, Code::NotFound);
    assert_eq!(world.code(ANN, Command::Withdraw), Code::NotFound);
    assert_eq!(world.session.partner_of(&user(BEN)), None);
    assert_eq!(world.status(BEN), "ABANDONED");
    assert_eq!(world.code(BEN, Command::SignCompact), Code::SessionNotActive);
    world.ok(BEN, Command::Withdraw);
    assert_eq!(world.session.members().count(), 0);
}

#[test]
fn an_idle_session_is_abandoned() {
    let mut world = World::active();
    world.pass(89 * DAY);
    assert_eq!(world.fire(Timer::IdleAbandonment), 0);
    world.ok(ANN, Command::SignCompact);
    world.pass(89 * DAY);
    assert_eq!(world.fire(Timer::IdleAbandonment), 0, "every event moves it");
    world.pass(DAY);
    assert_eq!(world.timers(), [(Timer::IdleAbandonment, world.now)]);
    assert_eq!(world.fire(Timer::IdleAbandonment), 1);
    let announcement = world.log.last().unwrap().announcement(world.session.id()).unwrap();
    assert_eq!((announcement.name, announcement.audience), ("session.abandoned", Audience::Both));
    assert_eq!(announcement.payload["excludeUserId"], Value::Null);
    assert!(world.timers().is_empty());
}

#[test]
fn erasing_an_account_removes_its_texts_and_keeps_the_rest() {
    let (mut world, ids) = World::revealed();
    world.propose(BEN, Some(&ids[0]));
    let size =
        |world: &World, word: &str| format!("{}{}", json!(world.session), json!(world.log)).matches(word).count();
    assert!(size(&world, "ben imagines") > 0 && size(&world, "talk") > 0 && size(&world, "ben's name") > 0);
    let seq = world.session.seq();
    world.ok(BEN, Command::EraseAccount);
    assert_eq!(world.announced_since(seq), ["session.abandoned"]);
    assert_eq!(world.query(BEN, Query::Detail).unwrap_err().code, Code::NotFound);
    world.log.iter_mut().for_each(|event| *event = event.redacted(&user(BEN)));
    for word in ["ben imagines", "talk", "ben's name", "ben needs", "let us try", "Benny", "feedback of ben"] {
        assert_eq!(size(&world, word), 0, "{word}");
    }
    assert!(size(&world, "ann imagines") > 0);
    assert_eq!(
        Session::replay(world.log.clone()).as_ref(),
        Some(&world.session),
        "the redacted log replays to the same state"
    );
    assert_eq!(world.get(ANN, Query::Summary)["partner"]["name"], Value::Null);
}

#[test]
fn erasure_also_applies_to_members_who_have_withdrawn() {
    let mut world = World::active();
    world.ok(ANN, Command::Withdraw);
    world.ok(ANN, Command::EraseAccount);
    world.log.iter_mut().for_each(|event| *event = event.redacted(&user(ANN)));
    let all = json!([world.session, world.log]).to_string();
    assert!(!all.contains("ann's name") && !all.contains("context of ann"));
    assert_eq!(Session::replay(world.log.clone()).as_ref(), Some(&world.session));
    assert_eq!(world.code(EVE, Command::EraseAccount), Code::NotFound);
}

#[test]
fn a_new_name_shows_to_the_partner() {
    let mut world = World::active();
    let rename = || Command::Rename(Rename { name: Some(PrivateText::new("Benedict")) });
    world.ok(BEN, rename());
    let seq = world.session.seq();
    world.ok(BEN, rename());
    assert_eq!(world.session.seq(), seq);
    assert_eq!(world.get(ANN, Query::Summary)["partner"]["name"], "Benedict");
}

#[test]
fn time_in_the_log_never_goes_back() {
    let mut world = World::active();
    world.pass(HOUR);
    world.ok(ANN, Command::SignCompact);
    let later = world.now;
    world.now = tandem_domain::time::Timestamp::from_millis(later.as_millis() - 60_000);
    world.ok(BEN, Command::SignCompact);
    assert_eq!(world.log.last().unwrap().at, later);
    assert_eq!(later.since(world.now), Duration::from_secs(60));
}
