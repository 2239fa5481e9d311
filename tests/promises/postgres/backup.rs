//! Backups of a node on a database, and nodes that are made from them: on a database or in a directory.

use std::{fs, path::Path};

use super::*;
use crate::{
    encryption,
    harness::{Console, Finished, run, views},
};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of Unicode")
}

fn done(finished: Finished) -> String {
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    finished.stdout
}

/// Runs a command with the settings of a node on this database.
async fn on_database(address: &str, arguments: &[&str]) -> Finished {
    let settings =
        [("TANDEM__STORE__ENGINE", "postgres"), ("TANDEM__STORE__URL", address), ("TANDEM__STORE__PASSWORD", PASSWORD)];
    run(arguments, &settings).await
}

async fn back_up(address: &str, data: &Path, to: &Path) -> String {
    done(on_database(address, &["backup", "--data", text(data), "--to", text(to)]).await)
}

/// Restores into a database, and its secrets into a fresh data directory.
async fn restore(from: &Path, address: &str, more: &[&str]) -> (Finished, tempfile::TempDir) {
    let data = tempfile::tempdir().expect("a directory");
    let arguments = ["restore", "--from", text(from), "--to", address, "--data", text(data.path())];
    let finished = run(&[&arguments, more].concat(), &[("TANDEM__STORE__PASSWORD", PASSWORD)]).await;
    (finished, data)
}

/// A node on a fresh database that was made from a backup.
async fn restored(from: &Path, more: &[&str]) -> Server {
    let address = Postgres::shared().expect("installed").database();
    let (finished, data) = restore(from, &address, more).await;
    done(finished);
    on(&address).on(data).start().await
}

async fn list(from: &Path) -> Vec<String> {
    let listed = run(&["restore", "--from", text(from), "--list"], &[]).await.stdout;
    listed.lines().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_node_on_a_database_becomes_one_on_another_database_or_in_a_directory() {
    let (Some(shared), place) = (Postgres::shared(), tempfile::tempdir().expect("a directory")) else { return };
    let address = shared.database();
    let server = on(&address).start().await;
    let both = Conversation::at_stage(&server, 3).await;
    both.anna.need("to rest", "SAFETY").await.created();
    views::told(&server, &both).await;
    views::looked_at(&both).await;
    let before = views::all(&server, &both).await;
    let key = fs::read(server.data().join("realtime.key")).expect("a key");

    let output = back_up(&address, server.data(), place.path()).await;
    assert!(output.starts_with("backup 2") && output.contains(" rows at position "), "{output}");
    // The node has taken it.
    let metrics = server.get("/metrics").send().await.body;
    assert!(metrics.contains("tandem_backups_total{outcome=\"taken\"} 1"), "{metrics}");
    // What happens later is not in it, but in one that is taken elsewhere, of a node that runs here.
    both.anna.need("to play", "MEANING").await.created();
    let elsewhere = tempfile::tempdir().expect("a directory");
    back_up(&address, elsewhere.path(), &place.path().join("elsewhere")).await;

    let (refused, _) = restore(place.path(), &address, &[]).await;
    assert!(refused.refused_with_one_line().contains("not empty"), "{refused:?}");
    let again = restored(place.path(), &[]).await;
    assert_eq!(fs::read(again.data().join("realtime.key")).expect("restored"), key);
    views::same(&before, &views::all(&again, &both.back_at(&again)).await);
    both.back_at(&again).anna.need("to begin again", "MEANING").await.created();
    let later = restored(&place.path().join("elsewhere"), &[]).await;
    assert!(both.back_at(&later).anna.read("/needs").await.body.contains("to play"));

    // Of a stopped node, into a directory.
    let setup = server.stop().await;
    let stopped = place.path().join("stopped");
    back_up(&address, setup.data(), &stopped).await;
    let data = tempfile::tempdir().expect("a directory");
    let to = ["restore", "--from", text(&stopped), "--to", text(data.path()), "--engine", "redb"];
    let output = done(run(&to, &[]).await);
    assert!(output.contains("restored redb:") && output.contains("realtime.key"), "{output}");
    let moved = server_in(data, "redb").await;
    assert!(both.back_at(&moved).anna.read("/needs").await.body.contains("to play"));
}

async fn server_in(data: tempfile::TempDir, engine: &str) -> Server {
    server().set("store.engine", engine).on(data).start().await
}

#[tokio::test]
async fn a_node_in_a_directory_becomes_one_on_a_database() {
    let (Some(shared), place) = (Postgres::shared(), tempfile::tempdir().expect("a directory")) else { return };
    let server = server().start().await;
    let both = Conversation::at_stage(&server, 3).await;
    let (data, to) = (text(server.data()).to_owned(), text(place.path()));
    done(run(&["backup", "--data", &data, "--to", to], &[]).await);
    both.anna.need("to rest", "SAFETY").await.created();
    views::told(&server, &both).await;
    views::looked_at(&both).await;
    let before = views::all(&server, &both).await;
    done(run(&["backup", "--data", &data, "--to", to], &[]).await);
    let newest = restored(place.path(), &[]).await;
    views::same(&before, &views::all(&newest, &both.back_at(&newest)).await);
    let first = list(place.path()).await.remove(0);
    let earlier = restored(place.path(), &["--backup", &first]).await;
    assert!(!both.back_at(&earlier).anna.read("/needs").await.body.contains("to rest"));

    // The data directory's own secrets stay, and no password is shown.
    let (finished, data) = restore(place.path(), &shared.database(), &[]).await;
    assert!(done(finished).contains("restored realtime.key in "));
    fs::write(data.path().join("realtime.key"), "its.own:key\n").expect("written");
    let address = shared.database();
    let again = ["restore", "--from", to, "--to", &address, "--data", text(data.path())];
    assert!(done(run(&again, &[]).await).contains("kept, as there already, realtime.key in "));
    assert_eq!(fs::read_to_string(data.path().join("realtime.key")).expect("kept"), "its.own:key\n");
    let wrong = ["restore", "--from", to, "--to", "postgres://tandem:hunter2@127.0.0.1/tandem"];
    let line = run(&wrong, &[]).await;
    let line = line.refused_with_one_line();
    assert!(line.contains("--to: the address of a database") && !line.contains("hunter2"), "{line}");
    let (refused, _) = restore(place.path(), &shared.database(), &["--engine", "redb"]).await;
    assert!(refused.refused_with_one_line().contains("--engine is for a data directory"), "{refused:?}");
}

#[tokio::test]
async fn an_encrypted_node_in_a_directory_becomes_one_on_a_database_that_is_not_encrypted() {
    let (Some(shared), place) = (Postgres::shared(), tempfile::tempdir().expect("a directory")) else { return };
    let keys = tempfile::tempdir().expect("a directory");
    let key = encryption::key(keys.path(), "a");
    let server = server().set("store.encryption_key_file", &key).start().await;
    let both = Conversation::at_stage(&server, 3).await;
    both.anna.need("zqneedqz", "SAFETY").await.created();
    done(run(&["backup", "--data", text(server.data()), "--to", text(place.path())], &[]).await);

    let (address, data) = (shared.database(), tempfile::tempdir().expect("a directory"));
    let to = ["restore", "--from", text(place.path()), "--to", &address, "--data", text(data.path())];
    let with_key = [("TANDEM__STORE__ENCRYPTION_KEY_FILE", key.as_str()), ("TANDEM__STORE__PASSWORD", PASSWORD)];
    let refused = run(&to, &with_key[1..]).await;
    assert!(refused.refused_with_one_line().contains("it is encrypted: set store.encryption_key_file"), "{refused:?}");
    done(run(&to, &with_key).await);
    assert_ne!(shared.sql(&address, "SELECT count(*) FROM tandem.rows WHERE value LIKE '%zqneedqz%'"), "0");
    let moved = on(&address).on(data).start().await;
    assert!(both.back_at(&moved).anna.read("/needs").await.body.contains("zqneedqz"));
}

#[tokio::test]
async fn damaged_rows_are_told_with_what_helps_in_a_database() {
    let (Some(shared), place) = (Postgres::shared(), tempfile::tempdir().expect("a directory")) else { return };
    let address = shared.database();
    let server = on(&address).start().await;
    let both = Conversation::at_stage(&server, 3).await;
    both.anna.need("zqneedqz", "SAFETY").await.created();
    let setup = server.stop().await;
    let flip =
        "UPDATE tandem.rows SET value = set_byte(value, 20, get_byte(value, 20) # 1) WHERE value LIKE '%zqneedqz%'";
    shared.sql(&address, flip);
    let to = place.path().join("backups");
    let output = on_database(&address, &["backup", "--data", text(setup.data()), "--to", text(&to)]).await;
    let told =
        " damaged rows are not in the backup, and no older backup is removed: see what `tandem store verify` names";
    assert!(output.code == Some(0) && output.stdout.contains(told), "{output:?}");
    assert!(output.stdout.contains("another database") && !output.stdout.contains("store repair"), "{output:?}");
}

#[tokio::test]
async fn no_moment_between_two_backups_of_a_database_can_be_restored() {
    let (Some(shared), place) = (Postgres::shared(), tempfile::tempdir().expect("a directory")) else { return };
    let address = shared.database();
    let server = on(&address).start().await;
    for _ in 0..2 {
        Conversation::joined(&server).await;
        back_up(&address, server.data(), place.path()).await;
    }
    let listed = done(run(&["restore", "--from", text(place.path()), "--list"], &[]).await);
    assert!(listed.lines().count() == 2 && !listed.contains("any position"), "{listed}");
    let now = jiff::Timestamp::now().to_string();
    for (flag, value) in [("--at", now.as_str()), ("--position", "3")] {
        let data = place.path().join("new");
        let to = ["restore", "--from", text(place.path()), "--to", text(&data), flag, value];
        let refused = run(&to, &[]).await;
        let line = refused.refused_with_one_line();
        assert!(line.contains("of a database, which has no groups") && line.contains("--backup ID"), "{line}");
        assert!(!data.exists(), "nothing is begun");
    }
}

#[tokio::test]
async fn an_earlier_backup_does_not_bring_an_erased_account_back() {
    let (Some(shared), place) = (Postgres::shared(), tempfile::tempdir().expect("a directory")) else { return };
    let address = shared.database();
    let server = on(&address).start().await;
    let both = Conversation::at_stage(&server, 3).await;
    both.anna.need("zqneedqz", "SAFETY").await.created();
    back_up(&address, server.data(), place.path()).await;
    both.anna.delete("/auth/me").await.ok();
    back_up(&address, server.data(), place.path()).await;
    let words = |address: &str| shared.sql(address, "SELECT count(*) FROM tandem.rows WHERE value LIKE '%zqneedqz%'");
    assert_eq!(words(&address), "0");

    let listed = list(place.path()).await;
    let again = shared.database();
    let (finished, data) = restore(place.path(), &again, &["--backup", &listed[0]]).await;
    let output = done(finished);
    assert!(output.contains("1 accounts were erased after that"), "{output}");
    assert_ne!(words(&again), "0", "it is what was backed up");
    // Nor does a backup of what was restored, if no node has started on it yet.
    back_up(&again, data.path(), place.path()).await;
    let (twice, newest) = (shared.database(), list(place.path()).await.pop().expect("a backup"));
    let (finished, its_data) = restore(place.path(), &twice, &["--backup", &newest]).await;
    assert!(done(finished).contains("1 accounts were erased after that") && words(&twice) != "0");
    let _server = on(&twice).on(its_data).start().await;
    assert_eq!(words(&twice), "0", "the start has erased it again");
    let server = on(&again).on(data).start().await;
    assert_eq!(words(&again), "0", "the start has erased it again");
    assert_eq!(both.back_at(&server).ben.read("").await.ok()["session"]["id"], both.session, "what happened stays");
    // What is restored from after the erasure is not erased again.
    let (finished, _) = restore(place.path(), &shared.database(), &["--backup", &listed[1]]).await;
    let output = done(finished);
    assert!(!output.contains("erased"), "{output}");
}

#[tokio::test]
async fn an_export_of_a_database_becomes_a_node_on_a_database_or_in_a_directory() {
    let (Some(shared), place) = (Postgres::shared(), tempfile::tempdir().expect("a directory")) else { return };
    let address = shared.database();
    let server = on(&address).start().await;
    let both = Conversation::at_stage(&server, 3).await;
    views::looked_at(&both).await;
    let before = (views::of(&both.anna).await, views::of(&both.ben).await);
    let file = place.path().join("all.jsonl");
    let export = ["export", "--data", text(server.data()), "--to", text(&file)];
    assert!(done(on_database(&address, &export).await).starts_with("exported "));
    assert_eq!(place.path().read_dir().expect("a directory").count(), 1, "nothing else stays");

    let (other, data) = (shared.database(), tempfile::tempdir().expect("a directory"));
    let import = ["import", "--data", text(data.path()), "--from", text(&file)];
    let broken = place.path().join("broken.jsonl");
    fs::write(&broken, fs::read_to_string(&file).expect("text").replace("{\"rows\":", "{\"row\":")).expect("written");
    let refused = on_database(&other, &["import", "--data", text(data.path()), "--from", text(&broken)]).await;
    assert!(refused.refused_with_one_line().contains("it must be a row"), "{refused:?}");
    let imported = done(on_database(&other, &import).await);
    assert!(imported.starts_with("imported ") && imported.contains(&other), "{imported}");
    let twice = on_database(&other, &import).await;
    assert!(twice.refused_with_one_line().contains("not empty"), "{twice:?}");
    let in_directory = tempfile::tempdir().expect("a directory");
    done(run(&["import", "--data", text(in_directory.path()), "--from", text(&file)], &[]).await);
    for again in [on(&other).on(data).start().await, server_in(in_directory, "sled").await] {
        let both = both.back_at(&again);
        views::same(&before.0, &views::of(&both.anna).await);
        views::same(&before.1, &views::of(&both.ben).await);
    }
}

#[tokio::test]
async fn a_node_on_a_database_takes_backups_by_schedule_and_by_the_consoles_button() {
    let (Some(setup), place) = (on_a_fresh_database(), tempfile::tempdir().expect("a directory")) else { return };
    let setup = setup.set("backup.to", text(place.path())).set("backup.keep", 2);
    let server = setup.start().await;
    let console = Console::sign_in(&server).await;
    console.send("/console/back-up", &[]).await;
    let first = eventually("the button's backup", || async { list(place.path()).await.first().cloned() }).await;
    eventually("the page says so", || async {
        console.get("/console/backups").await.body.contains(&first).then_some(())
    })
    .await;
    let server = server.stop().await.set("backup.schedule", "1s").start().await;
    let kept = eventually("the first one to go", || async {
        let kept = list(place.path()).await;
        (!kept.is_empty() && !kept.contains(&first)).then_some(kept)
    });
    assert!(kept.await.len() <= 2);
    let metrics = server.get("/metrics").send().await.body;
    assert!(metrics.contains("tandem_backup_last_success_timestamp_seconds 1"), "{metrics}");
}
