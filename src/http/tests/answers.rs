//! Envelopes, codes and headers.

use std::time::Duration;

use actix_web::ResponseError;
use tandem_actors::{
    Refusal,
    domain::{Code, Query, Rejection},
};

use super::*;

#[actix_web::test]
async fn an_answer_is_the_sessions_own_bytes_in_an_envelope() {
    let server = Server::start();
    let session = server.session().await;
    let viewer = "user_anna".parse().unwrap();
    let data = server.state.coordinator.query(&session.parse().unwrap(), &viewer, Query::CompactStatus).await.unwrap();
    for base in ["/api/v1", "/api"] {
        let answer = server.get(&format!("{base}/sessions/{session}/compact/status")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.bytes, [b"{\"success\":true,\"data\":", &data[..], b"}"].concat());
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

/// What a client is sent for a refusal.
async fn sent(refusal: Refusal) -> Answer {
    let response = ApiError::from(refusal).error_response();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, bytes: actix_web::body::to_bytes(response.into_body()).await.unwrap() }
}

#[actix_web::test]
async fn every_code_has_its_status() {
    const STATUSES: [u16; 14] = [401, 403, 403, 404, 400, 400, 400, 400, 400, 409, 410, 429, 503, 500];
    for (code, status) in Code::ALL.iter().copied().zip(STATUSES) {
        let rejection = Rejection::new(code, "as it is").with_details(json!({ "sessionId": NO_SESSION }));
        let answer = sent(rejection.into()).await;
        assert_eq!(answer.refusal(), (status, code.to_string()));
        assert_eq!(answer.message(), "as it is");
        assert_eq!(answer.json()["error"]["details"]["sessionId"], json!(NO_SESSION));
        assert_eq!(answer.header("retry-after").is_some(), matches!(answer.status, 429 | 503), "{code}");
    }
}

#[actix_web::test]
async fn retry_after_is_in_whole_seconds() {
    for (millis, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (21_600_000, "21600")] {
        let wait = Duration::from_millis(millis);
        let answer = sent(Refusal::unavailable("the session restarts", wait)).await;
        assert_eq!(answer.refusal(), refused(503, "SERVICE_UNAVAILABLE"));
        assert_eq!(answer.header("retry-after"), Some(seconds));
        let rejection = Rejection::new(Code::RateLimited, "too soon").with_retry_after(wait);
        assert_eq!(sent(rejection.into()).await.header("retry-after"), Some(seconds));
    }
}

#[actix_web::test]
async fn an_internal_error_shows_no_details() {
    let answer = sent(Refusal::Internal("sled: page 17 of /var/lib/tandem".into())).await;
    assert_eq!(answer.refusal(), refused(500, "INTERNAL_ERROR"));
    assert!(!String::from_utf8_lossy(&answer.bytes).contains("sled"));
}

#[actix_web::test]
async fn unknown_paths_are_answered_in_an_envelope() {
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
async fn a_malformed_id_is_not_found() {
    let server = Server::start();
    let session = server.session().await;
    for id in ["C123456789", "c1", "c-12345678", "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "c%2F12345678", "cABCDEFGHI"] {
        for request in [
            TestRequest::get().uri(&format!("/api/v1/sessions/{id}")),
            TestRequest::post().uri(&format!("/api/v1/sessions/{id}/resume")),
        ] {
            assert_eq!(server.send(anna(request)).await.refusal(), refused(404, "NOT_FOUND"), "{id}");
        }
        assert_eq!(server.get(&format!("/api/v1/invitations/{id}")).await.refusal(), refused(404, "NOT_FOUND"));
        let confirm = format!("/api/v1/sessions/{session}/agreements/{id}/confirm");
        assert_eq!(server.post(&confirm, r#"{"confirmed":true}"#).await.refusal(), refused(404, "NOT_FOUND"));
    }
    for stage in ["5", "-1", "x", "256"] {
        let path = format!("/api/v1/sessions/{session}/stages/{stage}/gates");
        assert_eq!(server.get(&path).await.refusal(), refused(404, "NOT_FOUND"), "{stage}");
    }
}

#[actix_web::test]
async fn a_request_keeps_its_id_or_is_given_one() {
    let server = Server::start();
    let path = format!("/api/v1/sessions/{}", server.session().await);
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
async fn large_answers_are_compressed_for_clients_that_accept_gzip() {
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
    let small = server.send(get("/api/v1/sessions/unread-count", "gzip")).await;
    assert_eq!(small.header("content-encoding"), None);
}

#[actix_web::test]
async fn lists_and_events_take_their_limits_from_the_query() {
    let server = Server::start();
    let (active, _) = (server.session().await, server.invite().await);
    let ids =
        |page: &Value| page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect::<Vec<_>>();
    let list = async |query: &str| server.get(&format!("/api/v1/sessions{query}")).await.data();
    assert_eq!(ids(&list("").await).len(), 2);
    assert_eq!(ids(&list("?status=ACTIVE,PAUSED&limit=50").await), [json!(active)]);
    let first = list("?limit=1").await;
    assert_eq!((ids(&first).len(), &first["hasMore"]), (1, &json!(true)));
    let second = list(&format!("?limit=1&cursor={}", first["cursor"].as_str().unwrap())).await;
    assert!(ids(&second).len() == 1 && ids(&second) != ids(&first), "{second}");
    let events = server.get(&format!("/api/v1/sessions/{active}/events?after=1&limit=1")).await.data();
    assert_eq!(events["events"].as_array().unwrap().len(), 1);
    assert!(events["events"][0]["seq"].as_u64().unwrap() > 1);
    assert!(server.get("/api/v1/sessions/unread-count").await.data()["count"].is_u64());
    for query in ["limit=0", "limit=51", "limit=x", "status=BEST", "status="] {
        let answer = server.get(&format!("/api/v1/sessions?{query}")).await;
        assert_eq!(answer.refusal(), refused(400, "VALIDATION_ERROR"), "{query}");
    }
}
