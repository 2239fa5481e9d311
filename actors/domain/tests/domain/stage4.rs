//! Stage 4 by proposals, for two partners who both go this way.

use serde_json::{Value, json};
use tandem_domain::{Code, Command, Query, command::*};

use crate::world::*;

pub fn ok(world: &mut World, who: &str, command: Stage4Command) -> Value {
    world.ok(who, command.into())
}

pub fn look(world: &mut World, who: &str) -> Value {
    ok(world, who, Stage4Command::Look)
}

pub fn select(world: &mut World, who: &str, proposal: &str, decision: &str) -> Value {
    let request: SelectOneRequest = serde_json::from_value(json!({ "decision": decision })).unwrap();
    world.ok(who, Command::try_from((proposal.parse().unwrap(), request)).unwrap())
}

pub fn share(world: &mut World, who: &str) -> Value {
    ok(world, who, Stage4Command::Share)
}

pub fn close(world: &mut World, who: &str, body: Value) -> Value {
    world.post::<CloseStage4Request>(who, body)
}

fn need_command<R: serde::de::DeserializeOwned>(id: &str, body: Value) -> Command
where
    Command: TryFrom<(tandem_domain::ids::NeedId, R), Error = tandem_domain::Rejection>,
{
    Command::try_from((id.parse().unwrap(), serde_json::from_value::<R>(body).unwrap())).unwrap()
}

/// Two proposals; Ann and Ben both go by proposals.
pub fn proposals() -> (World, Vec<String>) {
    let mut world = World::at_stage(4);
    let ids = vec![world.strategy(ANN, "walk"), world.strategy(BEN, "talk")];
    world.each(look);
    (world, ids)
}

/// Both are willing to walk, Ben alone to talk; both have shared.
pub fn shared() -> (World, Vec<String>) {
    let (mut world, ids) = proposals();
    select(&mut world, ANN, &ids[0], "WILLING");
    select(&mut world, ANN, &ids[1], "NOT_WILLING");
    select(&mut world, BEN, &ids[0], "WILLING");
    select(&mut world, BEN, &ids[1], "WILLING");
    world.each(share);
    (world, ids)
}

fn card<'a>(state: &'a Value, id: &str) -> &'a Value {
    let cards = state["inventory"]["sharedProposals"].as_array().unwrap();
    cards.iter().find(|card| card["id"] == id).unwrap()
}

#[test]
fn proposals_show_no_author() {
    let (mut world, _) = proposals();
    for who in [ANN, BEN] {
        let state = look(&mut world, who);
        assert_eq!(
            (&state["phase"], &state["walkthrough"]["phase"]),
            (&json!("INVENTORY_BUILDING"), &json!("QUALITY_REVIEW"))
        );
        assert_eq!((&state["outcome"], &state["mySelectionStatus"]), (&Value::Null, &json!("NOT_STARTED")));
        for card in state["inventory"]["sharedProposals"].as_array().unwrap() {
            assert_eq!(card["sourceLabel"], "UNKNOWN");
            assert!(card.get("myDecision").is_none() && card.get("partnerDecisionVisible").is_none(), "{card}");
        }
    }
}

#[test]
fn a_stance_is_private_until_both_have_shared() {
    let (mut world, ids) = proposals();
    let before = look(&mut world, BEN);
    let seq = world.session.seq();
    let answer = select(&mut world, ANN, &ids[0], "WILLING");
    assert_eq!((&answer["submitted"], &answer["partnerSubmitted"]), (&json!(true), &json!(false)));
    assert_eq!(answer["state"]["phase"], "SELECTION");
    assert!(world.announced_since(seq).is_empty(), "nobody hears of a stance");
    let mut after = look(&mut world, BEN);
    after["seq"] = before["seq"].clone();
    after["inventory"]["updatedAt"] = before["inventory"]["updatedAt"].clone();
    assert_eq!(after, before);

    select(&mut world, ANN, &ids[1], "NOT_WILLING");
    share(&mut world, ANN);
    let ben = look(&mut world, BEN);
    assert_eq!((&ben["partnerSelectionStatus"], &ben["partnerSelections"]), (&json!("SUBMITTED"), &json!([])));
    assert!(card(&ben, &ids[0]).get("partnerDecisionVisible").is_none());

    select(&mut world, BEN, &ids[0], "WILLING");
    select(&mut world, BEN, &ids[1], "WILLING");
    let seq = world.session.seq();
    share(&mut world, BEN);
    assert_eq!(world.announced_since(seq), ["partner.ranking_submitted"]);
    for who in [ANN, BEN] {
        let state = look(&mut world, who);
        assert_eq!(state["phase"], "OUTCOME_REVIEW");
        assert_eq!(state["partnerSelections"].as_array().unwrap().len(), 2);
    }
    let ann = look(&mut world, ANN);
    assert_eq!(
        (&card(&ann, &ids[1])["myDecision"], &card(&ann, &ids[1])["partnerDecisionVisible"]),
        (&json!("NOT_WILLING"), &json!("WILLING"))
    );
}

#[test]
fn changing_a_stance_withdraws_the_sharing() {
    let (mut world, ids) = shared();
    let seq = world.session.seq();
    select(&mut world, ANN, &ids[0], "WILLING");
    assert_eq!(world.session.seq(), seq, "the same stance changes nothing");
    select(&mut world, ANN, &ids[0], "NOT_WILLING");
    assert_eq!(world.announced_since(seq), ["session.strategies_updated"]);
    let told = world.log.last().unwrap().announcement(world.session.id()).unwrap();
    assert_eq!(
        (&told.payload["change"], &told.payload["submittedBy"]),
        (&json!("stage4_selection_revised"), &json!(ANN))
    );
    let ben = look(&mut world, BEN);
    assert_eq!((&ben["partnerSelectionStatus"], &ben["partnerSelections"]), (&json!("NOT_STARTED"), &json!([])));
    assert_eq!(ben["mySelectionStatus"], "SUBMITTED");
    share(&mut world, ANN);
    assert_eq!(look(&mut world, BEN)["partnerSelectionStatus"], "SUBMITTED");
    let seq = world.session.seq();
    ok(&mut world, ANN, Stage4Command::Unshare);
    ok(&mut world, ANN, Stage4Command::Unshare);
    assert_eq!(world.announced_since(seq), ["session.strategies_updated"]);
}

#[test]
fn sharing_needs_a_stance_on_each_proposal() {
    let mut world = World::at_stage(4);
    assert_eq!(world.code(ANN, Stage4Command::Share.into()), Code::GateNotSatisfied);
    let ids = [world.strategy(ANN, "walk"), world.strategy(BEN, "talk")];
    select(&mut world, ANN, &ids[0], "WILLING");
    let refused = world.refused(ANN, Stage4Command::Share.into());
    assert_eq!((refused.code, &refused.details.unwrap()["proposalIds"]), (Code::GateNotSatisfied, &json!([ids[1]])));
    select(&mut world, ANN, &ids[1], "NOT_WILLING");
    share(&mut world, ANN);
    world.strategy(BEN, "cook");
    assert_eq!(look(&mut world, BEN)["partnerSelectionStatus"], "NOT_STARTED", "a later idea has to be answered, too");
}

#[test]
fn strategies_that_both_are_willing_to_do_become_agreements() {
    let (mut world, ids) = shared();
    let seq = world.session.seq();
    let answer = close(&mut world, ANN, json!({ "kind": "SHARED_AGREEMENT", "summary": "we walk" }));
    assert_eq!(world.announced_since(seq), ["session.resolved"]);
    let told = world.log.iter().rev().find_map(|event| event.announcement(world.session.id())).unwrap();
    assert!(!told.payload.contains_key("excludeUserId"), "both hear of it");
    assert_eq!((&told.payload["closedBy"], &told.payload["kind"]), (&json!(ANN), &json!("SHARED_AGREEMENT")));
    let outcome = &answer["outcome"];
    assert_eq!(
        (&answer["closed"], &outcome["reason"], &outcome["summary"]),
        (&json!(true), &json!("MUTUAL_SELECTION"), &json!("we walk"))
    );
    assert_eq!(outcome["checkInAt"], json!(world.now + DAY * 10));
    assert_eq!(answer["state"]["phase"], "CLOSED_SHARED_AGREEMENT");
    for who in [ANN, BEN] {
        assert_eq!(world.status(who), "RESOLVED");
        assert_eq!(world.get(who, Query::Progress)["myProgress"]["status"], "COMPLETED");
        let agreements = world.get(who, Query::Agreements)["agreements"].clone();
        assert_eq!(agreements.as_array().unwrap().len(), 1);
        assert_eq!((&agreements[0]["strategyId"], &agreements[0]["status"]), (&json!(ids[0]), &json!("AGREED")));
        assert_eq!((&agreements[0]["agreedByMe"], &agreements[0]["agreedByPartner"]), (&json!(true), &json!(true)));
        assert_eq!(card(&look(&mut world, who), &ids[0])["status"], "CONVERTED_TO_AGREEMENT");
    }
    let again = close(&mut world, ANN, json!({}));
    assert_eq!(again["closedAt"], answer["closedAt"], "a repetition is answered alike");
    assert_eq!(world.post_refused::<CloseStage4Request>(BEN, json!({})).code, Code::Conflict);
    assert_eq!(world.code(BEN, Stage4Command::Share.into()), Code::Conflict);
}

#[test]
fn closing_makes_at_most_two_agreements() {
    let mut world = World::at_stage(4);
    let ids: Vec<_> = (0..4).map(|number| world.strategy(ANN, &format!("idea {number}"))).collect();
    world.each(|world, who| {
        ids.iter().for_each(|id| drop(select(world, who, id, "WILLING")));
        share(world, who)
    });
    let answer = close(&mut world, BEN, json!({ "checkInDate": "2027-03-01" }));
    let agreements = answer["outcome"]["agreements"].as_array().unwrap();
    assert_eq!(agreements.len(), 2);
    assert!(agreements.iter().all(|agreement| agreement["followUpDate"] == "2027-03-01T00:00:00.000Z"));
}

#[test]
fn without_a_shared_agreement_there_has_to_be_a_reason() {
    let (mut world, _) = proposals();
    let refused = |world: &mut World, body| world.post_refused::<CloseStage4Request>(ANN, body).code;
    let none = json!({ "kind": "NO_SHARED_AGREEMENT", "reason": "NO_OVERLAP" });
    assert_eq!(refused(&mut world, none.clone()), Code::ValidationError, "nobody knows yet");
    assert_eq!(refused(&mut world, json!({ "kind": "SHARED_AGREEMENT" })), Code::GateNotSatisfied);
    let (mut world, ids) = shared();
    assert_eq!(refused(&mut world, none.clone()), Code::ValidationError, "both are willing to do something");
    assert_eq!(
        refused(&mut world, json!({ "kind": "SHARED_AGREEMENT", "reason": "NO_OVERLAP" })),
        Code::ValidationError
    );
    assert_eq!(refused(&mut world, json!({ "checkInDate": "2020-01-01" })), Code::ValidationError);
    select(&mut world, ANN, &ids[0], "NOT_WILLING");
    share(&mut world, ANN);
    assert_eq!(refused(&mut world, json!({ "kind": "SHARED_AGREEMENT" })), Code::GateNotSatisfied);
    let answer = close(&mut world, ANN, none);
    assert_eq!(answer["state"]["phase"], "CLOSED_NO_SHARED_AGREEMENT");
    assert_eq!(world.get(BEN, Query::Agreements)["agreements"], json!([]));

    let (mut world, _) = shared();
    let answer = close(&mut world, BEN, json!({ "kind": "NO_SHARED_AGREEMENT", "reason": "USER_STOPPED" }));
    assert_eq!(answer["outcome"]["reason"], "USER_STOPPED");
}

#[test]
fn needs_that_no_proposal_names_are_open_until_declined() {
    let mut world = World::at_stage(4);
    let theirs = world.get(ANN, Query::NeedsComparison)["partnerNeeds"][0]["id"].clone();
    let mine = world.get(ANN, Query::NeedsComparison)["myNeeds"][0]["id"].clone();
    let body = json!({ "description": "tea at five", "needsAddressed": [mine] });
    let id = text(&world.post::<ProposeStrategyRequest>(ANN, body)["strategy"]["id"]);
    let state = look(&mut world, ANN);
    assert_eq!(state["phase"], "COVERAGE_REVIEW");
    assert_eq!(
        (&state["coverageAudit"]["covered"][0]["id"], &state["coverageAudit"]["covered"][0]["source"]),
        (&mine, &json!("YOU"))
    );
    assert_eq!(
        (&state["coverageAudit"]["open"][0]["id"], &state["inventory"]["unaddressedNeeds"][0]["id"]),
        (&theirs, &theirs)
    );
    assert_eq!(card(&state, &id)["needsAddressed"][0]["label"], "ann needs SAFETY", "an id reads as its need");
    assert_eq!(world.get(BEN, Query::Strategies)["strategies"][0]["needsAddressed"][0], "ann needs SAFETY");
    let walk = &state["walkthrough"];
    assert_eq!(
        (&walk["phase"], &walk["currentNeed"]["id"], &walk["totalInPhase"]),
        (&json!("MY_NEEDS"), &mine, &json!(1))
    );
    assert_eq!(walk["proposalGroups"][0]["proposals"][0]["id"], json!(id));

    select(&mut world, ANN, &id, "WILLING");
    let refused = world.refused(ANN, Stage4Command::Share.into());
    assert_eq!(refused.details.unwrap()["needIds"], json!([theirs]));
    let theirs = text(&theirs);
    let need = theirs.parse().unwrap();
    ok(&mut world, ANN, Stage4Command::DeclineNeed(DeclineNeed { need, declined: true }));
    let state = share(&mut world, ANN)["state"].clone();
    assert_eq!(state["coverageAudit"]["open"][0]["userDeclinedToAddress"], true);
    assert_eq!(look(&mut world, BEN)["coverageAudit"]["open"][0]["userDeclinedToAddress"], false, "private");
    let need = "cno0such0need".parse().unwrap();
    assert_eq!(
        world.code(ANN, Stage4Command::DeclineNeed(DeclineNeed { need, declined: true }).into()),
        Code::NotFound
    );
}

#[test]
fn the_walk_goes_through_ones_own_needs_and_then_the_partners() {
    let mut world = World::at_stage(4);
    let comparison = world.get(ANN, Query::NeedsComparison);
    let (mine, theirs) = (text(&comparison["myNeeds"][0]["id"]), text(&comparison["partnerNeeds"][0]["id"]));
    let step = |world: &mut World, need: &str, action: &str| {
        let answer = world.ok(ANN, need_command::<WalkNeedRequest>(need, json!({ "action": action })));
        answer["state"]["walkthrough"].clone()
    };
    let walk = step(&mut world, &mine, "covered");
    assert_eq!((&walk["phase"], &walk["currentNeed"]["id"]), (&json!("PARTNER_NEEDS"), &json!(theirs)));
    assert_eq!(
        (&walk["ownNeeds"][0]["status"], &walk["partnerNeeds"][0]["status"]),
        (&json!("covered"), &json!("in_progress"))
    );
    assert_eq!(step(&mut world, &theirs, "skip")["phase"], "QUALITY_REVIEW");
    assert_eq!(step(&mut world, &mine, "reset")["currentNeed"]["id"], json!(mine));
    assert_eq!(look(&mut world, BEN)["walkthrough"]["phase"], "QUALITY_REVIEW", "each walks alone");
}

#[test]
fn a_need_whose_consent_is_revoked_leaves_the_stage() {
    let mut world = World::at_stage(4);
    let mine = text(&world.get(ANN, Query::NeedsComparison)["myNeeds"][0]["id"]);
    world.post::<ProposeStrategyRequest>(ANN, json!({ "description": "tea", "needsAddressed": [mine] }));
    world.post::<RevokeConsentRequest>(ANN, json!({ "kind": "needs" }));
    let state = look(&mut world, BEN).to_string();
    assert!(!state.contains("ann needs") && !state.contains(&mine), "{state}");
    assert!(!world.get(BEN, Query::Strategies).to_string().contains("ann needs"));
}

#[test]
fn a_sub_chat_is_private_and_accepted_drafts_go_into_the_pool() {
    let (mut world, ids) = proposals();
    let need = text(&world.get(ANN, Query::NeedsComparison)["myNeeds"][0]["id"]);
    let anchor = json!({ "anchorKind": "NEEDS_BRAINSTORM", "anchorId": need });
    let chat = text(&world.post::<OpenSubChatRequest>(ANN, anchor.clone())["subChat"]["id"]);
    assert_eq!(
        world.post::<OpenSubChatRequest>(ANN, anchor)["subChat"]["id"],
        json!(chat),
        "the open one is gone on with"
    );
    let say =
        |body| Command::try_from((chat.parse().unwrap(), serde_json::from_value::<SayInSubChatRequest>(body).unwrap()));
    let said = world.ok(ANN, say(json!({ "content": "what else is there" })).unwrap());
    assert_eq!(
        (&said["subChat"]["messages"][0]["role"], &said["subChat"]["messages"][0]["content"]),
        (&json!("USER"), &json!("what else is there"))
    );
    assert_eq!(world.code(BEN, Stage4Command::ReadSubChat(chat.parse().unwrap()).into()), Code::Forbidden);
    assert_eq!(world.code(BEN, Stage4Command::ReadSubChat("cno0such0chat".parse().unwrap()).into()), Code::NotFound);
    assert!(!look(&mut world, BEN).to_string().contains("what else"));

    select(&mut world, BEN, &ids[0], "WILLING");
    let body = json!({
        "acceptedProposals": [{ "description": "read aloud" }],
        "updatedProposals": [{ "proposalId": ids[0], "description": "walk at seven" }],
    });
    let resolve =
        Command::try_from((chat.parse().unwrap(), serde_json::from_value::<ResolveSubChatRequest>(body).unwrap()))
            .unwrap();
    let seq = world.session.seq();
    let answer = world.ok(ANN, resolve.clone());
    assert_eq!(
        (answer["createdProposalIds"].as_array().unwrap().len(), &answer["updatedProposalIds"]),
        (1, &json!([ids[0]]))
    );
    assert_eq!(world.announced_since(seq), ["session.strategies_updated"; 3]);
    for event in world.log.iter().filter(|event| event.seq > seq) {
        let told = event.announcement(world.session.id()).unwrap();
        assert!(!serde_json::to_string(&told.payload).unwrap().contains(ANN), "whose idea it was stays untold");
    }
    let ben = look(&mut world, BEN);
    let revised = card(&ben, &ids[0]);
    assert_eq!((&revised["description"], &revised["status"]), (&json!("walk at seven"), &json!("REVISED")));
    assert!(revised.get("myDecision").is_none(), "Ben has not seen these words");
    let made = card(&ben, answer["createdProposalIds"][0].as_str().unwrap());
    assert_eq!(made["needsAddressed"][0]["id"], json!(need), "a brainstorm's ideas name their need");
    assert_eq!(world.ok(ANN, resolve)["createdProposalIds"], json!([]));
    assert_eq!(world.code(ANN, say(json!({ "content": "and then" })).unwrap()), Code::Conflict);
}
