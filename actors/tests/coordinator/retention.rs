//! Sessions that are over for long are removed: not before their time, by no jump of the clock, and with all rows.

use std::time::Duration;

use tandem_actors::{
    Refusal,
    domain::{Code, Command, ids::SessionId},
    keys,
    ports::Change,
};

use crate::world::{World, eventually, id, run};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const DAYS_AHEAD: i64 = 24 * 3_600_000;

/// Waits until the sessions that are over have been read once.
async fn they_are_read(world: &World) {
    let before = world.store.scans(&keys::all_over());
    eventually("they are read", || world.store.scans(&keys::all_over()) > before).await;
}

/// A node that keeps house, with a session that Ann has left, and an active one.
async fn world_with_an_end() -> (World, SessionId, SessionId) {
    let (world, over) = World::with_session().await;
    world.execute(&over, "ann", Command::Withdraw).await.expect("left");
    let live = world.active_session().await;
    world.sign(&live, "ann").await;
    actix::spawn(world.coordinator.clone().run_maintenance());
    (world, over, live)
}

fn rows_of(world: &World, session: &SessionId) -> usize {
    world.store.rows_with(session.as_str().as_bytes())
}

#[test]
fn a_session_is_removed_after_its_time_and_not_before() {
    run(async {
        let (world, over, live) = world_with_an_end().await;
        world.clock.advance(89 * DAY);
        // The other one is used, so it is not over.
        world.execute(&live, "bob", Command::SignCompact).await.expect("signed");
        they_are_read(&world).await;
        they_are_read(&world).await;
        world.detail(&over, "bob").await.expect("it is there");

        world.clock.jump(100 * DAYS_AHEAD);
        they_are_read(&world).await;
        they_are_read(&world).await;
        world.clock.jump(-100 * DAYS_AHEAD);
        world.detail(&over, "bob").await.expect("a jump of the clock removes nothing");

        world.clock.advance(DAY);
        eventually("it is gone", || world.store.rows_under(&keys::events(&over)).is_empty()).await;
        world.detail(&over, "bob").await.expect_err("for its members, too");
        assert_eq!(world.detail(&live, "bob").await.expect("alive")["session"]["status"], "ACTIVE");
        assert_eq!(world.coordinator.sessions_ever(&id("bob")).expect("read"), [live]);
        // What is left is the note for the files of the store. Timers that it had go when they fire.
        world.clock.advance(2 * DAY);
        eventually("nothing else is left", || rows_of(&world, &over) == 1).await;
    });
}

#[test]
fn what_comes_for_a_session_during_its_removal_finds_none() {
    run(async {
        let (world, over) = World::with_session().await;
        world.clock.advance(DAY);
        world.execute(&over, "ann", Command::Withdraw).await.expect("left");
        actix::spawn(world.coordinator.clone().run_maintenance());
        world.clock.advance(89 * DAY);
        eventually("its timers have fired", || world.store.rows_under(&keys::all_due()).is_empty()).await;
        eventually("it has nothing to write", || world.store.rows_under(&keys::outboxes()).is_empty()).await;
        world.store.hold_commits();
        world.clock.advance(DAY);
        let log = keys::visible_events(&over);
        let before = world.store.scans(&log);
        eventually("its rows are being deleted", || world.store.scans(&log) > before).await;
        let mut asked = std::pin::pin!(world.detail(&over, "bob"));
        tokio::select! {
            biased;
            early = &mut asked => panic!("nobody knows yet: {early:?}"),
            () = std::future::ready(()) => {}
        }
        world.store.release_commits();
        match asked.await {
            Err(Refusal::Rejected(rejection)) => assert_eq!(rejection.code, Code::NotFound),
            other => panic!("{other:?}"),
        }
        assert!(world.store.rows_under(&keys::events(&over)).is_empty());
    });
}

#[test]
fn sessions_that_an_earlier_version_ended_are_found() {
    run(async {
        let (world, over) = World::with_session().await;
        world.execute(&over, "ann", Command::Withdraw).await.expect("left");
        let live = world.active_session().await;
        let known: Vec<_> = world.store.rows_under(&keys::all_over()).into_iter().map(|(key, _)| key).collect();
        assert_eq!(known.len(), 1, "the live one has none");
        let before = known.iter().cloned().map(Change::Delete).collect();
        world.journal.write(before).await.expect("as the earlier version left it");

        actix::spawn(world.coordinator.clone().run_maintenance());
        let rows = || world.store.rows_under(&keys::all_over()).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        eventually("it has its row", || rows() == known).await;
        let done = keys::meta("over");
        eventually("it is done once", || world.store.rows_under(&done).iter().any(|(_, row)| **row == [1])).await;
        world.clock.advance(91 * DAY);
        eventually("it is gone", || world.store.rows_under(&keys::events(&over)).is_empty()).await;
        assert!(!world.store.rows_under(&keys::events(&live)).is_empty());
    });
}

#[test]
fn an_outdated_row_removes_nothing() {
    run(async {
        let (world, over, live) = world_with_an_end().await;
        let now = tandem_actors::ports::Clock::now(&*world.clock);
        // As of a version that counted in another way.
        let rows = [&over, &live].map(|session| Change::Put(keys::over(now, session), bytes::Bytes::new()));
        world.clock.advance(DAY);
        world.execute(&over, "bob", Command::Archive).await.expect("archived");
        world.journal.write(rows.to_vec()).await.expect("written");
        world.clock.advance(89 * DAY + DAY / 2);
        eventually("the rows are right", || {
            let rows = world.store.rows_under(&keys::all_over());
            rows.iter().filter_map(|(key, _)| keys::parse_over(key)).all(|(since, _)| since > now)
        })
        .await;
        world.detail(&over, "bob").await.expect("not yet");
        world.clock.advance(DAY);
        eventually("it is gone", || world.store.rows_under(&keys::events(&over)).is_empty()).await;
    });
}
