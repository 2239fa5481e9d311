//! Panics, refused commits, frozen actors, quarantine.

use std::time::Duration;

use tandem_actors::{
    Refusal,
    domain::Command,
    failpoint::{self, Effect},
    supervisor::SupervisionLimits,
};

use crate::world::{Options, World, run};

fn is_unavailable<T: std::fmt::Debug>(outcome: &Result<T, Refusal>) -> bool {
    matches!(outcome, Err(Refusal::Unavailable { .. }))
}

#[test]
fn a_panic_at_any_point_loses_nothing_acknowledged_and_the_next_request_finds_the_session_alive() {
    run(async {
        for point in ["before_decide", "after_apply", "after_append", "after_flush", "before_publish"] {
            let world = World::new(Options::default());
            let (session, other) = (world.active_session().await, world.active_session().await);
            failpoint::arm(session.clone(), point, Effect::Panic, 1);
            let outcome = world.execute(&session, "ann", Command::SignCompact).await;
            world.execute(&other, "ann", Command::SignCompact).await.expect("the other session does not notice");
            let retried = loop {
                let retried = world.execute(&session, "ann", Command::SignCompact).await;
                if !is_unavailable(&retried) {
                    break retried;
                }
            };
            if outcome.is_ok() {
                assert!(retried.is_err(), "{point}: an acknowledged signature was lost");
            } else {
                assert!(is_unavailable(&outcome), "{point}: {outcome:?}");
            }
            assert_eq!(world.detail(&session, "ann").await.expect("alive")["session"]["status"], "WAITING", "{point}");
        }
    });
}

#[test]
fn after_a_crash_events_are_published_again_and_none_is_left_out() {
    run(async {
        let (world, session) = World::with_session().await;
        // Otherwise the crash could come with this event, before the signature.
        world.published("session.joined").await;
        failpoint::arm(session.clone(), "before_publish", Effect::Panic, 1);
        world.sign(&session, "ann").await;
        world.published("partner.signed_compact").await;
    });
}

#[test]
fn a_refused_commit_is_a_503_and_the_session_starts_afresh_from_the_store() {
    run(async {
        let (world, session) = World::with_session().await;
        world.store.fence_next_commit();
        let refused = world.execute(&session, "ann", Command::SignCompact).await;
        assert!(is_unavailable(&refused), "{refused:?}");
        world.execute(&session, "ann", Command::SignCompact).await.expect("it was never signed");
    });
}

#[test]
fn after_a_store_failure_nothing_is_acknowledged() {
    run(async {
        let (world, session) = World::with_session().await;
        world.store.fail_next_commit();
        assert!(is_unavailable(&world.execute(&session, "ann", Command::SignCompact).await));
        assert!(is_unavailable(&world.execute(&session, "bob", Command::SignCompact).await));
        assert!(!world.journal.is_alive());
    });
}

#[test]
fn a_full_disk_puts_no_session_in_quarantine_and_delays_a_push() {
    run(async {
        let millisecond = Duration::from_millis(1);
        let limits =
            SupervisionLimits { backoff: millisecond, backoff_max: millisecond, ..SupervisionLimits::default() };
        let world = World::new(Options { limits, ..Options::default() });
        let session = world.active_session().await;
        world.register_device("bob");
        world.enter(&session, "bob", true);
        world.sign(&session, "ann").await;
        world.published("partner.signed_compact").await;
        world.store.set_no_room(true);
        world.enter(&session, "bob", false);
        crate::world::eventually("the disk is full", || !world.journal.has_room()).await;
        tokio::time::timeout(Duration::from_millis(200), async {
            while world.coordinator.quarantine(&session).is_none() {
                tokio::time::sleep(millisecond).await;
                // Starts an actor if there is none.
                let _ = world.detail(&session, "ann").await;
            }
        })
        .await
        .expect_err("quarantined");
        world.store.set_no_room(false);
        world.journal.set_no_room(false);
        crate::world::eventually("pushed", || world.push_jobs().len() == 1).await;
    });
}

#[test]
fn too_many_crashes_quarantine_the_session_until_it_is_released() {
    run(async {
        let limits =
            SupervisionLimits { max_crashes: 5, backoff: Duration::from_millis(1), ..SupervisionLimits::default() };
        let world = World::new(Options { limits, ..Options::default() });
        let (session, other) = (world.active_session().await, world.active_session().await);
        failpoint::arm(session.clone(), "before_decide", Effect::Panic, 6);
        for _ in 0..6 {
            assert!(is_unavailable(&world.execute(&session, "ann", Command::SignCompact).await));
        }
        crate::world::eventually("quarantined", || world.coordinator.quarantine(&session).is_some()).await;
        match world.execute(&session, "ann", Command::SignCompact).await {
            Err(Refusal::Unavailable { reason, .. }) => assert!(reason.contains("quarantine"), "{reason}"),
            other => panic!("{other:?}"),
        }
        world.execute(&other, "ann", Command::SignCompact).await.expect("others do not notice");
        assert!(world.coordinator.release(&session));
        world.execute(&session, "ann", Command::SignCompact).await.expect("released");
    });
}
