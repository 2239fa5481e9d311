use serde_json::{Value, json};
use tandem_domain::{
    Code, Command, Query,
    command::*,
    strategy::{candidates, overlap},
};

use crate::world::*;

fn rank(world: &mut World, who: &str, ids: &[&String]) -> Value {
    world.post::<SubmitRankingRequest>(who, json!({ "rankedIds": ids }))
}

#[test]
fn strategies_are_never_attributed() {
    let mut world = World::at_stage(4);
    for index in 0..8 {
        let who = if index % 2 == 0 { ANN } else { BEN };
        world.strategy(who, &format!("idea {index}"));
    }
    let ann = world.get(ANN, Query::Strategies);
    let keys: Vec<_> = ann["strategies"][0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["description", "duration", "id", "measureOfSuccess", "needsAddressed"]);
    let order =
        |list: &Value| list["strategies"].as_array().unwrap().iter().map(|s| text(&s["id"])).collect::<Vec<_>>();
    let (first, ben) = (order(&ann), order(&world.get(BEN, Query::Strategies)));
    let mut sorted = first.clone();
    sorted.sort();
    assert_ne!(first, sorted, "the test's ids count, and the order does not follow them");
    assert_ne!(first, ben, "each has an order of its own");
    world.strategy(BEN, "one more");
    let mut later = order(&world.get(ANN, Query::Strategies));
    later.retain(|id| first.contains(id));
    assert_eq!(later, first, "the order is stable");
}

#[test]
fn the_pool_closes_when_both_are_ready() {
    let mut world = World::at_stage(4);
    assert_eq!(world.code(ANN, Command::ReadyToRank), Code::GateNotSatisfied);
    let id = world.strategy(ANN, "walk");
    let first = world.ok(ANN, Command::ReadyToRank);
    assert_eq!((&first["ready"], &first["canStartRanking"]), (&json!(true), &json!(false)));
    assert_eq!(
        world.post_refused::<SubmitRankingRequest>(ANN, json!({ "rankedIds": [id] })).code,
        Code::PartnerNotReady
    );
    assert_eq!(
        world.post_refused::<SubmitRankingRequest>(BEN, json!({ "rankedIds": [id] })).code,
        Code::GateNotSatisfied
    );
    world.strategy(BEN, "talk");
    let seq = world.session.seq();
    world.ok(ANN, Command::ReadyToRank);
    assert_eq!(world.session.seq(), seq, "saying it again changes nothing");
    assert_eq!(world.ok(BEN, Command::ReadyToRank)["canStartRanking"], true);
    let late = world.post_refused::<ProposeStrategyRequest>(ANN, json!({ "description": "too late" }));
    assert_eq!(late.code, Code::Conflict);
    let list = world.get(ANN, Query::Strategies);
    assert_eq!((&list["phase"], &list["canRank"]), (&json!("RANKING"), &json!(true)));
}

#[test]
fn rankings_are_secret_until_both_are_submitted_and_cannot_change_afterwards() {
    let mut world = World::at_stage(4);
    let ids = [world.strategy(ANN, "walk"), world.strategy(BEN, "talk"), world.strategy(BEN, "cook")];
    world.each(|world, who| world.ok(who, Command::ReadyToRank));
    let before = world.get(BEN, Query::Strategies);
    let first = rank(&mut world, ANN, &[&ids[0], &ids[1]]);
    assert_eq!((&first["submitted"], &first["awaitingReveal"]), (&json!(true), &json!(true)));
    let seq = world.session.seq();
    rank(&mut world, ANN, &[&ids[1], &ids[0]]);
    assert!(world.announced_since(seq).is_empty(), "a replaced ranking is no news");
    let mut after = world.get(BEN, Query::Strategies);
    after["seq"] = before["seq"].clone();
    assert_eq!(after, before);
    let waiting = world.get(BEN, Query::Overlap);
    assert_eq!((&waiting["overlap"], &waiting["waitingForPartner"]), (&Value::Null, &json!(true)));

    let second = rank(&mut world, BEN, &[&ids[2], &ids[1]]);
    assert_eq!((&second["canReveal"], &second["phase"]), (&json!(true), &json!("REVEALING")));
    assert_eq!(world.announced_since(seq), ["partner.ranking_submitted", "strategies.overlap_ready"]);
    for who in [ANN, BEN] {
        let revealed = world.get(who, Query::Overlap);
        assert_eq!(revealed["overlap"].as_array().unwrap().len(), 1);
        assert_eq!((&revealed["overlap"][0]["id"], &revealed["waitingForPartner"]), (&json!(ids[1]), &json!(false)));
        assert_eq!(world.post_refused::<SubmitRankingRequest>(who, json!({ "rankedIds": ids })).code, Code::Conflict);
    }
}

#[test]
fn rankings_without_an_overlap_open_the_pool_again() {
    let mut world = World::at_stage(4);
    let ids = [world.strategy(ANN, "walk"), world.strategy(BEN, "talk")];
    world.each(|world, who| world.ok(who, Command::ReadyToRank));
    rank(&mut world, ANN, &[&ids[0]]);
    let answer = rank(&mut world, BEN, &[&ids[1]]);
    assert_eq!((&answer["submitted"], &answer["partnerRanked"]), (&json!(true), &json!(true)));
    let overlap = world.get(ANN, Query::Overlap);
    assert_eq!((&overlap["overlap"], &overlap["phase"]), (&json!([]), &json!("NEGOTIATING")));
    assert_eq!(overlap["agreementCandidates"].as_array().unwrap().len(), 2);
    assert_eq!(overlap["waitingForPartner"], false);

    let third = world.strategy(ANN, "cook");
    assert_eq!(
        world.post_refused::<SubmitRankingRequest>(ANN, json!({ "rankedIds": [third] })).code,
        Code::GateNotSatisfied
    );
    world.each(|world, who| world.ok(who, Command::ReadyToRank));
    rank(&mut world, ANN, &[&third]);
    let between = world.get(ANN, Query::Overlap);
    assert_eq!(
        (&between["overlap"], &between["waitingForPartner"]),
        (&json!([]), &json!(true)),
        "earlier results remain"
    );
    rank(&mut world, BEN, &[&third]);
    assert_eq!(world.get(BEN, Query::Overlap)["overlap"][0]["id"], json!(third));
    assert_eq!(world.get(BEN, Query::Strategies)["phase"], "REVEALING");
}

#[test]
fn the_overlap_is_ordered_by_the_sum_of_ranks_then_by_id() {
    let id = |name: &str| format!("c0000000{name}").parse().unwrap();
    let list = |names: &str| names.chars().map(|name| id(&name.to_string())).collect::<Vec<_>>();
    let table = [
        ("abc", "abc", "abc", "abc"),
        ("abc", "cba", "abc", "abc"), // all sums are equal
        ("abc", "bxc", "bc", "bc"),
        ("abcd", "dxyz", "", "ad"), // d is not among the first three
        ("a", "b", "", "ab"),
        ("b", "a", "", "ab"),
        ("ax", "ay", "a", "a"),
    ];
    for (one, other, expected, proposed) in table {
        let (one, other) = (list(one), list(other));
        let shared = overlap(&one, &other);
        assert_eq!(shared, list(expected));
        assert_eq!(shared, overlap(&other, &one), "the same for both");
        assert_eq!(candidates(&shared, &one, &other), list(proposed));
        assert_eq!(candidates(&shared, &other, &one), list(proposed));
    }
}

#[test]
fn a_ranking_names_each_strategy_of_this_session_once() {
    let mut world = World::at_stage(4);
    let id = world.strategy(ANN, "walk");
    world.each(|world, who| world.ok(who, Command::ReadyToRank));
    for bad in [json!([]), json!([id, id]), json!(["cnot0of0this0session"]), json!(["?"])] {
        let refused = world.post_refused::<SubmitRankingRequest>(ANN, json!({ "rankedIds": bad }));
        assert_eq!(refused.code, Code::ValidationError, "{bad}");
    }
}
