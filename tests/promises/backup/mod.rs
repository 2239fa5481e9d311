//! Backups of a node, and nodes made from them.

mod encrypted;
mod export;
mod schedule;

use std::{fs, path::Path};

use crate::harness::{Conversation, Finished, Realtime, Server, Setup, eventually, run, server, views};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of Unicode")
}

fn done(finished: Finished) -> String {
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    finished.stdout
}

async fn back_up(data: &Path, to: &Path) -> String {
    done(run(&["backup", "--data", text(data), "--to", text(to)], &[]).await)
}

async fn restore(from: &Path, to: &Path, more: &[&str]) -> Finished {
    run(&[&["restore", "--from", text(from), "--to", text(to)], more].concat(), &[]).await
}

/// A server on what was restored into a fresh directory.
async fn restored(setup: &Setup, from: &Path, more: &[&str]) -> Server {
    let data = tempfile::tempdir().expect("a directory");
    done(restore(from, data.path(), more).await);
    setup.clone().on(data).start().await
}

/// The session's events have all left for the channel.
async fn told(listener: &Realtime, session: &str, name: &str) {
    listener.message(session, name).await;
}

#[tokio::test]
async fn a_restored_node_shows_both_partners_what_they_saw() {
    for engine in ["sled", "redb"] {
        let place = tempfile::tempdir().expect("a directory");
        let server = server().set("store.engine", engine).start().await;
        let (both, _) = Conversation::agreed(&server).await;
        let mut listener = Realtime::connect(&both.ben).await;
        listener.attach(&both.session).await;
        both.anna.press("/resolve").await.done();
        told(&listener, &both.session, "session.resolved").await;
        views::looked_at(&both).await;
        let before = views::all(&server, &both).await;
        assert!(before["history"].as_array().is_some_and(|history| !history.is_empty()), "{}", before["history"]);

        let output = back_up(server.data(), place.path()).await;
        assert!(output.starts_with("backup 2") && output.contains(" rows at position "), "{output}");
        // What happens later is not in it.
        let _later = Conversation::joined(&server).await;
        both.anna.press("/archive").await.done();
        let setup = server.setup();
        for name in ["realtime.key", "auth.secret"] {
            let path = server.data().join(name);
            assert!(!path.exists() || fs::read(&path).is_ok(), "{name}");
        }
        let key = fs::read(server.data().join("realtime.key")).expect("a key");
        let again = restored(&setup, place.path(), &[]).await;
        assert_eq!(fs::read(again.data().join("realtime.key")).expect("restored"), key);
        views::same(&before, &views::all(&again, &both.back_at(&again)).await);
        both.back_at(&again).anna.press("/archive").await.done();
    }
}

#[tokio::test]
async fn a_stopped_node_is_backed_up_and_becomes_one_of_the_other_engine() {
    let place = tempfile::tempdir().expect("a directory");
    let server = server().start().await;
    let both = Conversation::at_stage(&server, 3).await;
    both.anna.need("to rest", "SAFETY").await.created();
    views::looked_at(&both).await;
    let before = (views::of(&both.anna).await, views::of(&both.ben).await);
    let setup = server.stop().await;
    back_up(setup.data(), place.path()).await;
    let again = restored(&setup.clone().set("store.engine", "redb"), place.path(), &["--engine", "redb"]).await;
    let both = both.back_at(&again);
    views::same(&before.0, &views::of(&both.anna).await);
    views::same(&before.1, &views::of(&both.ben).await);
}

#[tokio::test]
async fn every_moment_between_two_backups_can_be_restored() {
    let place = tempfile::tempdir().expect("a directory");
    let server = server().start().await;
    let both = Conversation::at_stage(&server, 3).await;
    back_up(server.data(), place.path()).await;
    both.anna.need("before", "SAFETY").await.created();
    views::looked_at(&both).await;
    let before = views::of(&both.anna).await;
    let quiet = eventually("a later millisecond", || async {
        let now = jiff::Timestamp::now();
        let answered = before["/sessions"]["body"]["data"]["items"][0]["updatedAt"].as_str().map(str::to_owned);
        answered.filter(|at| at.parse::<jiff::Timestamp>().is_ok_and(|at| at < now)).map(|_| now)
    });
    let moment = format!("{:.3}", quiet.await);
    eventually("the millisecond after it", || async {
        (format!("{:.3}", jiff::Timestamp::now()) > moment).then_some(())
    })
    .await;
    both.anna.need("after", "MEANING").await.created();
    back_up(server.data(), place.path()).await;
    let listed = done(run(&["restore", "--from", text(place.path()), "--list"], &[]).await);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.lines().last().is_some_and(|line| line.ends_with("any position since the one above")), "{listed}");

    let setup = server.setup();
    let again = restored(&setup, place.path(), &["--at", &moment]).await;
    views::same(&before, &views::of(&both.anna.back_at(&again)).await);
    let newest = restored(&setup, place.path(), &[]).await;
    let needs = both.anna.back_at(&newest).read("/needs").await.body;
    assert!(needs.contains("before") && needs.contains("after"), "{needs}");
    for (flag, value) in [("--at", "2001-01-01T00:00:00Z"), ("--at", "2090-01-01T00:00:00Z"), ("--position", "99999")] {
        let refused = restore(place.path(), &place.path().join("new"), &[flag, value]).await;
        let line = refused.refused_with_one_line();
        assert!(line.contains("cannot be restored: the "), "{line}");
    }
}

#[tokio::test]
async fn a_restore_refuses_what_it_would_overwrite_and_what_is_no_backup() {
    let place = tempfile::tempdir().expect("a directory");
    let server = server().start().await;
    Conversation::joined(&server).await;
    let to = place.path().join("backups");
    back_up(server.data(), &to).await;
    let refused = restore(&to, server.data(), &[]).await;
    assert!(refused.refused_with_one_line().contains("is not empty"), "{refused:?}");
    let nothing = restore(&place.path().join("nothing"), &place.path().join("new"), &[]).await;
    assert!(nothing.refused_with_one_line().contains("there is no backup"), "{nothing:?}");
    let unknown = restore(&to, &place.path().join("new"), &["--backup", "of-another-day"]).await;
    assert!(unknown.refused_with_one_line().contains("there is no backup of-another-day"), "{unknown:?}");
    assert!(!place.path().join("new").exists(), "nothing is begun");
    let none = run(&["backup", "--data", text(&place.path().join("none")), "--to", text(&to)], &[]).await;
    assert!(none.refused_with_one_line().contains("there is no store"), "{none:?}");
    // The route is the operator's.
    for path in ["/api/v1/operator/backup?to=/tmp", "/api/v1/operator/backup"] {
        server.request(reqwest::Method::POST, path).send().await.refused(404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn without_secrets_a_backup_holds_none() {
    let place = tempfile::tempdir().expect("a directory");
    let server = server().unset("auth.hs256_secret").start().await;
    let secrets = ["auth.secret", "realtime.key"]
        .map(|name| fs::read_to_string(server.data().join(name)).expect("a secret").trim().to_owned());
    let without = place.path().join("without");
    let arguments = ["backup", "--data", text(server.data()), "--to", text(&without), "--without-secrets"];
    done(run(&arguments, &[]).await);
    let with = place.path().join("with");
    back_up(server.data(), &with).await;
    for secret in &secrets {
        assert!(!holds(&without, secret), "a secret in a backup without secrets");
        assert!(holds(&with, secret), "no secret in a backup");
    }
    let output = done(restore(&without, &place.path().join("new"), &[]).await);
    assert!(output.contains("the backup holds no secrets"), "{output}");
}

#[tokio::test]
async fn every_command_says_how_many_damaged_rows_are_left_out() {
    let place = tempfile::tempdir().expect("a directory");
    let server = server().set("store.engine", "redb").start().await;
    let both = Conversation::at_stage(&server, 3).await;
    both.anna.need("to be damaged", "SAFETY").await.created();
    let setup = server.stop().await;
    let sound = place.path().join("sound");
    let redb = [("TANDEM__STORE__ENGINE", "redb")];
    done(run(&["backup", "--data", text(setup.data()), "--to", text(&sound)], &redb).await);
    let file = setup.data().join("store/redb/tandem.redb");
    let mut rows = fs::read(&file).expect("the database");
    let words = b"to be damaged";
    let found: Vec<_> = (0..rows.len() - words.len()).filter(|at| rows[*at..].starts_with(words)).collect();
    assert!(!found.is_empty(), "the words are there");
    found.into_iter().for_each(|at| rows[at] ^= 1);
    fs::write(&file, rows).expect("written");

    let to = place.path().join("backups");
    let output = run(&["backup", "--data", text(setup.data()), "--to", text(&to)], &redb).await;
    assert!(output.code == Some(0) && output.stdout.contains(" damaged rows are not in the backup"), "{output:?}");
    let left_out = " rows were damaged in the store, and are left out";
    let listed = done(run(&["restore", "--from", text(&to), "--list"], &[]).await);
    assert!(listed.contains(left_out), "{listed}");
    let output = done(restore(&to, &place.path().join("new"), &[]).await);
    assert!(output.contains(left_out), "{output}");
    let all = place.path().join("all.jsonl");
    let output = run(&["export", "--data", text(setup.data()), "--to", text(&all)], &redb).await;
    assert!(output.code == Some(0) && output.stdout.contains(left_out), "{output:?}");
    let output = done(restore(&sound, &place.path().join("sound-again"), &[]).await);
    assert!(!output.contains("damaged"), "{output}");
}

#[tokio::test]
async fn a_copy_of_a_node_is_not_backed_up_among_the_backups_of_the_node() {
    let place = tempfile::tempdir().expect("a directory");
    let (copy, to) = (place.path().join("copy"), place.path().join("backups"));
    let server = server().start().await;
    Conversation::joined(&server).await;
    let setup = server.stop().await;
    copy_all(setup.data(), &copy);
    back_up(setup.data(), &to).await;
    let refused = run(&["backup", "--data", text(&copy), "--to", text(&to)], &[]).await;
    assert!(refused.refused_with_one_line().contains("another copy of this store"), "{refused:?}");
    back_up(&copy, &place.path().join("of-the-copy")).await;
    back_up(setup.data(), &to).await;
    let listed = done(run(&["restore", "--from", text(&to), "--list"], &[]).await);
    assert_eq!(listed.lines().count(), 2, "{listed}");
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir(to).expect("made");
    for entry in from.read_dir().expect("a directory") {
        let path = entry.expect("an entry").path();
        let copy = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_all(&path, &copy);
        } else {
            fs::copy(&path, &copy).expect("copied");
        }
    }
}

/// Whether any file below a directory has these bytes.
fn holds(directory: &Path, words: &str) -> bool {
    directory.read_dir().expect("a directory").any(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            return holds(&path, words);
        }
        let content = fs::read(&path).expect("a file");
        content.windows(words.len()).any(|window| window == words.as_bytes())
    })
}

#[tokio::test]
async fn a_node_that_is_killed_while_it_backs_up_leaves_whole_backups_only() {
    let place = tempfile::tempdir().expect("a directory");
    let mut server = server().start().await;
    let both = Conversation::at_stage(&server, 2).await;
    for round in 0..4 {
        let token = operator_token(&server);
        let path = format!("/api/v1/operator/backup?to={}", text(place.path()));
        let begun = server.request(reqwest::Method::POST, &path).bearer(&token).send().await;
        assert_eq!(begun.status, 202, "{}", begun.body);
        for _ in 0..round * 40 {
            tokio::task::yield_now().await;
        }
        server = server.kill_and_start().await;
        for line in run(&["restore", "--from", text(place.path()), "--list"], &[]).await.stdout.lines() {
            assert!(!line.starts_with("BAD"), "{line}");
        }
    }
    let both = both.back_at(&server);
    views::looked_at(&both).await;
    let before = views::of(&both.anna).await;
    back_up(server.data(), place.path()).await;
    let again = restored(&server.setup(), place.path(), &[]).await;
    views::same(&before, &views::of(&both.back_at(&again).anna).await);
}

fn operator_token(server: &Server) -> String {
    let written = fs::read(server.data().join("operator.json")).expect("a node's file");
    let access: serde_json::Value = serde_json::from_slice(&written).expect("JSON");
    access["token"].as_str().expect("a token").to_owned()
}
