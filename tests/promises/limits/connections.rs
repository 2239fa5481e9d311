//! Connections that wait, that do not read, or that are too many.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::AsyncReadExt;

use super::{
    bodies::with_key,
    raw::{Raw, UPGRADE, head},
};
use crate::harness::{Server, eventually, server};

/// A sample of `/metrics`.
async fn metric(server: &Server, name: &str) -> f64 {
    let text = server.get("/metrics").send_raw().await.text().await.unwrap();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok()).unwrap_or(0.0)
}

#[tokio::test]
async fn a_node_full_of_idle_connections_still_serves_new_requests() {
    let server = server().system_limit("-n", 128).start().await;
    let mut waiting = Vec::new();
    for n in 0..300 {
        let request =
            if n % 2 == 0 { "GET /health HT".to_owned() } else { head("POST", "/keys/a.b/requestToken", &[], 9) };
        waiting.push(Raw::sent(&server, request).await);
        if n % 20 == 0 {
            server.get("/health").send().await.ok();
        }
    }
    server.get("/health").send().await.ok();
    assert!(metric(&server, "tandem_connections_ended_total{reason=\"room\"}").await > 0.0);
}

#[tokio::test]
async fn one_address_has_a_share_of_the_connections() {
    let server =
        server().set("limits.connections_per_address", 20).set("limits.uncounted_addresses", "[]").start().await;
    let mut open = Vec::new();
    let refused = loop {
        let mut raw = Raw::connect(&server).await;
        if !raw.is_open().await {
            break raw;
        }
        open.push(raw);
        assert!(open.len() <= 20, "one address has more than its share");
    };
    drop(refused);
    let (status, _) = Raw::sent(&server, "GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.status().await;
    assert_eq!(status, 429);
    let other = crate::harness::http_from();
    assert_eq!(other.get(format!("{}/health", server.origin)).send().await.unwrap().status(), 200);
    open.clear();
    eventually("the share comes back", || async {
        let mut raw = Raw::sent(&server, "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        (raw.status().await.0 == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_trusted_proxy_is_not_taken_for_one_client_and_does_not_hide_one() {
    let server = server()
        .set("limits.connections_per_address", 3)
        .set("limits.uncounted_addresses", "[]")
        .set("limits.body_timeout", "20s")
        .set("server.trusted_proxies", r#"["127.0.0.1"]"#)
        .start()
        .await;
    let ask = |client: &str| head("POST", "/keys/tandem.x/requestToken", &[("x-forwarded-for", client)], 10);
    let mut waiting = Vec::new();
    for n in 0..12 {
        waiting.push(Raw::sent(&server, ask(&format!("203.0.113.{}", n / 3))).await);
    }
    for raw in &mut waiting {
        assert!(raw.is_open().await, "each address has its share");
    }
    assert_eq!(Raw::sent(&server, ask("203.0.113.1")).await.status().await.0, 429);
    assert!(Raw::sent(&server, ask("203.0.113.9")).await.is_open().await);
}

#[tokio::test]
async fn heads_that_arrive_too_slowly_are_refused_also_after_a_complete_request() {
    let server = server().set("server.client_request_timeout", "300ms").start().await;
    let mut first = Raw::sent(&server, "GET /health HT").await;
    let mut second = Raw::sent(&server, "GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut answer = [0; 12];
    second.0.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    second.send("GET /health HT").await;
    for raw in [&mut first, &mut second] {
        let ended = tokio::time::timeout(Duration::from_secs(10), raw.rest());
        ended.await.expect("an end");
    }
}

#[tokio::test]
async fn a_head_without_an_end_and_a_path_without_an_end_are_refused() {
    let server = server().start().await;
    let endless = format!("GET /health HTTP/1.1\r\nx: {}", "y".repeat(300_000));
    Raw::sent(&server, endless).await.rest().await;
    let long =
        format!("GET /channels/{}/messages HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "c".repeat(20_000));
    assert_eq!(Raw::sent(&server, long).await.status().await.0, 414);
    server.get("/health").send().await.ok();
}

#[tokio::test]
async fn unread_answers_of_shared_files_are_not_copied_for_each_client() {
    let server = server().system_limit("-v", 3 << 20).start().await;
    let asking = (0..600).map(|_| Raw::reading_nothing(&server));
    let before = resident(&server);
    let asking = join_all(asking).await;
    server.get("/health").send().await.ok();
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < 150 << 20, "{} MiB for {} readers", grown >> 20, asking.len());
    let whole = server.get("/docs/swagger-ui-bundle.js").send_raw().await.bytes().await.unwrap();
    assert!(whole.len() > 1_000_000);
}

#[tokio::test]
async fn clients_that_do_not_read_share_a_budget_and_the_longest_waiting_is_disconnected_first() {
    let server = server().set("limits.unread_bytes", 1 << 20).start().await;
    let mut first = Raw::reading_nothing(&server).await;
    eventually("it waits", || async { (metric(&server, "tandem_http_unread_bytes").await > 0.0).then_some(()) }).await;
    let _others = join_all((0..100).map(|_| Raw::reading_nothing(&server))).await;
    eventually("room is made", || async {
        (metric(&server, "tandem_connections_ended_total{reason=\"unread\"}").await > 0.0).then_some(())
    })
    .await;
    assert!(first.rest().await.len() < 1_000_000, "the first one's file is cut off");
    assert!(metric(&server, "tandem_http_unread_bytes").await <= f64::from(1 << 20));
    let whole = server.get("/docs/swagger-ui-bundle.js").send_raw().await.bytes().await.unwrap();
    assert!(whole.len() > 1_000_000, "who reads gets all of it");
}

#[tokio::test]
async fn websockets_leave_connections_for_requests() {
    let server = with_key().set("limits.connections", 64).start().await;
    let mut sockets = Vec::new();
    let refused = loop {
        let mut socket = Raw::sent(&server, UPGRADE).await;
        let answer = socket.first_line().await;
        if !answer.contains("101") {
            break answer;
        }
        sockets.push(socket);
        assert!(sockets.len() < 64, "sockets take all connections");
    };
    assert!(refused.contains("503") && sockets.len() == 60, "{refused} after {}", sockets.len());
    for _ in 0..20 {
        let (status, _) =
            Raw::sent(&server, "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.status().await;
        assert_eq!(status, 200);
    }
    let events = UPGRADE.replace("/?v=5", "/event-stream?v=5&channels=x").replace("upgrade: websocket\r\n", "");
    let refused = Raw::sent(&server, &events).await.first_line().await;
    assert!(refused.contains("503"), "server-sent events stay as long: {refused}");
    drop(sockets.pop());
    let _hearing = eventually("a place for events is free", || async {
        let mut raw = Raw::sent(&server, &events).await;
        raw.first_line().await.contains("200").then_some(raw)
    })
    .await;
    drop(sockets);
    eventually("the sockets' places are free again", || async {
        Raw::sent(&server, UPGRADE).await.first_line().await.contains("101").then_some(())
    })
    .await;
}

/// Bytes of memory that the server holds.
pub fn resident(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap() * 1_024
}
