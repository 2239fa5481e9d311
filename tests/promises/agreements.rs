//! Agreements: at most two alive, one for each strategy, confirmed only by both.

use serde_json::{Value, json};

use crate::harness::{Conversation, items, shared, text};

fn names(events: &[Value]) -> Vec<String> {
    events.iter().filter_map(|event| event["name"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn only_revealed_strategies_can_be_proposed() {
    let (both, ids) = Conversation::ranking(&*shared().await).await;
    let early = both.anna.propose(&ids[0]).await;
    assert!(matches!(early.status, 400 | 409), "{}", early.body);
    both.anna.rank(&ids[..1]).await.done();
    both.ben.rank(&ids[..1]).await.done();
    let unknown = both.anna.propose("cnosuchstrategy0").await;
    assert!(matches!(unknown.status, 400 | 404), "{}", unknown.body);
    for wrong in [
        json!({ "type": "COMMITMENT" }),
        json!({ "description": "x", "type": "PROMISE" }),
        json!({ "description": "x" }),
    ] {
        both.anna.say("/agreements", wrong).await.refused(400, "VALIDATION_ERROR");
    }
    both.anna.propose(&ids[0]).await.created();
}

#[tokio::test]
async fn the_proposer_counts_as_agreed_and_cannot_confirm_for_the_partner() {
    let (both, ids) = Conversation::overlapping(&*shared().await).await;
    let id = text(&both.anna.propose(&ids[0]).await.created()["agreement"]["id"]);
    let own = both.anna.confirm(&id).await;
    if own.status == 200 {
        assert_eq!(own.ok()["agreement"]["status"], "PROPOSED", "still the partner's turn");
    }
    let listed = items(&both.ben.read("/agreements").await.ok()["agreements"]);
    assert_eq!((&listed[0]["id"], &listed[0]["status"]), (&json!(id), &json!("PROPOSED")));
    both.anna.press("/resolve").await.refused(400, "GATE_NOT_SATISFIED");
    assert!(!names(&both.anna.events().await).contains(&"agreement.confirmed".to_owned()));
    let done = both.ben.confirm(&id).await.done();
    assert_eq!((&done["confirmed"], &done["agreement"]["status"]), (&json!(true), &json!("AGREED")));
    let confirmed = names(&both.anna.events().await).iter().filter(|name| *name == "agreement.confirmed").count();
    assert_eq!(confirmed, 1);
}

#[tokio::test]
async fn a_session_has_at_most_two_agreements_and_one_for_each_strategy() {
    let (both, ids) = Conversation::overlapping(&*shared().await).await;
    let first = text(&both.anna.propose(&ids[0]).await.created()["agreement"]["id"]);
    both.ben.propose(&ids[0]).await.refused(409, "CONFLICT");
    both.ben.confirm(&first).await.done();
    both.ben.propose(&ids[0]).await.refused(409, "CONFLICT");
    both.ben.propose(&ids[1]).await.created();
    let third = both.anna.propose(&ids[2]).await;
    assert!(matches!(third.status, 400 | 409), "two at most: {}", third.body);
    assert_eq!(items(&both.anna.read("/agreements").await.ok()["agreements"]).len(), 2);
}

#[tokio::test]
async fn a_declined_proposal_frees_its_place_and_is_never_announced_as_confirmed() {
    let (both, ids) = Conversation::overlapping(&*shared().await).await;
    for _ in 0..3 {
        let id = text(&both.anna.propose(&ids[0]).await.created()["agreement"]["id"]);
        let path = format!("/agreements/{id}/confirm");
        let declined = both.ben.say(&path, json!({ "confirmed": false, "modification": "once a week" })).await.done();
        assert_eq!((&declined["confirmed"], &declined["agreement"]["status"]), (&json!(false), &json!("ABANDONED")));
        let late = both.ben.confirm(&id).await;
        assert!(matches!(late.status, 400 | 409), "what is declined stays declined: {}", late.body);
    }
    let told = names(&both.anna.events().await);
    assert!(!told.contains(&"agreement.confirmed".to_owned()), "{told:?}");
    assert_eq!(told.iter().filter(|name| *name == "agreement.declined").count(), 3);
    both.anna.press("/resolve").await.refused(400, "GATE_NOT_SATISFIED");
    for id in &ids[..2] {
        both.anna.propose(id).await.created();
    }
}

#[tokio::test]
async fn of_two_simultaneous_proposals_for_one_strategy_one_stands() {
    let (both, ids) = Conversation::overlapping(&*shared().await).await;
    let tries = (0..3).flat_map(|_| [both.anna.propose(&ids[0]), both.ben.propose(&ids[0])]);
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        refused.refused(409, "CONFLICT");
    }
}

#[tokio::test]
async fn an_agreement_of_another_session_is_not_found() {
    let server = shared().await;
    let (both, ids) = Conversation::overlapping(&server).await;
    let (_, elsewhere) = Conversation::agreed(&server).await;
    both.anna.propose(&ids[0]).await.created();
    both.ben.confirm(&elsewhere).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn resolving_takes_an_agreement_and_happens_once() {
    let (both, agreement) = Conversation::agreed(&*shared().await).await;
    let answers = futures_util::future::join_all([both.anna.press("/resolve"), both.ben.press("/resolve")]).await;
    assert!(answers.iter().any(|answer| answer.status == 200));
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.refused(400, "SESSION_NOT_ACTIVE");
    }
    let resolved = names(&both.anna.events().await).iter().filter(|name| *name == "session.resolved").count();
    assert_eq!(resolved, 1);
    let kept = items(&both.ben.read("/agreements").await.ok()["agreements"]);
    assert_eq!((kept.len(), &kept[0]["id"]), (1, &json!(agreement)));
}
