//! A wall clock that is set while the node runs ends nothing, blocks nobody for days, and hides nobody's absence.

use std::time::Duration;

use tandem_actors::{
    Refusal,
    domain::{Code, Command},
    keys,
};

use crate::world::{Options, World, eventually, id, run};

const DAY: i64 = 24 * 3_600_000;

/// Each look reads a page of timers and finds that there is no other page.
async fn timers_are_looked_at(world: &World) {
    let before = world.store.scans(&keys::all_due());
    eventually("the timers are looked at", || world.store.scans(&keys::all_due()) >= before + 2).await;
}

#[test]
fn a_clock_jump_of_a_hundred_days_and_back_ends_no_session() {
    run(async {
        let world = World::new(Options::default());
        let session = world.active_session().await;
        actix::spawn(world.coordinator.clone().run_maintenance());
        world.clock.jump(100 * DAY);
        timers_are_looked_at(&world).await;
        world.execute(&session, "ann", Command::SignCompact).await.expect("work goes on");
        timers_are_looked_at(&world).await;
        world.clock.jump(-100 * DAY);
        assert_eq!(world.detail(&session, "bob").await.expect("alive")["session"]["status"], "ACTIVE");
        world.clock.advance(Duration::from_millis(u64::try_from(191 * DAY).expect("positive")));
        eventually("idle for that long in truth, it ends", || world.realtime.names().contains(&"session.abandoned"))
            .await;
    });
}

#[test]
fn a_command_given_with_a_clock_in_the_future_blocks_nobody_for_days() {
    run(async {
        let world = World::new(Options::default());
        let session = world.active_session().await;
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

#[test]
fn a_partner_who_goes_away_after_the_clock_went_back_gets_a_push() {
    run(async {
        let world = World::new(Options::default());
        let session = world.active_session().await;
        world.register_device("bob");
        world.coordinator.heartbeat(&session, &id("bob"), true).await.expect("present");
        world.clock.jump(-3_600_000);
        world.coordinator.heartbeat(&session, &id("bob"), false).await.expect("away");
        world.execute(&session, "ann", Command::SignCompact).await.expect("signed");
        eventually("a push", || world.push_jobs().iter().any(|job| job.user == id("bob"))).await;
    });
}

#[test]
fn a_heartbeat_lasts_a_minute_however_the_clock_is_set() {
    run(async {
        let world = World::new(Options::default());
        let session = world.active_session().await;
        world.register_device("bob");
        world.coordinator.heartbeat(&session, &id("bob"), true).await.expect("present");
        world.clock.jump(-3_600_000);
        world.clock.advance(Duration::from_secs(61));
        world.execute(&session, "ann", Command::SignCompact).await.expect("signed");
        eventually("a push", || world.push_jobs().iter().any(|job| job.user == id("bob"))).await;
    });
}
