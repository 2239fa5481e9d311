//! What clients send.

use actix_web::http::header::ContentType;

use super::*;

#[actix_web::test]
async fn an_empty_body_is_an_absent_one_whatever_the_content_type_says() {
    let server = Server::start();
    for route in ["stages/advance", "strategies/ready", "resume", "resolve", "pause", "compact/sign"] {
        let fresh_path = async || format!("/api/v1/sessions/{}/{route}", server.session().await);
        let without_body = server.post(&fresh_path().await, "").await;
        assert!(!String::from_utf8_lossy(&without_body.bytes).contains("the body"), "{route}");
        let request = || anna(TestRequest::post());
        for request in [
            request(),
            request().insert_header(ContentType::json()),
            request().insert_header(ContentType::json()).set_payload("{}"),
            request().insert_header(ContentType::plaintext()).set_payload("  "),
        ] {
            let answer = server.send(request.uri(&fresh_path().await)).await;
            assert_eq!((answer.status, answer.refusal_code()), (without_body.status, without_body.refusal_code()));
        }
    }
    let (_, invitation) = server.invite().await;
    let accept = format!("/api/v1/invitations/{invitation}/accept");
    let accept = ben(TestRequest::post().uri(&accept)).insert_header(ContentType::json());
    assert_eq!(server.send(accept).await.status, 200);
}

#[actix_web::test]
async fn a_wrong_body_is_refused_with_the_place() {
    let server = Server::start();
    let path = format!("/api/v1/sessions/{}/feel-heard", server.session().await);
    for (body, message) in [
        ("{\"confirmed\":", "the body is not JSON: it cannot be read at line 1, column 13"),
        ("{\"confirmed\":\"my secret\"}", "confirmed must be a boolean; found string"),
        ("[]", "the body must be a JSON object; found a list"),
    ] {
        let answer = server.post(&path, body).await;
        assert_eq!(answer.refusal(), refused(400, "VALIDATION_ERROR"), "{body}");
        assert_eq!(answer.message(), message);
    }
}

#[actix_web::test]
async fn a_stranger_does_not_learn_that_a_body_is_wrong() {
    let server = Server::start();
    let session = server.session().await;
    for (route, body) in [
        ("feel-heard", "{\"confirmed\":"),
        ("feel-heard", "{}"),
        ("needs", "{\"need\":\"\",\"category\":\"SAFETY\"}"),
        ("presence", "{\"status\":\"here\"}"),
        ("agreements/cidentifier000000000000000/confirm", "{}"),
    ] {
        let request = TestRequest::post().uri(&format!("/api/v1/sessions/{session}/{route}"));
        let stranger = request.insert_header(("authorization", format!("Bearer {}", token("user_carl"))));
        let answer = server.send(stranger.set_payload(body)).await;
        assert_eq!(answer.refusal(), refused(404, "NOT_FOUND"), "{route} {body}");
    }
}

#[actix_web::test]
async fn a_body_is_at_most_64_kib() {
    let server = Server::start();
    let path = format!("/api/v1/sessions/{}/pause", server.session().await);
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

/// In a session of stage 0, a command of a later stage is refused with that stage, and every other command has its own
/// answer. What each command does is the subject of the promise tests.
#[actix_web::test]
async fn every_command_reaches_its_session() {
    let server = Server::start();
    let id = "cidentifier000000000000000";
    let table = [
        ("nudge", json!({}), r#""nudged":true"#),
        ("viewed", json!({ "lastSeenSeq": 1 }), r#""lastSeenSeq":1"#),
        ("presence", json!({ "status": "away" }), r#""present":false"#),
        ("invitation/confirm", json!({}), r#""confirmed":true"#),
        ("compact/sign", json!({}), r#""signed":true"#),
        ("pause", json!({ "reason": "dinner" }), r#""pauseReason":"dinner""#),
        ("archive", json!({}), "resolved or abandoned can be archived"),
        ("consent/revoke", json!({ "kind": "empathy" }), "you share nothing of this kind"),
        ("feel-heard", json!({ "confirmed": true }), "stage 1"),
        ("empathy/draft", json!({ "content": "You feel alone." }), "stage 2"),
        ("empathy/consent", json!({ "consent": true }), "stage 2"),
        ("empathy/validate", json!({ "validated": true }), "stage 2"),
        ("needs", json!({ "need": "Rest", "category": "SAFETY" }), "stage 3"),
        ("needs/confirm", json!({ "needIds": [id] }), "stage 3"),
        ("needs/consent", json!({ "needIds": [id] }), "stage 3"),
        ("common-ground/confirm", json!({ "confirmations": [] }), "stage 3"),
        ("strategies", json!({ "description": "Talk on Sundays" }), "stage 4"),
        ("strategies/ready", json!({}), "stage 4"),
        ("strategies/rank", json!({ "rankedIds": [id] }), "stage 4"),
        ("agreements", json!({ "description": "Sundays", "type": "COMMITMENT" }), "stage 4"),
        (&format!("agreements/{id}/confirm"), json!({ "confirmed": true }), "stage 4"),
    ];
    for (route, body, expected) in table {
        let session = server.session().await;
        let answer = server.post(&format!("/api/v1/sessions/{session}/{route}"), &body.to_string()).await;
        let text = String::from_utf8_lossy(&answer.bytes);
        assert!(text.contains(expected), "{route}: {text}");
    }
    let session = format!("/api/v1/sessions/{}", server.session().await);
    let withdrawn = server.send(anna(TestRequest::delete().uri(&session))).await.data();
    assert_eq!(withdrawn["summary"]["status"], json!("ABANDONED"));
    assert_eq!(server.get(&session).await.refusal(), refused(404, "NOT_FOUND"));
}

#[actix_web::test]
async fn every_query_reaches_its_session() {
    let server = Server::start();
    let session = server.session().await;
    for (route, field) in [
        ("", "partner"),
        ("/state", "progress"),
        ("/progress", "myProgress"),
        ("/stages/2/gates", "empathyConsented"),
        ("/compact/status", "mySigned"),
        ("/empathy/draft", "canConsent"),
        ("/empathy/partner", "waitingForPartner"),
        ("/needs", "synthesizedAt"),
        ("/needs/comparison", "share your own needs first"),
        ("/common-ground", "noOverlap"),
        ("/strategies", "rankableStrategyCount"),
        ("/strategies/overlap", "agreementCandidates"),
        ("/agreements", "maxAgreements"),
        ("/invitation", "invitationUrl"),
    ] {
        let answer = server.get(&format!("/api/sessions/{session}{route}")).await;
        let text = String::from_utf8_lossy(&answer.bytes);
        assert!(text.contains(field), "{route}: {text}");
    }
}
