//! Delivery of events: over realtime or by push, and what changes when the partner leaves or comes back.

use std::{future::poll_fn, sync::atomic::Ordering, task::Poll, time::Duration};

use bytes::Bytes;
use tandem_actors::{
    Reader, Refusal,
    domain::{
        Caller, Command, Query,
        command::{AdvanceRequest, PauseRequest, ViewedRequest},
        ids::SessionId,
        private_text::PrivateText,
    },
    keys,
    ports::{PresenceMember, PushCheck, PushVerdict, RealtimeError},
};

use tokio::task::JoinHandle;

use crate::world::{Options, World, caller, eventually, id, json_request, run};

#[test]
fn a_present_partner_gets_the_event_and_an_absent_partner_gets_a_push() {
    run(async {
        let (world, session) = World::with_session().await;
        world.register_device("ann");
        world.register_device("bob");
        world.enter(&session, "bob", true);
        world.sign(&session, "ann").await;
        world.published("partner.signed_compact").await;
        assert!(world.push_jobs().is_empty());
        let heard = world.realtime.names().len();
        world.sign(&session, "bob").await;
        let jobs = world.push_jobs();
        assert_eq!(jobs.len(), 1);
        assert_eq!((jobs[0].user.as_str(), jobs[0].event.as_str()), ("ann", "partner.signed_compact"));
        assert_eq!(world.realtime.names().len(), heard, "an absent partner gets nothing over realtime");
    });
}

#[test]
fn an_absent_partner_without_a_push_token_gets_the_event_over_realtime() {
    run(async {
        let (world, session) = World::with_session().await;
        world.sign(&session, "ann").await;
        world.published("partner.signed_compact").await;
        assert!(world.push_jobs().is_empty());
    });
}

#[test]
fn a_partner_who_leaves_within_the_grace_before_seeing_the_event_gets_a_push() {
    run(async {
        let (world, session) = World::with_session().await;
        world.register_device("bob");
        world.enter(&session, "bob", true);
        world.sign(&session, "ann").await;
        world.published("partner.signed_compact").await;
        world.clock.advance(Duration::from_secs(10));
        world.enter(&session, "bob", false);
        eventually("pushed", || world.push_jobs().len() == 1).await;
        assert_eq!(world.push_jobs()[0].reason, "left unseen");
    });
}

/// The push is decided while the erasure is being written: its decision is stored beside the erased event.
#[test]
fn a_push_decided_during_an_erasure_brings_no_erased_words_back() {
    run(async {
        let world = World::new(Options::default());
        let session = world.invited_session().await;
        world.register_device("ann");
        world.enter(&session, "ann", true);
        let bob = Caller { name: Some(PrivateText::new("Robertino")), ..Caller::nameless(id("bob")) };
        world.coordinator.execute(&session, bob, Command::AcceptInvitation, None).await.expect("joined");
        world.published("session.joined").await;
        let log = || format!("{:?}", world.store.rows_under(&keys::events(&session)));
        assert!(log().contains("Robertino"), "{}", log());

        world.store.hold_commits();
        let appended = world.journal.stats().appended;
        let (coordinator, of) = (world.coordinator.clone(), session.clone());
        let erasure =
            actix::spawn(async move { coordinator.execute(&of, caller("bob"), Command::EraseAccount, None).await });
        eventually("the erasure is decided", || world.journal.stats().appended == appended + 1).await;
        world.enter(&session, "ann", false);
        eventually("the push is decided", || world.journal.stats().appended == appended + 2).await;
        world.store.release_commits();
        erasure.await.expect("no panic").expect("erased");
        eventually("pushed", || world.push_jobs().iter().any(|job| job.reason == "left unseen")).await;
        assert!(!log().contains("Robertino"), "{}", log());
    });
}

/// Each waited until the other one did not wait any more.
#[test]
fn two_erasures_at_once_are_both_answered() {
    run(async {
        let (world, session) = World::with_session().await;
        world.store.hold_commits();
        let appended = world.journal.stats().appended;
        let send = |user: &'static str, command| {
            let (coordinator, session) = (world.coordinator.clone(), session.clone());
            actix::spawn(async move { coordinator.execute(&session, caller(user), command, None).await })
        };
        let nudge = send("ann", Command::Nudge);
        eventually("a change is being written", || world.journal.stats().appended > appended).await;
        let erasures = [send("bob", Command::EraseAccount), send("bob", Command::EraseAccount)];
        world.coordinator.oversee(&session).await.expect("the session has both");
        world.store.release_commits();
        let answered = async {
            nudge.await.expect("no panic").expect("nudged");
            for erasure in erasures {
                let _either = erasure.await.expect("no panic");
            }
        };
        tokio::time::timeout(Duration::from_secs(5), answered).await.expect("nothing waits for ever");
    });
}

/// The answer leaves after the erasure is durable, so it shows the erased event.
#[test]
fn events_asked_for_during_an_erasure_hold_no_erased_words() {
    run(async {
        let (world, session) = session_that_bob_paused().await;
        let shown = async || {
            let page = world.coordinator.events(&session, &id("ann"), 0, 100).await.expect("events");
            String::from_utf8(page.to_vec()).expect("JSON")
        };
        assert!(shown().await.contains("Too much today"));

        world.store.hold_commits();
        let appended = world.journal.stats().appended;
        let (coordinator, of) = (world.coordinator.clone(), session.clone());
        let erasure =
            actix::spawn(async move { coordinator.execute(&of, caller("bob"), Command::EraseAccount, None).await });
        eventually("the erasure is decided", || world.journal.stats().appended == appended + 1).await;
        let mut asking = std::pin::pin!(shown());
        let waits = poll_fn(|cx| Poll::Ready(asking.as_mut().poll(cx).is_pending())).await;
        assert!(waits, "what the actor knows is not durable");
        world.coordinator.oversee(&session).await.expect("answered after the request was handled");
        world.store.release_commits();
        erasure.await.expect("no panic").expect("erased");
        let page = asking.await;
        assert!(page.contains("session.paused") && !page.contains("Too much today"), "{page}");
    });
}

#[test]
fn events_that_were_read_before_an_erasure_hold_no_erased_words_after_it() {
    run(async {
        let (world, session) = session_that_bob_paused().await;
        let asking = ask_for_events(&world, &session).await;
        world.execute(&session, "bob", Command::EraseAccount).await.expect("erased");
        world.store.release_gets();
        let page = asking.await.expect("no panic").expect("events");
        let page = String::from_utf8(page.to_vec()).expect("JSON");
        assert!(page.contains("session.paused") && !page.contains("Too much today"), "{page}");
    });
}

/// An engine lets its readers wait while it writes.
#[test]
fn a_long_read_of_events_holds_up_nobody() {
    run(async {
        let idle_after = Duration::from_millis(20);
        let world = World::new(Options { idle_after, ..Options::default() });
        let session = world.active_session().await;
        let asking = ask_for_events(&world, &session).await;
        let others = async {
            world.detail(&session, "bob").await.expect("an answer");
            world.sign(&session, "bob").await;
        };
        tokio::time::timeout(Duration::from_secs(5), others).await.expect("the session goes on");
        for _ in 0..20 {
            tokio::time::sleep(idle_after).await;
            assert_eq!(world.coordinator.resident(), 1, "it stays, because somebody waits");
        }
        world.store.release_gets();
        let page = asking.await.expect("no panic").expect("events");
        assert!(String::from_utf8_lossy(&page).contains("session.joined"));
    });
}

/// A session that Bob has paused, because it was "Too much today".
async fn session_that_bob_paused() -> (World, SessionId) {
    let (world, session) = World::with_session().await;
    let pause = json_request::<PauseRequest>(r#"{ "reason": "Too much today" }"#);
    world.execute(&session, "bob", pause.try_into().expect("valid")).await.expect("paused");
    (world, session)
}

/// Asks for Ann's events. The store holds the last of their rows, so all have been read.
async fn ask_for_events(world: &World, session: &SessionId) -> JoinHandle<Result<Bytes, Refusal>> {
    let rows = world.store.rows_under(&keys::events(session));
    world.store.hold_gets(&rows.last().expect("an event").0);
    let (coordinator, of) = (world.coordinator.clone(), session.clone());
    let asking = actix::spawn(async move { coordinator.events(&of, &id("ann"), 0, 100).await });
    eventually("all rows are read", || world.store.held_gets() > 0).await;
    asking
}

#[test]
fn a_look_while_an_event_is_being_written_does_not_see_it() {
    run(async {
        let world = World::new(Options::default());
        let session = world.invited_session().await;
        world.register_device("ann");
        world.enter(&session, "ann", true);
        let appended = world.journal.stats().appended;
        world.store.hold_commits();
        let (coordinator, of) = (world.coordinator.clone(), session.clone());
        let joining =
            actix::spawn(async move { coordinator.execute(&of, caller("bob"), Command::AcceptInvitation, None).await });
        eventually("the joining is decided", || world.journal.stats().appended == appended + 1).await;
        let everything: Command = crate::world::json_request::<ViewedRequest>("{}").try_into().expect("valid");
        let mut looking = std::pin::pin!(world.execute(&session, "ann", everything));
        let waits = poll_fn(|cx| Poll::Ready(looking.as_mut().poll(cx).is_pending())).await;
        assert!(waits, "the look may have seen the joining, so its answer waits");
        world.coordinator.oversee(&session).await.expect("answered after the look was handled");
        world.store.release_commits();
        joining.await.expect("no panic").expect("joined");
        looking.await.expect("looked");
        world.enter(&session, "ann", false);
        eventually("pushed", || world.push_jobs().iter().any(|job| job.event == "session.joined")).await;
    });
}

/// The store stands still for longer than the app waits for an answer.
#[test]
fn an_answer_that_nobody_waits_for_any_more_shows_nothing() {
    run(async {
        for asks_for_events in [false, true] {
            let (world, session) = World::with_session().await;
            world.register_device("bob");
            world.enter(&session, "bob", true);
            if asks_for_events {
                // Such an answer shows only what is durable, and waits all the same.
                world.sign(&session, "ann").await;
            }
            let appended = world.journal.stats().appended;
            world.store.hold_commits();
            let (coordinator, of) = (world.coordinator.clone(), session.clone());
            let pause: Command = crate::world::json_request::<PauseRequest>("{}").try_into().expect("valid");
            let pausing = actix::spawn(async move { coordinator.execute(&of, caller("ann"), pause, None).await });
            eventually("the pause is decided", || world.journal.stats().appended > appended).await;
            let bob = id("bob");
            {
                let mut asking: std::pin::Pin<Box<dyn Future<Output = _>>> = if asks_for_events {
                    Box::pin(world.coordinator.events(&session, &bob, 0, 100))
                } else {
                    Box::pin(world.coordinator.query(&session, &bob, Query::State))
                };
                let waits = poll_fn(|cx| Poll::Ready(asking.as_mut().poll(cx).is_pending())).await;
                assert!(waits, "the pause is not durable");
                world.coordinator.oversee(&session).await.expect("answered after the question was handled");
            }
            if asks_for_events {
                // The partner leaves before the pause is published, so only the signature can be missed.
                world.enter(&session, "bob", false);
            }
            world.store.release_commits();
            pausing.await.expect("no panic").expect("paused");
            if !asks_for_events {
                world.enter(&session, "bob", false);
            }
            let missed = if asks_for_events { "partner.signed_compact" } else { "session.paused" };
            eventually(missed, || world.push_jobs().iter().any(|job| job.event == missed)).await;
        }
    });
}

#[test]
fn a_partner_who_has_seen_the_event_gets_no_push_on_leaving() {
    run(async {
        let (world, session) = World::with_session().await;
        world.register_device("bob");
        world.enter(&session, "bob", true);
        world.sign(&session, "ann").await;
        world.coordinator.events(&session, &id("bob"), 0, 100).await.expect("caught up");
        world.enter(&session, "bob", false);
        world.detail(&session, "bob").await.expect("the leave was handled before this");
        assert!(world.push_jobs().is_empty());
    });
}

#[test]
fn an_event_in_an_export_is_still_pushed_on_leaving() {
    run(async {
        let (world, session) = World::with_session().await;
        world.register_device("bob");
        world.enter(&session, "bob", true);
        world.sign(&session, "ann").await;
        let bob = id("bob");
        world.coordinator.events_for(Reader::Export, &session, &bob, 0, 100).await.expect("exported");
        world.coordinator.query_for(Reader::Export, &session, &bob, Query::State).await.expect("exported");
        world.enter(&session, "bob", false);
        eventually("pushed", || world.push_jobs().len() == 1).await;
        world.coordinator.query(&session, &bob, Query::State).await.expect("shown");
        let job = world.push_jobs().remove(0);
        let verdict = world.coordinator.check(&session, &bob, job.seq).await;
        assert_eq!(verdict, PushVerdict::Drop { reason: "already seen" });
    });
}

#[test]
fn unknown_presence_is_looked_up_and_without_an_answer_the_event_is_published_and_pushed() {
    run(async {
        let world = World::new(Options { presence_max_age: Some(Duration::from_secs(30)), ..Options::default() });
        *world.realtime.members.lock() = None;
        let session = world.active_session().await;
        world.register_device("bob");
        world.sign(&session, "ann").await;
        eventually("both legs", || {
            world.realtime.names().contains(&"partner.signed_compact") && world.push_jobs().len() == 1
        })
        .await;
        let member = PresenceMember {
            user: id("bob"),
            connection: "x".into(),
            at: tandem_actors::ports::Clock::now(&*world.clock),
        };
        *world.realtime.members.lock() = Some(Ok(vec![member]));
        world.execute(&session, "ann", advance()).await.expect("blocked or not");
        world.sign(&session, "bob").await;
        world.execute(&session, "ann", advance()).await.expect("advanced");
        world.published("partner.advanced").await;
        assert_eq!(world.push_jobs().len(), 1, "found present in time: no push");
    });
}

fn advance() -> Command {
    let request: AdvanceRequest = crate::world::json_request("{}");
    Command::try_from(request).expect("a valid request")
}

#[test]
fn publishing_is_repeated_after_a_failure_and_the_answer_does_not_wait_for_it() {
    run(async {
        let (world, session) = World::with_session().await;
        world.published("session.joined").await;
        world.realtime.refusals.store(2, Ordering::SeqCst);
        world.execute(&session, "ann", Command::SignCompact).await.expect("answered at once");
        assert!(!world.realtime.names().contains(&"partner.signed_compact"));
        world.published("partner.signed_compact").await;
    });
}

#[test]
fn an_event_that_was_not_published_before_a_restart_is_published_after_it() {
    run(async {
        let (world, session) = World::with_session().await;
        world.realtime.refusals.store(u64::MAX, Ordering::SeqCst);
        world.sign(&session, "ann").await;
        let realtime = std::sync::Arc::new(tandem_testing::RecordingRealtime::default());
        *realtime.members.lock() = Some(Err(RealtimeError::Refused { reason: "none".into() }));
        let next = World::over(world.store.clone(), realtime, Options::default());
        assert_eq!(next.coordinator.resume_deliveries().await.expect("readable"), 1);
        next.published("partner.signed_compact").await;
    });
}

#[test]
fn a_partner_who_left_while_the_node_was_down_gets_a_push_for_what_was_published() {
    run(async {
        let (world, session) = World::with_session().await;
        world.register_device("bob");
        world.enter(&session, "bob", true);
        world.sign(&session, "ann").await;
        world.published("partner.signed_compact").await;
        // That bob has not seen it is stored with the next event, by anybody.
        world.sign(&session, "bob").await;
        let realtime = std::sync::Arc::new(tandem_testing::RecordingRealtime::with_nobody_present());
        let next = World::over(world.store.clone(), realtime, Options::default());
        next.register_device("bob");
        assert!(next.push_jobs().is_empty());
        next.coordinator.resume_deliveries().await.expect("readable");
        eventually("pushed", || next.push_jobs().len() == 1).await;
        let job = next.push_jobs().remove(0);
        assert_eq!((job.user.as_str(), job.reason.as_str()), ("bob", "left unseen"));
    });
}

/// The provider takes no message of the session, and will not. The partner who is present hears nothing over realtime.
#[test]
fn a_partner_who_leaves_gets_a_push_for_what_the_provider_refused() {
    run(async {
        let (world, session) = World::with_session().await;
        world.published("session.joined").await;
        world.register_device("bob");
        world.enter(&session, "bob", true);
        world.realtime.rejections.store(1, Ordering::SeqCst);
        world.sign(&session, "ann").await;
        eventually("refused", || world.realtime.rejections.load(Ordering::SeqCst) == 0).await;
        world.detail(&session, "ann").await.expect("the refusal was handled before this");
        assert!(world.push_jobs().is_empty(), "bob is present");
        world.enter(&session, "bob", false);
        eventually("pushed", || world.push_jobs().len() == 1).await;
        let job = world.push_jobs().remove(0);
        assert_eq!((job.user.as_str(), job.reason.as_str()), ("bob", "left unseen"));
    });
}

/// One batch: of one event the partner has left, of the next one the partner stays. The push changes the stored outbox.
#[test]
fn a_push_for_one_event_of_a_batch_does_not_forget_who_has_to_see_the_next() {
    run(async {
        let (world, session) = World::with_session().await;
        world.published("session.joined").await;
        for user in ["ann", "bob"] {
            world.register_device(user);
            world.enter(&session, user, true);
        }
        world.realtime.refusals.store(u64::MAX, Ordering::SeqCst);
        world.sign(&session, "ann").await;
        world.sign(&session, "bob").await;
        world.enter(&session, "bob", false);
        world.detail(&session, "bob").await.expect("the leave was handled before this");
        world.realtime.refusals.store(0, Ordering::SeqCst);
        eventually("pushed to bob", || world.push_jobs().iter().any(|job| job.user.as_str() == "bob")).await;

        let realtime = std::sync::Arc::new(tandem_testing::RecordingRealtime::with_nobody_present());
        let next = World::over(world.store.clone(), realtime, Options::default());
        next.register_device("ann");
        next.coordinator.resume_deliveries().await.expect("readable");
        eventually("pushed to ann", || next.push_jobs().iter().any(|job| job.user.as_str() == "ann")).await;
    });
}

/// Without the push, only the stored outbox tells that the partner has to get the event.
#[test]
fn a_push_to_a_partner_who_has_come_back_ends_once_the_publication_instead_is_durable() {
    run(async {
        let (world, session) = World::with_session().await;
        world.published("session.joined").await;
        world.register_device("bob");
        world.realtime.refusals.store(u64::MAX, Ordering::SeqCst);
        world.sign(&session, "ann").await;
        let (job, bob) = (world.push_jobs().remove(0), id("bob"));
        world.enter(&session, "bob", true);
        world.store.hold_commits();
        let mut checked = world.coordinator.check(&session, &bob, job.seq);
        let waits = poll_fn(|cx| Poll::Ready(checked.as_mut().poll(cx).is_pending())).await;
        assert!(waits, "the outbox is not written yet");
        world.coordinator.oversee(&session).await.expect("answered after the check was handled");
        let waits = poll_fn(|cx| Poll::Ready(checked.as_mut().poll(cx).is_pending())).await;
        assert!(waits, "the outbox is being written");
        world.store.release_commits();
        assert_eq!(checked.await, PushVerdict::Drop { reason: "present again" });

        let realtime = std::sync::Arc::new(tandem_testing::RecordingRealtime::with_nobody_present());
        let next = World::over(world.store.clone(), realtime, Options::default());
        next.register_device("bob");
        next.coordinator.resume_deliveries().await.expect("readable");
        next.published("partner.signed_compact").await;
        eventually("pushed, as bob is gone", || next.push_jobs().iter().any(|job| job.reason == "left unseen")).await;
    });
}

#[test]
fn a_partner_who_has_come_back_gets_the_event_over_realtime_and_no_push() {
    run(async {
        let (world, session) = World::with_session().await;
        world.register_device("bob");
        world.sign(&session, "ann").await;
        let job = world.push_jobs().remove(0);
        assert_eq!(
            world.coordinator.check(&session, &id("bob"), job.seq).await,
            PushVerdict::Send { unread: 1, request_id: None }
        );
        world.enter(&session, "bob", true);
        let verdict = world.coordinator.check(&session, &id("bob"), job.seq).await;
        assert_eq!(verdict, PushVerdict::Drop { reason: "present again" });
        world.published("partner.signed_compact").await;
        world.coordinator.events(&session, &id("bob"), 0, 100).await.expect("caught up");
        let verdict = world.coordinator.check(&session, &id("bob"), job.seq).await;
        assert_eq!(verdict, PushVerdict::Drop { reason: "already seen" });
        drop(caller("bob"));
    });
}
