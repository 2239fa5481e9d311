//! A client that is generated from the API's description plays a whole conflict. The compiler checks every path, body
//! and answer; nothing of it is left open, and nothing is cast.

use std::process::Command;

use crate::{
    harness::{Claims, SECRET, server},
    sdk_packages::{INSTALLED, folder},
};

/// Runs a program of the installed packages, or node itself.
fn node(arguments: &[&str]) {
    let output = Command::new("node").args(arguments).current_dir(folder()).output().expect("node starts");
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "node {arguments:?}:\n{told}");
}

#[tokio::test]
async fn a_generated_client_plays_a_conflict_without_a_cast() {
    if !*INSTALLED {
        return;
    }
    let source = std::fs::read_to_string(folder().join("typed/conflict.ts")).expect("the client's source");
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    for cast in [" as ", ": any", "<any>", "@ts-", "unknown"] {
        assert!(!code.contains(cast), "{cast:?} in conflict.ts");
    }
    let server = server().start().await;
    let description = format!("{}/api/v1/openapi.json", server.origin);
    node(&["node_modules/openapi-typescript/bin/cli.js", &description, "-o", "typed/api.d.ts"]);
    node(&["node_modules/typescript/bin/tsc", "-p", "typed", "--outDir", "typed/out"]);
    let tokens = ["alex", "sam"].map(|user| Claims::of(user).with("name", user).hs256(SECRET));
    node(&["typed/out/conflict.js", &server.origin, &tokens[0], &tokens[1]]);
}
