//! What can change while the node runs: SIGHUP reads the certificate and the log's filter again.

use std::{fs, path::Path};

use crate::harness::{Server, eventually, server};

/// Until when the harness's certificates are valid: 2126-11-04 14:57:47 UTC.
const UNTIL: u64 = 4_949_477_867;

async fn answered(server: &Server, path: &str) -> reqwest::Response {
    let client = tandem::tls::http_client().no_proxy().tls_info(true).tls_danger_accept_invalid_certs(true).build();
    let answer = client.expect("a client").get(format!("{}{path}", server.origin)).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer
}

/// The certificate that a new connection is shown, DER.
async fn shown(server: &Server) -> Vec<u8> {
    let answer = answered(server, "/health").await;
    let info = answer.extensions().get::<reqwest::tls::TlsInfo>().expect("asked for");
    info.peer_certificate().expect("TLS shows one").to_vec()
}

fn install(name: &str, place: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promises/harness/tls");
    fs::copy(from.join(format!("{name}.pem")), place.join("chain.pem")).expect("a certificate");
    fs::copy(from.join(format!("{name}.key.pem")), place.join("key.pem")).expect("a key");
}

#[tokio::test]
async fn sighup_shows_a_renewed_certificate_and_keeps_the_old_one_if_it_cannot_be_read() {
    let place = tempfile::tempdir().expect("a directory");
    install("one", place.path());
    let path = |name: &str| place.path().join(name).display().to_string();
    let server =
        server().set("server.tls.certificate", path("chain.pem")).set("server.tls.key", path("key.pem")).start().await;
    assert!(server.origin.starts_with("https://"), "{}", server.origin);
    let first = shown(&server).await;
    let metrics = answered(&server, "/metrics").await.text().await.expect("metrics");
    let until = format!("tandem_certificate_expiry_timestamp_seconds {UNTIL}");
    assert!(metrics.lines().any(|line| line == until), "{metrics}");

    fs::write(place.path().join("chain.pem"), "half a file").expect("a file");
    server.hang_up();
    server.logged(&["stays as it was"]).await;
    assert_eq!(shown(&server).await, first);

    install("two", place.path());
    server.hang_up();
    eventually("the renewed certificate is shown", || async { (shown(&server).await != first).then_some(()) }).await;
}

#[tokio::test]
async fn sighup_reads_the_filter_of_the_log_again() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("tandem.toml");
    fs::write(&file, "[telemetry]\nfilter = \"warn\"").expect("a file");
    let server = server().arguments(&["--config", file.to_str().expect("a path")]).start().await;
    assert!(!server.logs().contains("INFO"), "{}", server.logs());
    fs::write(&file, "[telemetry]\nfilter = \"info\"").expect("a file");
    server.hang_up();
    server.logged(&["filter was read again"]).await;
    fs::write(&file, "[telemetry]\nfilter = 5").expect("a file");
    server.hang_up();
    server.logged(&["telemetry.filter is 5"]).await;
    assert_eq!(server.get("/health").send().await.status, 200);
}

#[tokio::test]
async fn sighup_applies_the_limits_of_requests_and_names_what_waits_for_a_restart() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("tandem.toml");
    fs::write(&file, "[server.limits]\npush_token = 0").expect("a file");
    let server = server().arguments(&["--config", file.to_str().expect("a path")]).start().await;
    let anna = server.partner("Anna");
    let forget = || {
        let request = server.request(reqwest::Method::DELETE, "/api/v1/auth/push-token").bearer(&anna.token);
        request.json(&serde_json::json!({ "pushToken": "ExponentPushToken[none]" })).send()
    };
    for _ in 0..3 {
        assert_ne!(forget().await.status, 429);
    }
    fs::write(&file, "[server]\nbody_limit = 1000\n[server.limits]\npush_token = 1").expect("a file");
    server.hang_up();
    eventually("the new limit holds", || async { (forget().await.status == 429).then_some(()) }).await;
    server.logged(&["restart", "server.body_limit"]).await;
    assert!(!server.logs().contains("server.limits.push_token"), "{}", server.logs());
}

#[tokio::test]
async fn a_request_that_cannot_be_read_writes_no_line() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = server().start().await;
    let mut socket = tokio::net::TcpStream::connect(server.host()).await.expect("a connection");
    socket.write_all(b"garbage\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(!server.logs().contains("ERROR"), "{}", server.logs());
}
