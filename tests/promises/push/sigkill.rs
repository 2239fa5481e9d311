//! A thousand pushes, a service that misbehaves in every way it can, and a sender that is killed again and again.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use tandem::push::{
    Devices, Platform, PushSettings, Pusher, Registration, explain,
    fake_expo::{DeviceSetup, FakeExpo, FakeExpoSettings, Fault, FaultKind, Route},
    rows,
};
use tandem_actors::{
    keys,
    ports::{Clock as _, Direction, Store as _},
};

use tandem_testing::{MemoryStore, WallClock};

use super::rig::{Sessions, job_row, journal, quick, session, token, user};

const PUSHES: u32 = 1_000;
const KILLS: u32 = 12;
const ARRIVE_WITHIN: Duration = Duration::from_secs(6);
const CHILD: &str = "TANDEM_TEST_PUSH_CHILD";

fn config(url: &str) -> PushSettings {
    PushSettings {
        linger: Duration::from_millis(5),
        request_timeout: Duration::from_millis(500),
        receipt_schedule: [200, 400, 800, 1600].map(Duration::from_millis).into(),
        receipt_lost_after: Duration::from_secs(20),
        ..quick(url)
    }
}

fn misbehave(expo: &FakeExpo) {
    for (kind, probability) in [
        (FaultKind::RateLimit { retry_after: Some(0) }, 0.02),
        (FaultKind::ErrorBefore { status: 503 }, 0.03),
        (FaultKind::ErrorAfter { status: 504 }, 0.03),
        (FaultKind::ResetBefore, 0.03),
        (FaultKind::ResetAfter, 0.03),
        (FaultKind::Hang, 0.02),
        (FaultKind::Unreadable, 0.02),
        (FaultKind::Short, 0.02),
        (FaultKind::OddTicket, 0.03),
        (FaultKind::Code { code: "NeverHeardOf".into() }, 0.02),
        (FaultKind::TicketsAndErrors, 0.03),
        (FaultKind::Slow { millis: 40 }, 0.3),
    ] {
        expo.fault(Fault::sometimes(kind, probability));
    }
    expo.fault(Fault::sometimes(FaultKind::ErrorBefore { status: 500 }, 0.2).on(Route::Receipts));
    expo.set(FakeExpoSettings {
        receipt_delay: Duration::from_millis(300),
        rate: 100_000,
        ..FakeExpoSettings::default()
    });
    for number in (0..PUSHES).step_by(100) {
        expo.set_device(&token(number), DeviceSetup { registered: false, ..DeviceSetup::default() });
        let refused = DeviceSetup { receipt: Some("DeviceNotRegistered".into()), ..DeviceSetup::default() };
        expo.set_device(&token(number + 1), refused);
    }
    for number in (50..PUSHES).step_by(250) {
        expo.set_device(&token(number), DeviceSetup { poison: true, ..DeviceSetup::default() });
    }
}

/// The process that is killed. Not a test of its own: ends at once unless it was started by one.
#[tokio::test]
#[ignore = "started by another test, as a process of its own"]
async fn child_process() {
    let Ok(path_and_url) = std::env::var(CHILD) else { return };
    let (path, url) = path_and_url.split_once('|').unwrap();
    let store = Arc::new(MemoryStore::open(Path::new(path)).unwrap());
    let (journal, clock) = (journal(store.clone()), Arc::new(WallClock));
    let devices = Devices::new(store.clone(), journal.clone(), clock.clone(), 10).unwrap();
    let sessions = Arc::new(Sessions::default());
    let pusher = Pusher::start(config(url), store.clone(), journal, clock, sessions, devices).unwrap();
    let is_empty = |prefix| store.scan(&prefix, None, Direction::Forward, 1).unwrap().is_empty();
    let open = [keys::push_jobs(), rows::all_waiting(), rows::all_in_flight(), rows::receipts()];
    while !open.iter().all(|prefix| is_empty(prefix.clone())) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    pusher.stop().await;
}

fn start_child(path: &Path, url: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["push::sigkill::child_process", "--exact", "--ignored"])
        .env(CHILD, format!("{}|{url}", path.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn decide_all(path: &Path) {
    let store = Arc::new(MemoryStore::open(path).unwrap());
    let (journal, clock) = (journal(store.clone()), Arc::new(WallClock));
    let devices = Devices::new(store, journal.clone(), clock.clone(), 10).unwrap();
    let now = clock.now();
    for number in 0..PUSHES {
        let token = token(number).parse().unwrap();
        let registration = Registration { token, platform: Platform::Ios, locale: None, time_zone: None };
        devices.register(user(&format!("user{number}")), registration).await.unwrap();
    }
    let due = |number: u32| now + ARRIVE_WITHIN * number / PUSHES;
    let jobs = (0..PUSHES).map(|number| job_row(due(number), session(number), user(&format!("user{number}")), 1));
    journal.write(jobs.collect()).await.unwrap();
    journal.close();
}

#[tokio::test]
async fn killed_at_any_moment_every_push_ends_once_and_is_seen_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows");
    let expo = FakeExpo::start("127.0.0.1:0").await.unwrap();
    misbehave(&expo);
    decide_all(&path).await;
    for _ in 0..KILLS {
        let seen = expo.requests().len();
        let mut child = start_child(&path, &expo.url);
        // On a busy machine a start takes long: most kills wait for an attempt.
        let patience = tokio::time::Instant::now() + Duration::from_secs(5);
        let waits = rand::random_bool(0.8);
        while waits && expo.requests().len() == seen && tokio::time::Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..300))).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut last = start_child(&path, &expo.url);
    let patience = tokio::time::Instant::now() + Duration::from_secs(90);
    while last.try_wait().unwrap().is_none() {
        if tokio::time::Instant::now() > patience {
            last.kill().unwrap();
            panic!("the last run does not come to an end");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let store = MemoryStore::open(&path).unwrap();
    let (mut ends, mut duplicates, mut cut_off) = (BTreeMap::<String, u32>::new(), 0, 0);
    for number in 0..PUSHES {
        let told = serde_json::to_value(explain(&store, &session(number), None).unwrap()).unwrap();
        assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
        assert_eq!(told[0]["deliveries"].as_array().unwrap().len(), 1, "{told}");
        let delivery = &told[0]["deliveries"][0];
        assert_eq!(delivery["state"], "done", "{told}");
        let end = delivery["outcome"]["end"].as_str().unwrap();
        *ends.entry(end.to_owned()).or_default() += 1;
        let may_be_twice = delivery["possibleDuplicate"] == true;
        duplicates += u32::from(may_be_twice);
        cut_off += u32::from(told.to_string().contains("processEnded"));
        let shown = expo.device(&token(number)).map(|view| view.notifications).unwrap_or_default();
        let messages: u32 = shown.iter().map(|notification| notification.messages).sum();
        assert!(shown.len() <= 1, "more than one is visible: {told}");
        assert!(messages <= if may_be_twice { 2 } else { 1 }, "{messages} messages: {told}");
        if matches!(end, "delivered" | "accepted" | "receiptLost") {
            assert_eq!(shown.len(), 1, "nothing is visible: {told}");
        }
    }
    println!(
        "{PUSHES} pushes, {KILLS} kills: {ends:?}, {duplicates} possible duplicates, {cut_off} attempts interrupted"
    );
    assert!(cut_off > 0, "no kill ever hit an attempt: this proves nothing");
    assert!(ends["delivered"] > PUSHES / 2, "{ends:?}");
    assert!(ends["rejected"] >= 5, "{ends:?}");
}
