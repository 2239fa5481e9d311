//! The database restarts, is away, or stands still.

use std::time::{Duration, Instant};

use super::*;
use crate::harness::in_time;

async fn crash(mut postgres: Postgres) -> Postgres {
    let crashed = tokio::task::spawn_blocking(move || {
        postgres.crash();
        postgres
    });
    crashed.await.expect("it stops")
}

async fn start_again(mut postgres: Postgres) -> Postgres {
    let started = tokio::task::spawn_blocking(move || {
        postgres.start_again();
        postgres
    });
    started.await.expect("it starts again")
}

#[tokio::test]
async fn a_database_that_crashes_again_and_again_loses_nothing_and_the_node_goes_on() {
    let Some(mut postgres) = own_server().await else { return };
    let server = on(&postgres.database()).set("journal.stall_after", "2s").start().await;
    let all = conversations(&server, 2).await;
    let history = History::default();
    let lanes = history.send(&all, "need", true);
    for round in 1..=3 {
        let enough = || async { (history.count() >= round * 8).then_some(()) };
        eventually("answers between two crashes", enough).await;
        postgres = start_again(crash(postgres).await).await;
    }
    for lane in lanes {
        in_time("every need is answered", lane).await.expect("a lane does not panic");
    }
    assert_eq!(history.count(), 80, "each of them");
    assert_eq!(history.faults(&server, &all).await, [""; 0]);
    // What is in memory is in the database.
    let server = server.kill_and_start().await;
    assert_eq!(history.faults(&server, &all).await, [""; 0]);
    drop(server);
    drop(postgres);
}

/// The same with a node that acknowledges before the database has answered: the checker must notice.
#[tokio::test]
async fn the_checker_notices_a_node_that_does_not_wait_for_the_database() {
    let Some(postgres) = own_server().await else { return };
    let server = on(&postgres.database()).start().await;
    let all = conversations(&server, 2).await;
    let mut server = server.kill().environment("TANDEM_DEBUG_POSTGRES", "early").start().await;
    let all: Vec<_> = all.iter().map(|both| both.back_at(&server)).collect();
    let history = History::default();
    let lanes = history.send(&all, "need", false);
    let enough = || async { (history.count() >= 16).then_some(()) };
    eventually("answers", enough).await;
    let postgres = start_again(crash(postgres).await).await;
    in_time("the node notices that the database fell back", server.ended()).await;
    let logs = server.logs();
    let last = last_words(&logs);
    assert!(last.contains("the database has fallen back") && last.contains("bring it up to date"), "{logs}");
    assert!(!last.contains("everything that was answered is there"), "{logs}");
    history.stop();
    for lane in lanes {
        lane.await.expect("a lane does not panic");
    }
    let setup = server.kill().environment("TANDEM_DEBUG_POSTGRES", "");
    let refused = setup.clone().refused().await;
    assert!(refused.refused_with_one_line().contains("acknowledged are not there"), "{}", refused.stderr);
    std::fs::remove_file(setup.data().join("store/acknowledged")).unwrap();
    let server = setup.start().await;
    let faults = history.faults(&server, &all).await;
    assert!(faults.iter().any(|fault| fault.starts_with("lost")), "{faults:?}");
    drop(postgres);
}

#[tokio::test]
async fn while_the_database_is_away_clients_are_told_to_come_back_and_nothing_is_lost() {
    let Some(postgres) = own_server().await else { return };
    let server = on(&postgres.database()).set("journal.stall_after", "2s").start().await;
    // Sessions that sleep, and one that is awake.
    let sleeping = conversations(&server, 1).await.remove(0);
    let server = server.kill_and_start().await;
    let (sleeping, awake) = (sleeping.back_at(&server), Conversation::joined(&server).await);
    let postgres = crash(postgres).await;
    let gone = Instant::now();

    let key = "in-flight";
    let post = |member: &crate::harness::Member| {
        member.request(reqwest::Method::POST, &member.path("/nudge")).header("idempotency-key", key)
    };
    post(&awake.anna).send().await.refused(503, "SERVICE_UNAVAILABLE");
    let not_ready = || async { (server.get("/ready").send().await.status == 503).then_some(()) };
    eventually("the node says that it cannot write", not_ready).await;
    let mut longest = Duration::ZERO;
    while gone.elapsed() < Duration::from_secs(20) {
        for answer in [
            sleeping.ben.need("while it was away", "SAFETY").await,
            sleeping.anna.read("/state").await,
            awake.ben.press("/nudge").await,
        ] {
            answer.refused(503, "SERVICE_UNAVAILABLE");
        }
        let started = Instant::now();
        assert_eq!(server.get("/health").send().await.status, 200);
        assert_eq!(server.get("/ready").send().await.status, 503);
        longest = longest.max(started.elapsed());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(longest < Duration::from_secs(5), "the node answers all the while: {longest:?}");
    server.logged(&["PostgreSQL cannot be written to"]).await;
    let told = server.logs().matches("PostgreSQL cannot be written to").count();
    assert!((1..=4).contains(&told), "told, and not again and again: {told}");

    let postgres = start_again(postgres).await;
    ready(&server).await;
    eventually("the session that slept is there", || async {
        (sleeping.ben.need("after it came back", "SAFETY").await.status == 201).then_some(())
    })
    .await;
    // It is not known whether this one was taken; the key makes the repetition safe.
    eventually("the command in flight is answered", || async {
        (post(&awake.anna).send().await.status == 200).then_some(())
    })
    .await;
    awake.ben.press("/nudge").await.done();
    server.logged(&["PostgreSQL answers again"]).await;
    let metrics = server.get("/metrics").send().await.body;
    assert!(!metrics.lines().any(|line| line.starts_with("tandem_sessions_quarantined ") && !line.ends_with(" 0")));
    drop(postgres);
}

#[tokio::test]
async fn a_database_that_hangs_counts_as_unreachable() {
    let Some(postgres) = own_server().await else { return };
    let server = on(&postgres.database()).set("journal.stall_after", "2s").start().await;
    let both = Conversation::joined(&server).await;
    postgres.signal("STOP");
    both.anna.press("/nudge").await.refused(503, "SERVICE_UNAVAILABLE");
    assert_eq!(server.get("/health").send().await.status, 200);
    postgres.signal("CONT");
    ready(&server).await;
    eventually("it goes on", || async { (both.ben.press("/nudge").await.status == 200).then_some(()) }).await;
}

/// A write that cannot succeed does not hold up the end of the node, and is no failure of the store.
#[tokio::test]
async fn a_node_stops_in_good_order_while_the_database_is_away() {
    let Some(postgres) = own_server().await else { return };
    let setup = on(&postgres.database()).set("journal.stall_after", "2s").set("server.shutdown_timeout", "5m");
    let mut server = setup.start().await;
    let both = Conversation::joined(&server).await;
    let postgres = crash(postgres).await;
    both.anna.press("/nudge").await.refused(503, "SERVICE_UNAVAILABLE");
    server.logged(&["PostgreSQL cannot be written to"]).await;
    server.terminate();
    let status = server.ended().await;
    assert!(status.success(), "{status}: {}", server.logs());
    assert!(!server.logs().contains("the store failed"), "{}", server.logs());
    drop(postgres);
}

#[tokio::test]
async fn a_statement_that_is_refused_for_good_ends_the_node_with_advice() {
    let Some(shared) = Postgres::shared() else { return };
    let address = shared.database();
    let mut server = on(&address).start().await;
    let both = Conversation::joined(&server).await;
    shared.sql(&address, "DROP TABLE tandem.groups");
    let pressed =
        tokio::spawn(
            async move { both.anna.request(reqwest::Method::POST, &both.anna.path("/nudge")).attempt().await },
        );
    let status = in_time("the node ends", server.ended()).await;
    drop(pressed.await);
    let logs = server.logs();
    assert_eq!(status.code(), Some(70), "{logs}");
    let last = last_words(&logs);
    assert!(last.contains("PostgreSQL refused to write") && last.contains("see to the database"), "{logs}");
}

/// A page of events is read in a few round trips, however many events are on it.
#[tokio::test]
async fn a_page_of_events_is_not_read_event_by_event() {
    let Some(postgres) = own_server().await else { return };
    let server = on(&postgres.database()).start().await;
    let both = Conversation::at_stage(&server, 3).await;
    let events = both.anna.events().await;
    assert!(events.len() > 10, "{}", events.len());
    let one_by_one = || {
        let log = postgres.log();
        log.lines()
            .filter(|line| line.contains(" execute ") && line.contains("FROM tandem.rows WHERE key = $1"))
            .count()
    };
    postgres.set("log_min_duration_statement", "0");
    let logged =
        || async { (both.anna.events().await == events && postgres.log().contains("FROM tandem.rows")).then_some(()) };
    eventually("statements are logged", logged).await;
    let before = one_by_one();
    assert_eq!(both.anna.events().await, events);
    let read = one_by_one() - before;
    assert!(read < 5, "{read} rows were read one by one for {} events", events.len());
}
