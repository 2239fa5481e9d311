//! `Idempotency-Key`.

use super::*;

fn keyed(request: TestRequest, key: &str) -> TestRequest {
    request.insert_header(("idempotency-key", key.to_owned()))
}

#[actix_web::test]
async fn a_key_stands_for_one_request() {
    let server = Server::start();
    let session = server.session().await;
    let post = async |path: &str, body: &str, key: &str| {
        let request = anna(TestRequest::post().uri(path)).set_payload(body.to_owned());
        server.send(keyed(request, key)).await
    };
    let is_replayed = |answer: &Answer| answer.header("idempotent-replayed") == Some("true");
    let path = format!("/sessions/{session}/pause");
    let (v1, unversioned) = (format!("/api/v1{path}"), format!("/api{path}"));
    let first = post(&v1, "{}", "a").await;
    assert!(first.status == 200 && !is_replayed(&first));
    for path in [&v1, &unversioned] {
        let again = post(path, "{}", "a").await;
        assert!(is_replayed(&again) && again.bytes == first.bytes, "{path}: one route has two addresses");
    }
    assert_eq!(post(&v1, "{ }", "a").await.refusal(), refused(409, "CONFLICT"), "another body");
    let other_route = format!("/api/v1/sessions/{session}/resume");
    assert_eq!(post(&other_route, "{}", "a").await.refusal(), refused(409, "CONFLICT"), "another route");
    let other_key = post(&other_route, "{}", "b").await;
    assert!(other_key.status == 200 && !is_replayed(&other_key));
}

#[actix_web::test]
async fn a_malformed_key_is_refused() {
    let server = Server::start();
    let path = format!("/api/v1/sessions/{}/pause", server.session().await);
    for key in ["", "a b", "schlüssel", &"x".repeat(256)] {
        let value = header::HeaderValue::from_bytes(key.as_bytes()).unwrap();
        let answer = server.send(anna(TestRequest::post().uri(&path)).insert_header(("idempotency-key", value))).await;
        assert_eq!(answer.refusal(), refused(400, "VALIDATION_ERROR"), "{key:?}");
    }
    assert_eq!(server.send(keyed(anna(TestRequest::post().uri(&path)), &"x".repeat(255))).await.status, 200);
}

#[actix_web::test]
async fn a_replayed_answer_keeps_its_status() {
    let server = Server::start();
    let create =
        || keyed(anna(TestRequest::post().uri("/api/v1/sessions")), "once").set_payload(r#"{"inviteName":"Ben"}"#);
    let first = server.send(create()).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, None));
    let again = server.send(create()).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
    assert_eq!(again.bytes, first.bytes);
}

#[actix_web::test]
async fn registering_a_device_is_idempotent_too() {
    let server = Server::start();
    let register = |user: fn(TestRequest) -> TestRequest, platform: &str| {
        let body = json!({ "pushToken": "ExponentPushToken[x]", "platform": platform }).to_string();
        keyed(user(TestRequest::post().uri("/api/v1/auth/push-token")), "once").set_payload(body)
    };
    let first = server.send(register(anna, "ios")).await;
    assert_eq!((first.data(), first.header("idempotent-replayed")), (json!({ "registered": true }), None));
    assert_eq!(server.send(anna(TestRequest::delete().uri("/api/v1/auth/push-token"))).await.status, 200);
    let again = server.send(register(anna, "ios")).await;
    assert_eq!((&again.bytes, again.header("idempotent-replayed")), (&first.bytes, Some("true")));
    let is_registered = |user: &str| server.state.devices.pushes_enabled(&user.parse().unwrap()).unwrap();
    assert!(!is_registered("user_anna"), "the repeated request registered the device again");
    assert_eq!(server.send(register(anna, "android")).await.refusal(), refused(409, "CONFLICT"));
    let other = server.send(register(ben, "android")).await;
    assert_eq!(other.header("idempotent-replayed"), None, "each user has keys of their own");
    assert!(is_registered("user_ben"));
}
