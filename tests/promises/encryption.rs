//! Encryption at rest: nothing that people wrote is in the files, and one key opens them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::json;

use crate::harness::{Conversation, eventually, run, server};

const WORDS: [&str; 4] = ["a-draft-of-anna", "a-need-of-ben", "a-name-of-a-person", "a-new-name-of-anna"];
pub const EVERYTHING: &str = "everything in the store is encrypted with its present key";

pub fn key(directory: &Path, digit: &str) -> String {
    let file = directory.join(format!("key-{digit}"));
    fs::write(&file, digit.repeat(64)).expect("a file");
    file.to_str().expect("a path").to_owned()
}

/// Where each of these texts is, in the files below. A node that runs may remove files meanwhile.
pub fn places(directory: &Path, words: &[&str]) -> BTreeMap<String, PathBuf> {
    let mut places = BTreeMap::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            places.extend(self::places(&path, words));
        } else if let Ok(bytes) = fs::read(&path) {
            places.extend(words_in(&bytes, words).into_iter().map(|word| (word.to_owned(), path.clone())));
        }
    }
    places
}

/// Reads the bytes once, however many words there are.
pub fn words_in<'w>(bytes: &[u8], words: &[&'w str]) -> BTreeSet<&'w str> {
    let begins = words.iter().fold([false; 256], |mut begins, word| {
        begins[usize::from(word.as_bytes()[0])] = true;
        begins
    });
    let mut found = BTreeSet::new();
    for (at, byte) in bytes.iter().enumerate() {
        if begins[usize::from(*byte)] {
            found.extend(words.iter().filter(|word| bytes[at..].starts_with(word.as_bytes())));
        }
    }
    found
}

/// The same, as lines.
pub fn found(directory: &Path, words: &[&str]) -> Vec<String> {
    places(directory, words).iter().map(|(word, path)| format!("{word} in {}", path.display())).collect()
}

async fn plant(both: &Conversation) {
    both.anna.need(WORDS[0], "MEANING").await.created();
    both.ben.need(WORDS[1], "MEANING").await.created();
    both.anna.invite(WORDS[2]).await.created();
    both.anna.patch("/auth/me", json!({ "name": WORDS[3] })).await.ok();
}

/// Something small that is stored.
pub async fn look(both: &Conversation) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let item = format!("c{:0>24}", NEXT.fetch_add(1, Ordering::Relaxed));
    both.ben.say("/viewed", json!({ "lastSeenChatItemId": item })).await.ok();
}

#[tokio::test]
async fn nothing_that_people_wrote_is_in_the_files() {
    for engine in ["sled", "redb"] {
        let keys = tempfile::tempdir().expect("a directory");
        let (first, other) = (key(keys.path(), "a"), key(keys.path(), "b"));
        let setup = server().set("store.engine", engine).set("journal.checkpoint_after", "100ms");
        let server = setup.set("store.encryption_key_file", &first).start().await;
        let both = Conversation::at_stage(&server, 3).await;
        plant(&both).await;
        let seen = both.anna.read("/needs").await.ok()["needs"].clone();
        // What is only in the journal, and what is in the engine.
        let stopped = server.kill();
        assert_eq!(found(stopped.data(), &WORDS), [""; 0], "{engine}: after a kill");
        let stopped = stopped.start().await.stop().await;
        assert_eq!(found(stopped.data(), &WORDS), [""; 0], "{engine}: after a stop");

        let data = stopped.data().to_str().expect("a path").to_owned();
        let engine_is = ("TANDEM__STORE__ENGINE", engine);
        for (key, problem) in [(None, "it is encrypted"), (Some(other.as_str()), "another key")] {
            let with = key.map(|key| ("TANDEM__STORE__ENCRYPTION_KEY_FILE", key));
            let environment: Vec<_> = [engine_is].into_iter().chain(with).collect();
            for command in ["verify", "dump"] {
                let refused = run(&["store", command, "--data", &data], &environment).await;
                assert_eq!(refused.code, Some(1), "{engine} {command}: {refused:?}");
                assert!(refused.stderr.contains(problem) && refused.stdout.is_empty(), "{engine}: {refused:?}");
            }
        }
        let short = keys.path().join("short");
        fs::write(&short, "ab".repeat(31)).expect("a file");
        let none = keys.path().join("none");
        for (key, problem) in [
            (Some(Path::new(&other)), "another key"),
            (Some(&short), "64 hexadecimal digits"),
            (Some(&none), "No such file"),
            (None, "store.encryption_key_file"),
        ] {
            let setup = stopped.clone().unset("store.encryption_key_file");
            let setup = match key {
                Some(file) => setup.set("store.encryption_key_file", file.display()),
                None => setup,
            };
            let refused = setup.refused().await;
            assert_eq!(refused.code, Some(2), "{engine}: {refused:?}");
            let line = refused.refused_with_one_line();
            assert!(line.contains(problem) && !line.contains("abab"), "{engine}: {line}");
        }
        let checked = run(&["check", "--data", &data], &[engine_is]).await;
        assert!(checked.stdout.contains("it is encrypted: set store.encryption_key_file"), "{engine}: {checked:?}");

        let with_key = [engine_is, ("TANDEM__STORE__ENCRYPTION_KEY_FILE", first.as_str())];
        let verified = run(&["store", "verify", "--data", &data], &with_key).await;
        assert_eq!(verified.code, Some(0), "{engine}: {verified:?}");
        assert!(run(&["store", "dump", "--words", "--data", &data], &with_key).await.stdout.contains(WORDS[0]));

        let rekeyed = run(&["store", "rekey", "--new-key-file", &other, "--data", &data], &with_key).await;
        assert_eq!(rekeyed.code, Some(0), "{engine}: {rekeyed:?}");
        let refused = stopped.clone().refused().await;
        assert!(refused.refused_with_one_line().contains("another key"), "{engine}: the former key is of no use");
        let server = stopped.set("store.encryption_key_file", &other).start().await;
        let both = both.back_at(&server);
        assert_eq!(both.anna.read("/needs").await.ok()["needs"], seen, "{engine}");
        eventually("all rows encrypted again", || async {
            look(&both).await;
            server.logs().contains(EVERYTHING).then_some(())
        })
        .await;
        assert_eq!(found(&server.data().join("store"), &WORDS), [""; 0], "{engine}: after a change of the key");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_store_without_encryption_is_taken_over() {
    for engine in ["sled", "redb"] {
        let keys = tempfile::tempdir().expect("a directory");
        let first = key(keys.path(), "a");
        let setup = server().set("store.engine", engine).set("journal.checkpoint_after", "100ms");
        let setup = setup.set("journal.segment_bytes", 65_536).set("journal.max_bytes", 1 << 20);
        let server = setup.start().await;
        let both = Conversation::at_stage(&server, 3).await;
        plant(&both).await;
        // All of the journal's files hold it. Those that are used again hold it until they are written over.
        for number in 0..400 {
            both.anna.patch("/auth/me", json!({ "name": format!("{} {number}", WORDS[3]) })).await.ok();
        }
        let seen = both.anna.read("/needs").await.ok()["needs"].clone();
        let stopped = server.stop().await;
        assert!(!found(&stopped.data().join("store"), &WORDS).is_empty(), "{engine}: the search finds what is there");
        let server = stopped.set("store.encryption_key_file", &first).start().await;
        let both = both.back_at(&server);
        assert_eq!(both.anna.read("/needs").await.ok()["needs"], seen, "{engine}");
        eventually("everything sealed", || async {
            look(&both).await;
            server.logs().contains(EVERYTHING).then_some(())
        })
        .await;
        assert_eq!(found(&server.data().join("store"), &WORDS), [""; 0], "{engine}");
        let server = server.kill_and_start().await;
        assert_eq!(both.back_at(&server).anna.read("/needs").await.ok()["needs"], seen, "{engine}: after a kill");
    }
}

#[tokio::test]
async fn a_node_reports_that_some_rows_could_not_be_encrypted() {
    for engine in ["sled", "redb"] {
        let keys = tempfile::tempdir().expect("a directory");
        let setup = server().set("store.engine", engine).set("journal.checkpoint_after", "100ms");
        let server = setup.start().await;
        let both = Conversation::at_stage(&server, 3).await;
        plant(&both).await;
        let setup = server.stop().await.set("store.encryption_key_file", key(keys.path(), "a"));

        // Enough to write, and not enough to write everything anew.
        let little = setup.clone().environment("TANDEM_PRETEND_FREE", "300000000");
        let server = little.start().await;
        let told = server.logged(&["ERROR", "not all of the store is encrypted", "bytes must be free"]).await;
        assert!(told.contains("stays in its files"), "{engine}: {told}");
        assert!(server.get("/metrics").send().await.body.contains("tandem_store_encryption_pending 1"), "{engine}");
        let left = found(&server.stop().await.data().join("store"), &WORDS);
        assert!(!left.is_empty(), "{engine}: it is as the log says");

        let server = setup.start().await;
        let both = both.back_at(&server);
        eventually("everything sealed", || async {
            look(&both).await;
            server.logs().contains(EVERYTHING).then_some(())
        })
        .await;
        assert!(server.get("/metrics").send().await.body.contains("tandem_store_encryption_pending 0"), "{engine}");
        assert_eq!(found(&server.data().join("store"), &WORDS), [""; 0], "{engine}");
    }
}
