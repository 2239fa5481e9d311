//! What the push tests run on: a store in memory or in a file, a clock moved by hand, sessions that agree, and a sender
//! that talks to the stand-in.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tandem::push::{
    Device, Devices, ExplainedPush, Platform, PushSettings, Pusher, Registration, explain,
    fake_expo::{FakeExpo, FakeExpoSettings},
};
use tandem_actors::{
    domain::{
        ids::{Seq, SessionId, UserId},
        time::Timestamp,
    },
    journal::{Journal, QueueLimits},
    keys::{self},
    ports::{BoxFuture, Change, Clock, Push as _, PushCheck, PushVerdict},
    records::{self, PushJob},
};
use tandem_testing::{ManualClock, MemoryStore};
use tokio::sync::oneshot;

/// Sessions that want every push, except where told otherwise.
#[derive(Default)]
pub struct Sessions {
    pub drops: Mutex<HashSet<SessionId>>,
    pub silent: Mutex<HashSet<SessionId>>,
    pub asked: Mutex<HashMap<SessionId, u32>>,
    /// Whose answer waits for the test.
    pub slow: Mutex<HashMap<SessionId, oneshot::Receiver<()>>>,
}

impl PushCheck for Sessions {
    fn check(&self, session: &SessionId, _: &UserId, _: Seq) -> BoxFuture<PushVerdict> {
        *self.asked.lock().entry(session.clone()).or_default() += 1;
        let verdict = if self.drops.lock().contains(session) {
            PushVerdict::Drop { reason: "seen" }
        } else if self.silent.lock().contains(session) {
            PushVerdict::Later
        } else {
            PushVerdict::Send { unread: 3, request_id: None }
        };
        let slow = self.slow.lock().remove(session);
        Box::pin(async move {
            if let Some(go_on) = slow {
                go_on.await.unwrap();
            }
            verdict
        })
    }
}

pub struct Rig {
    pub store: Arc<MemoryStore>,
    pub journal: Journal,
    pub clock: Arc<ManualClock>,
    pub sessions: Arc<Sessions>,
    pub devices: Arc<Devices>,
    pub expo: FakeExpo,
    pub config: PushSettings,
    pub pusher: Arc<Pusher>,
}

pub const NOON: &str = "2026-01-10T12:00:00Z";

/// No waiting for a batch to fill or for a phone to rest, and a rate that does not slow a test.
pub fn quick(url: &str) -> PushSettings {
    PushSettings {
        base_url: url.into(),
        linger: Duration::ZERO,
        rate: 600,
        spacing: Duration::ZERO,
        spacing_later: Duration::ZERO,
        user_rate: 0,
        request_timeout: Duration::from_secs(2),
        ..PushSettings::default()
    }
}

pub fn journal(store: Arc<MemoryStore>) -> Journal {
    Journal::start(store, QueueLimits::default(), |error| panic!("{error}")).unwrap().0
}

impl Rig {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(adjust: impl FnOnce(&mut PushSettings)) -> Self {
        let expo = FakeExpo::start("127.0.0.1:0").await.unwrap();
        expo.set(FakeExpoSettings { receipt_delay: Duration::ZERO, rate: 100_000, ..FakeExpoSettings::default() });
        let mut config = quick(&expo.url);
        adjust(&mut config);
        let store = Arc::new(MemoryStore::default());
        let journal = journal(store.clone());
        let clock = Arc::new(ManualClock::at(Timestamp::parse(NOON).unwrap()));
        let sessions = Arc::new(Sessions::default());
        let devices = Devices::new(store.clone(), journal.clone(), clock.clone(), config.devices_per_user).unwrap();
        let pusher = Pusher::start(
            config.clone(),
            store.clone(),
            journal.clone(),
            clock.clone(),
            sessions.clone(),
            devices.clone(),
        )
        .unwrap();
        Self { store, journal, clock, sessions, devices, expo, config, pusher }
    }

    /// The process ends in good order and starts again.
    pub async fn restart(&mut self) {
        self.pusher.stop().await;
        self.devices =
            Devices::new(self.store.clone(), self.journal.clone(), self.clock.clone(), self.config.devices_per_user)
                .unwrap();
        self.pusher = Pusher::start(
            self.config.clone(),
            self.store.clone(),
            self.journal.clone(),
            self.clock.clone(),
            self.sessions.clone(),
            self.devices.clone(),
        )
        .unwrap();
    }

    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.expo.advance(by);
        self.pusher.clock_moved();
    }

    pub async fn register(&self, name: &str, token: &str) {
        self.register_with(name, token, None, None).await;
    }

    pub async fn register_with(&self, name: &str, token: &str, locale: Option<&str>, zone: Option<&str>) {
        let registration = Registration {
            token: token.parse().unwrap(),
            platform: Platform::Ios,
            locale: locale.map(Into::into),
            time_zone: zone.map(Into::into),
        };
        self.devices.register(user(name), registration).await.unwrap();
    }

    pub async fn register_on(&self, platform: Platform, name: &str, token: &str) {
        let token = token.parse().unwrap();
        let registration = Registration { token, platform, locale: None, time_zone: None };
        self.devices.register(user(name), registration).await.unwrap();
    }

    /// A push is decided, due at once.
    /// The user is a partner in the session.
    pub async fn join(&self, number: u32, name: &str) {
        let row = Change::Put(keys::membership(&user(name), &session(number)), bytes::Bytes::new());
        self.journal.write(vec![row]).await.unwrap();
    }

    pub async fn decide(&self, number: u32, name: &str, seq: Seq) {
        self.decide_all([(number, name.to_owned(), seq)]).await;
    }

    /// A push is decided, due at a time.
    pub async fn decide_at(&self, number: u32, name: &str, seq: Seq, due: Timestamp) {
        self.journal.write(vec![job_row(due, session(number), user(name), seq)]).await.unwrap();
        self.pusher.jobs_committed();
    }

    pub async fn decide_all(&self, pushes: impl IntoIterator<Item = (u32, String, Seq)>) {
        let now = self.clock.now();
        let rows = pushes.into_iter().map(|(number, name, seq)| job_row(now, session(number), user(&name), seq));
        self.journal.write(rows.collect()).await.unwrap();
        self.pusher.jobs_committed();
    }

    pub fn told(&self, number: u32) -> Vec<ExplainedPush> {
        explain(&*self.store, &session(number), None).unwrap()
    }

    /// As an operator would read it.
    pub fn told_as_json(&self, number: u32) -> serde_json::Value {
        serde_json::to_value(self.told(number)).unwrap()
    }

    /// The first delivery of the session's only push.
    pub fn delivery(&self, number: u32) -> serde_json::Value {
        self.told_as_json(number)[0]["deliveries"][0].clone()
    }

    pub fn device_of(&self, name: &str, token: &str) -> Option<Device> {
        let reach = self.devices.reach(&user(name)).unwrap();
        reach.find(&token.parse::<tandem::push::PushToken>().unwrap().device_id()).cloned()
    }

    pub fn sends(&self) -> Vec<tandem::push::fake_expo::SeenRequest> {
        self.expo.requests().into_iter().filter(|seen| seen.path.ends_with("/send")).collect()
    }
}

pub fn job_row(at: Timestamp, session: SessionId, user: UserId, seq: Seq) -> Change {
    let key = keys::push_job(at, &session, &user, seq);
    let job =
        PushJob { session, user, seq, event: "partner.signed_compact".into(), created_at: at, reason: "absent".into() };
    Change::Put(key, records::encode(&job))
}

pub fn session(number: u32) -> SessionId {
    format!("csession{number:08}").parse().unwrap()
}

pub fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

pub fn token(number: u32) -> String {
    format!("ExponentPushToken[device{number:08}]")
}

/// Waits for a condition, and says which one never came.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let patience = tokio::time::Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(tokio::time::Instant::now() < patience, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
