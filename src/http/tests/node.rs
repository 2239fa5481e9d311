//! Health, metrics, webhooks, realtime access, push settings, the start page.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::*;

async fn open(server: &Server, path: &str) -> Answer {
    server.send(TestRequest::get().uri(path)).await
}

#[actix_web::test]
async fn health_readiness_and_metrics_need_no_token() {
    let server = Server::start();
    let health = open(&server, "/health").await.data();
    assert_eq!((&health["status"], &health["version"]), (&json!("ok"), &json!(env!("CARGO_PKG_VERSION"))));
    assert_eq!(open(&server, "/ready").await.data()["status"], json!("ready"));
    let metrics = open(&server, "/metrics").await;
    assert_eq!((metrics.status, &metrics.bytes[..]), (200, &b"tandem_up 1\n"[..]));
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));

    server.stopping.store(true, Ordering::Release);
    let answer = open(&server, "/ready").await;
    assert_eq!(answer.refusal(), refused(503, "SERVICE_UNAVAILABLE"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    let checks = answer.json()["error"]["details"]["checks"].clone();
    let failed: Vec<_> = checks.as_array().unwrap().iter().filter(|check| check["ok"] == json!(false)).collect();
    assert_eq!(failed, [&json!({ "name": "running", "ok": false, "problem": "the server is stopping" })]);
    assert_eq!(open(&server, "/health").await.status, 200);
}

#[actix_web::test]
async fn only_a_signed_webhook_is_accepted() {
    let server = Server::start();
    let hook = |key: &str, secret: &str, body: &str| {
        let signature = tandem_ably::hmac_sha256(secret.as_bytes(), &[body.as_bytes()]);
        TestRequest::post()
            .uri("/api/v1/webhooks/ably")
            .insert_header(("x-ably-key", key.to_owned()))
            .insert_header(("x-ably-signature", BASE64_STANDARD.encode(signature)))
            .set_payload(body.to_owned())
    };
    let presence = json!({ "clientId": "user_anna", "connectionId": "K1", "action": 2, "timestamp": 1 });
    let channel = format!("meetwithoutfear:presence:{}", server.session().await);
    let body = json!({ "channel": channel, "presence": [presence] }).to_string();
    let signed = |body: &str| hook("app.key", "secret", body);
    assert_eq!(server.send(signed(&body)).await.data(), json!({ "accepted": 1 }));
    assert_eq!(server.send(hook("app.key", "forged", &body)).await.refusal(), refused(401, "UNAUTHORIZED"));
    assert_eq!(server.send(hook("app.other", "secret", &body)).await.refusal(), refused(401, "UNAUTHORIZED"));
    assert_eq!(server.send(signed("[]")).await.refusal(), refused(400, "VALIDATION_ERROR"));
    assert_eq!(server.send(signed(&" ".repeat(900_000))).await.status, 400, "webhooks come in batches");
    assert_eq!(server.send(signed(&" ".repeat(1_100_000))).await.status, 413);
    let unread = hook("app.other", "secret", &" ".repeat(1_100_000));
    assert_eq!(server.send(unread).await.status, 401, "the body of a report with another key is not read");
}

#[actix_web::test]
async fn realtime_access_is_for_the_callers_own_sessions() {
    let server = Server::start();
    let session = server.session().await;
    let token = server.get("/api/v1/auth/ably-token").await.data();
    let request = &token["tokenRequest"];
    assert_eq!((&request["clientId"], &request["keyName"]), (&json!("user_anna"), &json!("app.key")));
    assert!(request["capability"].as_str().unwrap().contains(&session) && token.get("token").is_none());

    let config = server.get(&format!("/api/v1/realtime/config?sessionId={session}")).await.data();
    assert_eq!(config["channels"]["session"], json!(format!("meetwithoutfear:session:{session}")));
    assert_eq!(
        config["recovery"],
        json!({ "connectionStateTtl": 120000, "disconnectedRetryTimeout": 5000, "suspendedRetryTimeout": 15000 })
    );
    assert_eq!(config["show"].as_array().unwrap().len(), 4);
    assert!(server.get("/api/v1/realtime/config").await.data()["channels"].get("session").is_none());

    let foreign = server.get(&format!("/api/v1/realtime/config?sessionId={NO_SESSION}")).await;
    assert_eq!(foreign.refusal(), refused(404, "NOT_FOUND"));
}

#[actix_web::test]
async fn notification_preferences_distinguish_null_from_an_absent_field() {
    let server = Server::start();
    let path = "/api/v1/auth/me/notification-preferences";
    assert_eq!(server.get(path).await.data()["preferences"]["pushEnabled"], json!(true));
    let patch = |body: &str| anna(TestRequest::patch().uri(path)).set_payload(body.to_owned());
    let changed =
        server.send(patch(r#"{"partnerActions":false,"quietHours":{"start":"22:00","end":"07:00"}}"#)).await.data();
    assert_eq!(changed["preferences"]["partnerActions"], json!(false));
    assert_eq!(changed["preferences"]["quietHours"]["start"], json!("22:00"));
    let unchanged = server.send(patch("{}")).await.data();
    assert_eq!(unchanged["preferences"], changed["preferences"]);
    let ended = server.send(patch(r#"{"quietHours":null}"#)).await.data();
    assert_eq!(ended["preferences"]["quietHours"], Value::Null);
    assert_eq!(server.get(path).await.data(), ended);
}

#[actix_web::test]
async fn malformed_push_settings_are_refused_with_what_would_be_right() {
    let server = Server::start();
    let (token, preferences) = ("/api/v1/auth/push-token", "/api/v1/auth/me/notification-preferences");
    let ios = |fields: &str| format!(r#"{{"platform":"ios",{fields}}}"#);
    for (request, body, message) in [
        (
            TestRequest::post().uri(token),
            ios(r#""pushToken":"my-secret""#),
            "pushToken: a push token must be ExponentPushToken[…], ExpoPushToken[…] or of the form 8-4-4-4-12",
        ),
        (
            TestRequest::patch().uri(preferences),
            r#"{"quietHours":{"start":"my-secret","end":"07:00"}}"#.to_owned(),
            "quietHours.start must be a time of day, as 22:00; found another text",
        ),
        (
            TestRequest::patch().uri(preferences),
            r#"{"quietHours":{"start":"22:00","end":"07:00","timeZone":"my-secret"}}"#.to_owned(),
            "quietHours: timeZone must be an IANA time zone, as Europe/Berlin",
        ),
    ] {
        let answer = server.send(anna(request).set_payload(body)).await;
        assert_eq!((answer.refusal(), answer.message()), (refused(400, "VALIDATION_ERROR"), message.to_owned()));
    }
}

#[actix_web::test]
async fn the_start_page_links_the_documentation_and_shows_no_secret() {
    let page = StartPage {
        provider: "embedded",
        token_hint: "Ask <whoever> runs it.",
        console: true,
        demo: None,
        checks: Vec::new(),
    };
    let request = TestRequest::default().insert_header(("host", "tandem.example.org")).to_http_request();
    let response = start_page(&page, &request);
    assert_eq!(response.status(), StatusCode::OK);
    let html = actix_web::body::to_bytes(response.into_body()).await.unwrap();
    let html = String::from_utf8_lossy(&html);
    for expected in [
        env!("CARGO_PKG_VERSION"),
        "embedded",
        "/docs/",
        "/health",
        "Ask &lt;whoever&gt; runs it.",
        "http://tandem.example.org/api",
    ] {
        assert!(html.contains(expected), "{expected}");
    }
    let server = Server::start();
    assert!(matches!(open(&server, "/docs").await.status, 301..=308));
    let docs = open(&server, "/docs/").await;
    assert!(docs.status == 200 && String::from_utf8_lossy(&docs.bytes).contains("swagger-ui"));
    let start = open(&server, "/docs/docs.js").await;
    assert!(String::from_utf8_lossy(&start.bytes).contains(openapi::ADDRESS));
}
