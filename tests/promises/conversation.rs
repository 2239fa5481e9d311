//! A whole conversation, from the invitation to the resolution, with every documented field of every answer.

use serde_json::{Value, json};

use crate::harness::{Conversation, Member, Partner, has, items, shared, text};

/// Reads `seq` off the answers and insists that it grows.
#[derive(Default)]
struct Order(u64);

impl Order {
    #[track_caller]
    fn next(&mut self, data: Value) -> Value {
        let seq = data["seq"].as_u64().unwrap_or_else(|| panic!("seq is missing in {data}"));
        assert!(seq > self.0, "seq {seq} after {} in {data}", self.0);
        self.0 = seq;
        data
    }
}

async fn stage_status(member: &Member) -> (Value, Value) {
    let progress = member.read("/progress").await.ok();
    has(&progress, &["sessionId", "sessionStatus", "myProgress", "partnerProgress", "canAdvance", "milestones"]);
    let (mine, partners) = (&progress["myProgress"], &progress["partnerProgress"]);
    has(mine, &["stage", "status", "startedAt", "completedAt", "gates", "gatesSatisfied"]);
    let shown: Vec<_> = partners.as_object().expect("an object").keys().map(String::as_str).collect();
    assert!(
        shown.iter().all(|key| ["stage", "status"].contains(key)),
        "of the partner, stage and status only: {partners}"
    );
    (mine.clone(), partners.clone())
}

async fn advance(member: &Member, order: &mut Order, to: u64) {
    let answer = order.next(member.advance().await.ok());
    has(&answer, &["success", "newProgress", "advanced", "newStage", "newStatus", "advancedAt"]);
    assert_eq!(answer["success"], true);
    assert_eq!(answer["advanced"], true);
    assert_eq!(answer["newStage"], to);
    assert_eq!(answer["newStatus"], "IN_PROGRESS");
    assert_eq!(stage_status(member).await.0["stage"], to);
}

async fn invitation(anna: &Partner, ben: &Partner, order: &mut Order) -> (Member, Member) {
    let created = anna.post("/sessions", json!({ "inviteName": "Ben", "context": "about chores" })).await.created();
    has(&created, &["session", "invitationId", "invitationUrl"]);
    let id = text(&created["session"]["id"]);
    assert_eq!(created["session"]["status"], "INVITED");
    order.next(created.clone());
    let invitation = text(&created["invitationId"]);
    assert!(text(&created["invitationUrl"]).contains(&invitation));
    let (anna, ben) = (Member::new(anna.clone(), &id), Member::new(ben.clone(), &id));
    let mine = anna.read("/invitation").await.ok();
    has(&mine["invitation"], &["id", "status", "createdAt", "expiresAt"]);
    assert_eq!(mine["invitation"]["status"], "PENDING");
    let accepted = order.next(ben.accept(&invitation).await.ok());
    assert_eq!(accepted["session"]["id"], id);
    assert_eq!(accepted["session"]["status"], "ACTIVE");
    assert_eq!(ben.read("/invitation").await.ok()["invitation"]["status"], "ACCEPTED");
    (anna, ben)
}

async fn stage_0(anna: &Member, ben: &Member, order: &mut Order) {
    let status = ben.read("/compact/status").await.ok();
    has(&status, &["mySigned", "mySignedAt", "partnerSigned", "partnerSignedAt", "canAdvance"]);
    let first = order.next(anna.sign().await.ok());
    has(&first, &["signed", "signedAt", "partnerSigned", "canAdvance"]);
    assert_eq!((&first["signed"], &first["canAdvance"]), (&json!(true), &json!(false)));
    assert_eq!(stage_status(anna).await.0["status"], "GATE_PENDING");
    let second = order.next(ben.sign().await.ok());
    assert_eq!((&second["partnerSigned"], &second["canAdvance"]), (&json!(true), &json!(true)));
    advance(anna, order, 1).await;
    advance(ben, order, 1).await;
}

async fn stage_1(anna: &Member, ben: &Member, order: &mut Order) {
    for (member, to) in [(anna, 2), (ben, 2)] {
        let heard = member.say("/feel-heard", json!({ "confirmed": true, "feedback": "thank you" })).await.ok();
        has(&heard, &["confirmed", "confirmedAt", "canAdvance", "partnerCompleted"]);
        assert_eq!((&heard["confirmed"], &heard["canAdvance"]), (&json!(true), &json!(true)));
        order.next(heard);
        advance(member, order, to).await;
    }
}

async fn stage_2(anna: &Member, ben: &Member, order: &mut Order) {
    for (member, waits) in [(anna, true), (ben, false)] {
        let saved = order.next(member.draft("you may feel alone").await.ok());
        has(&saved, &["draft", "readyToShare", "draftId", "savedAt"]);
        let read = member.read("/empathy/draft").await.ok();
        has(&read, &["draft", "canConsent", "alreadyConsented"]);
        assert_eq!((&read["canConsent"], &read["alreadyConsented"]), (&json!(true), &json!(false)));
        let consent = json!({ "draftId": saved["draftId"], "finalContent": "you may feel alone at times" });
        let consented = order.next(member.say("/empathy/consent", consent).await.ok());
        has(&consented, &["consented", "consentedAt", "waitingForPartner", "partnerConsented"]);
        assert_eq!((&consented["consented"], &consented["waitingForPartner"]), (&json!(true), &json!(waits)));
    }
    for member in [anna, ben] {
        let partners = member.read("/empathy/partner").await.ok();
        has(&partners, &["attempt", "waitingForPartner", "validated", "validatedAt", "awaitingRevision"]);
        assert!(partners["attempt"].to_string().contains("you may feel alone at times"), "{partners}");
        let validated = order.next(member.validate().await.ok());
        has(
            &validated,
            &["validated", "validatedAt", "feedbackShared", "awaitingRevision", "canAdvance", "partnerValidated"],
        );
    }
    advance(anna, order, 3).await;
    advance(ben, order, 3).await;
}

async fn stage_3(anna: &Member, ben: &Member, order: &mut Order) {
    for member in [anna, ben] {
        let need = json!({ "need": "to be safe", "category": "SAFETY", "description": "at home" });
        let added = order.next(member.say("/needs", need).await.created());
        has(&added["need"], &["id", "need", "category", "description"]);
        let ids = [text(&added["need"]["id"])];
        assert_eq!(items(&member.read("/needs").await.ok()["needs"]).len(), 1);
        let confirmed = order.next(member.say("/needs/confirm", json!({ "needIds": ids })).await.ok());
        has(&confirmed, &["updated", "confirmed", "confirmedAt", "allConfirmed", "partnerConfirmed", "canAdvance"]);
        assert_eq!(confirmed["allConfirmed"], true);
        let shared = order.next(member.say("/needs/consent", json!({ "needIds": ids })).await.ok());
        has(&shared, &["consented", "sharedAt", "waitingForPartner", "commonGroundReady"]);
        assert_eq!(shared["commonGroundReady"], json!(member.id == ben.id));
    }
    for (member, both) in [(anna, false), (ben, true)] {
        let ground = member.read("/common-ground").await.ok();
        has(&ground, &["commonGround", "analysisComplete", "bothConfirmed"]);
        assert_eq!(ground["analysisComplete"], true);
        assert_eq!(items(&ground["commonGround"])[0]["category"], "SAFETY");
        let confirmed = order.next(member.confirm_common_ground().await);
        has(&confirmed, &["updated", "allConfirmedByMe", "allConfirmedByBoth", "canAdvance"]);
        assert_eq!((&confirmed["allConfirmedByMe"], &confirmed["allConfirmedByBoth"]), (&json!(true), &json!(both)));
    }
    advance(anna, order, 4).await;
    advance(ben, order, 4).await;
}

async fn stage_4(anna: &Member, ben: &Member, order: &mut Order) -> String {
    let mut ids = Vec::new();
    for (total, member) in [(1, anna), (2, ben)] {
        let idea = json!({ "description": format!("idea {total}"), "needsAddressed": ["safety"], "duration": "a week", "measureOfSuccess": "calm" });
        let added = order.next(member.say("/strategies", idea).await.created());
        has(&added, &["strategy", "totalStrategies"]);
        assert_eq!(added["totalStrategies"], total);
        ids.push(text(&added["strategy"]["id"]));
    }
    let pool = anna.read("/strategies").await.ok();
    has(&pool, &["strategies", "phase", "myReadyToRank", "partnerReadyToRank", "canRank"]);
    assert_eq!((&pool["phase"], &pool["canRank"]), (&json!("COLLECTING"), &json!(false)));
    for (member, start) in [(anna, false), (ben, true)] {
        let ready = order.next(member.press("/strategies/ready").await.ok());
        has(&ready, &["ready", "readyAt", "partnerReady", "canStartRanking"]);
        assert_eq!(ready["canStartRanking"], start);
    }
    assert_eq!(anna.read("/strategies").await.ok()["phase"], "RANKING");
    for (member, reveal) in [(anna, false), (ben, true)] {
        let ranked = order.next(member.rank(&ids).await.ok());
        has(
            &ranked,
            &[
                "submitted",
                "submittedAt",
                "ranked",
                "rankedAt",
                "partnerSubmitted",
                "partnerRanked",
                "awaitingReveal",
                "canReveal",
            ],
        );
        assert_eq!(ranked["canReveal"], reveal);
    }
    let overlap = ben.read("/strategies/overlap").await.ok();
    has(&overlap, &["overlap", "phase", "waitingForPartner", "agreementCandidates"]);
    assert_eq!(items(&overlap["overlap"]).len(), 2);
    let proposed = order.next(anna.propose(&ids[0]).await.created());
    has(&proposed, &["agreement", "awaitingPartnerConfirmation"]);
    has(&proposed["agreement"], &["id", "description", "type", "status", "strategyId"]);
    assert_eq!(
        (&proposed["agreement"]["status"], &proposed["awaitingPartnerConfirmation"]),
        (&json!("PROPOSED"), &json!(true))
    );
    let id = text(&proposed["agreement"]["id"]);
    let confirmed = order.next(ben.confirm(&id).await.ok());
    has(
        &confirmed,
        &["agreement", "confirmed", "confirmedAt", "partnerConfirmed", "sessionCanResolve", "sessionComplete"],
    );
    assert_eq!((&confirmed["agreement"]["status"], &confirmed["sessionCanResolve"]), (&json!("AGREED"), &json!(true)));
    id
}

#[tokio::test]
async fn two_partners_go_from_the_invitation_to_the_resolution() {
    let server = shared().await;
    let mut order = Order::default();
    let (anna, ben) = invitation(&server.partner("Anna"), &server.partner("Ben"), &mut order).await;
    stage_0(&anna, &ben, &mut order).await;
    stage_1(&anna, &ben, &mut order).await;
    stage_2(&anna, &ben, &mut order).await;
    stage_3(&anna, &ben, &mut order).await;
    let agreement = stage_4(&anna, &ben, &mut order).await;
    let resolved = order.next(ben.press("/resolve").await.ok());
    has(&resolved, &["resolved", "resolvedAt", "agreements", "followUpScheduled"]);
    assert_eq!(items(&resolved["agreements"])[0]["id"], agreement);
    for member in [&anna, &ben] {
        assert_eq!(member.read("").await.ok()["session"]["status"], "RESOLVED");
        let state = member.read("/state").await.ok();
        has(&state, &["session", "progress", "invitation", "compact", "seq"]);
        assert!(state["seq"].as_u64() >= Some(order.0), "reads are not older than answers");
        let seqs: Vec<_> = member.events().await.iter().map(|event| event["seq"].as_u64()).collect();
        assert!(seqs.is_sorted_by(|one, next| one < next), "in order, each once: {seqs:?}");
    }
}

#[tokio::test]
async fn a_resolved_session_is_read_only() {
    let (both, _) = Conversation::agreed(&*shared().await).await;
    both.anna.press("/resolve").await.done();
    let before = both.anna.seq().await;
    for (path, body) in [
        ("/pause", json!({})),
        ("/strategies", json!({ "description": "too late" })),
        ("/agreements", json!({ "description": "too late", "type": "COMMITMENT" })),
        ("/feel-heard", json!({ "confirmed": true })),
    ] {
        both.ben.say(path, body).await.refused(400, "SESSION_NOT_ACTIVE");
    }
    assert_eq!(both.anna.seq().await, before, "a refusal changes nothing");
    assert_eq!(items(&both.ben.read("/agreements").await.ok()["agreements"]).len(), 1);
}
