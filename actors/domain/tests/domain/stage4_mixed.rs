//! Stage 4 for two partners who go different ways, and for clients that change the way.

use proptest::prelude::*;
use serde_json::{Value, json};
use tandem_domain::{Code, Command, Query, command::*};

use crate::{
    stage4::{look, select, share},
    world::*,
};

/// Ann ranks; Ben takes stances.
fn mixed() -> (World, Vec<String>) {
    let mut world = World::at_stage(4);
    let ids = vec![world.strategy(ANN, "walk"), world.strategy(BEN, "talk"), world.strategy(BEN, "cook")];
    look(&mut world, BEN);
    (world, ids)
}

fn rank(world: &mut World, who: &str, ids: &[&String]) -> Value {
    world.post::<SubmitRankingRequest>(who, json!({ "rankedIds": ids }))
}

fn stances(world: &mut World, who: &str, willing: &[&String], all: &[String]) {
    for id in all {
        select(world, who, id, if willing.contains(&id) { "WILLING" } else { "NOT_WILLING" });
    }
}

fn phase(world: &World, who: &str) -> Value {
    world.get(who, Query::Strategies)["phase"].clone()
}

fn overlap(world: &World, who: &str) -> Option<Vec<String>> {
    let seen = world.get(who, Query::Overlap);
    seen["overlap"].as_array().map(|list| list.iter().map(|strategy| text(&strategy["id"])).collect())
}

/// What both are willing to do, as the cards show it.
fn mutual(world: &mut World, who: &str) -> Vec<String> {
    let state = look(world, who);
    let cards = state["inventory"]["sharedProposals"].as_array().unwrap().clone();
    let both = |card: &&Value| card["myDecision"] == "WILLING" && card["partnerDecisionVisible"] == "WILLING";
    let mut ids: Vec<_> = cards.iter().filter(both).map(|card| text(&card["id"])).collect();
    ids.sort();
    ids
}

#[test]
fn a_partner_on_the_proposal_path_is_ready_as_soon_as_the_other_is() {
    let (mut world, _) = mixed();
    assert_eq!(phase(&world, ANN), "COLLECTING");
    let ready = world.ok(ANN, Command::ReadyToRank);
    assert_eq!(
        (&ready["canStartRanking"], &ready["partnerReady"], &ready["phase"]),
        (&json!(true), &json!(true), &json!("RANKING"))
    );
}

#[test]
fn a_partner_who_enters_later_makes_both_ready_and_this_is_announced() {
    let mut world = World::at_stage(4);
    world.strategy(ANN, "walk");
    world.ok(ANN, Command::ReadyToRank);
    assert_eq!(phase(&world, ANN), "COLLECTING");
    let seq = world.session.seq();
    look(&mut world, BEN);
    assert_eq!(world.announced_since(seq), ["partner.ready_to_rank"]);
    assert_eq!(phase(&world, ANN), "RANKING");
    let seq = world.session.seq();
    look(&mut world, BEN);
    assert_eq!(world.session.seq(), seq, "looking again is no event");
}

#[test]
fn a_ranking_and_stances_overlap() {
    for ranks_first in [true, false] {
        let (mut world, ids) = mixed();
        world.ok(ANN, Command::ReadyToRank);
        stances(&mut world, BEN, &[&ids[0], &ids[2]], &ids);
        let acts: [&dyn Fn(&mut World); 2] =
            [&|world| drop(rank(world, ANN, &[&ids[2], &ids[1], &ids[0]])), &|world| drop(share(world, BEN))];
        let (first, second) = if ranks_first { (acts[0], acts[1]) } else { (acts[1], acts[0]) };
        first(&mut world);
        assert_eq!(overlap(&world, ANN), None, "nothing before both are in");
        assert!(look(&mut world, BEN)["partnerSelections"].as_array().unwrap().is_empty());
        let seq = world.session.seq();
        second(&mut world);
        assert_eq!(world.announced_since(seq), ["partner.ranking_submitted", "strategies.overlap_ready"]);
        assert_eq!(overlap(&world, ANN), Some(vec![ids[2].clone(), ids[0].clone()]), "in the order of the ranking");
        assert_eq!(phase(&world, ANN), "REVEALING");
        let ben = look(&mut world, BEN);
        assert_eq!((&ben["phase"], &ben["partnerSelectionStatus"]), (&json!("OUTCOME_REVIEW"), &json!("SUBMITTED")));
        let mut expected = vec![ids[0].clone(), ids[2].clone()];
        expected.sort();
        assert_eq!(mutual(&mut world, BEN), expected);
    }
}

#[test]
fn an_agreement_or_a_closure_ends_the_stage() {
    let (mut world, ids) = mixed();
    world.ok(ANN, Command::ReadyToRank);
    stances(&mut world, BEN, &[&ids[0]], &ids);
    share(&mut world, BEN);
    rank(&mut world, ANN, &[&ids[0]]);
    let mut closed = World {
        ids: world.ids.fork(),
        session: world.session.clone(),
        log: world.log.clone(),
        settings: world.settings.clone(),
        now: world.now,
    };

    let agreement = world.propose(ANN, Some(&ids[0]));
    assert_eq!((phase(&world, ANN), phase(&world, BEN)), (json!("NEGOTIATING"), json!("NEGOTIATING")));
    assert_eq!(look(&mut world, BEN)["phase"], "CLOSING");
    assert_eq!(world.confirm(BEN, &agreement, true)["sessionCanResolve"], true);
    assert_eq!(phase(&world, ANN), "AGREED");
    world.ok(BEN, Command::Resolve);
    let seen = look(&mut world, BEN);
    assert_eq!(seen["outcome"], Value::Null, "resolved without closing");

    let pending = closed.propose(ANN, Some(&ids[0]));
    let answer = closed.post::<CloseStage4Request>(BEN, json!({}));
    assert_eq!(answer["outcome"]["agreements"][0]["id"], json!(pending), "what waited for a confirmation has got it");
    assert_eq!(closed.get(ANN, Query::Agreements)["agreements"].as_array().unwrap().len(), 1);
    assert_eq!(closed.status(ANN), "RESOLVED");
}

#[test]
fn a_declined_proposal_goes_back_to_what_was_revealed() {
    let (mut world, ids) = World::revealed();
    let agreement = world.propose(ANN, Some(&ids[0]));
    assert_eq!(phase(&world, BEN), "NEGOTIATING");
    world.confirm(BEN, &agreement, false);
    assert_eq!(phase(&world, BEN), "REVEALING");
}

#[test]
fn without_an_overlap_the_ranking_begins_anew_and_the_stances_stay() {
    let (mut world, ids) = mixed();
    world.ok(ANN, Command::ReadyToRank);
    stances(&mut world, BEN, &[&ids[1]], &ids);
    share(&mut world, BEN);
    let answer = rank(&mut world, ANN, &[&ids[0]]);
    assert_eq!((&answer["submitted"], &answer["partnerRanked"]), (&json!(true), &json!(true)));
    let pool = world.get(ANN, Query::Strategies);
    assert_eq!(
        (&pool["myReadyToRank"], pool["strategies"].as_array().unwrap().len()),
        (&json!(false), 3),
        "ideas are kept"
    );
    assert_ne!(pool["phase"], "REVEALING");
    let ben = look(&mut world, BEN);
    assert_eq!((&ben["phase"], &ben["partnerSelectionStatus"]), (&json!("OUTCOME_REVIEW"), &json!("SUBMITTED")));

    // Ben comes round to what Ann ranked: that is an overlap.
    select(&mut world, BEN, &ids[0], "WILLING");
    assert_eq!(look(&mut world, BEN)["partnerSelections"], json!([]));
    share(&mut world, BEN);
    assert_eq!((phase(&world, ANN), overlap(&world, ANN)), (json!("REVEALING"), Some(vec![ids[0].clone()])));
    assert_eq!(mutual(&mut world, BEN), [ids[0].clone()]);
}

#[test]
fn a_new_proposal_needs_a_stance_before_the_next_result() {
    let (mut world, ids) = mixed();
    world.ok(ANN, Command::ReadyToRank);
    stances(&mut world, BEN, &[&ids[1]], &ids);
    share(&mut world, BEN);
    rank(&mut world, ANN, &[&ids[0]]);
    let fourth = world.strategy(ANN, "sing");
    assert_eq!(look(&mut world, BEN)["mySelectionStatus"], "NOT_STARTED");
    world.ok(ANN, Command::ReadyToRank);
    rank(&mut world, ANN, &[&fourth]);
    assert_eq!(phase(&world, ANN), "RANKING", "Ben has not answered the new idea");
    assert!(look(&mut world, BEN)["partnerSelections"].as_array().unwrap().is_empty());
    select(&mut world, BEN, &fourth, "WILLING");
    share(&mut world, BEN);
    assert_eq!(overlap(&world, ANN), Some(vec![fourth]));
}

#[test]
fn a_partner_on_the_proposal_path_may_propose_until_a_submission() {
    let (mut world, ids) = mixed();
    world.ok(ANN, Command::ReadyToRank);
    world.strategy(BEN, "late, but nobody asked Ben");
    assert_eq!(
        world.post_refused::<ProposeStrategyRequest>(ANN, json!({ "description": "later" })).code,
        Code::Conflict
    );
    rank(&mut world, ANN, &[&ids[0]]);
    assert_eq!(
        world.post_refused::<ProposeStrategyRequest>(BEN, json!({ "description": "too late" })).code,
        Code::Conflict
    );
}

#[test]
fn two_partners_who_ranked_may_continue_on_the_proposal_path() {
    let (mut world, ids) = World::revealed();
    world.each(look);
    for who in [ANN, BEN] {
        let state = look(&mut world, who);
        assert_eq!((&state["phase"], &state["mySelectionStatus"]), (&json!("OUTCOME_REVIEW"), &json!("SUBMITTED")));
        assert_eq!(state["partnerSelections"].as_array().unwrap().len(), 3);
    }
    select(&mut world, ANN, &ids[0], "NOT_WILLING");
    let state = look(&mut world, ANN);
    assert_eq!(
        (&state["mySelectionStatus"], state["mySelections"].as_array().unwrap().len()),
        (&json!("NOT_STARTED"), 3)
    );
    share(&mut world, ANN);
    let answer = world.post::<CloseStage4Request>(BEN, json!({}));
    let mut closed: Vec<_> =
        answer["outcome"]["agreements"].as_array().unwrap().iter().map(|a| text(&a["strategyId"])).collect();
    closed.sort();
    let mut expected = vec![ids[1].clone(), ids[2].clone()];
    expected.sort();
    assert_eq!(closed, expected);
}

#[derive(Clone, Debug)]
enum Step {
    Look,
    Idea,
    Ready,
    Rank(Vec<u8>),
    Select(u8, bool),
    Share,
    Unshare,
}

fn step() -> impl Strategy<Value = (bool, Step)> {
    let what = prop_oneof![
        2 => Just(Step::Look),
        1 => Just(Step::Idea),
        3 => Just(Step::Ready),
        4 => proptest::collection::vec(any::<u8>(), 1..4).prop_map(Step::Rank),
        6 => (any::<u8>(), prop::bool::weighted(0.6)).prop_map(|(at, yes)| Step::Select(at, yes)),
        4 => Just(Step::Share),
        1 => Just(Step::Unshare),
    ];
    (any::<bool>(), what)
}

fn act(world: &mut World, who: &str, step: &Step) {
    let pool: Vec<_> = world.session_strategies(who);
    let at = |index: u8| pool.get(usize::from(index) % pool.len().max(1)).cloned();
    let command = match step {
        Step::Look => Some(Stage4Command::Look.into()),
        Step::Idea => parse::<ProposeStrategyRequest>(json!({ "description": "idea" })).ok(),
        Step::Ready => Some(Command::ReadyToRank),
        Step::Rank(places) => {
            let mut ids: Vec<_> = places.iter().filter_map(|place| at(*place)).collect();
            ids.sort();
            ids.dedup();
            parse::<SubmitRankingRequest>(json!({ "rankedIds": ids })).ok()
        }
        Step::Select(place, yes) => at(*place).and_then(|id| {
            let decision = if *yes { "WILLING" } else { "NOT_WILLING" };
            parse::<SelectManyRequest>(json!({ "selections": [{ "proposalId": id, "decision": decision }] })).ok()
        }),
        Step::Share => Some(Stage4Command::Share.into()),
        Step::Unshare => Some(Stage4Command::Unshare.into()),
    };
    if let Some(command) = command {
        drop(world.act(who, command));
    }
}

/// What holds for every pair at any time, seen through what each partner sees.
fn check(world: &World) {
    let mut copy = World {
        ids: world.ids.fork(),
        session: world.session.clone(),
        log: Vec::new(),
        settings: world.settings.clone(),
        now: world.now,
    };
    let (ann, ben) = (look(&mut copy, ANN), look(&mut copy, BEN));
    assert_eq!(ann["mySelectionStatus"], ben["partnerSelectionStatus"]);
    assert_eq!(ben["mySelectionStatus"], ann["partnerSelectionStatus"]);
    let both_are_in = ann["mySelectionStatus"] == "SUBMITTED" && ben["mySelectionStatus"] == "SUBMITTED";
    for (state, other) in [(&ann, &ben), (&ben, &ann)] {
        let visible = if both_are_in { &other["mySelections"] } else { &json!([]) };
        let sorted = |list: &Value| {
            let mut list: Vec<_> = list
                .as_array()
                .unwrap()
                .iter()
                .map(|s| s["proposalId"].to_string() + &s["decision"].to_string())
                .collect();
            list.sort();
            list
        };
        assert_eq!(
            sorted(&state["partnerSelections"]),
            sorted(visible),
            "stances show when both are in, and only then"
        );
    }
    assert_eq!(mutual(&mut copy, ANN), mutual(&mut copy, BEN), "both see the same in common");
    let (one, other) = (overlap(&copy, ANN), overlap(&copy, BEN));
    assert_eq!(one, other, "both see the same overlap");
    for who in [ANN, BEN] {
        if phase(&copy, who) == "REVEALING" {
            let revealed = overlap(&copy, who).expect("what is revealed shows");
            assert!(!revealed.is_empty(), "a reveal is never an empty dead end");
            let common = mutual(&mut copy, who);
            assert!(revealed.iter().all(|id| common.contains(id)), "an overlap is what both are willing to do");
        }
    }
}

fn check_close(mut world: World) {
    let common = mutual(&mut world, ANN);
    let Ok(answer) = world.act(ANN, parse::<CloseStage4Request>(json!({})).unwrap()) else { return };
    let agreements = answer["outcome"]["agreements"].as_array().unwrap();
    assert_eq!(agreements.len(), common.len().min(2));
    assert!(agreements.iter().all(|agreement| common.contains(&text(&agreement["strategyId"]))));
    for who in [ANN, BEN] {
        assert_eq!(world.status(who), "RESOLVED");
        assert_eq!(world.get(who, Query::Progress)["myProgress"]["status"], "COMPLETED");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_partners_see_the_same_result_on_every_combination_of_paths(steps in proptest::collection::vec(step(), 1..50)) {
        let mut world = World::at_stage(4);
        world.strategy(ANN, "walk");
        world.strategy(BEN, "talk");
        for (by_ann, step) in &steps {
            act(&mut world, if *by_ann { ANN } else { BEN }, step);
            check(&world);
        }
        let replayed = tandem_domain::Session::replay(world.log.clone());
        prop_assert_eq!(replayed.as_ref(), Some(&world.session));
        check_close(world);
    }
}
