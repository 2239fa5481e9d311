//! Envelopes, codes and headers.

use std::time::Duration;

use tandem_actors::domain::{Code, Rejection};

use super::*;

#[actix_web::test]
async fn an_answer_is_the_sessions_own_bytes_in_an_envelope() {
    let server = Server::start();
    for base in ["/api/v1", "/api"] {
        let answer = server.post(&format!("{base}/sessions/{SESSION}/compact/sign"), "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(&answer.bytes[..], b"{\"success\":true,\"data\":{\"seq\":7}}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(server.fakes.last(), format!("SignCompact in {SESSION} by user_anna"));
    }
    assert_eq!(server.post("/api/v1/sessions", r#"{"inviteName":"Ben"}"#).await.status, 201);
}

#[actix_web::test]
async fn every_code_has_its_status() {
    const STATUSES: [u16; 14] = [401, 403, 403, 404, 400, 400, 400, 400, 400, 409, 410, 429, 503, 500];
    let server = Server::start();
    for (code, status) in Code::ALL.into_iter().zip(STATUSES) {
        let rejection = Rejection::new(code, "as it is").with_details(json!({ "sessionId": SESSION }));
        server.refuse(Refusal::Rejected(Box::new(rejection)));
        let answer = server.get(&format!("/api/v1/sessions/{SESSION}")).await;
        assert_eq!(answer.refusal(), (status, code.to_string()));
        assert_eq!(answer.message(), "as it is");
        assert_eq!(answer.json()["error"]["details"]["sessionId"], json!(SESSION));
        assert_eq!(answer.header("retry-after").is_some(), matches!(answer.status, 429 | 503), "{code}");
    }
}

#[actix_web::test]
async fn when_to_come_again_is_said_in_whole_seconds() {
    let server = Server::start();
    let path = format!("/api/v1/sessions/{SESSION}");
    for (millis, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (21_600_000, "21600")] {
        let wait = Duration::from_millis(millis);
        server.refuse(Refusal::Unavailable { reason: "the session restarts".into(), retry_after: wait });
        let answer = server.get(&path).await;
        assert_eq!(answer.refusal(), refused(503, "SERVICE_UNAVAILABLE"));
        assert_eq!(answer.header("retry-after"), Some(seconds));
        server
            .refuse(Refusal::Rejected(Box::new(Rejection::new(Code::RateLimited, "too soon").with_retry_after(wait))));
        assert_eq!(server.get(&path).await.header("retry-after"), Some(seconds));
    }
}

#[actix_web::test]
async fn a_fault_shows_nothing_of_the_inside() {
    let server = Server::start();
    server.refuse(Refusal::Internal("sled: page 17 of /var/lib/tandem".into()));
    let answer = server.get(&format!("/api/v1/sessions/{SESSION}")).await;
    assert_eq!(answer.refusal(), refused(500, "INTERNAL_ERROR"));
    assert!(!String::from_utf8_lossy(&answer.bytes).contains("sled"));
}

#[actix_web::test]
async fn what_is_not_there_says_so_in_an_envelope() {
    let server = Server::start();
    for path in ["/api/v1/nowhere", "/api/nowhere", "/nowhere", "/api/v1", "/api/v1/sessions/a/b/c/d"] {
        assert_eq!(server.get(path).await.refusal(), refused(404, "NOT_FOUND"), "{path}");
    }
    let answer = server.send(anna(TestRequest::put().uri("/api/v1/sessions"))).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST, GET, HEAD")));
    assert!(!answer.json()["success"].as_bool().unwrap());
    assert_eq!(server.send(TestRequest::with_uri("/health").method(Method::HEAD)).await.status, 200);
}

#[actix_web::test]
async fn an_id_that_cannot_be_one_is_nobodys() {
    let server = Server::start();
    for id in ["C123456789", "c1", "c-12345678", "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "c%2F12345678", "cABCDEFGHI"] {
        for request in [
            TestRequest::get().uri(&format!("/api/v1/sessions/{id}")),
            TestRequest::post().uri(&format!("/api/v1/sessions/{id}/resume")),
        ] {
            assert_eq!(server.send(anna(request)).await.refusal(), refused(404, "NOT_FOUND"), "{id}");
        }
        assert_eq!(server.get(&format!("/api/v1/invitations/{id}")).await.refusal(), refused(404, "NOT_FOUND"));
        let confirm = format!("/api/v1/sessions/{SESSION}/agreements/{id}/confirm");
        assert_eq!(server.post(&confirm, r#"{"confirmed":true}"#).await.refusal(), refused(404, "NOT_FOUND"));
    }
    for stage in ["5", "-1", "x", "256"] {
        let path = format!("/api/v1/sessions/{SESSION}/stages/{stage}/gates");
        assert_eq!(server.get(&path).await.refusal(), refused(404, "NOT_FOUND"), "{stage}");
    }
    assert!(server.fakes.asked.lock().is_empty());
}

#[actix_web::test]
async fn a_request_keeps_its_id_or_is_given_one() {
    let server = Server::start();
    let path = format!("/api/v1/sessions/{SESSION}");
    let with = |id: &str| anna(TestRequest::get().uri(&path)).insert_header(("x-request-id", id.to_owned()));
    assert_eq!(server.send(with("trace-1.a_B")).await.header("x-request-id"), Some("trace-1.a_B"));
    for odd in ["", "a b", "a\"b", &"x".repeat(65)] {
        let answer = server.send(with(odd)).await;
        let given = answer.header("x-request-id").unwrap();
        assert!(given.len() == 16 && given != odd, "{given}");
    }
    let refused = server.send(TestRequest::get().uri(&path)).await;
    assert!(refused.header("x-request-id").is_some(), "a refusal needs an id most");
}

#[actix_web::test]
async fn large_answers_are_compressed_for_those_who_ask() {
    let server = Server::start();
    let get = |path: &str, accept: &str| {
        anna(TestRequest::get().uri(path)).insert_header(("accept-encoding", accept.to_owned()))
    };
    let large = server.send(get("/api/v1/openapi.json", "br, gzip;q=0.8")).await;
    assert_eq!(large.header("content-encoding"), Some("gzip"));
    let mut plain = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&large.bytes[..]), &mut plain).unwrap();
    let uncompressed = server.send(get("/api/v1/openapi.json", "gzip;q=0")).await;
    assert_eq!(uncompressed.header("content-encoding"), None);
    assert_eq!(plain.as_bytes(), &uncompressed.bytes[..]);
    let small = server.send(get(&format!("/api/v1/sessions/{SESSION}"), "gzip")).await;
    assert_eq!(small.header("content-encoding"), None);
}

#[actix_web::test]
async fn lists_and_events_take_their_limits_from_the_query() {
    let server = Server::start();
    server.get("/api/v1/sessions?status=ACTIVE,PAUSED&limit=50&cursor=abc").await.data();
    assert_eq!(
        server.fakes.last(),
        "ListFilter { status: Some([Active, Paused]), cursor: Some(\"abc\"), limit: 50 } by user_anna"
    );
    server.get("/api/v1/sessions").await.data();
    assert_eq!(server.fakes.last(), "ListFilter { status: None, cursor: None, limit: 20 } by user_anna");
    server.get(&format!("/api/v1/sessions/{SESSION}/events?after=3&limit=7")).await.data();
    assert_eq!(server.fakes.last(), format!("events after 3, 7, in {SESSION} by user_anna"));
    assert_eq!(server.get("/api/v1/sessions/unread-count").await.data(), json!({ "count": 3 }));
    for query in ["limit=0", "limit=51", "limit=x", "status=BEST", "status="] {
        let answer = server.get(&format!("/api/v1/sessions?{query}")).await;
        assert_eq!(answer.refusal(), refused(400, "VALIDATION_ERROR"), "{query}");
    }
}
