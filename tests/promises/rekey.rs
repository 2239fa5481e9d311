//! The store gets another key while the node runs: everything is encrypted again with it, nobody notices, and the
//! former key opens nothing any more.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use reqwest::Method;
use serde_json::json;

use crate::{
    encryption::{EVERYTHING, found, key, look},
    harness::{Answer, Console, Conversation, Finished, Server, Setup, eventually, run, server},
};

const WORDS: [&str; 2] = ["a-need-from-before", "a-need-from-after"];
const KEY: &str = "TANDEM__STORE__ENCRYPTION_KEY_FILE";

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of Unicode")
}

/// A node with this key, whose checkpoints are frequent.
fn encrypted(engine: &str, key: &str) -> Setup {
    let setup = server().set("store.engine", engine).set("journal.checkpoint_after", "100ms");
    setup.set("store.encryption_key_file", key)
}

async fn command(setup: &Setup, engine: &str, arguments: &[&str], key: &str) -> Finished {
    let arguments = [arguments, &["--data", text(setup.data())]].concat();
    run(&arguments, &[("TANDEM__STORE__ENGINE", engine), (KEY, key), ("SUDO_USER", "kim")]).await
}

/// By the command, with the key's file that the settings named before.
async fn rekey(server: &Server, engine: &str, former: &str, new: &str) -> Finished {
    command(&server.setup(), engine, &["store", "rekey", "--new-key-file", new], former).await
}

/// By the node's route.
async fn ask(server: &Server, file: &str) -> Answer {
    let written = fs::read(server.data().join("operator.json")).expect("a node's file");
    let access: serde_json::Value = serde_json::from_slice(&written).expect("JSON");
    let path = format!("/api/v1/operator/store/rekey?keyFile={file}");
    server.request(Method::POST, &path).bearer(access["token"].as_str().expect("a token")).send().await
}

async fn all_encrypted(server: &Server, both: &Conversation, times: usize) {
    eventually("everything encrypted again", || async {
        look(both).await;
        (server.logs().matches(EVERYTHING).count() >= times).then_some(())
    })
    .await;
    let metrics = server.get("/metrics").send().await.body;
    assert!(metrics.contains("tandem_store_encryption_pending 0"));
}

/// The files with the store's keys, as somebody may have copied them.
fn copied_keys(data: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let keep = |name| (PathBuf::from("store").join(name), fs::read(data.join("store").join(name)).expect("a file"));
    ["keys", "keys.copy"].map(keep).into()
}

/// What the key and a copy of the store's keys of then tell about the store's files of now.
async fn told_by(setup: &Setup, engine: &str, key: &str, keys: &[(PathBuf, Vec<u8>)]) -> String {
    let present = copied_keys(setup.data());
    let put = |files: &[(PathBuf, Vec<u8>)]| {
        files.iter().for_each(|(name, content)| fs::write(setup.data().join(name), content).expect("written"));
    };
    put(keys);
    let Finished { stdout, stderr, .. } = command(setup, engine, &["store", "dump", "--words"], key).await;
    put(&present);
    stdout + &stderr
}

/// The key opens the store, and all is in order.
async fn opens(setup: &Setup, engine: &str, key: &str) -> bool {
    let verified = command(setup, engine, &["store", "verify"], key).await;
    let is_other = verified.stderr.contains("another key");
    assert_ne!(verified.code == Some(0), is_other, "{engine}: {verified:?}");
    !is_other
}

#[tokio::test]
async fn the_key_changes_while_the_node_serves() {
    for engine in ["sled", "redb"] {
        let keys = tempfile::tempdir().expect("a directory");
        let (first, other) = (key(keys.path(), "a"), key(keys.path(), "b"));
        let server = encrypted(engine, &first).start().await;
        let both = Conversation::at_stage(&server, 3).await;
        both.anna.need(WORDS[0], "MEANING").await.created();
        let former = copied_keys(server.data());

        let (is_over, acknowledged) = (AtomicBool::new(false), AtomicU32::new(0));
        let load = async {
            while !is_over.load(Ordering::Relaxed) {
                let name = format!("Anna {}", acknowledged.load(Ordering::Relaxed) + 1);
                both.anna.patch("/auth/me", json!({ "name": name })).await.ok();
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        };
        let change = async {
            let rekeyed = rekey(&server, engine, &first, &other).await;
            assert_eq!((rekeyed.code, rekeyed.stderr.as_str()), (Some(0), ""), "{engine}");
            let told = rekeyed.stdout;
            for words in [&other, "store.encryption_key_file must name this file before the next start"] {
                assert!(told.contains(words), "{engine}: {told}");
            }
            both.ben.need(WORDS[1], "MEANING").await.created();
            all_encrypted(&server, &both, 1).await;
            is_over.store(true, Ordering::Relaxed);
        };
        tokio::join!(load, change);
        server.logged(&["the store has another key", "kim", &other]).await;
        let console = Console::sign_in(&server).await;
        let changes = console.get("/console/changes").await.body;
        assert!(changes.contains("change the store") && changes.contains("kim"), "{engine}: {changes}");
        let seen = both.anna.read("/needs").await.ok()["needs"].clone();
        let name = format!("Anna {}", acknowledged.load(Ordering::Relaxed));

        let stopped = server.kill();
        assert_eq!(found(&stopped.data().join("store"), &WORDS), [""; 0], "{engine}");
        let present = told_by(&stopped, engine, &other, &copied_keys(stopped.data())).await;
        assert!(WORDS.iter().all(|words| present.contains(words)), "{engine}: the search finds what is there");
        let by_former = told_by(&stopped, engine, &first, &former).await;
        assert!(!WORDS.iter().any(|words| by_former.contains(words)), "{engine}: the former keys open nothing");
        let refused = stopped.clone().refused().await;
        assert!(refused.refused_with_one_line().contains("another key"), "{engine}");
        let server = stopped.set("store.encryption_key_file", &other).start().await;
        let both = both.back_at(&server);
        assert_eq!(both.anna.read("/needs").await.ok()["needs"], seen, "{engine}");
        let me = both.anna.get("/auth/me").await.ok();
        assert_eq!(me["user"]["name"], name.as_str(), "{engine}: what was acknowledged meanwhile");
        server.stop().await;
    }
}

/// The second change comes while the rows are being encrypted because of the first one. Its key is in the file that the
/// settings name all the time.
#[tokio::test]
async fn everything_ends_encrypted_with_the_newest_key() {
    for engine in ["sled", "redb"] {
        let keys = tempfile::tempdir().expect("a directory");
        let (configured, between) = (key(keys.path(), "a"), key(keys.path(), "b"));
        let server = encrypted(engine, &configured).start().await;
        let both = Conversation::at_stage(&server, 3).await;
        both.anna.need(WORDS[0], "MEANING").await.created();
        ask(&server, &between).await.ok();
        let of_between = copied_keys(server.data());
        both.ben.need(WORDS[1], "MEANING").await.created();
        fs::write(&configured, "c".repeat(64)).expect("written");
        ask(&server, &configured).await.ok();
        all_encrypted(&server, &both, 1).await;
        let seen = both.anna.read("/needs").await.ok()["needs"].clone();
        let stopped = server.stop().await;
        let by_between = told_by(&stopped, engine, &between, &of_between).await;
        assert!(!WORDS.iter().any(|words| by_between.contains(words)), "{engine}: {by_between}");
        let server = stopped.start().await;
        assert_eq!(both.back_at(&server).anna.read("/needs").await.ok()["needs"], seen, "{engine}");
        let metrics = server.get("/metrics").send().await.body;
        assert!(metrics.contains("tandem_store_encryption_pending 0"), "{engine}: it is noted with the newest key");
    }
}

#[tokio::test]
async fn a_backup_that_is_taken_meanwhile_is_whole() {
    let (place, keys) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let (first, other) = (key(keys.path(), "a"), key(keys.path(), "b"));
    let server = encrypted("sled", &first).start().await;
    let setup = server.setup();
    let both = Conversation::at_stage(&server, 3).await;
    both.anna.need(WORDS[0], "MEANING").await.created();
    let seen = both.anna.read("/needs").await.ok()["needs"].clone();
    let back_up = ["backup", "--to", text(place.path())];
    let (backed_up, rekeyed) =
        tokio::join!(command(&setup, "sled", &back_up, &first), rekey(&server, "sled", &first, &other));
    assert_eq!((backed_up.code, rekeyed.code), (Some(0), Some(0)), "{backed_up:?} {rekeyed:?}");
    assert_eq!(found(place.path(), &WORDS), [""; 0]);
    // It was begun before or after the change.
    let data = tempfile::tempdir().expect("a directory");
    let restore = ["restore", "--from", text(place.path()), "--to", text(data.path())];
    let mut restored_with = None;
    for key in [&first, &other] {
        let restored = run(&restore, &[(KEY, key)]).await;
        assert_ne!(restored.code == Some(0), restored.stderr.contains("another key"), "{restored:?}");
        restored_with = restored_with.or((restored.code == Some(0)).then_some(key));
        if restored_with.is_some() {
            break;
        }
    }
    let with = restored_with.expect("one of them restores it");
    let again = setup.on(data).set("store.encryption_key_file", with).start().await;
    assert_eq!(both.back_at(&again).anna.read("/needs").await.ok()["needs"], seen);

    // The next one lets go of the groups that it waited for.
    let next = command(&server.setup(), "sled", &back_up, &other).await;
    assert_eq!(next.code, Some(0), "{next:?}");
    all_encrypted(&server, &both, 1).await;
}

/// Rounds of the test below. In the last one the change is answered before the node is killed.
const ROUNDS: u32 = 5;

#[tokio::test]
async fn a_node_that_is_killed_meanwhile_opens_with_one_of_the_two_keys() {
    for engine in ["sled", "redb"] {
        let keys = tempfile::tempdir().expect("a directory");
        let mut present = key(keys.path(), "0");
        let mut server = encrypted(engine, &present).start().await;
        let mut both = Conversation::at_stage(&server, 3).await;
        both.anna.need(WORDS[0], "MEANING").await.created();
        for round in 1..=ROUNDS {
            let new = key(keys.path(), &round.to_string());
            let answer = {
                let asked = std::pin::pin!(ask(&server, &new));
                let moments = async {
                    for _ in 0..(round - 1) * 60 {
                        tokio::task::yield_now().await;
                    }
                    if round == ROUNDS {
                        std::future::pending::<()>().await;
                    }
                };
                tokio::select! {
                    biased;
                    answer = asked => Some(answer),
                    () = moments => None,
                }
            };
            if let Some(answer) = &answer {
                answer.ok();
                // Encrypted with the new data key, and nowhere else than in the journal when the node is killed.
                both.anna.need(&format!("said after change {round}"), "MEANING").await.created();
            }
            let seen = both.anna.read("/needs").await.ok()["needs"].clone();
            let stopped = server.kill();
            let (with_former, with_new) =
                (opens(&stopped, engine, &present).await, opens(&stopped, engine, &new).await);
            assert_ne!(with_former, with_new, "{engine}, round {round}");
            assert!(with_new || answer.is_none(), "{engine}, round {round}: what was answered holds");
            present = if with_new { new } else { present };
            server = stopped.set("store.encryption_key_file", &present).start().await;
            both = both.back_at(&server);
            assert_eq!(both.anna.read("/needs").await.ok()["needs"], seen, "{engine}, round {round}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_told_in_one_line_and_changes_nothing() {
    let keys = tempfile::tempdir().expect("a directory");
    let (first, same, other) = (key(keys.path(), "a"), keys.path().join("same"), key(keys.path(), "b"));
    fs::copy(&first, &same).expect("copied");
    let (short, none) = (keys.path().join("short"), keys.path().join("none"));
    fs::write(&short, "fe".repeat(31)).expect("a file");
    // Not enough is free to write everything anew.
    let setup = encrypted("sled", &first).environment("TANDEM_PRETEND_FREE", "300000000");
    let server = setup.start().await;
    let both = Conversation::at_stage(&server, 3).await;
    let before = copied_keys(server.data());
    for (file, status, code, problem) in [
        (&short, 400, "VALIDATION_ERROR", "64 hexadecimal digits"),
        (&none, 400, "VALIDATION_ERROR", "No such file"),
        (&same, 409, "CONFLICT", "is its key already"),
    ] {
        let refused = ask(&server, text(file)).await;
        assert_eq!(
            (refused.status, refused.json()["error"]["code"].as_str()),
            (status, Some(code)),
            "{}",
            refused.body
        );
        let refused = rekey(&server, "sled", &first, text(file)).await;
        let line = refused.refused_with_one_line();
        assert!(line.contains(problem) && !line.contains("fefe"), "{line}");
    }
    assert_eq!(ask(&server, "a-relative-path").await.status, 400);
    let strangers = server.request(Method::POST, &format!("/api/v1/operator/store/rekey?keyFile={other}"));
    assert_eq!(strangers.bearer(&both.anna.token).send().await.status, 404);
    assert!(copied_keys(server.data()) == before, "nothing has changed");
    assert!(server.get("/metrics").send().await.body.contains("tandem_store_encryption_pending 0"));

    // Of two changes to the same key, one is refused.
    let (one, another) = tokio::join!(ask(&server, &other), ask(&server, &other));
    let mut statuses = [one.status, another.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    server.logged(&["ERROR", "not all of the store is encrypted", "bytes must be free"]).await;
    assert!(server.get("/metrics").send().await.body.contains("tandem_store_encryption_pending 1"));
    assert!(!server.logs().contains(&"b".repeat(64)));
    let setup = server.stop().await.set("store.encryption_key_file", &other);
    let server = setup.environment("TANDEM_PRETEND_FREE", "300000000000").start().await;
    let both = both.back_at(&server);
    all_encrypted(&server, &both, 1).await;
    server.stop().await;

    let plain = crate::harness::server().start().await;
    let refused = run(&["store", "rekey", "--new-key-file", &other, "--data", text(plain.data())], &[]).await;
    let line = refused.refused_with_one_line();
    assert!(line.contains("it is not encrypted: set store.encryption_key_file"), "{line}");
}
