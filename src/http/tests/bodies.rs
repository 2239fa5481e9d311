//! What clients send.

use actix_web::http::header::ContentType;
use tandem_actors::domain::Rejection;

use super::*;

#[actix_web::test]
async fn an_empty_body_is_an_absent_one_whatever_the_content_type_says() {
    let server = Server::start();
    for route in ["stages/advance", "strategies/ready", "resume", "resolve", "pause", "compact/sign"] {
        let path = format!("/api/v1/sessions/{SESSION}/{route}");
        let request = || anna(TestRequest::post().uri(&path));
        for request in [
            request(),
            request().insert_header(ContentType::json()),
            request().insert_header(ContentType::json()).set_payload("{}"),
            request().insert_header(ContentType::plaintext()).set_payload("  "),
        ] {
            assert_eq!(server.send(request).await.status, 200, "{path}");
        }
    }
    let accept =
        anna(TestRequest::post().uri("/api/v1/invitations/cinvitation/accept")).insert_header(ContentType::json());
    assert_eq!(server.send(accept).await.status, 200);
    assert_eq!(server.fakes.last(), format!("AcceptInvitation in {SESSION} by user_anna"));
}

#[actix_web::test]
async fn a_wrong_body_is_refused_with_the_place() {
    let server = Server::start();
    let path = format!("/api/v1/sessions/{SESSION}/feel-heard");
    for (body, message) in [
        ("{\"confirmed\":", "the body is not JSON: it cannot be read at line 1, column 13"),
        ("{\"confirmed\":\"my secret\"}", "confirmed must be a boolean; found string"),
        ("[]", "the body must be a JSON object; found a list"),
    ] {
        let answer = server.post(&path, body).await;
        assert_eq!(answer.refusal(), refused(400, "VALIDATION_ERROR"), "{body}");
        assert_eq!(answer.message(), message);
        assert_eq!(server.fakes.last(), format!("Summary in {SESSION} by user_anna"), "nothing but who is a member");
    }
}

#[actix_web::test]
async fn a_stranger_is_told_nothing_of_a_wrong_body() {
    let server = Server::start();
    for (route, body) in [
        ("feel-heard", "{\"confirmed\":"),
        ("feel-heard", "{}"),
        ("needs", "{\"need\":\"\",\"category\":\"SAFETY\"}"),
        ("presence", "{\"status\":\"here\"}"),
        ("agreements/cidentifier000000000000000/confirm", "{}"),
    ] {
        *server.fakes.refusal.lock() = Some(Rejection::no_such_session().into());
        let answer = server.post(&format!("/api/v1/sessions/{SESSION}/{route}"), body).await;
        assert_eq!(answer.refusal(), refused(404, "NOT_FOUND"), "{route} {body}");
    }
}

#[actix_web::test]
async fn a_body_is_at_most_64_kib() {
    let server = Server::start();
    let path = format!("/api/v1/sessions/{SESSION}/pause");
    let body = |size: usize| format!("{{\"more\":\"{}\"}}", "x".repeat(size - 11));
    assert_eq!(server.post(&path, &body(64 * 1024)).await.status, 200);
    let answer = server.post(&path, &body(64 * 1024 + 1)).await;
    assert_eq!(answer.refusal(), refused(413, "VALIDATION_ERROR"));
    assert_eq!(answer.message(), "the body must not be larger than 65536 bytes");
    let announced = anna(TestRequest::post().uri(&path)).insert_header(("content-length", "65537"));
    assert_eq!(server.send(announced).await.status, 413);
    let compressed = anna(TestRequest::post().uri(&path)).insert_header(("content-encoding", "gzip")).set_payload("x");
    assert_eq!(server.send(compressed).await.refusal(), refused(400, "VALIDATION_ERROR"));
}

#[actix_web::test]
async fn every_command_reaches_its_session() {
    let server = Server::start();
    let id = "cidentifier000000000000000";
    let table = [
        ("pause", json!({ "reason": "dinner" }), "Pause("),
        ("archive", json!({}), "Archive"),
        ("viewed", json!({ "lastSeenSeq": 3 }), "Viewed("),
        ("nudge", json!({}), "Nudge"),
        ("invitation/confirm", json!({}), "ConfirmInvitation"),
        ("feel-heard", json!({ "confirmed": true }), "ConfirmFeelHeard("),
        ("empathy/draft", json!({ "content": "You feel alone." }), "SaveEmpathyDraft("),
        ("empathy/consent", json!({ "consent": true }), "ConsentEmpathy("),
        ("empathy/validate", json!({ "validated": true }), "ValidateEmpathy("),
        ("needs", json!({ "need": "Rest", "category": "SAFETY" }), "AddNeed("),
        ("needs/confirm", json!({ "needIds": [id] }), "ConfirmNeeds("),
        ("needs/consent", json!({ "needIds": [id] }), "ShareNeeds("),
        ("common-ground/confirm", json!({ "confirmations": [] }), "ConfirmCommonGround("),
        ("strategies", json!({ "description": "Talk on Sundays" }), "ProposeStrategy("),
        ("strategies/rank", json!({ "rankedIds": [id] }), "SubmitRanking("),
        ("agreements", json!({ "description": "Sundays", "type": "COMMITMENT" }), "ProposeAgreement("),
        (&format!("agreements/{id}/confirm"), json!({ "confirmed": true }), "AnswerAgreement("),
        ("consent/revoke", json!({ "kind": "empathy" }), "RevokeConsent("),
    ];
    for (route, body, command) in table {
        let answer = server.post(&format!("/api/v1/sessions/{SESSION}/{route}"), &body.to_string()).await;
        assert_eq!(answer.status, 200, "{route}: {:?}", answer.bytes);
        assert!(server.fakes.last().starts_with(command), "{route}: {}", server.fakes.last());
        assert!(server.fakes.last().ends_with(&format!("in {SESSION} by user_anna")));
    }
    assert_eq!(server.post(&format!("/api/v1/sessions/{SESSION}/presence"), r#"{"status":"away"}"#).await.status, 200);
    assert_eq!(server.fakes.last(), format!("heartbeat false in {SESSION} by user_anna"));
    let withdrawn = server.send(anna(TestRequest::delete().uri(&format!("/api/v1/sessions/{SESSION}")))).await;
    assert_eq!((withdrawn.status, server.fakes.last()), (200, format!("Withdraw in {SESSION} by user_anna")));
}

#[actix_web::test]
async fn every_query_reaches_its_session() {
    let server = Server::start();
    for (route, query) in [
        ("", "Detail"),
        ("/state", "State"),
        ("/progress", "Progress"),
        ("/stages/2/gates", "Gates(PerspectiveStretch)"),
        ("/compact/status", "CompactStatus"),
        ("/empathy/draft", "EmpathyDraft"),
        ("/empathy/partner", "EmpathyPartner"),
        ("/needs", "Needs"),
        ("/needs/comparison", "NeedsComparison"),
        ("/common-ground", "CommonGround"),
        ("/strategies", "Strategies"),
        ("/strategies/overlap", "Overlap"),
        ("/agreements", "Agreements"),
        ("/invitation", "Invitation"),
    ] {
        assert_eq!(server.get(&format!("/api/sessions/{SESSION}{route}")).await.status, 200);
        assert_eq!(server.fakes.last(), format!("{query} in {SESSION} by user_anna"));
    }
}
