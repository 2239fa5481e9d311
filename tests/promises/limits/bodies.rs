//! Bodies that never come, that trickle, that are too large, or that grow when they are unpacked.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use futures_util::future::join_all;

use super::raw::{Raw, UPGRADE, head};
use crate::harness::{Server, Setup, server};

const KEYS: &str = r#"[{name="tandem.main",secret="a secret of tests"}]"#;
/// base64 of `tandem.main:a secret of tests`
const BASIC: &str = "Basic dGFuZGVtLm1haW46YSBzZWNyZXQgb2YgdGVzdHM=";

pub fn with_key() -> Setup {
    server().set("realtime.embedded.keys", KEYS)
}

/// 64 MiB of zeros.
fn bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
}

async fn serves(server: &Server) {
    server.get("/health").send().await.ok();
    let anna = server.partner("Anna");
    anna.invite("Ben").await.created();
}

#[tokio::test]
async fn compression_bombs_are_refused_and_affect_no_other_client() {
    let server = with_key().system_limit("-v", 3 << 20).start().await;
    let bomb = bomb();
    let gzip = [("content-encoding", "gzip"), ("content-type", "application/json"), ("connection", "close")];
    let known = [&gzip[..], &[("authorization", BASIC)]].concat();
    let send = |path: &'static str, headers: Vec<(&'static str, &'static str)>| {
        let (server, bomb) = (&server, &bomb);
        async move {
            let mut raw = Raw::sent(server, head("POST", path, &headers, bomb.len())).await;
            raw.send(bomb).await;
            raw.status().await.0
        }
    };
    let attacks = (0..96).map(|_| async { send("/channels/x/messages", gzip.to_vec()).await });
    assert!(join_all(attacks).await.iter().all(|status| *status == 401));
    for (path, expected) in [
        ("/messages", 401),
        ("/keys/tandem.main/revokeTokens", 401),
        ("/keys/tandem.main/requestToken", 413),
        ("/api/v1/webhooks/ably", 404),
        ("/api/v1/sessions", 401),
    ] {
        assert_eq!(send(path, gzip.to_vec()).await, expected, "{path}");
    }
    for path in ["/channels/x/messages", "/messages"] {
        assert_eq!(send(path, known.clone()).await, 413, "{path}");
    }
    serves(&server).await;
}

#[tokio::test]
async fn a_compressed_body_that_stays_small_is_read() {
    let server = with_key().start().await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(br#"{"name":"greeting","data":"hello"}"#).unwrap();
    let body = encoder.finish().unwrap();
    let headers = [
        ("authorization", BASIC),
        ("content-encoding", "gzip"),
        ("content-type", "application/json"),
        ("connection", "close"),
    ];
    let mut raw = Raw::sent(&server, head("POST", "/channels/x/messages", &headers, body.len())).await;
    raw.send(body).await;
    assert_eq!(raw.status().await.0, 201);
}

#[tokio::test]
async fn a_body_that_never_arrives_is_refused_after_a_short_time() {
    let server = with_key().set("limits.body_timeout", "300ms").start().await;
    let token = server.partner("Anna").token;
    let bearer = format!("Bearer {token}");
    let known = [("authorization", &*bearer)];
    for (method, path, headers, expected) in [
        ("POST", "/keys/tandem.main/requestToken", &[][..], 408),
        ("POST", "/channels/x/messages", &[], 401),
        ("POST", "/channels/x/messages", &[("authorization", BASIC)], 408),
        ("POST", "/messages", &[("authorization", BASIC)], 408),
        ("POST", "/api/v1/webhooks/ably", &[], 404),
        ("POST", "/api/v1/sessions", &[], 401),
        ("POST", "/api/v1/sessions", &known, 408),
        ("PATCH", "/api/v1/auth/me", &known, 408),
        ("DELETE", "/api/v1/auth/push-token", &known, 408),
        ("GET", "/api/v1/sessions", &known, 200),
        ("GET", "/health", &[], 200),
        ("POST", "/no/such/route", &[], 404),
    ] {
        let mut raw = Raw::sent(&server, head(method, path, headers, 10)).await;
        let (status, took) = raw.status().await;
        assert_eq!(status, expected, "{method} {path}");
        assert!(took < Duration::from_secs(5), "{method} {path} took {took:?}");
    }
}

#[tokio::test]
async fn a_body_that_arrives_too_slowly_is_refused() {
    let server = with_key().set("limits.body_timeout", "300ms").set("limits.least_rate", 100_000).start().await;
    let mut raw = Raw::sent(&server, head("POST", "/channels/x/messages", &[("authorization", BASIC)], 100_000)).await;
    let trickle = async {
        loop {
            raw.send([b'x']).await;
            if !raw.is_open().await {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), trickle).await.expect("an end");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_clients() {
    let mut server = with_key().start().await;
    let (mut half_heads, mut half_bodies, mut unread, mut sockets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..8 {
        unread.push(Raw::reading_nothing(&server).await);
        sockets.push(Raw::sent(&server, UPGRADE).await);
        assert!(sockets.last_mut().expect("a socket").first_line().await.contains("101"));
        half_heads.push(Raw::sent(&server, "GET /health HT").await);
        half_bodies.push(Raw::sent(&server, head("POST", "/keys/tandem.main/requestToken", &[], 10)).await);
        half_bodies
            .push(Raw::sent(&server, head("POST", "/channels/x/messages", &[("authorization", BASIC)], 10)).await);
    }
    serves(&server).await;
    let begun = std::time::Instant::now();
    server.terminate();
    assert!(server.ended().await.success());
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(2), "the stop took {took:?}");
}
