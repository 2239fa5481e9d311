//! Who may call, and how often.

use super::*;

#[actix_web::test]
async fn a_closed_route_wants_a_token_and_says_why_it_refuses_one() {
    let server = Server::start();
    let path = format!("/api/v1/sessions/{SESSION}");
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
    assert!(server.fakes.asked.lock().is_empty());
    let lower_case = format!("bearer {}", fakes::token("user_anna"));
    assert_eq!(
        server.send(TestRequest::get().uri(&path).insert_header(("authorization", lower_case))).await.status,
        200
    );
}

#[actix_web::test]
async fn the_token_is_looked_at_before_anything_else() {
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
    let store = MemoryStore::new();
    let server = Server::on(Config::default(), store.clone());
    let me = |token: String| {
        TestRequest::get().uri("/api/auth/me").insert_header(("authorization", format!("Bearer {token}")))
    };
    let first = server.send(me(fakes::token("user_anna"))).await.data();
    assert_eq!(first["user"]["id"], json!("user_anna"));
    assert_eq!(first["user"]["name"], Value::Null);
    assert_eq!(first["user"]["createdAt"], json!("2027-01-15T08:00:00.000Z"));
    assert_eq!((&first["activeSessions"], &first["pushNotificationsEnabled"]), (&json!(1), &json!(true)));
    assert_eq!(store.rows(), 1);

    let named = server.send(me(fakes::named_token("user_anna", Some("Anna")))).await.data();
    assert_eq!(named["user"]["name"], json!("Anna"), "a name that a later token has was not taken");
    let patch = anna(TestRequest::patch().uri("/api/auth/me")).set_payload(r#"{"name":"Annie"}"#);
    assert_eq!(server.send(patch).await.data()["user"]["name"], json!("Annie"));
    assert_eq!(server.fakes.asked.lock()[2], "rename user_anna");

    let restarted = Server::on(Config::default(), store.clone());
    let after = restarted.send(me(fakes::named_token("user_anna", Some("Anna")))).await.data();
    assert_eq!(after["user"]["name"], json!("Annie"));

    let erased = restarted.send(anna(TestRequest::delete().uri("/api/auth/me"))).await;
    let erased = erased.data();
    assert_eq!((&erased["deleted"], &erased["success"]), (&json!(true), &json!(true)));
    assert_eq!(store.rows(), 0);
    assert_eq!(restarted.fakes.asked.lock()[1..], ["erase user_anna from sessions", "erase devices of user_anna"]);
    let afresh = restarted.send(me(fakes::named_token("user_anna", Some("Anna")))).await.data();
    assert_eq!(afresh["user"]["name"], json!("Anna"), "memory kept who was erased");
}

#[actix_web::test]
async fn what_is_limited_is_limited_for_each_user() {
    let server = Server::start();
    for (method, path, limit) in
        [(Method::GET, "/api/v1/auth/ably-token", 10), (Method::DELETE, "/api/v1/auth/push-token", 5)]
    {
        let request = || TestRequest::with_uri(path).method(method.clone());
        for _ in 0..limit {
            assert_eq!(server.send(anna(request())).await.status, 200);
        }
        let answer = server.send(anna(request())).await;
        assert_eq!(answer.refusal(), refused(429, "RATE_LIMITED"));
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=12).contains(&wait), "{wait}");
        assert_eq!(server.send(ben(request())).await.status, 200);
    }
}

#[actix_web::test]
async fn an_invitation_is_open_but_not_to_guessing() {
    let server = Server::with(Config {
        trusted_proxies: vec![Network::try_from("10.0.0.0/8".to_owned()).unwrap()],
        ..Config::default()
    });
    let from = |client: &str| {
        TestRequest::get()
            .uri("/api/v1/invitations/cinvitation")
            .peer_addr("10.0.0.1:1234".parse().unwrap())
            .insert_header(("x-forwarded-for", client.to_owned()))
    };
    for _ in 0..10 {
        assert_eq!(server.send(from("203.0.113.1")).await.data(), json!({ "seq": 7 }));
    }
    assert_eq!(server.send(from("203.0.113.1")).await.refusal(), refused(429, "RATE_LIMITED"));
    assert_eq!(server.send(from("9.9.9.9, 203.0.113.1")).await.status, 429, "a made-up address was believed");
    assert_eq!(server.send(from("203.0.113.2")).await.status, 200);
}

#[actix_web::test]
async fn the_operators_routes_exist_for_the_operator_only() {
    let server = Server::start();
    let why = format!("/api/v1/operator/sessions/{SESSION}/why?seq=4");
    let release = format!("/api/v1/operator/sessions/{SESSION}/release");
    for request in [TestRequest::get().uri(&why), anna(TestRequest::get().uri(&why)), TestRequest::post().uri(&release)]
    {
        let answer = server.send(request).await;
        assert_eq!(answer.refusal(), refused(404, "NOT_FOUND"));
        assert_eq!(answer.message(), server.get("/api/v1/nowhere").await.message());
    }
    assert!(server.fakes.asked.lock().is_empty());
    let operator = ("authorization", "Bearer operator's token");
    assert_eq!(server.send(TestRequest::get().uri(&why).insert_header(operator)).await.status, 200);
    assert_eq!(server.fakes.last(), format!("why {SESSION} Some(4)"));
    assert_eq!(server.send(TestRequest::post().uri(&release).insert_header(operator)).await.status, 200);
    assert_eq!(server.fakes.last(), format!("release {SESSION}"));
}

#[actix_web::test]
async fn browsers_of_foreign_origins_are_let_in_by_the_configuration_alone() {
    let preflight = || {
        TestRequest::with_uri(&format!("/api/v1/sessions/{SESSION}/pause"))
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

    let cors = CorsConfig { allowed_origins: vec!["https://app.example".into()], ..CorsConfig::default() };
    let server = Server::with(Config { cors, ..Config::default() });
    let open = server.send(preflight()).await;
    assert_eq!((open.status, open.header("access-control-allow-origin")), (200, Some("https://app.example")));
    let stranger = server.send(preflight().insert_header(("origin", "https://evil.example"))).await;
    assert!(stranger.header("access-control-allow-origin").is_none());
    let refused =
        server.send(TestRequest::get().uri("/api/v1/sessions").insert_header(("origin", "https://app.example"))).await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, Some("https://app.example")));
}
