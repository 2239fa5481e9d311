//! The npm packages that some promises are checked with: installed once for all of them, from the committed lock file.

use std::{path::PathBuf, process::Command, sync::LazyLock};

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}

/// Whether the packages are there. Without Node: false with one line to say so, except under `CI=true`, where that
/// fails.
pub static INSTALLED: LazyLock<bool> = LazyLock::new(|| {
    let works = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    if !works(Command::new("node").arg("--version")) || !works(Command::new("npm").arg("--version")) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "node and npm are needed under CI=true");
        eprintln!("skipped: node and npm are not installed, so the SDKs were not run");
        return false;
    }
    let there = |package: &str| folder().join("node_modules").join(package).join("package.json").exists();
    if !["ably", "eventsource", "expo-server-sdk", "openapi-typescript", "zod"].into_iter().all(there) {
        let installed = works(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder()));
        assert!(installed, "npm ci failed in tests/sdk");
    }
    true
});
