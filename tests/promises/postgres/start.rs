//! What a node on a database refuses to start with, and what it needs on its own machine.

use serde_json::Value;

use tandem_testing::postgres::AUTHORITY;

use super::*;
use crate::harness::run;

#[tokio::test]
async fn settings_that_cannot_work_are_refused_without_showing_the_password() {
    let wrong = |url: &str| server().set("store.engine", "postgres").set("store.url", url);
    for (setup, told) in [
        (server().set("store.engine", "postgres"), "store.url must be set"),
        (wrong("sled:data"), "store.url must be an address as postgres://"),
        (wrong("postgres://tandem:hunter2@127.0.0.1/tandem"), "store.url must not hold a password"),
        (wrong("postgres://tandem@db.example/tandem?sslmode=prefer"), "sslmode=verify-full"),
        (wrong("postgres://tandem@127.0.0.1:9/tandem"), "cannot be reached"),
    ] {
        let refused = setup.refused().await;
        let line = refused.refused_with_one_line();
        assert!(line.contains(told) && !line.contains("hunter2"), "{told}: {line}");
    }
}

#[tokio::test]
async fn a_data_directory_that_had_a_database_does_not_begin_another_one_unasked() {
    let Some(shared) = Postgres::shared() else { return };
    let server = on(&shared.database()).start().await;
    let both = Conversation::invited(&server).await;
    let setup = server.stop().await;
    let empty = shared.database();
    let refused = setup.clone().set("store.url", &empty).refused().await;
    let line = refused.refused_with_one_line();
    assert!(line.contains("is not there, but") && line.contains("--start-afresh"), "{line}");
    assert_eq!(shared.sql(&empty, "SELECT count(*) FROM pg_namespace WHERE nspname = 'tandem'"), "0");
    // And an embedded store is not begun in its place either.
    let refused = setup.clone().set("store.engine", "sled").refused().await;
    assert!(refused.refused_with_one_line().contains("--start-afresh"));

    let fresh = setup.clone().set("store.url", &empty).arguments(&["--start-afresh"]).start().await;
    assert_eq!(both.back_at(&fresh).anna.read("").await.status, 404);
    fresh.stop().await;
}

/// A machine without a disk forgets its directory; the rows are in the database.
#[tokio::test]
async fn a_node_needs_nothing_on_its_own_machine() {
    let Some(shared) = Postgres::shared() else { return };
    let address = shared.database();
    let server = on(&address).start().await;
    let both = Conversation::at_stage(&server, 1).await;
    drop(server.kill());
    let server = on(&address).start().await;
    assert_eq!(both.back_at(&server).anna.read("").await.ok()["session"]["status"], "ACTIVE");
}

#[tokio::test]
async fn stores_move_between_a_directory_and_a_database() {
    let Some(shared) = Postgres::shared() else { return };
    let address = shared.database();
    let server = server().start().await;
    let both = Conversation::at_stage(&server, 1).await;
    let setup = server.stop().await;
    let data = setup.data().display().to_string();
    let password = [("TANDEM__STORE__PASSWORD", PASSWORD)];
    let from = format!("sled:{data}/store");
    let copied = run(&["store", "copy", "--from", &from, "--to", &address], &password).await;
    assert_eq!(copied.code, Some(0), "{copied:?}");
    assert!(
        copied.stdout.contains("verified") && copied.stdout.contains("not copied: the secrets"),
        "{}",
        copied.stdout
    );

    let moved = on(&address).start().await;
    assert_eq!(both.back_at(&moved).anna.read("").await.ok()["session"]["status"], "ACTIVE");
    let back = tempfile::tempdir().unwrap();
    let to = format!("redb:{}/store", back.path().display());
    let refused = run(&["store", "copy", "--from", &address, "--to", &to], &password).await;
    assert!(refused.refused_with_one_line().contains("in use by"), "{}", refused.stderr);
    let dumped = run(&["store", "dump", "--store", &address], &password).await;
    let lines: Vec<Value> = dumped.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["record"].as_str().is_some_and(|record| record.starts_with("event 1 "))));
    moved.stop().await;

    let copied = run(&["store", "copy", "--from", &address, "--to", &to], &password).await;
    assert_eq!(copied.code, Some(0), "{copied:?}");
    let again = crate::harness::server().set("store.engine", "redb").on(back).start().await;
    assert_eq!(both.back_at(&again).anna.read("").await.ok()["session"]["status"], "ACTIVE");

    let verified = run(&["store", "verify", "--store", &address], &password).await;
    assert!(verified.code == Some(0) && verified.stdout.contains("nothing is damaged"), "{verified:?}");
    let repaired = run(&["store", "repair", "--store", &address], &password).await;
    assert!(repaired.refused_with_one_line().contains("is not for a database"), "{}", repaired.stderr);
}

/// Encrypted and checked, although the database is on this machine: the address says so.
#[tokio::test]
async fn connections_are_encrypted_and_the_certificate_is_checked() {
    let Some(postgres) = own_server().await else { return };
    postgres.encrypt();
    let authority = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), AUTHORITY).unwrap();
    let setup = on(&format!("{}?sslmode=verify-full", postgres.database()));
    let refused = setup.clone().refused().await;
    let line = refused.refused_with_one_line();
    assert!(line.contains("cannot be reached") && line.contains("UnknownIssuer"), "{line}");
    let refused = setup.clone().set("store.ca", "/nowhere.pem").refused().await;
    assert!(refused.refused_with_one_line().contains("store.ca (/nowhere.pem) cannot be used"));
    let server = setup.set("store.ca", authority.path().display()).start().await;
    Conversation::joined(&server).await;
    let plain = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'tandem' AND NOT ssl";
    assert_eq!(postgres.sql("postgres", plain), "0");
    assert_ne!(postgres.sql("postgres", &plain.replace("NOT ssl", "ssl")), "0");
}

/// Every command, not only the node: `check`, `store copy`, `verify` and `dump`.
#[tokio::test]
async fn commands_use_an_encrypted_database() {
    let Some(postgres) = own_server().await else { return };
    postgres.encrypt();
    let authority = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), AUTHORITY).unwrap();
    let authority = authority.path().to_str().unwrap();
    let address = format!("{}?sslmode=verify-full", postgres.database());
    let server = on(&address).set("store.ca", authority).start().await;
    Conversation::joined(&server).await;
    server.stop().await;
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let environment = [
        ("TANDEM__STORE__ENGINE", "postgres"),
        ("TANDEM__STORE__URL", &*address),
        ("TANDEM__STORE__PASSWORD", PASSWORD),
        ("TANDEM__STORE__CA", authority),
    ];
    let checked = run(&["check", "--data", data], &environment).await;
    assert!(checked.stdout.lines().any(|line| line.starts_with("ok ") && line.contains(" store: ")), "{checked:?}");
    let dumped = run(&["store", "dump", "--data", data], &environment).await;
    assert!(dumped.code == Some(0) && dumped.stdout.contains("event 1 "), "{dumped:?}");
    let verified = run(&["store", "verify", "--data", data], &environment).await;
    assert!(verified.code == Some(0) && verified.stdout.contains("nothing is damaged"), "{verified:?}");
    let to = format!("redb:{data}/store");
    let copied = run(&["store", "copy", "--from", &address, "--to", &to], &environment[2..]).await;
    assert!(copied.code == Some(0) && copied.stdout.contains("verified"), "{copied:?}");
    // Without `store.ca`, the usual authorities count, and none of them has signed this one.
    let unknown = run(&["store", "verify", "--store", &address], &environment[2..3]).await;
    let line = unknown.refused_with_one_line();
    assert!(line.contains("cannot be reached") && line.contains("UnknownIssuer"), "{line}");
}

/// A note that cannot be kept is no reason to refuse to start, but one to say so.
#[tokio::test]
async fn a_node_that_cannot_write_the_last_acknowledged_number_warns() {
    let Some(setup) = on_a_fresh_database() else { return };
    std::fs::create_dir_all(setup.data().join("store/acknowledged")).unwrap();
    let server = setup.start().await;
    server.logged(&["acknowledged", "a loss of groups would not be noticed"]).await;
}

/// Readers have connections of their own. Why they get none is said, and not only that nothing answers.
#[tokio::test]
async fn the_error_says_why_readers_cannot_connect() {
    let Some(postgres) = own_server().await else { return };
    let address = postgres.database();
    let alone = "CREATE ROLE alone LOGIN CONNECTION LIMIT 1; GRANT CREATE ON DATABASE";
    postgres.sql("postgres", &format!("{alone} {} TO alone", address.rsplit('/').next().unwrap()));
    let refused = on(&address.replace("tandem@", "alone@")).refused().await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("too many connections for role \"alone\""), "{}", refused.stderr);
}

#[tokio::test]
async fn check_reports_the_errors_of_serve() {
    let Some(shared) = Postgres::shared() else { return };
    let address = shared.database();
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let check = async |url: &str| {
        let environment =
            [("TANDEM__STORE__ENGINE", "postgres"), ("TANDEM__STORE__URL", url), ("TANDEM__STORE__PASSWORD", PASSWORD)];
        let checked = run(&["check", "--data", data], &environment).await;
        checked.stdout.lines().find(|line| line.contains(" store: ")).expect("a line").to_owned()
    };
    assert!(check(&address).await.starts_with("ok "));
    assert_eq!(shared.sql(&address, "SELECT count(*) FROM pg_namespace WHERE nspname = 'tandem'"), "0");
    shared.sql(&address, "CREATE SCHEMA tandem; CREATE TABLE tandem.theirs (a int)");
    let line = check(&address).await;
    assert!(line.starts_with("WRONG") && line.contains("what is not tandem's (theirs)"), "{line}");
}
