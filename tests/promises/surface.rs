//! The rest of the HTTP surface: health, metrics, documentation, CORS, limits, compression, request ids.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Conversation, all_routes, server, shared};

#[tokio::test]
async fn health_and_readiness_are_open() {
    let server = shared().await;
    for path in ["/health", "/ready"] {
        let answer = server.get(path).send().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn every_metric_is_explained() {
    let server = server().start().await;
    let both = Conversation::at_stage(&server, 1).await;
    both.anna.press("/nudge").await.done();
    server.get("/api/v1/auth/me").send().await.refused(401, "UNAUTHORIZED");
    let metrics = server.get("/metrics").send().await.body;
    let of = |kind: &str| -> BTreeSet<String> {
        let lines = metrics.lines().filter_map(|line| line.strip_prefix(kind)?.split(' ').next());
        lines.map(str::to_owned).collect()
    };
    let (typed, explained) = (of("# TYPE "), of("# HELP "));
    assert!(typed.len() > 10, "{metrics}");
    let unexplained: Vec<_> = typed.difference(&explained).collect();
    assert!(unexplained.is_empty(), "describe these in src/meters.rs: {unexplained:?}");
}

#[tokio::test]
async fn metrics_are_prometheus_text_and_count() {
    let server = server().start().await;
    let both = Conversation::joined(&server).await;
    both.anna.sign().await.done();
    let answer = server.get("/metrics").send().await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    assert!(answer.body.lines().any(|line| line.starts_with("tandem_")), "{}", answer.body);
    assert!(answer.body.lines().filter(|line| line.starts_with("# TYPE ")).count() >= 5, "{}", answer.body);
    for private in [&both.session, &both.anna.id, &both.invitation] {
        assert!(!answer.body.contains(private), "no ids in labels");
    }
}

#[tokio::test]
async fn the_description_lists_every_route() {
    let server = shared().await;
    let answer = server.get("/api/v1/openapi.json").send().await;
    let description = answer.json();
    assert!(description["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{}", answer.status);
    let paths = description["paths"].as_object().expect("paths");
    // A placeholder's name is free.
    let form = |path: &str| -> String {
        let path = path.strip_prefix("/api/v1").unwrap_or(path);
        path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
    };
    let described: Vec<_> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().expect("methods").keys().map(move |method| (method.to_uppercase(), path))
        })
        .map(|(method, path)| (method, form(path)))
        .collect();
    let open = [("GET", "/invitations/{id}"), ("POST", "/webhooks/ably"), ("GET", "/health")];
    for (method, path) in all_routes().into_iter().chain(open) {
        assert!(described.contains(&(method.to_owned(), form(path))), "{method} {path} is not described");
    }
}

#[tokio::test]
async fn a_browser_finds_a_start_page_and_the_documentation() {
    let server = shared().await;
    let start = server.get("/").header("accept", "text/html").send().await;
    assert_eq!(start.status, 200);
    assert!(start.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    let call = format!("{}/api/v1/auth/me", server.origin);
    for word in [
        "/docs",
        "/health",
        "/console",
        "tandem token",
        env!("CARGO_PKG_VERSION"),
        "embedded",
        "This node is well",
        &call,
    ] {
        assert!(start.body.contains(word), "{word} in {}", start.body);
    }
    let elsewhere = server.get("/").header("host", "tandem.example.org").send().await.body;
    assert!(elsewhere.contains("http://tandem.example.org/api/v1/auth/me"), "{elsewhere}");
    let handbook = server.get("/handbook/deployment.md").send().await;
    assert!(handbook.status == 200 && handbook.body.contains("id=\"the-console\""), "{}", handbook.status);
    for path in ["/handbook/no-such-page.md", "/nowhere"] {
        server.get(path).send().await.refused(404, "NOT_FOUND");
        let page = server.get(path).header("accept", "text/html,*/*").send().await;
        assert!(page.status == 404 && page.body.contains("To the start page"), "{path}: {}", page.body);
    }
    server.get("/api/v1/nowhere").header("accept", "text/html,*/*").send().await.refused(404, "NOT_FOUND");
    assert_eq!(server.get("/favicon.ico").send().await.header("content-type"), Some("image/svg+xml"));
    let docs = server.get("/docs/").send().await;
    assert!(docs.status == 200 && docs.body.to_lowercase().contains("swagger"), "{}", docs.status);
}

async fn preflight(server: &crate::harness::Server, origin: &str) -> crate::harness::Answer {
    server
        .request(Method::OPTIONS, "/api/v1/sessions")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,idempotency-key,x-request-id")
        .send()
        .await
}

#[tokio::test]
async fn cors_is_off_until_an_origin_is_configured() {
    let off = shared().await;
    assert_eq!(preflight(&off, "https://app.example").await.header("access-control-allow-origin"), None);
    let on = server().set("server.cors.allowed_origins", "[\"https://app.example\"]").start().await;
    let allowed = preflight(&on, "https://app.example").await;
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example"));
    let headers = allowed.header("access-control-allow-headers").unwrap_or_default().to_lowercase();
    for header in ["authorization", "content-type", "idempotency-key", "x-request-id"] {
        assert!(headers.contains(header), "{header} in {headers}");
    }
    assert_eq!(preflight(&on, "https://evil.example").await.header("access-control-allow-origin"), None);
    let refusal = on.get("/api/v1/sessions").header("origin", "https://app.example").send().await;
    refusal.refused(401, "UNAUTHORIZED");
    assert_eq!(
        refusal.header("access-control-allow-origin"),
        Some("https://app.example"),
        "a page may read refusals too"
    );
}

#[tokio::test]
async fn a_body_beyond_64_kib_is_refused() {
    let server = shared().await;
    let anna = server.partner("Anna");
    let body = |length: usize| json!({ "inviteName": "Ben", "padding": "x".repeat(length) });
    anna.post("/sessions", body(60 * 1024)).await.created();
    let answer = anna.post("/sessions", body(70 * 1024)).await;
    assert!(matches!(answer.status, 400 | 413), "{}", answer.body);
    assert_eq!(answer.json()["success"], false, "{}", answer.body);
    assert_eq!(answer.json()["error"]["code"], "VALIDATION_ERROR");
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_ask() {
    let server = shared().await;
    let plain = server.get("/api/v1/openapi.json").send().await;
    assert_eq!(plain.header("content-encoding"), None);
    let small = server.get("/api/v1/openapi.json").header("accept-encoding", "gzip").send_raw().await;
    assert_eq!(small.headers().get("content-encoding").and_then(|value| value.to_str().ok()), Some("gzip"));
    let bytes = small.bytes().await.expect("a body");
    assert!(bytes.len() * 2 < plain.body.len());
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut text).expect("gzip");
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), plain.json());
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let server = shared().await;
    let one = server.get("/health").send().await.header("x-request-id").map(str::to_owned);
    let two = server.get("/api/v1/sessions").send().await.header("x-request-id").map(str::to_owned);
    assert!(one.is_some() && two.is_some() && one != two, "{one:?} {two:?}");
    let named = server.get("/api/v1/sessions").header("x-request-id", "from-the-app-7").send().await;
    assert_eq!(named.header("x-request-id"), Some("from-the-app-7"));
    let wild = server.get("/health").header("x-request-id", &"x".repeat(4000)).send().await;
    assert!(wild.header("x-request-id").is_some_and(|id| id.len() < 300), "a client's id is not taken at any length");
}

#[tokio::test]
async fn the_wrong_method_is_refused_in_the_envelope() {
    let anna = shared().await.partner("Anna");
    for (method, path) in
        [(Method::PUT, "/sessions"), (Method::GET, "/sessions/cabcdefghi/pause"), (Method::PUT, "/auth/ably-token")]
    {
        let answer = anna.request(method, path).send().await;
        assert!(matches!(answer.status, 404 | 405), "{}", answer.body);
        assert_eq!(answer.json()["success"], false, "{}", answer.body);
    }
}

#[tokio::test]
async fn failpoints_are_no_way_in_for_strangers() {
    let answer = shared().await.request(Method::POST, "/api/v1/debug/failpoints").json(&json!({})).send().await;
    assert!(matches!(answer.status, 401 | 404), "{}", answer.body);
}

#[tokio::test]
async fn a_webhook_without_ablys_signature_is_refused() {
    let server = shared().await;
    let body = json!({ "items": [] });
    let answer = server.request(Method::POST, "/api/v1/webhooks/ably").json(&body).send().await;
    assert!(matches!(answer.status, 401 | 403 | 404), "{}", answer.body);
    assert_eq!(answer.json()["success"], false);
}
