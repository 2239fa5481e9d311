//! A wall clock that jumps while the node runs: no session ends, no member is blocked for days, and absence is noticed.

use std::time::Duration;

use tandem_actors::{
    Refusal,
    domain::{Code, Command, ids::SessionId},
    keys,
};

use crate::world::{World, eventually, id, run};

const DAY: i64 = 24 * 3_600_000;

/// Waits until the due timers have been read once. Each time takes two scans: a page, and the end behind it.
async fn timers_are_read(world: &World) {
    let before = world.store.scans(&keys::all_due());
    eventually("the timers are read", || world.store.scans(&keys::all_due()) >= before + 2).await;
}

#[test]
fn a_clock_jump_of_a_hundred_days_and_back_ends_no_session() {
    run(async {
        let (world, session) = World::with_session().await;
        actix::spawn(world.coordinator.clone().run_maintenance());
        world.clock.jump(100 * DAY);
        timers_are_read(&world).await;
        world.execute(&session, "ann", Command::SignCompact).await.expect("work goes on");
        timers_are_read(&world).await;
        world.clock.jump(-100 * DAY);
        assert_eq!(world.detail(&session, "bob").await.expect("alive")["session"]["status"], "ACTIVE");
        world.clock.advance(Duration::from_millis(u64::try_from(191 * DAY).expect("positive")));
        eventually("a session that was idle for that long ends", || {
            world.realtime.names().contains(&"session.abandoned")
        })
        .await;
    });
}

#[test]
fn a_nudge_sent_by_a_clock_in_the_future_does_not_block_later_nudges() {
    run(async {
        let (world, session) = World::with_session().await;
        world.clock.jump(100 * DAY);
        world.execute(&session, "ann", Command::Nudge).await.expect("nudged");
        world.clock.jump(-100 * DAY);
        world.execute(&session, "ann", Command::Nudge).await.expect("nudged in the present");
        match world.execute(&session, "ann", Command::Nudge).await {
            Err(Refusal::Rejected(rejection)) => assert_eq!(rejection.code, Code::RateLimited),
            other => panic!("{other:?}"),
        }
    });
}

/// Bob is present by a heartbeat, and the clock goes back by an hour. After `absent`, Bob gets a push.
fn bob_gets_a_push_after(absent: impl AsyncFnOnce(&World, &SessionId) + 'static) {
    run(async move {
        let (world, session) = World::with_session().await;
        world.register_device("bob");
        world.coordinator.heartbeat(&session, &id("bob"), true).await.expect("present");
        world.clock.jump(-3_600_000);
        absent(&world, &session).await;
        world.sign(&session, "ann").await;
        eventually("a push", || world.push_jobs().iter().any(|job| job.user == id("bob"))).await;
    });
}

#[test]
fn a_partner_who_goes_away_after_the_clock_went_back_gets_a_push() {
    bob_gets_a_push_after(async |world, session| {
        world.coordinator.heartbeat(session, &id("bob"), false).await.expect("away");
    });
}

#[test]
fn a_heartbeat_lasts_a_minute_even_if_the_clock_went_back() {
    bob_gets_a_push_after(async |world, _| world.clock.advance(Duration::from_secs(61)));
}
