//! From a due row to a notification, and everything that can go wrong in between.

use std::time::Duration;

use serde_json::json;
use tandem::push::{
    DeviceState, Platform,
    fake_expo::{Credentials, DeviceSetup, Fault, FaultKind, ProjectSetup, Route},
};
use tandem_actors::ports::{Clock as _, Devices as _};
use tokio::sync::oneshot;

use super::rig::{Rig, eventually, session, token, user};

async fn one_push() -> Rig {
    let rig = Rig::new().await;
    rig.register("ann", &token(1)).await;
    rig
}

/// Lets simulated time pass, in steps, until something holds.
async fn in_time(rig: &Rig, what: &str, step: Duration, condition: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        rig.advance(step);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("never came in simulated time: {what}: {}", rig.told_as_json(1));
}

#[tokio::test]
async fn an_absent_partner_gets_one_notification_and_its_receipt_is_followed() {
    let rig = one_push().await;
    rig.decide(1, "ann", 7).await;
    eventually("accepted", || rig.delivery(1)["state"] == "awaitingReceipt").await;
    let view = rig.expo.device(&token(1)).unwrap();
    assert_eq!(view.badge, 3);
    assert_eq!(view.notifications.len(), 1);
    assert_eq!(view.notifications[0].title, "Partner is ready");
    let data = json!({"sessionId": "csession00000001", "event": "partner.signed_compact", "seq": 7});
    assert_eq!(view.notifications[0].data, data);
    assert_eq!(rig.delivery(1)["due"], "2026-01-10T12:15:00.000Z");
    rig.advance(Duration::from_secs(15 * 60));
    eventually("delivered", || rig.delivery(1)["outcome"]["end"] == "delivered").await;
    assert_eq!(rig.delivery(1)["attemptsMade"], 1);
}

#[tokio::test]
async fn an_event_that_was_seen_in_the_meantime_is_not_pushed() {
    let rig = one_push().await;
    rig.sessions.drops.lock().insert(session(1));
    rig.decide(1, "ann", 1).await;
    eventually("dropped", || rig.told_as_json(1)[0]["decision"] == json!({"kind": "dropped", "why": "seen"})).await;
    assert_eq!(rig.sends().len(), 0);
}

#[tokio::test]
async fn a_push_is_not_sent_to_a_phone_that_changed_its_user() {
    let rig = one_push().await;
    let (go_on, slow) = oneshot::channel();
    rig.sessions.slow.lock().insert(session(1), slow);
    rig.decide(1, "ann", 1).await;
    eventually("asked", || rig.sessions.asked.lock().contains_key(&session(1))).await;
    rig.register("zoe", &token(1)).await;
    go_on.send(()).unwrap();
    eventually("dropped", || rig.delivery(1)["outcome"]["end"] == "dropped").await;
    assert_eq!(rig.sends().len(), 0);
}

#[tokio::test]
async fn a_session_that_cannot_be_asked_is_asked_again() {
    let rig = one_push().await;
    rig.sessions.silent.lock().insert(session(1));
    rig.decide(1, "ann", 1).await;
    eventually("held", || rig.told_as_json(1)[0]["decision"]["kind"] == "held").await;
    rig.sessions.silent.lock().clear();
    rig.advance(Duration::from_secs(10));
    eventually("sent", || rig.expo.device(&token(1)).is_some()).await;
}

#[tokio::test]
async fn a_user_without_a_device_is_no_error() {
    let rig = Rig::new().await;
    rig.decide(1, "ann", 1).await;
    let dropped = json!({"kind": "dropped", "why": "no usable push token"});
    eventually("dropped", || rig.told_as_json(1)[0]["decision"] == dropped).await;
}

#[tokio::test]
async fn several_waiting_pushes_of_a_session_become_one_on_every_device() {
    let rig = one_push().await;
    rig.register("ann", &token(2)).await;
    rig.decide_all((1..=5).map(|seq| (1, "ann".into(), seq))).await;
    eventually("shown", || rig.expo.device(&token(2)).is_some()).await;
    let told = rig.told_as_json(1);
    for older in 0..4 {
        assert_eq!(told[older]["decision"], json!({"kind": "coalesced", "into": 5}));
    }
    assert_eq!(told[4]["decision"], json!({"kind": "send", "devices": 2}));
    assert_eq!(rig.expo.device(&token(1)).unwrap().notifications[0].messages, 1);
}

#[tokio::test]
async fn an_unknown_outcome_is_retried_once_and_silently() {
    for kind in [
        FaultKind::ResetAfter,
        FaultKind::ErrorAfter { status: 504 },
        FaultKind::Unreadable,
        FaultKind::Short,
        FaultKind::OddTicket,
        FaultKind::Hang,
    ] {
        let rig = one_push().await;
        rig.expo.fault(Fault::once(kind.clone()));
        rig.decide(1, "ann", 1).await;
        eventually("unknown", || rig.delivery(1)["attempts"][0]["outcome"]["outcome"] == "unknown").await;
        in_time(&rig, "accepted", Duration::from_secs(1), || rig.delivery(1)["state"] == "awaitingReceipt").await;
        let delivery = rig.delivery(1);
        assert_eq!(delivery["possibleDuplicate"], true, "{kind:?}");
        let shown = rig.expo.device(&token(1)).unwrap().notifications;
        assert_eq!((shown.len(), shown[0].messages, shown[0].alerts), (1, 2, 1), "{kind:?}: seen once");
    }
    let rig = one_push().await;
    rig.expo.fault(Fault::forever(FaultKind::ErrorAfter { status: 500 }));
    rig.decide(1, "ann", 1).await;
    in_time(&rig, "given up", Duration::from_secs(1), || rig.delivery(1)["outcome"]["end"] == "unknown").await;
    rig.advance(Duration::from_secs(3600));
    rig.decide(2, "nobody", 1).await;
    eventually("all is looked through", || !rig.told(2).is_empty()).await;
    assert_eq!(rig.sends().len(), 2);
}

#[tokio::test]
async fn a_429_pauses_the_whole_project_for_at_least_its_retry_after() {
    let rig = one_push().await;
    rig.expo.fault(Fault::once(FaultKind::RateLimit { retry_after: Some(100) }));
    rig.decide(1, "ann", 1).await;
    eventually("told to wait", || rig.delivery(1)["state"] == "waiting").await;
    rig.register("bob", &token(2)).await;
    rig.decide(2, "bob", 1).await;
    rig.advance(Duration::from_secs(99));
    in_time(&rig, "both", Duration::from_secs(1), || {
        rig.expo.device(&token(1)).is_some() && rig.expo.device(&token(2)).is_some()
    })
    .await;
    assert_eq!(rig.delivery(1)["possibleDuplicate"], false);
    let time = |text: &serde_json::Value| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let told_to_wait = time(&rig.delivery(1)["attempts"][0]["endedAt"]);
    for (number, attempt) in [(1, 1), (2, 0)] {
        let started = time(&rig.delivery(number)["attempts"][attempt]["startedAt"]);
        assert!(started.duration_since(told_to_wait).as_secs() >= 100, "{number}: {started} after {told_to_wait}");
    }
}

#[tokio::test]
async fn one_refused_message_does_not_affect_the_rest_of_its_batch() {
    let rig = Rig::with(|config| config.linger = Duration::from_millis(50)).await;
    for number in 0..100 {
        rig.register(&format!("user{number}"), &token(number)).await;
    }
    rig.expo.set_device(&token(42), DeviceSetup { poison: true, ..DeviceSetup::default() });
    rig.decide_all((0..100).map(|number| (number, format!("user{number}"), 1))).await;
    eventually("all ended", || (0..100).all(|number| rig.delivery(number)["state"] != "started")).await;
    eventually("refused", || rig.delivery(42)["outcome"]["end"] == "rejected").await;
    for number in (0..100).filter(|number| *number != 42) {
        eventually("accepted", || rig.delivery(number)["state"] == "awaitingReceipt").await;
        assert_eq!(rig.expo.device(&token(number)).unwrap().notifications[0].messages, 1);
    }
    assert_eq!(rig.delivery(42)["outcome"]["code"], "VALIDATION_ERROR");
    assert!(rig.sends().len() <= 1 + 2 * 7, "bisected, not one by one: {}", rig.sends().len());
    assert!(rig.devices.has_push_token(&user("user42")), "a refused message says nothing about the device");
}

#[tokio::test]
async fn devices_of_several_projects_are_sent_in_separate_batches() {
    let rig = Rig::with(|config| config.linger = Duration::from_millis(50)).await;
    for number in 0..20 {
        rig.register(&format!("user{number}"), &token(number)).await;
        let project = format!("@owner/app{}", number % 2);
        rig.expo.set_device(&token(number), DeviceSetup { project, ..DeviceSetup::default() });
    }
    for seq in 1..=2 {
        rig.decide_all((0..20).map(|number| (number, format!("user{number}"), seq))).await;
        let count = |number: u32| {
            rig.expo
                .device(&token(number))
                .map_or(0, |view| view.notifications.iter().map(|shown| shown.messages).sum::<u32>())
        };
        eventually("all shown", || (0..20).all(|number| count(number) == seq as u32)).await;
        rig.advance(Duration::from_secs(1));
    }
    let refused = rig.sends().iter().filter(|seen| seen.status == 400).count();
    assert_eq!(refused, 1, "the second time nobody had to be told");
}

#[tokio::test]
async fn broken_credentials_of_a_project_never_retire_a_device() {
    for credentials in [Credentials::BrokenAtOnce, Credentials::BrokenLater] {
        let rig = Rig::with(|config| config.linger = Duration::from_millis(50)).await;
        for number in 0..40 {
            rig.register(&format!("user{number}"), &token(number)).await;
            let project = if number < 30 { "@owner/broken" } else { "@owner/fine" };
            rig.expo.set_device(&token(number), DeviceSetup { project: project.into(), ..DeviceSetup::default() });
        }
        rig.expo.set_project("@owner/broken", ProjectSetup { credentials, ..ProjectSetup::default() });
        rig.decide_all((0..40).map(|number| (number, format!("user{number}"), 1))).await;
        eventually("the other project's arrive", || {
            (30..40).all(|number| rig.delivery(number)["state"] == "awaitingReceipt")
        })
        .await;
        in_time(&rig, "the fault shows", Duration::from_secs(60), || {
            (0..30).all(|number| {
                rig.told(number)[0].deliveries.iter().any(|delivery| {
                    let text = serde_json::to_string(delivery).unwrap();
                    text.contains("InvalidCredentials")
                })
            })
        })
        .await;
        for number in 0..40 {
            let device = rig.device_of(&format!("user{number}"), &token(number)).unwrap();
            assert_eq!(device.state, DeviceState::Active, "{credentials:?}");
        }
        if credentials == Credentials::BrokenAtOnce {
            rig.expo.set_project("@owner/broken", ProjectSetup::default());
            in_time(&rig, "mended", Duration::from_secs(60), || {
                (0..30).all(|number| rig.expo.device(&token(number)).is_some_and(|view| !view.notifications.is_empty()))
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_wrong_access_token_delays_everything_and_loses_nothing() {
    let rig = one_push().await;
    rig.expo.fault(Fault { times: Some(3), ..Fault::forever(FaultKind::Unauthorized) });
    rig.decide(1, "ann", 1).await;
    eventually("refused", || rig.delivery(1)["attempts"][0]["outcome"]["code"] == "UNAUTHORIZED").await;
    in_time(&rig, "let in again", Duration::from_secs(10), || rig.delivery(1)["state"] == "awaitingReceipt").await;
    assert!(rig.devices.has_push_token(&user("ann")));
    assert_eq!(rig.delivery(1)["possibleDuplicate"], false);
}

#[tokio::test]
async fn an_unregistered_device_is_retired_by_ticket_or_receipt() {
    let rig = one_push().await;
    rig.register("bob", &token(2)).await;
    rig.expo.set_device(&token(1), DeviceSetup { registered: false, ..DeviceSetup::default() });
    let later = DeviceSetup { receipt: Some("DeviceNotRegistered".into()), ..DeviceSetup::default() };
    rig.expo.set_device(&token(2), later);
    rig.decide(1, "ann", 1).await;
    rig.decide(2, "bob", 1).await;
    eventually("retired by its ticket", || !rig.devices.has_push_token(&user("ann"))).await;
    eventually("accepted", || rig.delivery(2)["state"] == "awaitingReceipt").await;
    assert!(rig.devices.has_push_token(&user("bob")));
    rig.advance(Duration::from_secs(15 * 60));
    eventually("retired by its receipt", || !rig.devices.has_push_token(&user("bob"))).await;
    assert_eq!(rig.delivery(2)["outcome"], json!({"end": "rejected", "code": "DeviceNotRegistered", "by": "receipt"}));
}

#[tokio::test]
async fn receipts_are_asked_for_by_schedule_across_a_restart_and_given_up_after_a_day() {
    let mut rig = one_push().await;
    rig.expo.set(tandem::push::fake_expo::FakeExpoSettings {
        receipt_delay: Duration::from_secs(10 * 24 * 3600),
        ..Default::default()
    });
    rig.decide(1, "ann", 1).await;
    eventually("accepted", || rig.delivery(1)["state"] == "awaitingReceipt").await;
    let asked = |rig: &Rig| rig.expo.requests().iter().filter(|seen| seen.path.ends_with("/getReceipts")).count();
    let mut minutes = 0;
    for (round, due) in [15, 30, 60, 120, 240, 480, 960].into_iter().enumerate() {
        rig.advance(Duration::from_secs((due - minutes) * 60));
        minutes = due;
        eventually("asked", || asked(&rig) == round + 1).await;
        let next = rig.delivery(1)["due"].clone();
        eventually("written down", || rig.delivery(1)["due"] != json!(rig.clock.now().to_string())).await;
        drop(next);
        if round == 3 {
            rig.restart().await;
        }
    }
    rig.expo.fault(Fault::forever(FaultKind::ErrorBefore { status: 500 }).on(Route::Receipts));
    rig.advance(Duration::from_secs((23 * 60 - 960) * 60));
    eventually("lost", || rig.delivery(1)["outcome"]["end"] == "receiptLost").await;
    assert_eq!(rig.sends().len(), 1);
}

#[tokio::test]
async fn a_service_that_is_down_for_an_hour_delays_pushes_and_loses_none() {
    let mut rig = Rig::new().await;
    for number in 0..50 {
        rig.register(&format!("user{number}"), &token(number)).await;
    }
    rig.expo.stop().await;
    for minute in 0..60 {
        let number = minute % 50;
        rig.decide(number, &format!("user{number}"), u64::from(minute) + 1).await;
        for _ in 0..6 {
            rig.advance(Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let attempts: u32 =
        (0..50).flat_map(|number| rig.told(number)).flat_map(|told| told.deliveries).map(|one| one.attempts_made).sum();
    assert!((1..300).contains(&attempts), "the breaker spares the service: {attempts} attempts");
    rig.expo = rig.expo.restart().unwrap();
    in_time(&rig, "all arrive", Duration::from_secs(10), || {
        (0..50).all(|number| rig.expo.device(&token(number)).is_some())
    })
    .await;
    for number in 0..50 {
        let shown = rig.expo.device(&token(number)).unwrap().notifications;
        assert_eq!((shown.len(), shown[0].messages), (1, 1), "nobody is told twice");
        assert!(rig.told(number).iter().all(|told| told.deliveries.iter().all(|one| !one.possible_duplicate)));
    }
}

#[tokio::test]
async fn a_clock_that_is_a_day_ahead_for_a_moment_delays_no_push() {
    const DAY: i64 = 24 * 3_600_000;
    let rig = one_push().await;
    rig.expo.fault(Fault::once(FaultKind::ErrorBefore { status: 500 }));
    rig.clock.jump(DAY);
    rig.decide_at(1, "ann", 1, rig.clock.settled()).await;
    eventually("failed once", || rig.delivery(1)["state"] == "waiting").await;
    rig.clock.jump(-DAY);
    rig.advance(Duration::from_secs(60 * 60));
    eventually("sent again", || rig.delivery(1)["state"] == "awaitingReceipt").await;
}

#[tokio::test]
async fn a_push_that_cannot_be_sent_in_time_expires() {
    let rig = one_push().await;
    rig.expo.stop().await;
    rig.decide(1, "ann", 1).await;
    eventually("tried", || rig.delivery(1)["attempts"][0]["outcome"]["outcome"] == "notSent").await;
    rig.advance(rig.config.ttl);
    in_time(&rig, "expired", Duration::from_secs(60), || rig.delivery(1)["outcome"]["end"] == "expired").await;
}

#[tokio::test]
async fn a_push_expires_if_its_session_does_not_confirm_it_in_time() {
    let rig = one_push().await;
    rig.sessions.silent.lock().insert(session(1));
    rig.decide(1, "ann", 1).await;
    in_time(&rig, "expired", Duration::from_secs(15 * 60), || rig.told_as_json(1)[0]["decision"]["kind"] == "expired")
        .await;
    rig.sessions.silent.lock().clear();
    rig.decide(2, "ann", 1).await;
    // The phone shows it before the service has answered, and so before the request is on record.
    eventually("the next one is sent", || rig.expo.device(&token(1)).is_some() && !rig.sends().is_empty()).await;
    assert_eq!(rig.sends().len(), 1);
}

#[tokio::test]
async fn a_project_without_credentials_does_not_delay_other_projects() {
    let rig = Rig::new().await;
    for number in 0..60 {
        rig.register_on(Platform::Android, &format!("user{number}"), &token(number)).await;
        let project = format!("@owner/broken{}", number % 2);
        rig.expo.set_device(&token(number), DeviceSetup { project, ..DeviceSetup::default() });
    }
    let broken = ProjectSetup { credentials: Credentials::BrokenAtOnce, ..ProjectSetup::default() };
    rig.expo.set_project("@owner/broken0", broken);
    // The first ones teach which device belongs to which project, and that one of them is refused.
    rig.decide_all((0..20).map(|number| (number, format!("user{number}"), 1))).await;
    eventually("tried", || (0..20).all(|number| rig.delivery(number)["attempts"][0]["outcome"].is_object())).await;
    rig.decide_all((0..20).map(|number| (number, format!("user{number}"), 2))).await;
    eventually("the other project is served", || {
        (0..20).filter(|number| number % 2 == 1).all(|number| {
            rig.expo
                .device(&token(number))
                .is_some_and(|view| view.notifications.iter().any(|shown| shown.data["seq"] == 2))
        })
    })
    .await;
    for number in (0..20).filter(|number| number % 2 == 0) {
        let second = rig.told(number).pop().unwrap();
        assert_eq!(second.deliveries[0].attempts_made, 0, "nobody asks while the breaker is open");
        assert_eq!(second.deliveries[0].state, "waiting");
    }
}

#[tokio::test]
async fn redirects_are_not_followed_and_endless_answers_not_read() {
    let rig = one_push().await;
    let elsewhere = tandem::push::fake_expo::FakeExpo::start("127.0.0.1:0").await.unwrap();
    rig.expo.fault(Fault::once(FaultKind::Redirect { to: format!("{}/--/api/v2/push/send", elsewhere.url) }));
    rig.expo.fault(Fault::once(FaultKind::Endless));
    rig.decide(1, "ann", 1).await;
    in_time(&rig, "arrives in the end", Duration::from_secs(10), || rig.delivery(1)["state"] == "awaitingReceipt")
        .await;
    assert_eq!(elsewhere.requests().len(), 0);
    let attempts = rig.delivery(1)["attempts"].clone();
    assert_eq!(attempts[0]["outcome"]["code"], "NotThePushService");
    assert_eq!(attempts[1]["outcome"], json!({"outcome": "unknown", "why": "unreadable"}));
}

#[tokio::test]
async fn large_bodies_are_compressed_and_batches_hold_at_most_a_hundred() {
    let rig = Rig::with(|config| config.linger = Duration::from_millis(50)).await;
    for number in 0..250 {
        rig.register(&format!("user{number}"), &token(number)).await;
    }
    rig.decide_all((0..250).map(|number| (number, format!("user{number}"), 1))).await;
    eventually("all shown", || (0..250).all(|number| rig.expo.device(&token(number)).is_some())).await;
    // The device has it a moment before the request is noted down.
    eventually("all answered", || {
        rig.sends().iter().map(|seen| seen.body.as_array().unwrap().len()).sum::<usize>() == 250
    })
    .await;
    let sends = rig.sends();
    assert!(sends.iter().all(|seen| seen.body.as_array().unwrap().len() <= 100));
    assert_eq!(sends.len(), 3, "a linger fills the batches");
    assert!(sends.iter().all(|seen| seen.gzip));
}

#[tokio::test]
async fn an_attempt_interrupted_by_the_end_of_the_process_is_unknown_and_retried_once() {
    let mut rig = one_push().await;
    rig.expo.fault(Fault::once(FaultKind::Hang));
    rig.decide(1, "ann", 1).await;
    eventually("under way", || rig.delivery(1)["state"] == "started").await;
    // A second sender on the same rows stands for the process after a SIGKILL; the first one's answer never comes.
    let abandoned = rig.pusher.clone();
    rig.pusher = tandem::push::Pusher::start(
        rig.config.clone(),
        rig.store.clone(),
        rig.journal.clone(),
        rig.clock.clone(),
        rig.sessions.clone(),
        rig.devices.clone(),
    )
    .unwrap();
    drop(abandoned);
    eventually("unknown", || rig.delivery(1)["attempts"][0]["outcome"]["why"] == "processEnded").await;
    assert_eq!(rig.delivery(1)["possibleDuplicate"], true);
}

#[tokio::test]
async fn old_records_are_deleted() {
    let rig = one_push().await;
    rig.decide(1, "ann", 1).await;
    eventually("accepted", || rig.delivery(1)["state"] == "awaitingReceipt").await;
    rig.advance(Duration::from_secs(15 * 60));
    eventually("delivered", || rig.delivery(1)["outcome"]["end"] == "delivered").await;
    let rows = rig.store.rows();
    rig.advance(rig.config.retention);
    eventually("forgotten", || rig.told(1).is_empty()).await;
    assert_eq!(rig.store.rows(), rows - 3, "story, delivery and the note to forget them");
}
