//! What a request costs does not grow with what others, or the caller, have piled up; and a thread that stands still is
//! charged to the session that holds it up.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::Value;
use tandem_actors::{
    ListFilter, PeopleFilter, Refusal,
    domain::{
        Code, Command, CreateSession, Timer,
        command::{CreateSessionRequest, Rename},
        ids::SessionId,
        private_text::PrivateText,
    },
    failpoint::{self, Effect},
    keys::{self, Key},
    ports::{Change, Clock, Commit, Store},
    supervisor::SupervisionLimits,
};

use crate::world::{Options, World, caller, eventually, id, json_request, run};

async fn rows_read<T>(world: &World, work: impl Future<Output = T>) -> (T, u64) {
    let before = world.store.rows_read.load(Ordering::SeqCst);
    let done = work.await;
    (done, world.store.rows_read.load(Ordering::SeqCst) - before)
}

async fn invite(world: &World) -> Result<SessionId, Refusal> {
    let create =
        CreateSession::try_from(json_request::<CreateSessionRequest>(r#"{"inviteName":"Bob"}"#)).expect("valid");
    let reply = world.coordinator.create(caller("ann"), create, None).await?;
    let data: Value = serde_json::from_slice(&reply.data).expect("JSON");
    Ok(data["session"]["id"].as_str().expect("an id").parse().expect("a session id"))
}

#[test]
fn a_page_of_events_reads_only_the_rows_of_the_page() {
    run(async {
        let (world, session) = World::with_session().await;
        for number in 0..400 {
            let rename = Rename { name: Some(PrivateText::new(format!("Ann {number}"))) };
            world.execute(&session, "ann", Command::Rename(rename)).await.expect("renamed");
        }
        world.execute(&session, "ann", Command::SignCompact).await.expect("signed");
        let viewer = id("bob");
        let (page, read) = rows_read(&world, world.coordinator.events(&session, &viewer, 1, 10)).await;
        let page: Value = serde_json::from_slice(&page.expect("a page")).expect("JSON");
        let names: Vec<_> = page["events"].as_array().expect("a list").iter().map(|event| &event["name"]).collect();
        assert_eq!(names, ["session.joined", "partner.signed_compact"], "{page}");
        assert_eq!(page["hasMore"], false, "{page}");
        assert!(page["seq"].as_u64() > Some(400), "{page}");
        assert!(read < 20, "{read} rows for two events");
    });
}

#[test]
fn a_long_read_of_a_list_holds_up_nobody() {
    run(async {
        let (world, session) = World::with_session().await;
        world.store.hold_gets(&keys::membership(&id("ann"), &session));
        let coordinator = world.coordinator.clone();
        let filter = PeopleFilter { cursor: None, limit: 20 };
        let asking = actix::spawn(async move { coordinator.people(&id("ann"), filter).await });
        // Within the patience of the store, because the list runs on the test's own thread.
        eventually("the list waits", || world.store.held_gets() > 0).await;
        world.detail(&session, "bob").await.expect("an answer");
        world.store.release_gets();
        let people = asking.await.expect("no panic").expect("a list");
        assert!(String::from_utf8_lossy(&people).contains("bob"));
    });
}

#[test]
fn lists_counts_and_tokens_read_one_page_and_wake_no_session() {
    run(async {
        let world = World::new(Options { idle_after: Duration::from_millis(20), ..Options::default() });
        for _ in 0..200 {
            invite(&world).await.expect("invited");
        }
        eventually("all sleep", || world.coordinator.resident() == 0).await;
        let filter = || ListFilter { status: None, cursor: None, limit: 5 };
        let user = id("ann");
        let (page, read) = rows_read(&world, world.coordinator.list(&user, filter())).await;
        let page: Value = serde_json::from_slice(&page.expect("a page")).expect("JSON");
        assert_eq!(page["items"].as_array().map(Vec::len), Some(5));
        assert!(read < 60, "{read} rows for a page of five");
        let (_, read) =
            rows_read(&world, async { world.coordinator.unread_count(&user).await.expect("a count") }).await;
        assert!(read < 5, "{read} rows for a count of nothing");
        assert_eq!(world.coordinator.resident(), 0, "nobody was woken");
    });
}

#[test]
fn timers_that_are_due_together_wake_a_few_sessions_at_a_time() {
    run(async {
        let idle_after = Duration::from_millis(20);
        let world = World::new(Options { idle_after, live_per_user: 1_000, ..Options::default() });
        for _ in 0..600 {
            invite(&world).await.expect("invited");
        }
        eventually("all sleep", || world.coordinator.resident() == 0).await;
        world.clock.advance(Duration::from_secs(400 * 24 * 3600));
        world.store.hold_commits();
        actix::spawn(world.coordinator.clone().run_maintenance());
        let looks = || world.store.scans(&keys::all_due());
        let begun = looks();
        eventually("many turns", || looks() > begun + 20).await;
        let awake = world.coordinator.resident();
        assert!((200..=256).contains(&awake), "{awake} sessions are awake, and none of them can go on");
        world.store.release_commits();
        let now = world.clock.now();
        let is_due = |key: &Key| keys::parse_due(key).is_some_and(|(at, ..)| at <= now);
        let any_due = || world.store.rows_under(&keys::all_due()).iter().any(|(key, _)| is_due(key));
        eventually("all timers are done", || !any_due()).await;
    });
}

#[test]
fn slow_sessions_delay_a_list_once_and_not_each() {
    run(async {
        let world = World::new(Options::default());
        let mut sessions = Vec::new();
        for _ in 0..20 {
            sessions.push(invite(&world).await.expect("invited"));
        }
        world.store.hold_commits();
        for session in &sessions {
            let withdrawn = world.coordinator.execute(session, caller("ann"), Command::Withdraw, None);
            drop(tokio::time::timeout(Duration::from_millis(5), withdrawn).await);
        }
        // Each answers when the disk has answered. A list gives each half a second, all of them together.
        let filter = ListFilter { status: None, cursor: None, limit: 20 };
        let user = id("ann");
        let list = world.coordinator.list(&user, filter);
        let page = tokio::time::timeout(Duration::from_secs(5), list).await.expect("not half a second for each");
        let page: Value = serde_json::from_slice(&page.expect("a page")).expect("JSON");
        assert_eq!(page["items"].as_array().map(Vec::len), Some(20), "{page}");
    });
}

#[test]
fn the_number_of_live_sessions_of_a_user_is_limited() {
    run(async {
        let world = World::new(Options { live_per_user: 3, ..Options::default() });
        let made = futures_util::future::join_all((0..8).map(|_| invite(&world))).await;
        let (made, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
        assert_eq!((made.len(), refused.len()), (3, 5));
        for refused in refused {
            match refused {
                Err(Refusal::Rejected(rejection)) => assert_eq!(rejection.code, Code::Conflict),
                other => panic!("{other:?}"),
            }
        }
        let first = made.into_iter().next().expect("three").expect("made");
        world.execute(&first, "ann", Command::Withdraw).await.expect("withdrawn");
        invite(&world).await.expect("one that is over makes room");
    });
}

#[test]
fn a_store_without_index_rows_gets_all_of_them() {
    run(async {
        let (world, session) = World::with_session().await;
        world.execute(&session, "ann", Command::SignCompact).await.expect("signed");
        let over = invite(&world).await.expect("invited");
        world.execute(&over, "ann", Command::Withdraw).await.expect("withdrawn");
        invite(&world).await.expect("invited");
        let kinds = [keys::all_memberships(), keys::all_due(), keys::all_over(), keys::invitations()];
        let kinds: Vec<Key> = keys::all_index_rows().into_iter().chain(kinds).collect();
        let indexed = || kinds.iter().map(|kind| world.store.rows_under(kind)).collect::<Vec<_>>();
        // The row of a timer that has become pointless stays until it fires.
        let is_pointless = |key: &Key| match keys::parse_due(key) {
            Some((_, id, timer)) => id == over || (id == session && timer == Timer::InvitationExpiry.number()),
            None => false,
        };
        let mut before = indexed();
        before.iter_mut().for_each(|rows| rows.retain(|(key, _)| !is_pointless(key)));
        assert!(before.iter().all(|rows| !rows.is_empty()), "{before:?}");
        let gone = indexed().into_iter().flatten().map(|(key, _)| Change::Delete(key)).collect();
        world.store.commit(&[Commit { fence: None, changes: gone }]).expect("written");
        let outdated = Change::Put(keys::membership(&id("carl"), &session), "any".into());
        world.store.commit(&[Commit { fence: None, changes: vec![outdated] }]).expect("written");
        assert_eq!(world.coordinator.index_sessions().await.expect("indexed"), 3);
        assert_eq!(indexed(), before);
        assert_eq!(world.coordinator.index_sessions().await.expect("indexed"), 0, "once");
    });
}

#[test]
fn a_damaged_session_keeps_its_memberships_when_the_index_is_built() {
    run(async {
        let (world, session) = World::with_session().await;
        let joined = world.store.rows_under(&keys::events(&session)).pop().expect("an event").0;
        let damaged = Change::Put(joined, "not an event".into());
        let lost = Change::Delete(keys::index_marker());
        world.store.commit(&[Commit { fence: None, changes: vec![damaged, lost] }]).expect("written");
        let memberships = || world.store.rows_under(&keys::all_memberships());
        let before = memberships();
        assert_eq!(before.len(), 2);
        world.coordinator.index_sessions().await.expect("indexed");
        assert_eq!(memberships(), before);
    });
}

#[test]
fn a_frozen_thread_is_charged_to_the_session_that_froze_it() {
    run(async {
        let limits = SupervisionLimits {
            max_crashes: 0,
            answer_within: Duration::from_millis(300),
            ..SupervisionLimits::default()
        };
        let world = World::new(Options { limits, ..Options::default() });
        let mut sessions = Vec::new();
        for _ in 0..8 {
            sessions.push(world.active_session().await);
        }
        actix::spawn(world.coordinator.clone().run_maintenance());
        let culprit = sessions[0].clone();
        failpoint::arm(culprit.clone(), "before_decide", Effect::Freeze(Duration::from_secs(4)), 1);
        let all = sessions.iter().map(|session| world.execute(session, "ann", Command::SignCompact));
        let answers = futures_util::future::join_all(all).await;
        assert!(matches!(answers[0], Err(Refusal::Unavailable { .. })), "{:?}", answers[0]);
        for answer in &answers[1..] {
            assert!(answer.is_ok(), "{answer:?}");
        }
        assert!(world.coordinator.quarantine(&culprit).is_some());
        assert_eq!(world.coordinator.quarantined().len(), 1);
    });
}
