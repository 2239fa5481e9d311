//! What the alerts and the dashboard of `docs/monitoring/` ask for is there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    harness::{eventually, server},
    routing::{DEVICE, scene},
};

/// Metrics that begin with the first fault, merged push or certificate. A node that has had none does not show them.
const LATER: [&str; 6] = [
    "tandem_breaker_open",
    "tandem_certificate_expiry_timestamp_seconds",
    "tandem_connections_refused_total",
    "tandem_http_requests_shed_total",
    "tandem_jwks_fetches_total",
    "tandem_push_decisions_total",
];
/// Few, and each with a small set of values: a label with ids would make a series for each of them.
const LABELS: [&str; 12] =
    ["app", "breaker", "code", "decision", "kind", "le", "method", "outcome", "reason", "route", "state", "status"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring")
}

/// The metrics that a file names, without what Prometheus appends to a histogram's name.
fn named(file: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(folder().join(file)).expect("a file");
    let is_part = |character: char| character.is_ascii_lowercase() || character == '_';
    let words = text.split(|character| !is_part(character)).filter(|word| word.starts_with("tandem_"));
    words.map(|word| word.trim_end_matches("_bucket").to_owned()).collect()
}

/// The series of `/metrics`: a name, and `{…}` with labels if it has any.
fn series(metrics: &str) -> impl Iterator<Item = &str> {
    metrics.lines().filter(|line| !line.starts_with('#')).filter_map(|line| Some(line.rsplit_once(' ')?.0))
}

#[tokio::test]
async fn alerts_and_dashboard_ask_only_for_metrics_that_the_node_has() {
    let named: BTreeSet<_> = named("alerts.yaml").into_iter().chain(named("grafana.json")).collect();
    assert!(named.len() > 25, "{named:?}");
    let described = include_str!("../../src/meters.rs");
    for name in &named {
        assert!(described.contains(&format!("\"{name}\"")), "{name} is not in src/meters.rs");
    }
    let setup = server().set("push.receipt_schedule", "[\"20ms\"]");
    let (server, expo, both) = scene(setup, Some(DEVICE)).await;
    both.anna.sign().await.done();
    expo.push(DEVICE, "partner.signed_compact").await;
    server.get("/api/v1/auth/me").send().await.refused(401, "UNAUTHORIZED");
    let shown = eventually("the outcome of a push, and realtime's state", || async {
        let metrics = server.get("/metrics").send().await.body;
        let parts = ["tandem_push_outcomes_total{", "tandem_realtime_bytes{", "tandem_realtime_connections{"];
        parts.iter().all(|part| metrics.contains(part)).then_some(metrics)
    })
    .await;
    let typed: BTreeSet<_> = shown.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let missing: Vec<_> =
        named.iter().filter(|name| !typed.contains(name.as_str()) && !LATER.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?} in:\n{shown}");
    for one in series(&shown) {
        let Some((_, labels)) = one.split_once('{') else { continue };
        for label in labels.split("\",").filter_map(|pair| Some(pair.split_once('=')?.0)) {
            assert!(LABELS.contains(&label), "{label} in {one}");
        }
    }
}

#[tokio::test]
async fn a_counter_without_labels_is_zero_from_the_start() {
    let server = server().start().await;
    let metrics = server.get("/metrics").send().await.body;
    for name in ["tandem_store_damaged_rows_total", "tandem_push_devices_quarantined_total"] {
        assert!(metrics.lines().any(|line| line == format!("{name} 0")), "{name} in {metrics}");
    }
}

#[test]
fn prometheus_accepts_the_alerts_and_they_fire_when_they_should() {
    for arguments in [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"]] {
        let Ok(checked) = Command::new("promtool").args(arguments).current_dir(folder()).output() else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "promtool is not installed");
            println!("skipped: promtool is not installed");
            return;
        };
        assert!(checked.status.success(), "{checked:?}");
    }
}
