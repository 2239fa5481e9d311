use serde_json::{Value, json};
use tandem_domain::{Code, Command, Query, command::*};

use crate::world::*;

fn view(world: &mut World, who: &str, body: Value) -> Value {
    world.post::<ViewedRequest>(who, body)
}

#[test]
fn only_announced_events_of_the_partner_are_unread() {
    let mut world = World::invited();
    assert!(!world.session.unread_for(&user(ANN)), "one's own doings are no news");
    world.ok(BEN, Command::AcceptInvitation);
    assert!(world.session.unread_for(&user(ANN)) && !world.session.unread_for(&user(BEN)));
    assert_eq!(world.get(ANN, Query::Summary)["unread"], true);
    let seq = world.session.seq();
    let answer = view(&mut world, ANN, json!({}));
    assert_eq!(
        (&answer["success"], &answer["lastSeenSeq"], &answer["unread"]),
        (&json!(true), &json!(seq), &json!(false))
    );
    assert!(!world.session.unread_for(&user(ANN)));
    assert_eq!(world.session.last_seen(&user(ANN)), seq);
}

#[test]
fn a_repeated_view_records_nothing_and_views_are_not_unread() {
    let mut world = World::active();
    world.each(|world, who| view(world, who, json!({})));
    let seq = world.session.seq();
    for _ in 0..5 {
        world.each(|world, who| view(world, who, json!({})));
    }
    assert_eq!(world.session.seq(), seq);
    assert!(!world.session.unread_for(&user(ANN)) && !world.session.unread_for(&user(BEN)));
}

#[test]
fn last_seen_is_clamped_and_never_decreases() {
    let mut world = World::active();
    let seq = world.session.seq();
    assert_eq!(view(&mut world, ANN, json!({ "lastSeenSeq": 9_999 }))["lastSeenSeq"], seq);
    assert_eq!(view(&mut world, ANN, json!({ "lastSeenSeq": 1 }))["lastSeenSeq"], seq);
    assert_eq!(world.session.last_seen(&user(ANN)), seq);
}

#[test]
fn a_nudge_is_sent_every_six_hours_and_refusals_are_recorded() {
    let mut world = World::invited();
    assert_eq!(world.code(ANN, Command::Nudge), Code::SessionNotActive);
    world.ok(BEN, Command::AcceptInvitation);
    let seq = world.session.seq();
    let answer = world.ok(ANN, Command::Nudge);
    assert_eq!(answer["nextAllowedAt"], json!(world.now + 6 * HOUR));
    world.pass(HOUR);
    let refused = world.refused(ANN, Command::Nudge);
    assert_eq!((refused.code, refused.retry_after), (Code::RateLimited, Some(5 * HOUR)));
    assert_eq!(world.session.seq(), seq + 2, "the refusal is an event");
    world.ok(BEN, Command::Nudge);
    assert_eq!(world.announced_since(seq), ["partner.nudged", "partner.nudged"]);
    world.pass(5 * HOUR);
    world.ok(ANN, Command::Nudge);
}

/// The time of change orders each member's list of sessions.
#[test]
fn an_event_moves_the_session_only_in_the_lists_whose_view_it_changes() {
    fn moved(world: &mut World, act: impl FnOnce(&mut World)) -> [bool; 2] {
        let times = |world: &World| [ANN, BEN].map(|who| world.session.listed_for(&user(who)).unwrap().changed_at);
        world.pass(HOUR);
        let before = times(world);
        act(world);
        let after = times(world);
        [before[0] < after[0], before[1] < after[1]]
    }
    let rename = |world: &mut World| {
        let name = Some(tandem_domain::private_text::PrivateText::new("Anna"));
        drop(world.ok(ANN, Command::Rename(Rename { name })));
    };
    let mut world = World::at_stage(2);
    assert_eq!(moved(&mut world, rename), [true, true], "both see the name");
    assert_eq!(moved(&mut world, |world| drop(world.draft(ANN, "you were tired"))), [true, false], "a private draft");
    assert_eq!(moved(&mut world, |world| drop(view(world, BEN, json!({})))), [false, false], "a look");
    let hide = |world: &mut World| drop(world.ok(ANN, Command::ShowActivity { shown: false }));
    assert_eq!(moved(&mut world, hide), [true, false], "a fact about the client");
    assert_eq!(moved(&mut world, |world| drop(world.ok(ANN, Command::Nudge))), [true, true], "a nudge");
    assert_eq!(moved(&mut world, |world| drop(world.refused(ANN, Command::Nudge))), [false, false], "a refused nudge");
}
