//! Who may call, and how often.

use std::time::Instant;

use tandem_actors::keys;

use super::*;

#[actix_web::test]
async fn a_closed_route_needs_a_token_and_names_its_problem() {
    let server = Server::start();
    let path = format!("/api/v1/sessions/{}", server.session().await);
    for (header, reason) in [
        (None, "no_token"),
        (Some("Basic YTpi"), "no_token"),
        (Some("Bearer "), "no_token"),
        (Some("Bearer rubbish"), "malformed"),
        (Some("Bearer eyJhbGciOiJub25lIn0.e30."), "alg_none"),
    ] {
        let mut request = TestRequest::get().uri(&path);
        if let Some(header) = header {
            request = request.insert_header(("authorization", header));
        }
        let answer = server.send(request).await;
        assert_eq!(answer.refusal(), refused(401, "UNAUTHORIZED"));
        assert_eq!(answer.json()["error"]["details"]["reason"], json!(reason));
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
    }
    let lower_case = format!("bearer {}", token("user_anna"));
    assert_eq!(
        server.send(TestRequest::get().uri(&path).insert_header(("authorization", lower_case))).await.status,
        200
    );
}

#[actix_web::test]
async fn the_token_is_checked_first() {
    let server = Server::start();
    for request in [
        TestRequest::get().uri("/api/v1/sessions/not-an-id"),
        TestRequest::post().uri("/api/v1/sessions").set_payload("{"),
        TestRequest::post().uri("/api/v1/sessions").set_payload("x".repeat(100_000)),
        TestRequest::post().uri("/api/v1/sessions").insert_header(("idempotency-key", "")),
    ] {
        assert_eq!(server.send(request).await.refusal(), refused(401, "UNAUTHORIZED"));
    }
}

#[actix_web::test]
async fn a_user_is_made_from_the_first_token_and_survives_a_restart() {
    let store = Arc::new(MemoryStore::default());
    let profile = || store.get(&keys::profile(&"user_anna".parse().unwrap())).unwrap();
    let server = Server::on(ServerSettings::default(), store.clone());
    let me = |token: String| {
        TestRequest::get().uri("/api/auth/me").insert_header(("authorization", format!("Bearer {token}")))
    };
    let first = server.send(me(token("user_anna"))).await.data();
    assert_eq!(first["user"]["id"], json!("user_anna"));
    assert_eq!(first["user"]["name"], Value::Null);
    assert_eq!(first["user"]["createdAt"], json!("2027-01-15T08:00:00.000Z"));
    assert_eq!((&first["activeSessions"], &first["pushNotificationsEnabled"]), (&json!(0), &json!(false)));
    assert!(profile().is_some());

    let named = server.send(me(named_token("user_anna", Some("Anna")))).await.data();
    assert_eq!(named["user"]["name"], json!("Anna"), "a name that a later token has was not taken");
    let patch = anna(TestRequest::patch().uri("/api/auth/me")).set_payload(r#"{"name":"Annie"}"#);
    assert_eq!(server.send(patch).await.data()["user"]["name"], json!("Annie"));
    drop(server);

    let restarted = Server::on(ServerSettings::default(), store.clone());
    let after = restarted.send(me(named_token("user_anna", Some("Anna")))).await.data();
    assert_eq!(after["user"]["name"], json!("Annie"));

    let erased = restarted.send(anna(TestRequest::delete().uri("/api/auth/me"))).await;
    let erased = erased.data();
    assert_eq!((&erased["deleted"], &erased["success"]), (&json!(true), &json!(true)));
    assert!(profile().is_none());
    let afresh = restarted.send(me(named_token("user_anna", Some("Anna")))).await.data();
    assert_eq!(afresh["user"]["name"], json!("Anna"), "memory kept an erased user");
}

#[actix_web::test]
async fn a_change_of_the_account_reaches_its_sessions_and_devices() {
    let server = Server::start();
    let session = server.session().await;
    let device = json!({ "pushToken": "ExponentPushToken[x]", "platform": "ios" }).to_string();
    assert_eq!(server.post("/api/v1/auth/push-token", &device).await.status, 200);
    let me = server.get("/api/v1/auth/me").await.data();
    assert_eq!((&me["activeSessions"], &me["pushNotificationsEnabled"]), (&json!(1), &json!(true)));
    let partner = || ben(TestRequest::get().uri(&format!("/api/v1/sessions/{session}")));
    server.send(anna(TestRequest::patch().uri("/api/v1/auth/me")).set_payload(r#"{"name":"Annie"}"#)).await.data();
    assert_eq!(server.send(partner()).await.data()["session"]["partner"]["name"], json!("Annie"));

    let erased = server.send(anna(TestRequest::delete().uri("/api/v1/auth/me"))).await.data();
    assert_eq!(erased["summary"]["sessionsAbandoned"], json!(1));
    assert_eq!(server.get(&format!("/api/v1/sessions/{session}")).await.refusal(), refused(404, "NOT_FOUND"));
    assert_eq!(server.send(partner()).await.data()["session"]["status"], json!("ABANDONED"));
    assert!(!server.state.devices.pushes_enabled(&"user_anna".parse().unwrap()).unwrap());
}

/// Sends until it is refused. The limit of so many a minute gives one more in its share of the minute.
async fn exhaust(server: &Server, request: impl Fn() -> TestRequest, available: u64, a_minute: u64) -> Answer {
    let started = Instant::now();
    for sent in 0.. {
        let answer = server.send(request()).await;
        if answer.status == 429 {
            let most = available + started.elapsed().as_secs() * a_minute / 60 + 1;
            assert!((available..=most).contains(&sent), "{sent} requests, where {available} to {most} are allowed");
            assert_eq!(answer.refusal(), refused(429, "RATE_LIMITED"));
            return answer;
        }
        assert_eq!(answer.status, 200);
    }
    unreachable!("a limit refuses in the end")
}

#[actix_web::test]
async fn each_user_has_a_rate_limit_of_their_own() {
    let server = Server::start();
    for (method, path, limit) in
        [(Method::GET, "/api/v1/auth/ably-token", 10), (Method::DELETE, "/api/v1/auth/push-token", 5)]
    {
        let request = || TestRequest::with_uri(path).method(method.clone());
        let answer = exhaust(&server, || anna(request()), limit, limit).await;
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=12).contains(&wait), "{wait}");
        assert_eq!(server.send(ben(request())).await.status, 200);
    }
}

#[actix_web::test]
async fn an_invitation_is_open_and_limited_for_each_address() {
    let server = Server::with(ServerSettings {
        trusted_proxies: vec![crate::network::Network::try_from("10.0.0.0/8".to_owned()).unwrap()],
        ..ServerSettings::default()
    });
    let (_, invitation) = server.invite().await;
    let from = |client: &str| {
        TestRequest::get()
            .uri(&format!("/api/v1/invitations/{invitation}"))
            .peer_addr("10.0.0.1:1234".parse().unwrap())
            .insert_header(("x-forwarded-for", client.to_owned()))
    };
    assert_eq!(server.send(from("203.0.113.1")).await.data()["invitation"]["id"], json!(invitation));
    exhaust(&server, || from("203.0.113.1"), 9, 10).await;
    // A made-up address is not believed.
    exhaust(&server, || from("9.9.9.9, 203.0.113.1"), 0, 10).await;
    assert_eq!(server.send(from("203.0.113.2")).await.status, 200);
}

#[actix_web::test]
async fn the_operators_routes_answer_404_without_the_operators_token() {
    let server = Server::start();
    let session = server.session().await;
    let events = server.get(&format!("/api/v1/sessions/{session}/events")).await.data();
    let seq = events["events"][0]["seq"].clone();
    let why = format!("/api/v1/operator/sessions/{session}/why?seq={seq}");
    let release = format!("/api/v1/operator/sessions/{session}/release");
    for request in [TestRequest::get().uri(&why), anna(TestRequest::get().uri(&why)), TestRequest::post().uri(&release)]
    {
        let answer = server.send(request).await;
        assert_eq!(answer.refusal(), refused(404, "NOT_FOUND"));
        assert_eq!(answer.message(), server.get("/api/v1/nowhere").await.message());
    }
    let operator = ("authorization", "Bearer operator's token");
    let told = server.send(TestRequest::get().uri(&why).insert_header(operator)).await.data();
    assert_eq!(told["sessionId"], json!(session));
    let events = told["events"].as_array().unwrap();
    assert!(events.len() == 1 && events[0]["seq"] == seq, "{told}");
    let released = server.send(TestRequest::post().uri(&release).insert_header(operator)).await.data();
    assert_eq!((&released["released"], &released["quarantine"]), (&json!(false), &Value::Null));
    let quarantined = TestRequest::get().uri("/api/v1/operator/quarantine").insert_header(operator);
    assert_eq!(server.send(quarantined).await.data(), json!({ "sessions": [] }));
}

#[actix_web::test]
async fn only_configured_origins_may_call() {
    let preflight = || {
        TestRequest::with_uri(&format!("/api/v1/sessions/{NO_SESSION}/pause"))
            .method(Method::OPTIONS)
            .insert_header(("origin", "https://app.example"))
            .insert_header(("access-control-request-method", "POST"))
            .insert_header((
                "access-control-request-headers",
                "authorization,content-type,idempotency-key,x-request-id",
            ))
    };
    let closed = Server::start().send(preflight()).await;
    assert!(closed.status == 405 && closed.header("access-control-allow-origin").is_none());

    let cors = CorsSettings { allowed_origins: vec!["https://app.example".into()], ..CorsSettings::default() };
    let server = Server::with(ServerSettings { cors, ..ServerSettings::default() });
    let open = server.send(preflight()).await;
    assert_eq!((open.status, open.header("access-control-allow-origin")), (200, Some("https://app.example")));
    let stranger = server.send(preflight().insert_header(("origin", "https://evil.example"))).await;
    assert!(stranger.header("access-control-allow-origin").is_none());
    let refused =
        server.send(TestRequest::get().uri("/api/v1/sessions").insert_header(("origin", "https://app.example"))).await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, Some("https://app.example")));
}
