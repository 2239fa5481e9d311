//! A stranger learns nothing, not even that a session exists.

use reqwest::Method;
use serde_json::Value;

use crate::harness::{
    Answer, Conversation, GET_ROUTES, Member, Partner, SESSION_ROUTES, all_routes, fill, server, shared, text,
};

async fn ask(partner: &Partner, method: &str, path: &str, body: &Value) -> Answer {
    let request = partner.request(Method::from_bytes(method.as_bytes()).expect("a method"), path);
    if body.is_null() { request.send().await } else { request.json(body).send().await }
}

#[tokio::test]
async fn on_every_session_route_a_stranger_gets_the_same_answer_as_for_an_unknown_session() {
    let server = shared().await;
    let (both, agreement) = Conversation::agreed(&server).await;
    let eve = server.partner("Eve");
    let before = both.anna.seq().await;
    for route in GET_ROUTES.iter().chain(&SESSION_ROUTES).filter(|route| route.path.contains("{id}")) {
        let path = route.path.replace("{agreementId}", &agreement);
        let body = (route.body)();
        let there = ask(&eve, route.method, &fill(&path, &both.session, &both.invitation), &body).await;
        there.refused(404, "NOT_FOUND");
        let nowhere =
            ask(&eve, route.method, &fill(&path, "cnosuchsession00000000000", "cnosuchinvitation0000000"), &body).await;
        let without_id = |answer: &Answer| (answer.status, answer.json()["error"].clone());
        assert_eq!(without_id(&there), without_id(&nowhere), "{} {path}", route.method);
    }
    assert_eq!(both.anna.seq().await, before);
}

#[tokio::test]
async fn a_stranger_with_a_wrong_body_learns_no_more() {
    let both = Conversation::joined(&*shared().await).await;
    let eve = shared().await.partner("Eve");
    let routes =
        SESSION_ROUTES.iter().filter(|route| route.method == "POST" && route.path.starts_with("/sessions/{id}"));
    for route in routes {
        for body in [serde_json::json!({}), Value::from("x"), serde_json::json!({ "reason": 7, "need": "" })] {
            for session in [both.session.as_str(), "cnosuchsession0"] {
                let path = fill(route.path, session, &both.invitation).replace("{agreementId}", "cnosuchagreement");
                ask(&eve, "POST", &path, &body).await.refused(404, "NOT_FOUND");
            }
        }
    }
}

#[tokio::test]
async fn without_a_token_every_route_but_the_open_ones_is_closed() {
    let server = shared().await;
    let both = Conversation::joined(&server).await;
    for base in ["/api/v1", "/api"] {
        for (method, path) in all_routes() {
            let path = format!("{base}{}", fill(path, &both.session, &both.invitation));
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            server.request(method, &path).send().await.refused(401, "UNAUTHORIZED");
        }
    }
}

#[tokio::test]
async fn an_invitation_that_was_used_shows_a_stranger_nothing_inside() {
    let server = server().start().await;
    let both = Conversation::joined(&server).await;
    let seen = server.get(&format!("/api/v1/invitations/{}", both.invitation)).send().await;
    assert!(!seen.body.contains(&both.ben.id), "{}", seen.body);
    if seen.status == 200 {
        assert_eq!(seen.ok()["status"], "ACCEPTED");
    }
}

#[tokio::test]
async fn malformed_ids_are_not_found_or_refused_and_never_an_internal_error() {
    let eve = shared().await.partner("Eve");
    for id in [
        "x",
        "c",
        "C123456789",
        "..%2f..%2fetc",
        "c1234-5678",
        "%00",
        "c%F0%9F%92%A9",
        "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
    ] {
        for path in [format!("/sessions/{id}"), format!("/sessions/{id}/progress"), format!("/invitations/{id}/accept")]
        {
            let method = if path.ends_with("accept") { "POST" } else { "GET" };
            let answer = ask(&eve, method, &path, &Value::Null).await;
            assert!(matches!(answer.status, 400 | 404), "{path}: {} {}", answer.status, answer.body);
            assert_eq!(answer.json()["success"], false, "{}", answer.body);
        }
    }
    let created = eve.invite("Ben").await.created();
    let mine = Member::new(eve, &text(&created["session"]["id"]));
    for stage in ["5", "-1", "two", "99999999999999999999999999"] {
        let answer = mine.read(&format!("/stages/{stage}/gates")).await;
        assert!(matches!(answer.status, 400 | 404), "{stage}: {} {}", answer.status, answer.body);
    }
}

#[tokio::test]
async fn no_request_reveals_a_draft_session_to_a_stranger() {
    let server = shared().await;
    let (anna, eve) = (server.partner("Anna"), server.partner("Eve"));
    let draft = anna.post("/sessions", serde_json::json!({ "inviteName": "Ben", "draft": true })).await.created();
    let there = text(&draft["invitationId"]);
    for action in ["resend", "accept", "decline"] {
        let refusal = |invitation: &str| eve.post_nothing(&format!("/invitations/{invitation}/{action}"));
        let (there, nowhere) = (refusal(&there).await, refusal("cnosuchinvitation0000000").await);
        assert_eq!(there.refused(404, "NOT_FOUND"), nowhere.refused(404, "NOT_FOUND"), "{action}");
    }
}
