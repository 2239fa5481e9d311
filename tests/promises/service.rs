//! What an AI service writes for one member: that member alone has it until it is confirmed or shared, and nobody else
//! can write so.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Conversation, Member, Realtime, Request, Server, items, server, text};

const TOKEN: &str = "the token of an AI service";

#[derive(Clone, Copy)]
struct Service<'a>(&'a Server);

impl Service<'_> {
    async fn send(&self, method: Method, member: &Member, rest: &str, body: Value) -> Answer {
        let path = format!("/api/v1/service/sessions/{}/members/{}{rest}", member.session, member.id);
        Request::new(method, &self.0.origin, &path).bearer(TOKEN).json(&body).send().await
    }

    async fn put(&self, member: &Member, rest: &str, body: Value) -> Answer {
        self.send(Method::PUT, member, rest, body).await
    }

    async fn post(&self, member: &Member, rest: &str, body: Value) -> Answer {
        self.send(Method::POST, member, rest, body).await
    }
}

async fn with_service() -> Server {
    server().set("app.service_token", TOKEN).set("app.offer_feel_heard", false).start().await
}

/// Method, path below the member's, and a body that is right in form.
fn routes() -> [(Method, String, Value); 6] {
    let strategy = json!({ "description": "walk together after dinner" });
    let need = json!({ "need": "rest", "category": "SAFETY", "description": "" });
    [
        (Method::PUT, "/invitation".into(), json!({ "topicFrame": "Sundays" })),
        (Method::POST, "/feel-heard-offer".into(), json!({})),
        (Method::PUT, "/empathy/draft".into(), json!({ "content": "you may feel alone" })),
        (Method::PUT, "/needs".into(), json!({ "needs": [need] })),
        (Method::POST, "/strategies".into(), strategy),
        (Method::POST, "/subchats/cnosuchsubchat0000000000/messages".into(), json!({ "content": "How about this?" })),
    ]
}

#[tokio::test]
async fn the_service_and_nobody_else_writes_on_its_routes() {
    let running = with_service().await;
    let both = Conversation::joined(&running).await;
    let before = both.anna.seq().await;
    for (method, rest, body) in routes() {
        let path = format!("/api/v1/service/sessions/{}/members/{}{rest}", both.session, both.anna.id);
        let request = || Request::new(method.clone(), &running.origin, &path).json(&body);
        request().send().await.refused(401, "UNAUTHORIZED");
        for token in [both.anna.token.as_str(), "the token of an AI servicf", "the token of an AI service and more"] {
            request().bearer(token).send().await.refused(401, "UNAUTHORIZED");
        }
        for (session, member) in [
            ("cnosuchsession00000000000", both.anna.id.as_str()),
            (both.session.as_str(), "user_nobody"),
            ("nosession", both.anna.id.as_str()),
        ] {
            let path = format!("/api/v1/service/sessions/{session}/members/{member}{rest}");
            let nowhere = Request::new(method.clone(), &running.origin, &path).bearer(TOKEN).json(&body);
            nowhere.send().await.refused(404, "NOT_FOUND");
        }
    }
    assert_eq!(both.anna.seq().await, before, "nothing was written");
    for path in ["/sessions", "/auth/me"] {
        let read = running.get(&format!("/api/v1{path}")).bearer(TOKEN).send().await;
        read.refused(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn without_a_token_in_the_settings_there_is_no_service() {
    let running = server().start().await;
    let both = Conversation::joined(&running).await;
    for (method, rest, body) in routes() {
        Service(&running).send(method, &both.anna, &rest, body).await.refused(404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn only_the_creator_sees_the_texts_of_an_invitation_until_it_is_sent() {
    let running = with_service().await;
    let service = Service(&running);
    let anna = running.partner("Anna");
    let created = anna.post("/sessions", json!({ "inviteName": "Ben", "draft": true })).await.created();
    let anna = Member::new(anna, &text(&created["session"]["id"]));
    let invitation = text(&created["invitationId"]);
    let ben = Member::new(running.partner("Ben"), &anna.session);
    service.put(&ben, "/invitation", json!({ "topicFrame": "Ben is no member yet" })).await.refused(404, "NOT_FOUND");
    service.put(&anna, "/invitation", json!({})).await.refused(400, "VALIDATION_ERROR");
    service.put(&anna, "/invitation", json!({ "topicFrame": "x".repeat(501) })).await.refused(400, "VALIDATION_ERROR");
    let texts = json!({ "topicFrame": "who cooks on Sundays", "invitationMessage": "shall we talk?" });
    assert_eq!(service.put(&anna, "/invitation", texts).await.ok(), json!({ "written": true }));
    let shown = async |path: &str| running.get(&format!("/api/v1{path}")).send().await.body;
    assert!(!shown(&format!("/invitations/{invitation}")).await.contains("Sundays"), "before it goes out");
    anna.press("/topic-frame/confirm").await.ok();
    anna.press("/invitation/confirm").await.ok();
    ben.accept(&invitation).await.ok();
    for late in [json!({ "topicFrame": "another" }), json!({ "invitationMessage": "another" })] {
        service.put(&anna, "/invitation", late).await.refused(400, "VALIDATION_ERROR");
    }
    let state = ben.read("/state").await.ok();
    assert_eq!(state["invitation"]["topicFrame"], "who cooks on Sundays");
    service.put(&ben, "/invitation", json!({ "topicFrame": "the other way" })).await.refused(403, "FORBIDDEN");
}

#[tokio::test]
async fn an_offer_to_confirm_to_feel_heard_is_for_one_member_in_stage_1() {
    let running = with_service().await;
    let service = Service(&running);
    let both = Conversation::joined(&running).await;
    let offer = |member: Member| async move { service.post(&member, "/feel-heard-offer", json!({})).await };
    assert_eq!(offer(both.anna.clone()).await.status, 400, "not in stage 0");
    let both = both.brought_to(1).await;
    offer(both.anna.clone()).await.ok();
    offer(both.anna.clone()).await.ok();
    for (member, offered) in both.members().into_iter().zip([true, false]) {
        let gates = member.read("/progress").await.ok()["myProgress"]["gatesSatisfied"].clone();
        assert_eq!((&gates["feelHeardCheckOffered"], &gates["feelHeardConfirmed"]), (&json!(offered), &json!(false)));
    }
    assert!(!both.ben.read("/progress").await.ok()["partnerProgress"].to_string().contains("feelHeardCheckOffered"));
}

#[tokio::test]
async fn a_draft_for_a_member_is_shared_by_the_member_alone() {
    let running = with_service().await;
    let service = Service(&running);
    let both = Conversation::at_stage(&running, 2).await;
    let words = "written for anna";
    service.put(&both.anna, "/empathy/draft", json!({ "content": words })).await.ok();
    let draft = both.anna.read("/empathy/draft").await.ok()["draft"].clone();
    assert_eq!((&draft["content"], &draft["readyToShare"]), (&json!(words), &json!(false)));
    nowhere_at(&both.ben, words).await;
    both.anna.share_empathy().await.refused(400, "GATE_NOT_SATISFIED");
    both.anna.draft(words).await.done();
    both.anna.share_empathy().await.done();
    both.ben.share_attempt().await;
    assert_eq!(both.ben.read("/empathy/partner").await.ok()["attempt"]["content"], words);
    let late = service.put(&both.anna, "/empathy/draft", json!({ "content": "and more" })).await;
    assert!(!both.ben.read("/empathy/partner").await.body.contains("and more"), "{}", late.body);
}

#[tokio::test]
async fn captured_needs_are_visible_to_their_member_only_until_they_are_shared() {
    let running = with_service().await;
    let service = Service(&running);
    let both = Conversation::at_stage(&running, 3).await;
    let mut ear = Realtime::connect(&both.anna).await;
    ear.attach(&both.session).await;
    let evidence = "you said so on Monday";
    let need = |need: &str| json!({ "need": need, "category": "SAFETY", "description": "", "evidence": [evidence] });
    let put = |member: Member, needs: Vec<Value>| async move {
        service.put(&member, "/needs", json!({ "needs": needs })).await
    };
    put(both.anna.clone(), vec![need("a quiet room")]).await.ok();
    put(both.anna.clone(), vec![need("a quiet evening"), need("a plan")]).await.ok();
    let heard = ear.message(&both.session, "session.needs_extracted").await;
    assert!(!heard.to_string().contains("quiet"), "{heard}");
    let needs = items(&both.anna.read("/needs").await.ok()["needs"]);
    let confirmed: Vec<_> = needs.iter().map(|need| (text(&need["need"]), need["confirmed"].clone())).collect();
    assert_eq!(confirmed, [("a quiet evening".to_owned(), json!(false)), ("a plan".to_owned(), json!(false))]);
    nowhere_at(&both.ben, "quiet").await;

    let ids: Vec<_> = needs.iter().map(|need| need["id"].clone()).collect();
    both.anna.say("/needs/confirm", json!({ "needIds": ids })).await.done();
    both.anna.say("/needs/consent", json!({ "needIds": ids })).await.done();
    put(both.anna.clone(), vec![need("something else")]).await.refused(403, "FORBIDDEN");
    both.ben.share_needs().await;
    let seen = both.ben.read("/needs/comparison").await.body;
    assert!(seen.contains("a quiet evening") && !seen.contains(evidence), "{seen}");
}

#[tokio::test]
async fn a_strategy_of_the_service_is_in_the_pool_without_an_author() {
    let running = with_service().await;
    let service = Service(&running);
    let both = Conversation::at_stage(&running, 4).await;
    let mut ear = Realtime::connect(&both.ben).await;
    ear.attach(&both.session).await;
    let strategy = json!({ "description": "ten quiet minutes", "needsAddressed": ["rest"] });
    service.post(&both.anna, "/strategies", strategy).await.ok();
    let heard = ear.message(&both.session, "session.strategies_updated").await;
    assert!(!heard.to_string().contains("quiet"), "{heard}");
    for member in both.members() {
        let pool = items(&member.read("/strategies").await.ok()["strategies"]);
        assert_eq!(pool.len(), 1);
        assert_eq!(pool[0]["description"], "ten quiet minutes");
        assert!(!pool[0].to_string().contains(&both.anna.id), "{}", pool[0]);
    }
    let needless = service.post(&both.anna, "/strategies", json!({ "description": " " })).await;
    needless.refused(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn an_answer_in_a_sub_chat_is_visible_to_its_owner_only() {
    let running = with_service().await;
    let service = Service(&running);
    let both = Conversation::at_stage(&running, 4).await;
    let chat = both.anna.say("/stage4/subchat", json!({ "anchorKind": "NO_OVERLAP" })).await.done()["subChat"].clone();
    let path = format!("/subchats/{}/messages", text(&chat["id"]));
    let own = format!("/stage4/subchat/{}", text(&chat["id"]));
    both.anna.say(&format!("{own}/messages"), json!({ "content": "what could we do?" })).await.done();
    let candidate = json!({ "description": "a canary walk", "needsAddressed": [] });
    let answer = json!({ "content": "how about a canary?", "candidate": candidate });
    service.post(&both.ben, &path, answer.clone()).await.refused(403, "FORBIDDEN");
    service.post(&both.anna, &path, answer).await.ok();
    let messages = items(&both.anna.read(&own).await.ok()["subChat"]["messages"]);
    let said: Vec<_> = messages.iter().map(|message| text(&message["role"])).collect();
    assert_eq!(said, ["USER", "AI"]);
    assert_eq!(messages[1]["candidate"]["description"], "a canary walk");
    both.ben.read(&own).await.refused(403, "FORBIDDEN");
    nowhere_at(&both.ben, "canary").await;

    let accepted = json!({ "acceptedProposals": [messages[1]["candidate"]] });
    both.anna.say(&format!("{own}/resolve"), accepted).await.done();
    assert!(both.ben.read("/strategies").await.body.contains("a canary walk"), "once it is accepted");
    assert!(!both.ben.read("/strategies").await.body.contains("how about"));
    service.post(&both.anna, &path, json!({ "content": "and?" })).await.refused(409, "CONFLICT");
}

/// In nothing that a member can read of the session.
async fn nowhere_at(member: &Member, words: &str) {
    for route in crate::harness::GET_ROUTES.iter().filter(|route| route.path.starts_with("/sessions/{id}")) {
        let path = route.path.trim_start_matches("/sessions/{id}");
        let seen = member.read(path).await.body;
        assert!(!seen.contains(words), "{}: {seen}", route.path);
    }
    for path in ["/stage4", "/messages"] {
        assert!(!member.read(path).await.body.contains(words), "{path}");
    }
}
