//! Stage 4 by proposals, over HTTP: what a client that takes stances sees, and how it meets one that ranks.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Conversation, Member, Realtime, eventually, items, shared, strategies_of, text, three_ideas};

async fn look(member: &Member) -> Value {
    member.read("/stage4").await.ok()
}

async fn takes_stances(member: &Member, willing: &[String]) -> Value {
    for id in strategies_of(member).await {
        let decision = if willing.contains(&id) { "WILLING" } else { "NOT_WILLING" };
        let path = format!("/stage4/proposals/{id}/selection");
        let answer = member.say(&path, json!({ "decision": decision })).await.done();
        assert_eq!(answer["submitted"], true);
    }
    member.say("/stage4/share-selections", json!({})).await.done()["state"].clone()
}

#[tokio::test]
async fn two_partners_share_stances_and_close_with_an_agreement() {
    let server = shared().await;
    let both = Conversation::at_stage(&server, 4).await;
    three_ideas(&both).await;
    let ids = strategies_of(&both.anna).await;
    for member in both.members() {
        let state = look(member).await;
        assert_eq!((&state["outcome"], &state["partnerSelections"]), (&Value::Null, &json!([])));
        for card in items(&state["inventory"]["sharedProposals"]) {
            assert_eq!((&card["sourceLabel"], &card["kind"]), (&json!("UNKNOWN"), &json!("SHARED_PROPOSAL")));
        }
    }
    assert_eq!(takes_stances(&both.anna, &ids[..2]).await["partnerSelectionStatus"], "NOT_STARTED");
    let state = takes_stances(&both.ben, &ids[..1]).await;
    assert_eq!((&state["phase"], items(&state["partnerSelections"]).len()), (&json!("OUTCOME_REVIEW"), 3));

    let mut ears = Vec::new();
    for member in both.members() {
        let mut ear = Realtime::connect(member).await;
        ear.attach(&both.session).await;
        ears.push(ear);
    }
    let body = json!({ "kind": "SHARED_AGREEMENT", "reason": "MUTUAL_SELECTION", "checkInDate": "2099-01-01" });
    both.anna.say("/stage4/close", body).await.refused(400, "VALIDATION_ERROR");
    let closed = both.anna.say("/stage4/close", json!({ "kind": "SHARED_AGREEMENT" })).await.done();
    assert_eq!((&closed["closed"], &closed["state"]["phase"]), (&json!(true), &json!("CLOSED_SHARED_AGREEMENT")));
    for ear in &mut ears {
        let told = ear.message(&both.session, "session.resolved").await["data"].clone();
        assert_eq!((&told["closedBy"], &told["kind"]), (&json!(both.anna.id), &json!("SHARED_AGREEMENT")));
        assert!(told.get("excludeUserId").is_none() && told.get("triggeredByUserId").is_none(), "both hear: {told}");
    }
    for member in both.members() {
        assert_eq!(member.read("/state").await.ok()["session"]["status"], "RESOLVED");
        let agreements = items(&member.read("/agreements").await.ok()["agreements"]);
        assert_eq!((agreements.len(), &agreements[0]["status"]), (1, &json!("AGREED")));
        assert_eq!(look(member).await["outcome"]["agreements"][0]["strategyId"], json!(ids[0]));
    }
}

#[tokio::test]
async fn a_partner_who_ranks_and_a_partner_with_stances_reach_the_same_result() {
    let server = shared().await;
    let both = Conversation::at_stage(&server, 4).await;
    three_ideas(&both).await;
    let ids = strategies_of(&both.anna).await;
    look(&both.ben).await;
    let mut ear = Realtime::connect(&both.anna).await;
    ear.attach(&both.session).await;
    assert_eq!(both.anna.press("/strategies/ready").await.done()["phase"], "RANKING");
    let marked = ear.message(&both.session, "partner.marked_ready").await["data"].clone();
    assert!(marked.get("excludeUserId").is_none() && marked.get("triggeredByUserId").is_none(), "{marked}");
    takes_stances(&both.ben, &ids[1..]).await;
    ear.message(&both.session, "partner.ranking_submitted").await;
    let waiting = both.anna.read("/strategies/overlap").await.ok();
    assert_eq!((&waiting["overlap"], &waiting["waitingForPartner"]), (&Value::Null, &json!(true)));
    both.anna.rank(&ids).await.done();
    let overlap = items(&both.anna.read("/strategies/overlap").await.ok()["overlap"]);
    assert_eq!(overlap.iter().map(|one| text(&one["id"])).collect::<Vec<_>>(), ids[1..]);
    let willing = |card: &Value| card["myDecision"] == "WILLING" && card["partnerDecisionVisible"] == "WILLING";
    let state = look(&both.ben).await;
    assert_eq!(items(&state["inventory"]["sharedProposals"]).iter().filter(|card| willing(card)).count(), 2);

    let agreement = text(&both.anna.propose(&ids[1]).await.created()["agreement"]["id"]);
    assert_eq!(both.anna.read("/strategies").await.ok()["phase"], "NEGOTIATING");
    assert_eq!(both.ben.confirm(&agreement).await.done()["sessionCanResolve"], true);
    both.ben.press("/resolve").await.done();
    ear.message(&both.session, "session.resolved").await;
    assert_eq!(look(&both.ben).await["outcome"], Value::Null);
}

#[tokio::test]
async fn a_partner_walks_through_the_needs_alone_and_can_take_stances_back() {
    let server = shared().await;
    let both = Conversation::at_stage(&server, 4).await;
    let anna = &both.anna;
    let needs = anna.read("/needs/comparison").await.ok();
    let ids = |list: &str| items(&needs[list]).iter().map(|need| text(&need["id"])).collect::<Vec<_>>();
    let (mine, theirs) = (ids("myNeeds"), ids("partnerNeeds"));
    let idea = json!({ "description": "tea at five", "needsAddressed": [mine[0]] });
    let idea = text(&anna.say("/strategies", idea).await.created()["strategy"]["id"]);
    let step = async |need: &str, action: &str| {
        let path = format!("/stage4/walkthrough/needs/{need}");
        anna.say(&path, json!({ "action": action })).await.done()["state"]["walkthrough"]["phase"].clone()
    };
    for (needs, action, now, then) in
        [(&mine, "covered", "MY_NEEDS", "PARTNER_NEEDS"), (&theirs, "skip", "PARTNER_NEEDS", "QUALITY_REVIEW")]
    {
        assert_eq!((needs.len(), step(&needs[0], action).await), (2, json!(now)));
        assert_eq!(step(&needs[1], action).await, then);
    }
    assert_eq!(step(&mine[0], "reset").await, "MY_NEEDS");
    let path = format!("/stage4/walkthrough/needs/{}", mine[0]);
    anna.say(&path, json!({ "action": "jump" })).await.refused(400, "VALIDATION_ERROR");

    let willing =
        json!({ "selections": [{ "proposalId": idea, "decision": "WILLING", "note": "canary: if not too late" }] });
    assert_eq!(anna.say("/stage4/selections", willing).await.done()["submitted"], true);
    let refused = anna.say("/stage4/share-selections", json!({})).await.refused(400, "GATE_NOT_SATISFIED");
    let open: Vec<_> = items(&refused["details"]["needIds"]).iter().map(text).collect();
    assert!(!open.is_empty() && !open.contains(&mine[0]), "each open need is named: {refused}");
    let declined = async |member: &Member| {
        let audit = look(member).await["coverageAudit"].clone();
        items(&audit["open"]).iter().filter(|need| need["userDeclinedToAddress"] == true).count()
    };
    for need in &open {
        anna.say(&format!("/stage4/needs/{need}/decline"), json!({})).await.done();
    }
    assert_eq!((declined(anna).await, declined(&both.ben).await), (open.len(), 0), "that is the caller's own");
    let again = format!("/stage4/needs/{}/decline", open[0]);
    anna.request(Method::DELETE, &anna.path(&again)).send().await.done();
    assert_eq!(declined(anna).await, open.len() - 1);
    anna.say("/stage4/share-selections", json!({})).await.refused(400, "GATE_NOT_SATISFIED");
    anna.say(&again, json!({})).await.done();

    anna.say("/stage4/share-selections", json!({})).await.done();
    let seen = look(&both.ben).await;
    assert_eq!((&seen["partnerSelections"], seen.to_string().contains("canary")), (&json!([]), false), "{seen}");
    let state = anna.say("/stage4/unshare-selections", json!({})).await.done()["state"].clone();
    assert_eq!((&state["mySelectionStatus"], items(&state["mySelections"]).len()), (&json!("NOT_STARTED"), 1));
}

#[tokio::test]
async fn missing_items_and_forbidden_actions_have_clear_errors() {
    let server = shared().await;
    let early = Conversation::at_stage(&server, 3).await;
    early.anna.read("/stage4").await.refused(400, "INVALID_STAGE");
    let both = Conversation::at_stage(&server, 4).await;
    let anna = &both.anna;
    anna.say("/stage4/share-selections", json!({})).await.refused(400, "GATE_NOT_SATISFIED");
    for missing in ["cno0such0thing", "nonsense!"] {
        let path = format!("/stage4/proposals/{missing}/selection");
        anna.say(&path, json!({ "decision": "WILLING" })).await.refused(404, "NOT_FOUND");
        anna.say(&format!("/stage4/needs/{missing}/decline"), json!({})).await.refused(404, "NOT_FOUND");
        let path = format!("/stage4/walkthrough/needs/{missing}");
        anna.say(&path, json!({ "action": "skip" })).await.refused(404, "NOT_FOUND");
        anna.read(&format!("/stage4/subchat/{missing}")).await.refused(404, "NOT_FOUND");
    }
    let chat = anna.say("/stage4/subchat", json!({ "anchorKind": "NO_OVERLAP" })).await.done();
    let path = format!("/stage4/subchat/{}", text(&chat["subChat"]["id"]));
    anna.say(&format!("{path}/messages"), json!({ "content": "what if" })).await.done();
    assert_eq!(anna.read(&path).await.ok()["subChat"]["messages"][0]["content"], "what if");
    both.ben.read(&path).await.refused(403, "FORBIDDEN");
}

#[tokio::test]
async fn after_the_session_partners_check_in_on_their_agreements() {
    let server = shared().await;
    let both = Conversation::at_stage(&server, 4).await;
    three_ideas(&both).await;
    let ids = strategies_of(&both.anna).await;
    for member in both.members() {
        takes_stances(member, &ids).await;
    }
    // The day is today: the check-in opens at once, by the same timer as any other.
    let today = jiff::Timestamp::now().to_string();
    both.anna.say("/stage4/close", json!({ "checkInDate": &today[..10] })).await.done();
    let entries = |list: &Value| items(&list["entries"]);
    let open = |list: &Value| entries(list).iter().all(|entry| entry["status"] == "OPEN");
    let list = eventually("the check-ins are open", async || {
        let list = both.ben.read("/tending").await.ok();
        open(&list).then_some(list)
    })
    .await;
    assert_eq!(entries(&list).len(), 2, "{list}");

    let note = both.anna.say("/tending/notes", json!({ "content": "we walked twice" })).await.created();
    assert_eq!(note["note"]["consentToShareWithPartner"], false);
    let entry = both.anna.say("/tending/reentry", json!({ "intent": "talk about money" })).await.created();
    assert_eq!(entry["entry"]["type"], "USER_INITIATED_REENTRY");
    let path = format!("/tending/{}", text(&entry["entry"]["id"]));
    both.ben.say(&format!("{path}/responses"), json!({ "status": "WORKED" })).await.refused(404, "NOT_FOUND");
    let answer = json!({ "status": "PARTLY", "reflection": "money is hard", "continueChoice": "EXTEND" });
    assert_eq!(both.anna.say(&format!("{path}/responses"), answer).await.done()["entry"]["status"], "COMPLETED");
    both.anna.press(&format!("{path}/share")).await.done();
    let shown = async || both.ben.read("/tending").await.ok().to_string().contains("talk about money");
    assert!(shown().await, "shared");
    both.ben.press(&format!("{path}/unshare")).await.refused(403, "FORBIDDEN");
    both.anna.press(&format!("{path}/unshare")).await.done();
    assert!(!shown().await, "hidden again");
    let common = entries(&list)[0]["id"].clone();
    both.anna.press(&format!("/tending/{}/share", text(&common))).await.refused(400, "VALIDATION_ERROR");

    let body = |choice: &str| {
        json!({ "orientations": {
            "whatWorked": { "reflection": "", "perEntryNotes": {} }, "whereMoreSupport": { "reflection": "", "perEntryNotes": {} },
            "whatComesNext": { "continueChoice": choice, "reminders": [] },
        } })
    };
    let first = both.anna.say("/tending/checkin", body("EXTEND")).await.done();
    assert_eq!(first["coordinationCycle"]["status"], "WAITING_FOR_PARTNER");
    let theirs = both.ben.read("/tending").await.ok();
    for private in ["walked", "money", "EXTEND"] {
        assert!(!theirs.to_string().contains(private), "{private} in {theirs}");
    }
    let second = both.ben.say("/tending/checkin", body("EXTEND")).await.done();
    assert_eq!(second["coordinationCycle"]["status"], "RESOLVED");
    assert!(second["nextScheduledFor"].is_string());
    assert_eq!(items(&both.ben.read("/tending/history").await.ok()["cycles"]).len(), 1);
    both.ben.say("/tending/checkin", body("NAP")).await.refused(400, "VALIDATION_ERROR");
    both.ben.say("/tending/nonsense!/share", json!({})).await.refused(404, "NOT_FOUND");
}
