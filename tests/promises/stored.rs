//! What an operator can learn about the store of a stopped node, and what a damaged journal costs.

use std::{fs, path::Path};

use serde_json::Value;

use crate::harness::{Conversation, run, server};

const WORDS: &str = "to be asked how my day was";

#[tokio::test]
async fn a_store_is_verified_and_dumped_without_private_texts() {
    for engine in ["sled", "redb"] {
        let server = server().set("store.engine", engine).start().await;
        let both = Conversation::at_stage(&server, 3).await;
        both.anna.need(WORDS, "MEANING").await.created();
        let setup = server.kill();
        let data = setup.data().to_str().expect("a path").to_owned();
        let engine_is = [("TANDEM__STORE__ENGINE", engine)];
        let store = |arguments: &[&'static str]| {
            let arguments = [&["store"], arguments, &["--data"]].concat();
            let data = data.clone();
            async move { run(&[&arguments[..], &[data.as_str()]].concat(), &engine_is).await }
        };
        let verified = store(&["verify"]).await;
        assert_eq!(verified.code, Some(0), "{verified:?}");
        assert!(verified.stdout.contains("nothing is damaged"), "{verified:?}");
        let dumped = store(&["dump"]).await;
        let lines: Vec<Value> =
            dumped.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        let event = format!("event 1 of session {}", both.session);
        assert!(lines.iter().any(|line| line["record"] == event.as_str()), "{engine}: {dumped:?}");
        assert!(!dumped.stdout.contains(WORDS) && !dumped.stdout.contains("anna"), "{engine}");
        assert!(store(&["dump", "--words"]).await.stdout.contains(WORDS), "{engine}");
        setup.start().await;
    }
}

/// Flips a bit of each place in the journal where the words are. Returns the name of the file.
fn damage_journal(data: &Path) -> String {
    let files = fs::read_dir(data.join("store/journal")).expect("a directory");
    let damaged = files.map(|entry| entry.expect("an entry").path()).find(|file| {
        let mut bytes = fs::read(file).expect("a segment");
        let place = bytes.windows(WORDS.len()).position(|window| window == WORDS.as_bytes());
        place.inspect(|place| bytes[*place] ^= 1).is_some_and(|_| fs::write(file, bytes).is_ok())
    });
    damaged.expect("the words are in it").file_name().expect("a name").to_string_lossy().into_owned()
}

/// Flips a bit in the key of each row with this key in redb's file.
fn damage_row(data: &Path, key: &[u8]) {
    let file = data.join("store/redb/tandem.redb");
    let mut bytes = fs::read(&file).expect("redb's file");
    let places: Vec<usize> = (0..bytes.len() - key.len()).filter(|at| bytes[*at..].starts_with(key)).collect();
    assert!(!places.is_empty(), "the row is in the file");
    places.into_iter().for_each(|place| bytes[place + key.len() - 1] ^= 1);
    fs::write(&file, bytes).expect("written");
}

#[tokio::test]
async fn index_rows_that_were_lost_are_there_again_after_a_repair() {
    let server = server().set("store.engine", "redb").start().await;
    let (joined, invited) = (Conversation::joined(&server).await, Conversation::invited(&server).await);
    let setup = server.stop().await;
    damage_row(setup.data(), format!("m{}\0{}", joined.ben.id, joined.session).as_bytes());
    damage_row(setup.data(), format!("i{}", invited.invitation).as_bytes());
    let data = setup.data().to_str().expect("a path").to_owned();
    let repaired = run(&["store", "repair", "--data", &data], &[("TANDEM__STORE__ENGINE", "redb")]).await;
    for lost in ["GAVE UP  a membership", "GAVE UP  the row that names an invitation's session"] {
        assert!(repaired.stdout.contains(lost), "{repaired:?}");
    }
    let server = setup.start().await;
    let (joined, invited) = (joined.back_at(&server), invited.back_at(&server));
    let listed = joined.ben.get("/sessions").await.ok();
    assert_eq!(listed["items"][0]["id"], joined.session.as_str(), "{listed}");
    joined.ben.read("").await.ok();
    invited.ben.accept(&invited.invitation).await.ok();
}

#[tokio::test]
async fn a_damaged_journal_is_named_and_not_started_on() {
    let server = server().start().await;
    let both = Conversation::at_stage(&server, 3).await;
    both.anna.need(WORDS, "MEANING").await.created();
    both.ben.need("something else", "MEANING").await.created();
    let setup = server.kill();
    let name = damage_journal(setup.data());
    let data = setup.data().to_str().expect("a path").to_owned();
    let verified = run(&["store", "verify", "--data", &data], &[]).await;
    assert_eq!(verified.code, Some(1), "{verified:?}");
    for part in ["BAD", &name, "offset", &both.session] {
        assert!(verified.stdout.contains(part), "{part} in {verified:?}");
    }
    let refused = setup.refused().await;
    let line = refused.refused_with_one_line();
    assert!(line.contains(&name) && line.contains("offset") && line.contains("tandem store verify"), "{line}");
}

#[tokio::test]
async fn repair_saves_what_a_damaged_journal_did_not_hit() {
    for engine in ["sled", "redb"] {
        let server = server().set("store.engine", engine).start().await;
        let other = Conversation::at_stage(&server, 3).await;
        let hurt = Conversation::at_stage(&server, 3).await;
        let before = hurt.anna.seq().await;
        hurt.anna.need(WORDS, "MEANING").await.created();
        other.ben.need("something else", "MEANING").await.created();
        let seen = other.ben.seq().await;
        let setup = server.kill();
        damage_journal(setup.data());
        let data = setup.data().to_str().expect("a path").to_owned();
        let engine_is = [("TANDEM__STORE__ENGINE", engine)];
        let repaired = run(&["store", "repair", "--data", &data], &engine_is).await;
        assert_eq!(repaired.code, Some(0), "{repaired:?}");
        let given_up: Vec<_> = repaired.stdout.lines().filter(|line| line.starts_with("GAVE UP")).collect();
        assert!(given_up.iter().any(|line| line.contains(&hurt.session)), "{engine}: {repaired:?}");
        assert!(!given_up.iter().any(|line| line.contains(&other.session)), "{engine}: {repaired:?}");
        let server = setup.start().await;
        let (other, hurt) = (other.back_at(&server), hurt.back_at(&server));
        assert_eq!(other.ben.seq().await, seen, "{engine}: nothing is lost");
        assert_eq!(hurt.anna.seq().await, before, "{engine}: it goes on from before what was lost");
        hurt.anna.need("said again", "MEANING").await.created();
    }
}
