//! The unmodified npm `ably` SDK against the endpoint: `tests/sdk/realtime/*.test.mjs`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tandem::realtime::embedded::Config;

use super::node::Node;

fn sdk_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}

fn has_node() -> bool {
    let runs = |program| {
        Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    };
    runs("node") && runs("npm")
}

/// Installs the pinned packages once.
fn install() {
    let installed = sdk_folder().join("node_modules/ably/package.json");
    if !installed.exists() {
        let status =
            Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(sdk_folder()).status().unwrap();
        assert!(status.success(), "npm ci failed in tests/sdk");
    }
}

#[test]
fn the_unmodified_sdk_cannot_tell_the_difference() {
    if !has_node() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "node and npm are needed under CI=true");
        eprintln!("skipped: node and npm are not installed, so the SDK tests were not run");
        return;
    }
    install();
    let node = Node::start(Config { sandbox: true, ..Config::default() });
    let url = std::env::var("TANDEM_URL").unwrap_or_else(|_| node.url.clone());
    let mut files: Vec<_> = std::fs::read_dir(sdk_folder().join("realtime"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".test.mjs"))
        .collect();
    files.sort();
    let status = Command::new("node")
        .args(["--test", "--test-concurrency=2"])
        .args(&files)
        .env("TANDEM_URL", url)
        .current_dir(sdk_folder())
        .status()
        .unwrap();
    assert!(status.success(), "the SDK tests failed; their output is above");
}

/// For trying things by hand: `cargo test --test promises playground -- --ignored --nocapture`.
#[test]
#[ignore = "serves until it is killed"]
fn playground() {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(0);
    let store = std::sync::Arc::new(super::node::MemoryStore::default());
    let node = Node::start_on(Config { sandbox: true, ..Config::default() }, store, port);
    println!("listening on {} with {}", node.url, node.key());
    loop {
        std::thread::park();
    }
}
