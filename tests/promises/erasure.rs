//! What the erasure of an account leaves in the files of a node, and in its backups.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    canary::{Scene, planted},
    encryption::{found, key, places, words_in},
    harness::{Conversation, Expo, Server, Setup, eventually, run, server, text},
};

const GONE: &str = "what erased accounts held is in no file of the store any more";

/// What no file ever holds.
const NEVER_STORED: [&str; 1] = ["zqnudgeMessageqz"];

/// A node that does soon what others do within a day.
fn quick(engine: &str, expo: &Expo) -> Setup {
    server()
        .set("store.engine", engine)
        .set("retention.erased", "1s")
        .set("journal.checkpoint_after", "100ms")
        .set("journal.segment_bytes", 262_144)
        .set("journal.max_bytes", 4 << 20)
        .set("push.base_url", &expo.url)
        .set("push.spacing", "0s")
        .set("push.spacing_later", "0s")
        .set("push.user_rate", 0)
        .set("routing.when_absent", "push_and_publish")
}

/// Everything that Anna can write, with a distinctive word in each place.
async fn plant(server: &Server, expo: &Expo) -> (Conversation, Vec<String>) {
    let mut scene = Scene::start(server, expo).await;
    let (anna, ben) = (scene.both.anna.clone(), scene.both.ben.clone());
    let mut words = Vec::new();
    let mut plant = |place: &str| {
        words.push(planted(place));
        planted(place)
    };
    anna.patch("/auth/me", json!({ "firstName": plant("firstName"), "lastName": plant("lastName") })).await.ok();
    for (me, place) in [(&anna, "nicknameByHer"), (&ben, "nicknameOfHer")] {
        let person = me.get("/people").await.ok()["people"][0]["relationshipId"].clone();
        let path = format!("/relationships/{}/nickname", text(&person));
        me.patch(&path, json!({ "nickname": plant(place) })).await.ok();
    }
    scene.ear.publish(&scene.both.session, "hint", &plant("published")).await;
    scene.ear.enter_with(&scene.both.session, &plant("presence")).await;
    scene.stages_0_to_2().await;
    scene.stage_3().await;
    scene.stage_4().await;
    words.extend(scene.garden.private.iter().chain(&scene.garden.shown).cloned());
    // An invitation that nobody has accepted, and a session that is left without an end.
    let invite = json!({ "inviteName": planted("waiting"), "context": planted("waitingContext") });
    anna.post("/sessions", invite).await.created();
    words.extend([planted("waiting"), planted("waitingContext")]);
    (scene.both, words)
}

fn files(directory: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { BTreeSet::from([path]) }).collect()
}

async fn back_up(server: &Server, to: &Path) {
    let (data, to) = (server.data().to_str().expect("a path"), to.to_str().expect("a path"));
    let taken = run(&["backup", "--data", data, "--to", to], &[]).await;
    assert_eq!(taken.code, Some(0), "{taken:?}");
}

/// In the new files of a backup, apart from those of earlier ones.
fn found_in_new(directory: &Path, before: &BTreeSet<PathBuf>, words: &[&str]) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| !words_in(&fs::read(path).expect("a file"), words).is_empty();
    files(directory).into_iter().filter(|path| !before.contains(path) && holds(path)).collect()
}

async fn an_erased_account_leaves_no_word(engine: &str) {
    let (expo, place) = (Expo::start(), tempfile::tempdir().expect("a directory"));
    let server = quick(engine, &expo).start().await;
    let (both, words) = plant(&server, &expo).await;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let own = place.path().join("own");
    back_up(&server, &own).await;
    let before = files(&own);
    // The search finds what is there.
    let data = server.data().to_owned();
    let places = places(&data, &words);
    let nowhere: Vec<_> = words.iter().filter(|word| !places.contains_key(**word)).copied().collect();
    assert_eq!(nowhere, NEVER_STORED, "{engine}: all others are there");
    assert!(!found_in_new(&own, &BTreeSet::new(), &words).is_empty(), "{engine}");

    both.anna.delete("/auth/me").await.ok();
    // While the words are still in the journal.
    let at_once = place.path().join("at-once");
    back_up(&server, &own).await;
    back_up(&server, &at_once).await;
    assert_eq!(found_in_new(&own, &before, &words), Vec::<PathBuf>::new(), "{engine}: the next backup");
    assert_eq!(found(&at_once, &words), [""; 0], "{engine}: a backup elsewhere");
    server.logged(&[GONE]).await;
    assert_eq!(found(&data, &words), [""; 0], "{engine}: the data directory");
    eventually("the erasure is counted", || async {
        server.get("/metrics").send().await.body.contains("tandem_erasures_total 1").then_some(())
    })
    .await;
    back_up(&server, &own).await;
    assert_eq!(found_in_new(&own, &before, &words), Vec::<PathBuf>::new(), "{engine}: a later backup");

    // What a stop hands over, and what a start reads.
    let stopped = server.stop().await;
    assert_eq!(found(&data, &words), [""; 0], "{engine}: after a stop");
    let engine_is = [("TANDEM__STORE__ENGINE", engine)];
    let dumped = run(&["store", "dump", "--words", "--data", data.to_str().expect("a path")], &engine_is).await;
    assert!(dumped.code == Some(0) && dumped.stdout.contains("of ben"), "{engine}: what Ben wrote stays");
    for word in &words {
        assert!(!dumped.stdout.contains(word), "{engine}: {word} in a row");
    }
    let server = stopped.start().await;
    assert_eq!(both.back_at(&server).ben.read("").await.ok()["session"]["id"], both.session, "{engine}");
    an_earlier_backup_does_not_bring_it_back(server.setup(), &own, &both, &words).await;
}

/// `own` holds the backup from before the erasure, and later ones.
async fn an_earlier_backup_does_not_bring_it_back(setup: Setup, own: &Path, both: &Conversation, words: &[&str]) {
    let data = tempfile::tempdir().expect("a directory");
    let (from, to) = (own.to_str().expect("a path"), data.path().to_str().expect("a path"));
    let listed = run(&["restore", "--from", from, "--list"], &[]).await.stdout;
    let first = listed.split_whitespace().next().expect("a backup");
    let restored = run(&["restore", "--from", from, "--to", to, "--backup", first], &[]).await;
    assert!(restored.stdout.contains("1 accounts were erased after that"), "{restored:?}");
    assert!(!found(data.path(), words).is_empty(), "it is what was backed up");
    let server = setup.on(data).start().await;
    let both = both.back_at(&server);
    assert_eq!(both.ben.read("").await.ok()["session"]["id"], both.session, "what happened stays");
    // A request of hers would begin a new account.
    server.logged(&[GONE]).await;
    assert_eq!(found(server.data(), words), [""; 0]);
    // What is restored from after the erasure is not erased again.
    let (data, newest) = (tempfile::tempdir().expect("a directory"), ["restore", "--from", from, "--to"]);
    let to = data.path().join("newest");
    let restored = run(&[&newest[..], &[to.to_str().expect("a path")]].concat(), &[]).await;
    assert!(restored.code == Some(0) && !restored.stdout.contains("erased"), "{restored:?}");
}

#[tokio::test]
async fn an_erased_account_leaves_no_word_in_the_files_and_in_later_backups() {
    tokio::join!(an_erased_account_leaves_no_word("sled"), an_erased_account_leaves_no_word("redb"));
}

async fn what_a_kill_interrupts_goes_on(engine: &str) {
    let (expo, keys) = (Expo::start(), tempfile::tempdir().expect("a directory"));
    let server = quick(engine, &expo).set("retention.erased", "30days").start().await;
    let both = Conversation::at_stage(&server, 3).await;
    both.anna.need("zqneedqz", "SAFETY").await.created();
    both.anna.delete("/auth/me").await.ok();
    let stopped = server.kill();
    assert!(!found(stopped.data(), &["zqneedqz"]).is_empty(), "{engine}: it is in the journal");
    // A store that is to be encrypted from now on does the same.
    let quick = stopped.set("retention.erased", "1s").set("store.encryption_key_file", key(keys.path(), "a"));
    let server = quick.start().await;
    server.logged(&[GONE]).await;
    assert_eq!(found(server.data(), &["zqneedqz"]), [""; 0], "{engine}");
    eventually("nothing waits any more", || async {
        let metrics = server.get("/metrics").send().await.body;
        metrics.contains("tandem_erasure_age_seconds 0\n").then_some(())
    })
    .await;
}

/// The node is killed between the erasure and the end of the rewriting.
#[tokio::test]
async fn what_a_kill_interrupts_goes_on_after_the_start() {
    tokio::join!(what_a_kill_interrupts_goes_on("sled"), what_a_kill_interrupts_goes_on("redb"));
}
