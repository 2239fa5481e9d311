//! Names the commit that the binary is built from, and its date, for `tandem --version`. Neither depends on when or
//! where the build runs, so builds of one commit are equal. The sources, in order:
//!
//! 1. the environment variable `TANDEM_COMMIT`, as `HASH DATE`, for builds that see no repository
//! 2. git, in release builds, if this directory is the top of a repository
//! 3. `.git_archival.txt`, which `git archive` fills in
//!
//! A debug build names no commit by itself: each new commit would compile the whole crate again.

use std::{env, fs, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-env-changed=TANDEM_COMMIT");
    println!("cargo::rerun-if-changed=.git_archival.txt");
    let given = env::var("TANDEM_COMMIT").ok();
    let commit = given.or_else(of_repository).or_else(of_archive).as_deref().and_then(shown);
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let named = commit.map_or(version.clone(), |commit| format!("{version} ({commit})"));
    println!("cargo::rustc-env=TANDEM_VERSION={named}");
}

fn of_repository() -> Option<String> {
    if env::var("PROFILE").is_ok_and(|profile| profile == "debug") {
        return None;
    }
    let here = env::var("CARGO_MANIFEST_DIR").ok()?;
    let top = git(&["rev-parse", "--show-toplevel"])?;
    // A copy of the sources may lie in somebody else's repository.
    if fs::canonicalize(here).ok()? != fs::canonicalize(top).ok()? {
        return None;
    }
    // Each commit and checkout adds a line there.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    if Path::new(&log).exists() {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["log", "-1", "--format=%H %cs"])
}

fn of_archive() -> Option<String> {
    fs::read_to_string(".git_archival.txt").ok()
}

/// Ten digits of the hash, and the date. `None` for anything else, as the text before `git archive` has replaced it.
fn shown(text: &str) -> Option<String> {
    let (hash, date) = text.trim().split_once(' ')?;
    let hash = hash.get(..10).filter(|hash| hash.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    let is_date = date.len() == 10 && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    is_date.then(|| format!("{hash} {date}"))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
