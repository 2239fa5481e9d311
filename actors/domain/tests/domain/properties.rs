//! Whatever two partners and a stranger do, in any order and at any time, the promises of the domain hold.

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};
use tandem_domain::{
    Command, Event, EventBody, Query, Session, Timer,
    agreement::AgreementStatus,
    command::Stage4Command,
    stage::{SessionStatus, Stage},
};

use crate::{
    moves::{Move, Played, any_move},
    privacy::Secrets,
    records,
    world::*,
};

const QUERIES: [Query; 23] = [
    Query::Detail,
    Query::Summary,
    Query::State,
    Query::Progress,
    Query::Gates(Stage::Onboarding),
    Query::Gates(Stage::PerspectiveStretch),
    Query::Gates(Stage::StrategicRepair),
    Query::CompactStatus,
    Query::EmpathyDraft,
    Query::EmpathyPartner,
    Query::EmpathyStatus,
    Query::ShareOffer,
    Query::PendingActions,
    Query::PendingConsents,
    Query::ConsentHistory,
    Query::Needs,
    Query::NeedsComparison,
    Query::CommonGround,
    Query::Strategies,
    Query::Overlap,
    Query::Agreements,
    Query::Tending,
    Query::TendingHistory,
];

fn start(at: u8) -> World {
    match at {
        0 => World::invited(),
        1 => World::active(),
        2..=5 => World::at_stage(at - 1),
        6 => World::revealed().0,
        7 => World::create(json!({ "inviteName": "Benny", "context": "the context of ann", "draft": true })),
        _ => World::of_the_app().gone_on_to(at - 8),
    }
}

/// Everything that a user can ask for, as text.
fn everything_for(world: &World, who: &str) -> Vec<(Query, String)> {
    let ask =
        |query: Query| world.query(who, query).map_or_else(|refused| refused.to_string(), |seen| seen.to_string());
    QUERIES.into_iter().chain([Query::Invitation]).map(|query| (query, ask(query))).collect()
}

fn live_agreements(world: &World) -> usize {
    let Ok(list) = world.query(ANN, Query::Agreements).or_else(|_| world.query(BEN, Query::Agreements)) else {
        return 0;
    };
    let abandoned = serde_json::to_value(AgreementStatus::Abandoned).unwrap();
    list["agreements"].as_array().unwrap().iter().filter(|agreement| agreement["status"] != abandoned).count()
}

/// Applies events one by one on a copy: no gap in `seq`, no transition outside the table.
fn check_events(before: &Session, events: &[Event]) {
    let mut session = before.clone();
    for event in events {
        let from = session.status();
        assert_eq!(event.seq, session.seq() + 1, "seq has no gaps");
        session.apply(event);
        let to = session.status();
        assert!(from == to || from.may_become(to), "{from} became {to}");
    }
}

/// A ranking that was revealed with an overlap is the last one.
fn check_frozen(log: &[Event]) {
    let revealed =
        |event: &Event| matches!(&event.body, EventBody::OverlapRevealed { overlap, .. } if !overlap.is_empty());
    if let Some(at) = log.iter().position(revealed) {
        // What is taken back afterwards opens the round again.
        let taken_back = |event: &Event| {
            matches!(event.body, EventBody::SelectionsMade { takes_back: true, .. } | EventBody::SelectionsUnshared {})
                || matches!(event.body, EventBody::StrategyRevised { .. } | EventBody::StrategyProposed { .. })
        };
        let stands = log[at + 1..].iter().take_while(|event| !taken_back(event));
        let later = |event: &&Event| matches!(event.body, EventBody::RankingSubmitted { .. });
        assert!(!stands.clone().any(|event| later(&event)), "a ranking came after the reveal");
    }
}

fn has_joined(world: &World, who: &str) -> bool {
    let joins = |event: &Event| matches!(event.body, EventBody::Created { .. } | EventBody::Joined { .. });
    world.log.iter().any(|event| joins(event) && event.by == Some(user(who)))
}

/// Nobody in app mode stays where an advance would succeed, and nobody else is taken on.
fn check_moves(world: &World, events: &[Event]) {
    let noticed: Vec<_> = world.log.iter().filter(|event| matches!(event.body, EventBody::AppNoticed { .. })).collect();
    for who in [ANN, BEN] {
        let in_app_mode = noticed.iter().any(|event| event.by == Some(user(who)));
        if in_app_mode && let Ok(progress) = world.query(who, Query::Progress) {
            assert_eq!(progress["canAdvance"], false, "{who} could go on: {progress}");
        }
        let taken_on = |event: &&Event| matches!(event.body, EventBody::Advanced { implicit: true, .. });
        let is_theirs = |event: &&Event| event.by == Some(user(who));
        assert!(in_app_mode || !events.iter().filter(is_theirs).any(|event| taken_on(&event)), "{who} was taken on");
    }
}

fn check_hidden_signature(world: &World, who: &str) {
    let Ok(status) = world.query(who, Query::CompactStatus) else { return };
    if status["mySigned"] == false {
        assert_eq!((&status["partnerSigned"], &status["partnerSignedAt"]), (&Value::Bool(false), &Value::Null));
        let progress = world.get(who, Query::Progress)["partnerProgress"].clone();
        assert_eq!(progress["stage"], 0, "a partner who has gone on has signed");
        assert_ne!(progress["status"], "GATE_PENDING");
    }
}

/// The pool and the overlap as a partner sees them, without the counters that every event moves.
fn strategies_for(world: &World, who: &str) -> Vec<Value> {
    let without_seq = |query| {
        let mut seen = world.query(who, query).unwrap_or_default();
        seen["seq"].take();
        seen
    };
    vec![without_seq(Query::Strategies), without_seq(Query::Overlap)]
}

/// Stage 4 by proposals as a user sees it. Looking may note by which way the client goes: so a copy is looked at.
fn stage4_for(world: &World, who: &str) -> (String, Option<Value>) {
    let mut copy = World {
        session: world.session.clone(),
        log: Vec::new(),
        now: world.now,
        ids: world.ids.fork(),
        settings: world.settings.clone(),
    };
    match copy.act(who, Stage4Command::Look.into()) {
        Ok(state) => (state.to_string(), Some(state)),
        Err(refused) => (refused.to_string(), None),
    }
}

/// A partner's notes show only beside stances, and stances only when both are in.
fn check_stances(world: &World, who: &str, state: Option<&Value>) {
    let Some(state) = state else { return };
    let both = state["mySelectionStatus"] == "SUBMITTED" && state["partnerSelectionStatus"] == "SUBMITTED";
    let partner = if who == ANN { BEN } else { ANN };
    let text = state.to_string();
    if !both {
        assert!(!text.contains(&format!("<stance of {partner}")), "{who} sees a stance of {partner}: {text}");
        assert!(!text.contains("partnerDecisionVisible"), "{text}");
    }
    assert!(!text.contains(&format!("<said of {partner}")), "{text} ({})", world.session.status());
    for card in state["inventory"]["sharedProposals"].as_array().into_iter().flatten() {
        assert!(
            !card.to_string().contains(ANN) && !card.to_string().contains(BEN),
            "a proposal bears an author: {card}"
        );
    }
}

fn play(start_at: u8, moves: Vec<Move>) {
    let mut world = start(start_at);
    let mut secrets = Secrets::default();
    secrets.learn(&world.log);
    for (number, next) in moves.into_iter().enumerate() {
        world.pass(next.wait());
        let Played { who, command } = match next.command(&world, number) {
            Ok(played) => played,
            // What does not even parse is refused without its words.
            Err(rejection) => {
                secrets.check_refusal(&rejection);
                continue;
            }
        };
        let before = world.session.clone();
        let length = world.log.len();
        let partner = if who == ANN { BEN } else { ANN };
        let seen_before = strategies_for(&world, partner);

        assert_eq!(world.decide(who, &command), world.decide(who, &command), "deciding is deterministic");
        let outcome = world.act(who, command.clone());
        let events = world.log[length..].to_vec();
        check_events(&before, &events);
        secrets.learn(&events);
        match outcome {
            Ok(answer) => secrets.check_text(who, &world, &answer.to_string()),
            Err(rejection) => {
                secrets.check_refusal(&rejection);
                assert!(events.iter().all(|event| event.name().is_none()), "nobody hears of a refusal");
                if events.is_empty() {
                    assert_eq!(world.session, before, "a refusal changes nothing");
                }
            }
        }
        if matches!(events.as_slice(), [Event { body: EventBody::RankingSubmitted { .. }, .. }]) {
            assert_eq!(strategies_for(&world, partner), seen_before, "a ranking shows before both are in");
        }
        if command == Command::EraseAccount && !events.is_empty() {
            world.log.iter_mut().for_each(|event| *event = event.redacted(&user(who)));
            secrets.check_erased(who, &world);
        }
        check_moves(&world, &events);
        for timer in Timer::ALL.iter().copied() {
            let (length, before) = (world.log.len(), world.session.clone());
            world.fire(timer);
            check_events(&before, &world.log[length..]);
        }
        for viewer in [ANN, BEN, EVE] {
            for (query, seen) in everything_for(&world, viewer) {
                secrets.check_text(viewer, &world, &seen);
                secrets.check_attribution(query, &seen);
                assert!(has_joined(&world, viewer) || seen.starts_with("NOT_FOUND"), "a stranger learns of {query:?}");
            }
            check_hidden_signature(&world, viewer);
            let (stage4, state) = stage4_for(&world, viewer);
            secrets.check_text(viewer, &world, &stage4);
            check_stances(&world, viewer, state.as_ref());
        }
        for event in &world.log[length..] {
            secrets.check_announcement(event, &world);
        }
        assert!(live_agreements(&world) <= 2);
    }
    check_frozen(&world.log);
    let replayed = Session::replay(world.log.clone()).expect("a session");
    assert_eq!(without_history(&replayed), without_history(&world.session), "replaying gives the same state");
    check_compacted(&world.log);
    let snapshot: Session = records::decode(&records::encode(&world.session)).expect("a snapshot can be read");
    assert_eq!(snapshot, world.session);
    assert_ne!(world.session.status(), SessionStatus::Waiting, "WAITING is never stored");
}

/// The state without the note of what can be superseded: an erased text may have been a reason to keep its event.
fn without_history(session: &Session) -> Value {
    let mut state = serde_json::to_value(session).expect("a state can be written");
    state.as_object_mut().expect("an object").remove("history");
    state
}

/// At whatever point a log is compacted, it gives the same state, and what is announced stays in it.
fn check_compacted(log: &[Event]) {
    let mut whole = Session::replay(log.to_vec()).expect("a session");
    whole.forget_superseded();
    for length in [1, log.len() / 3, log.len() / 2, log.len()] {
        let (before, after) = log.split_at(length.max(1));
        let session = Session::replay(before.to_vec()).expect("a session");
        let superseded = session.superseded();
        let stays = |event: &&Event| !superseded.contains(&event.seq);
        assert!(before.iter().filter(|event| event.is_announced()).all(|event| stays(&event)), "all can be read");
        let kept = before.iter().filter(stays).chain(after);
        let mut compacted = Session::replay(kept.cloned()).expect("a session");
        compacted.forget_superseded();
        assert_eq!(compacted, whole, "without events {superseded:?} of {}", log.len());
    }
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(128)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_promises_hold_in_any_order(start_at in 0u8..=12, moves in vec(any_move(), 1..60)) {
        play(start_at, moves);
    }
}

#[test]
fn a_typical_session_is_small() {
    let (world, _) = World::revealed();
    let size = records::encode(&world.session).len();
    assert!(size <= 4200, "{size} bytes");
}
