//! How a node keeps its data over time: the disk it is on, the directory it is in, the way it ends.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{Conversation, Server, eventually, run, server};

async fn disk(server: &Server, harm: Value) {
    let answer = server.request(reqwest::Method::POST, "/debug/disk").json(&harm).send().await;
    assert_eq!(answer.status, 204, "{}", answer.body);
}

/// The check of this name in `/ready`, and whether the node is ready.
async fn readiness(server: &Server, name: &str) -> (u16, String, String) {
    let answer = server.get("/ready").send().await;
    let body = answer.json();
    let checks = if answer.status == 200 { &body["data"]["checks"] } else { &body["error"]["details"]["checks"] };
    let check = checks.as_array().expect("checks").iter().find(|check| check["name"] == name).expect("the check");
    let status = body["data"]["status"].as_str().unwrap_or_default().to_owned();
    (answer.status, status, check["problem"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_stalled_disk_is_reported_and_requests_are_refused_without_waiting() {
    for engine in ["sled", "redb"] {
        let server = server().set("store.engine", engine).set("journal.stall_after", "300ms").start().await;
        let both = Conversation::joined(&server).await;
        disk(&server, json!({ "hang": "3s" })).await;
        let started = Instant::now();
        both.anna.press("/nudge").await.refused(503, "SERVICE_UNAVAILABLE");
        assert!(started.elapsed() < Duration::from_secs(2), "not after the disk is back: {:?}", started.elapsed());
        let (status, _, problem) = readiness(&server, "writes").await;
        assert_eq!((status, problem.contains("has not returned")), (503, true), "{problem}");
        assert_eq!(server.get("/health").send().await.status, 200);
        server.logged(&["the store does not answer"]).await;
        eventually("ready again", || async { (readiness(&server, "writes").await.0 == 200).then_some(()) }).await;
        both.ben.press("/nudge").await.done();
    }
}

#[tokio::test]
async fn an_almost_full_disk_is_only_read_until_there_is_space_again() {
    for engine in ["sled", "redb"] {
        let server = server().set("store.engine", engine).start().await;
        let both = Conversation::joined(&server).await;

        disk(&server, json!({ "free": 300 << 20 })).await;
        eventually("degraded", || async { (readiness(&server, "room").await.1 == "degraded").then_some(()) }).await;
        both.anna.press("/nudge").await.done();

        disk(&server, json!({ "free": 1 << 20 })).await;
        eventually("not ready", || async { (readiness(&server, "room").await.0 == 503).then_some(()) }).await;
        let refused = both.ben.press("/nudge").await;
        refused.refused(503, "SERVICE_UNAVAILABLE");
        assert!(refused.body.contains("disk is almost full"), "{}", refused.body);
        both.ben.read("/state").await.ok();
        let metrics = server.get("/metrics").send().await.body;
        assert!(metrics.contains("tandem_store_free_bytes"), "{metrics}");

        disk(&server, json!({})).await;
        eventually("ready again", || async { (readiness(&server, "room").await.1 == "ready").then_some(()) }).await;
        both.ben.press("/nudge").await.done();
        let told = server.logs().matches("the disk is almost full: nothing is written").count();
        assert_eq!(told, 1, "one line: {}", server.logs());
        server.stop().await;
    }
}

#[tokio::test]
async fn a_missing_store_is_not_created_again_without_being_asked() {
    for engine in ["sled", "redb"] {
        // One with a secret of its own, one without anything but its store.
        for own_secret in [true, false] {
            let setup = server().set("store.engine", engine);
            let setup = if own_secret { setup.unset("auth.hs256_secret") } else { setup };
            let setup = setup.start().await.stop().await;
            let store = setup.data().join("store");
            for leave in ["nothing", "the directory"] {
                fs::remove_dir_all(&store).expect("removed");
                if leave == "the directory" {
                    fs::create_dir(&store).expect("as a mount point is");
                }
                let refused = setup.clone().refused().await;
                let line = refused.refused_with_one_line().to_owned();
                let parts = [store.to_str().expect("a path"), "--start-afresh", "mount or restore"];
                assert!(parts.iter().all(|part| line.contains(part)), "{line}");
                let checked = run(&["check", "--data", setup.data().to_str().expect("a path")], &[]).await;
                assert!(engine != "sled" || checked.stdout.contains("WRONG  store"), "{checked:?}");
                assert_eq!(checked.code, Some(1));
                let afresh = setup.clone().arguments(&["--start-afresh"]).start().await.stop().await;
                afresh.unarguments().start().await.stop().await;
            }
        }
    }
}

#[tokio::test]
async fn a_directory_that_goes_away_under_a_running_node_ends_it() {
    let mut server = server().start().await;
    Conversation::joined(&server).await;
    fs::rename(server.data().join("store"), server.data().join("elsewhere")).expect("moved");
    let status = server.ended().await;
    assert_eq!(status.code(), Some(70), "without anybody asking");
    server.logged(&["was removed while it was in use"]).await;
}

/// redb would repair a file that was not closed, at a cost that grows with it.
#[tokio::test]
async fn the_next_start_has_nothing_to_repair_however_the_node_ended() {
    for kill in [true, false] {
        let server = server().set("store.engine", "redb").start().await;
        Conversation::joined(&server).await;
        let setup = if kill { server.kill() } else { server.stop().await };
        let mended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = mended.clone();
        let opened = redb::Database::builder()
            .set_repair_callback(move |_| seen.store(true, std::sync::atomic::Ordering::SeqCst))
            .open(setup.data().join("store/redb/tandem.redb"));
        drop(opened.expect("it opens"));
        assert!(!mended.load(std::sync::atomic::Ordering::SeqCst), "killed: {kill}");
    }
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let below = |path: PathBuf| if path.is_dir() { [vec![path.clone()], walk(&path)].concat() } else { vec![path] };
    entries.flat_map(below).collect()
}

#[tokio::test]
async fn files_in_the_data_directory_are_readable_by_their_user_only() {
    for engine in ["sled", "redb"] {
        let running = server().set("store.engine", engine).unset("auth.hs256_secret").start().await;
        let closed_to_others = |data: &Path| {
            for path in walk(data).into_iter().chain([data.to_owned()]) {
                let mode = fs::metadata(&path).expect("metadata").permissions().mode() & 0o777;
                assert_eq!(mode & 0o077, 0, "{engine}: {path:?} is {mode:o}");
            }
        };
        closed_to_others(running.data());
        let setup = running.stop().await;
        for path in walk(setup.data()).into_iter().chain([setup.data().to_owned()]) {
            let mode = if path.is_dir() { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        }
        let again = setup.start().await;
        closed_to_others(again.data());
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_crash_writes_no_core_dump() {
    let server = server().start().await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.process())).expect("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("the limit");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
}

#[tokio::test]
async fn a_store_in_use_or_of_another_engine_is_found_by_check() {
    let server = server().start().await;
    let data = server.data().to_str().expect("a path").to_owned();
    // Without this file, a command does not know that the node runs.
    fs::remove_file(server.data().join("operator.json")).expect("removed");
    let checked = run(&["check", "--data", &data], &[]).await;
    assert!(checked.stdout.contains("WRONG  store") && checked.stdout.contains("in use"), "{checked:?}");
    let _kept = server.stop().await;
    let checked = run(&["check", "--data", &data], &[("TANDEM__STORE__ENGINE", "redb")]).await;
    assert!(checked.stdout.contains("WRONG  store") && checked.stdout.contains("made by sled"), "{checked:?}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_does_not_mean_that_no_node_runs() {
    let data = tempfile::tempdir().expect("a directory");
    let path = data.path().to_str().expect("a path");
    let session = "cabcdefghijklmnopqrstuvwx";
    let refused = run(&["session", "why", session, "--data", path], &[]).await;
    assert!(refused.refused_with_one_line().contains("no node runs"), "{refused:?}");
    // In its place is what not even root can read.
    fs::create_dir(data.path().join("operator.json")).expect("a directory");
    let refused = run(&["session", "why", session, "--data", path], &[]).await;
    let line = refused.refused_with_one_line();
    assert!(line.contains("operator.json: cannot be read") && !line.contains("no node"), "{line}");
}
