//! The output gate, group commit, idempotency, passivation.

use std::{sync::atomic::Ordering, time::Duration};

use tandem_actors::{
    IdempotencyKey, Refusal,
    domain::{Code, Command, command::Rename, private_text::PrivateText},
    keys,
};

use crate::world::{Options, World, caller, eventually, id, run};

#[test]
fn no_answer_read_or_message_leaves_before_the_flush() {
    run(async {
        let (world, session) = World::with_session().await;
        eventually("the joining is published", || world.realtime.names().contains(&"session.joined")).await;
        let told_before = world.realtime.names().len();
        world.store.hold_commits();
        let (coordinator, signing) = (world.coordinator.clone(), session.clone());
        let answer =
            actix::spawn(async move { coordinator.execute(&signing, caller("ann"), Command::SignCompact, None).await });
        let (coordinator, reading) = (world.coordinator.clone(), session.clone());
        // Reaches the actor after the command: it sees the signature, and must not say so.
        let flushes = world.store.flushes.load(Ordering::SeqCst);
        eventually("the commit is being written", || world.journal.stats().waiting == 0).await;
        let read = actix::spawn(async move {
            let viewer = "ann".parse().expect("an id");
            coordinator.query(&reading, &viewer, tandem_actors::domain::Query::CompactStatus).await
        });
        tokio::time::timeout(Duration::from_millis(50), async {
            while !answer.is_finished() && !read.is_finished() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect_err("an answer left before the flush");
        assert_eq!(world.store.flushes.load(Ordering::SeqCst), flushes);
        assert_eq!(world.realtime.names().len(), told_before, "a publication left before the flush");
        world.store.release_commits();
        answer.await.expect("no panic").expect("signed");
        let status = read.await.expect("no panic").expect("a status");
        assert!(String::from_utf8_lossy(&status).contains(r#""mySigned":true"#));
        eventually("the signature is published", || world.realtime.names().contains(&"partner.signed_compact")).await;
    });
}

#[test]
fn events_are_refused_to_a_member_who_leaves_once_the_leaving_is_durable() {
    run(async {
        let (world, session) = World::with_session().await;
        world.sign(&session, "ann").await;
        let appended = world.journal.stats().appended;
        world.store.hold_commits();
        let (coordinator, left) = (world.coordinator.clone(), session.clone());
        let leaving =
            actix::spawn(async move { coordinator.execute(&left, caller("ann"), Command::Withdraw, None).await });
        eventually("the leaving is decided", || world.journal.stats().appended > appended).await;
        let coordinator = world.coordinator.clone();
        let read = actix::spawn(async move { coordinator.events(&session, &id("ann"), 0, 100).await });
        tokio::time::timeout(Duration::from_millis(50), async {
            while !read.is_finished() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect_err("an answer left before the flush");
        world.store.release_commits();
        leaving.await.expect("no panic").expect("left");
        let refused = read.await.expect("no panic").expect_err("no longer a member");
        assert!(matches!(refused, Refusal::Rejected(rejection) if rejection.code == Code::NotFound));
    });
}

#[test]
fn commands_of_one_session_share_flushes() {
    run(async {
        let (world, session) = World::with_session().await;
        world.store.hold_commits();
        let before = world.store.flushes.load(Ordering::SeqCst);
        let appended = world.journal.stats().appended;
        let mut answers = Vec::new();
        for n in 0..100 {
            let (coordinator, session) = (world.coordinator.clone(), session.clone());
            answers.push(actix::spawn(async move {
                let rename = Rename { name: Some(PrivateText::new(format!("Ann {n}"))) };
                coordinator.execute(&session, caller("ann"), Command::Rename(rename), None).await
            }));
        }
        eventually("all are queued", || world.journal.stats().appended == appended + 100).await;
        world.store.release_commits();
        for answer in answers {
            answer.await.expect("no panic").expect("renamed");
        }
        let flushes = world.store.flushes.load(Ordering::SeqCst) - before;
        assert!(flushes <= 3, "{flushes} flushes for 100 commands");
    });
}

#[test]
fn a_request_with_a_repeated_idempotency_key_is_executed_once() {
    run(async {
        let (world, session) = World::with_session().await;
        let key = IdempotencyKey { digest: [1; 32], request: [2; 32] };
        let sign = || world.coordinator.execute(&session, caller("ann"), Command::SignCompact, Some(key));
        let (first, second) = tokio::join!(sign(), sign());
        let (first, second) = (first.expect("signed"), second.expect("signed"));
        assert_eq!(first.data, second.data);
        assert_eq!((first.replayed, second.replayed), (false, true));
        let other = IdempotencyKey { request: [3; 32], ..key };
        match world.coordinator.execute(&session, caller("ann"), Command::SignCompact, Some(other)).await {
            Err(Refusal::Rejected(rejection)) => assert_eq!(rejection.code, Code::Conflict),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn an_idle_session_leaves_memory_and_comes_back_as_it_was() {
    run(async {
        let world = World::new(Options { idle_after: Duration::from_millis(20), ..Options::default() });
        let session = world.active_session().await;
        world.execute(&session, "ann", Command::SignCompact).await.expect("signed");
        eventually("the session sleeps", || world.coordinator.resident() == 0).await;
        assert_eq!(world.store.rows_under(&keys::snapshot(&session)).len(), 1);
        assert!(world.store.rows_under(&keys::outbox(&session)).is_empty(), "nothing is left to tell");
        match world.execute(&session, "ann", Command::SignCompact).await {
            Err(Refusal::Rejected(rejection)) => assert_eq!(rejection.code, Code::Conflict, "it is signed already"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn an_unknown_session_id_leaves_no_trace() {
    run(async {
        let world = World::new(Options::default());
        let nowhere = "cnowherenowhere".parse().expect("an id");
        match world.execute(&nowhere, "ann", Command::SignCompact).await {
            Err(Refusal::Rejected(rejection)) => assert_eq!(rejection.code, Code::NotFound),
            other => panic!("{other:?}"),
        }
        eventually("the slot is gone", || world.coordinator.resident() == 0).await;
    });
}

#[test]
fn an_erasure_removes_private_text_from_every_row_also_of_sessions_left_before() {
    run(async {
        let (world, session) = World::with_session().await;
        let pause = tandem_actors::domain::command::PauseRequest { reason: Some("canary in a cage".into()) };
        let pause = Command::try_from(pause).expect("a valid request");
        let key = IdempotencyKey { digest: [7; 32], request: [8; 32] };
        world.coordinator.execute(&session, caller("ann"), pause, Some(key)).await.expect("paused");
        let holds = |needle: &str| {
            let rows = world.store.rows_under(&keys::Key::from_bytes([]));
            rows.iter().any(|(_, row)| row.windows(needle.len()).any(|window| window == needle.as_bytes()))
        };
        assert!(holds("canary in a cage"), "the words are stored, or this test finds nothing");
        world.execute(&session, "ann", Command::Withdraw).await.expect("withdrawn");
        world.coordinator.erase(caller("ann")).await.expect("erased");
        assert!(!holds("canary in a cage"));
        match world.detail(&session, "bob").await {
            Ok(detail) => assert_eq!(detail["session"]["status"], "ABANDONED"),
            other => panic!("{other:?}"),
        }
    });
}
