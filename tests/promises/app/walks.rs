//! `tests/sdk/app/*.test.mjs` against the real binary on default settings. The walks are written from what the app's
//! generations send, read and show; none of them calls `stages/advance`.

use std::process::Command;

use crate::{
    harness::{SECRET, server},
    sdk_packages,
};

/// On a server of its own: several limits count by address and by minute.
async fn walk(file: &str) {
    if !*sdk_packages::INSTALLED {
        return;
    }
    let server = server().start().await;
    let mut node = Command::new("node");
    node.args(["--test", "--test-timeout=60000"])
        .arg(format!("app/{file}.test.mjs"))
        .env("TANDEM_URL", &server.origin)
        .env("TANDEM_SECRET", SECRET)
        .current_dir(sdk_packages::folder());
    let output = tokio::task::spawn_blocking(move || node.output()).await.expect("the thread ends").expect("node runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "the walks of {file} failed:\n{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn two_partners_with_the_app_of_april_reach_the_end() {
    walk("april").await;
}

#[tokio::test]
async fn two_partners_with_the_app_of_june_reach_the_end() {
    walk("june").await;
}

#[tokio::test]
async fn partners_with_apps_of_different_generations_reach_the_end() {
    walk("mixed").await;
}

#[tokio::test]
async fn a_client_of_the_explicit_contract_reaches_the_end_with_partners_who_have_the_app() {
    walk("explicit").await;
}

#[tokio::test]
async fn no_walk_shows_a_partner_what_was_not_shared() {
    walk("privacy").await;
}
