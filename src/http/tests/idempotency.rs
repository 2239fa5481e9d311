use super::{
    super::coordinator::{IdempotencyKey, Reply},
    *,
};

async fn key_of(server: &Server, path: &str, body: &str, key: &str) -> IdempotencyKey {
    let request = anna(TestRequest::post().uri(path)).insert_header(("idempotency-key", key.to_owned()));
    assert_eq!(server.send(request.set_payload(body.to_owned())).await.status, 200);
    server.fakes.keys.lock().last().copied().flatten().expect("no key reached the session")
}

#[actix_web::test]
async fn a_key_stands_for_one_request() {
    let server = Server::start();
    let path = format!("/sessions/{SESSION}/pause");
    let (v1, old) = (format!("/api/v1{path}"), format!("/api{path}"));
    let key = key_of(&server, &v1, "{}", "a").await;
    assert_eq!(key_of(&server, &v1, "{}", "a").await, key);
    assert_eq!(key_of(&server, &old, "{}", "a").await, key, "one route, two addresses");
    let other_body = key_of(&server, &v1, "{ }", "a").await;
    assert!(other_body.digest == key.digest && other_body.request != key.request);
    let other_route = key_of(&server, &format!("/api/v1/sessions/{SESSION}/resume"), "{}", "a").await;
    assert!(other_route.digest == key.digest && other_route.request != key.request);
    let other_key = key_of(&server, &v1, "{}", "b").await;
    assert!(other_key.digest != key.digest && other_key.request == key.request);
}

#[actix_web::test]
async fn a_key_that_cannot_be_one_is_refused() {
    let server = Server::start();
    let path = format!("/api/v1/sessions/{SESSION}/pause");
    for key in ["", "a b", "schlüssel", &"x".repeat(256)] {
        let value = header::HeaderValue::from_bytes(key.as_bytes()).unwrap();
        let answer = server.send(anna(TestRequest::post().uri(&path)).insert_header(("idempotency-key", value))).await;
        assert_eq!(answer.refusal(), refused(400, "VALIDATION_ERROR"), "{key:?}");
    }
    assert!(server.fakes.asked.lock().is_empty());
    key_of(&server, &path, "", &"x".repeat(255)).await;
}

#[actix_web::test]
async fn a_replayed_answer_says_so() {
    let server = Server::start();
    let data = bytes::Bytes::from_static(b"{\"seq\":1}");
    server.fakes.replies.lock().push(Reply { created: true, data, replayed: true });
    let answer =
        server.post(&format!("/api/v1/sessions/{SESSION}/needs"), r#"{"need":"Rest","category":"SAFETY"}"#).await;
    assert_eq!((answer.status, answer.header("idempotent-replayed")), (201, Some("true")));
    let fresh = server.post(&format!("/api/v1/sessions/{SESSION}/resume"), "").await;
    assert_eq!(fresh.header("idempotent-replayed"), None);
}

#[actix_web::test]
async fn registering_a_device_is_idempotent_too() {
    let server = Server::start();
    let register = |user: fn(TestRequest) -> TestRequest, platform: &str| {
        user(TestRequest::post().uri("/api/v1/auth/push-token"))
            .insert_header(("idempotency-key", "once"))
            .set_payload(json!({ "pushToken": "ExponentPushToken[x]", "platform": platform }).to_string())
    };
    let first = server.send(register(anna, "ios")).await;
    assert_eq!((first.data(), first.header("idempotent-replayed")), (json!({ "registered": true }), None));
    let again = server.send(register(anna, "ios")).await;
    assert_eq!((&again.bytes, again.header("idempotent-replayed")), (&first.bytes, Some("true")));
    assert_eq!(server.fakes.asked.lock().len(), 1);
    assert_eq!(server.send(register(anna, "android")).await.refusal(), refused(409, "CONFLICT"));
    let other = server.send(register(ben, "android")).await;
    assert_eq!(other.header("idempotent-replayed"), None, "keys are each user's own");
    assert_eq!(server.fakes.asked.lock().len(), 2);
}
