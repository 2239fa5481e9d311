//! Stage 4 up to the overlap: one unlabelled pool, two private rankings, one reveal for both.

use serde_json::{Value, json};

use crate::harness::{Conversation, Member, items, shared, strategies_of, text, three_ideas};

#[tokio::test]
async fn strategies_show_no_author_and_no_time() {
    let both = Conversation::at_stage(&*shared().await, 4).await;
    three_ideas(&both).await;
    for member in both.members() {
        let pool = member.read("/strategies").await;
        for word in [&both.anna.id, &both.ben.id, "Anna", "Ben", "createdAt", "author", "mine", "createdBy", "isMine"] {
            assert!(!pool.ok()["strategies"].to_string().contains(word), "{word} in {}", pool.body);
        }
    }
    let fields = |value: &Value| -> Vec<String> { value.as_object().expect("a strategy").keys().cloned().collect() };
    let pool = items(&both.anna.read("/strategies").await.ok()["strategies"]);
    assert!(pool.iter().all(|one| fields(one) == fields(&pool[0])), "the form does not tell whose it is: {pool:?}");
}

#[tokio::test]
async fn the_order_of_the_pool_is_stable_and_betrays_neither_the_newest_nor_the_author() {
    let mut by_author = 0;
    for _ in 0..3 {
        let both = Conversation::at_stage(&*shared().await, 4).await;
        let mut made = Vec::new();
        let mut before = Vec::new();
        for number in 0..8 {
            let author = both.members()[number % 2];
            made.push(text(&author.strategy(&format!("idea {number}")).await.created()["strategy"]["id"]));
            let shown = strategies_of(&both.anna).await;
            let kept: Vec<_> = shown.iter().filter(|id| before.contains(*id)).cloned().collect();
            assert_eq!(kept, before, "what was there keeps its order");
            before = shown;
        }
        for member in both.members() {
            let shown = strategies_of(member).await;
            assert_eq!(strategies_of(member).await, shown, "stable");
            // One chance in 40,000 each that a good order looks like this.
            assert_ne!(shown, made, "the order of creation");
            assert_ne!(shown.iter().rev().cloned().collect::<Vec<_>>(), made, "the newest first");
            let authors: Vec<_> =
                shown.iter().map(|id| made.iter().position(|one| one == id).map(|at| at % 2)).collect();
            by_author += usize::from(authors.is_sorted() || authors.iter().rev().is_sorted());
        }
    }
    // One chance in 35 each.
    assert!(by_author < 4, "one author's before the other's, {by_author} times of 6");
}

#[tokio::test]
async fn the_pool_locks_when_both_are_ready() {
    let both = Conversation::at_stage(&*shared().await, 4).await;
    three_ideas(&both).await;
    both.anna.press("/strategies/ready").await.done();
    both.ben.strategy("one more").await.created();
    let open = both.ben.read("/strategies").await.ok();
    assert_eq!(
        (&open["phase"], &open["partnerReadyToRank"], &open["myReadyToRank"]),
        (&json!("COLLECTING"), &json!(true), &json!(false))
    );
    let ids = strategies_of(&both.ben).await;
    let early = both.ben.rank(&ids).await;
    assert!(matches!(early.status, 400 | 409), "nobody ranks an open pool: {}", early.body);
    both.ben.press("/strategies/ready").await.done();
    let late = both.anna.strategy("too late").await;
    assert!(matches!(late.status, 400 | 409), "{}", late.body);
    assert_eq!(strategies_of(&both.anna).await.len(), 4);
}

#[tokio::test]
async fn a_ranking_names_each_strategy_of_the_session_once_and_no_other() {
    let (both, ids) = Conversation::ranking(&*shared().await).await;
    let (twice, unknown) = (vec![ids[0].clone(), ids[0].clone()], vec!["cnosuchstrategy0".to_owned()]);
    let (elsewhere, _) = Conversation::ranking(&*shared().await).await;
    for wrong in [twice, unknown, Vec::new(), strategies_of(&elsewhere.anna).await] {
        let answer = both.anna.rank(&wrong).await;
        assert!(matches!(answer.status, 400 | 404), "{wrong:?}: {}", answer.body);
    }
    both.anna.rank(&ids).await.done();
}

/// What a member may see of rankings, anywhere.
async fn everything(member: &Member) -> String {
    let mut seen = String::new();
    for path in ["/strategies", "/strategies/overlap", "/state", "/events", "/progress", "", "/agreements"] {
        seen += &member.read(path).await.body;
    }
    seen
}

#[tokio::test]
async fn a_ranking_is_hidden_until_both_are_in() {
    let (both, ids) = Conversation::ranking(&*shared().await).await;
    let order_before = strategies_of(&both.ben).await;
    let mine: Vec<_> = ids.iter().rev().cloned().collect();
    let ranked = both.anna.rank(&mine).await.done();
    assert_eq!((&ranked["awaitingReveal"], &ranked["canReveal"]), (&json!(true), &json!(false)));
    for member in both.members() {
        let overlap = member.read("/strategies/overlap").await.ok();
        assert_eq!((&overlap["overlap"], &overlap["waitingForPartner"]), (&Value::Null, &json!(true)), "{overlap}");
    }
    let seen = everything(&both.ben).await;
    for word in ["rankedIds", "\"rank\"", "ranking\":[", "partnerRanking"] {
        assert!(!seen.contains(word), "{word} in {seen}");
    }
    assert_eq!(strategies_of(&both.ben).await, order_before, "the order of the pool does not tell");
}

#[tokio::test]
async fn a_ranking_may_be_replaced_until_both_are_in_and_never_after() {
    let (both, ids) = Conversation::ranking(&*shared().await).await;
    both.anna.rank(&ids[..1]).await.done();
    both.anna.rank(&ids[1..]).await.done();
    both.ben.rank(&ids[1..2]).await.done();
    let overlap = both.ben.read("/strategies/overlap").await.ok();
    assert_eq!(items(&overlap["overlap"])[0]["id"], ids[1], "the replacement counts");
    for member in both.members() {
        let late = member.rank(&ids).await;
        assert!(matches!(late.status, 400 | 409), "{}", late.body);
    }
    assert_eq!(both.anna.read("/strategies/overlap").await.ok()["overlap"], overlap["overlap"]);
}

#[tokio::test]
async fn the_overlap_is_of_both_top_threes_by_the_sum_of_ranks_and_the_same_for_both() {
    let both = Conversation::at_stage(&*shared().await, 4).await;
    for number in 0..5 {
        both.anna.strategy(&format!("idea {number}")).await.created();
    }
    for member in both.members() {
        member.press("/strategies/ready").await.done();
    }
    let ids = strategies_of(&both.anna).await;
    let pick = |order: [usize; 5]| order.map(|at| ids[at].clone());
    // Top threes {0,1,2} and {2,3,0}: 0 has 1+3, 2 has 3+1; 1 and 3 are not in both.
    both.anna.rank(&pick([0, 1, 2, 3, 4])).await.done();
    both.ben.rank(&pick([2, 3, 0, 1, 4])).await.done();
    let (for_anna, for_ben) =
        (both.anna.read("/strategies/overlap").await.ok(), both.ben.read("/strategies/overlap").await.ok());
    assert_eq!(for_anna["overlap"], for_ben["overlap"], "the same for both");
    let shown: Vec<_> = items(&for_anna["overlap"]).iter().map(|one| text(&one["id"])).collect();
    let mut tied = vec![ids[0].clone(), ids[2].clone()];
    tied.sort();
    assert_eq!(shown, tied, "equal sums go by id");
    assert_eq!(for_anna["waitingForPartner"], false);
}

#[tokio::test]
async fn the_better_sum_of_ranks_comes_first() {
    let (both, ids) = Conversation::ranking(&*shared().await).await;
    let mut ordered = ids.clone();
    ordered.sort();
    ordered.reverse();
    for member in both.members() {
        member.rank(&ordered).await.done();
    }
    let overlap = items(&both.ben.read("/strategies/overlap").await.ok()["overlap"]);
    let shown: Vec<_> = overlap.iter().map(|one| text(&one["id"])).collect();
    assert_eq!(shown, ordered, "against the order of ids");
}

#[tokio::test]
async fn without_an_overlap_both_negotiate_over_first_choices_and_rank_again() {
    let (both, ids) = Conversation::ranking(&*shared().await).await;
    both.anna.rank(&ids[..1]).await.done();
    both.ben.rank(&ids[1..2]).await.done();
    for member in both.members() {
        let overlap = member.read("/strategies/overlap").await.ok();
        assert_eq!((&overlap["overlap"], &overlap["phase"]), (&json!([]), &json!("NEGOTIATING")), "{overlap}");
        let mut candidates: Vec<_> =
            items(&overlap["agreementCandidates"]).iter().map(|one| text(&one["id"])).collect();
        candidates.sort();
        let mut firsts = ids[..2].to_vec();
        firsts.sort();
        assert_eq!(candidates, firsts);
    }
    let fresh = text(&both.ben.strategy("something we both like").await.created()["strategy"]["id"]);
    for member in both.members() {
        member.press("/strategies/ready").await.done();
    }
    for member in both.members() {
        member.rank(std::slice::from_ref(&fresh)).await.done();
    }
    let overlap = both.anna.read("/strategies/overlap").await.ok();
    assert_eq!(items(&overlap["overlap"])[0]["id"], fresh);
    assert_ne!(overlap["phase"], "NEGOTIATING");
}
