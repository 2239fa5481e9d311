//! The unmodified npm `ably` SDK against the endpoint: `tests/sdk/realtime/*.test.mjs`.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use tandem_ably::Config;

use super::node::Node;
use crate::sdk_packages;

/// The real binary on a free port, with test apps.
struct Server {
    url: String,
    process: Child,
    _data: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path())
            .env("TANDEM__REALTIME__EMBEDDED__SANDBOX", "true")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").expect("the first line says where it listens").to_owned();
        Self { url, process, _data: data }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn the_unmodified_sdk_cannot_tell_the_difference() {
    if !*sdk_packages::INSTALLED {
        return;
    }
    let server = std::env::var("TANDEM_URL").is_err().then(Server::start);
    let url = server.as_ref().map_or_else(|| std::env::var("TANDEM_URL").unwrap(), |server| server.url.clone());
    let mut files: Vec<_> = std::fs::read_dir(sdk_packages::folder().join("realtime"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".test.mjs"))
        .collect();
    files.sort();
    let status = Command::new("node")
        .args(["--test", "--test-concurrency=2"])
        .args(&files)
        .env("TANDEM_URL", url)
        .env("TANDEM_BIN", env!("CARGO_BIN_EXE_tandem"))
        .current_dir(sdk_packages::folder())
        .status()
        .unwrap();
    assert!(status.success(), "the SDK tests failed; their output is above");
}

/// For experiments by hand: `cargo test --test promises playground -- --ignored --nocapture`.
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
