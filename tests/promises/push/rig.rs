//! What the push tests run on: a store in memory or in a file, a clock moved by hand, sessions that agree, and a sender that
//! talks to the stand-in.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tandem::push::{
    Config, Device, Devices, Platform, Pusher, Registration, Told, explain,
    fake_expo::{FakeExpo, Settings},
};
use tandem_actors::{
    domain::{
        ids::{Seq, SessionId, UserId},
        time::Timestamp,
    },
    journal::{Journal, Limits},
    keys::{self, Key},
    ports::{
        BoxFuture, Change, Claim, Clock, Commit, Direction, OwnerEpoch, Push as _, PushCheck, PushVerdict, Store,
        StoreError, Verdict,
    },
    records::{self, PushJob},
};
use tokio::sync::oneshot;

/// Rows in memory; with a file, each group is appended to it and read back on opening, so that they outlive a SIGKILL.
#[derive(Default)]
pub struct TestStore {
    rows: RwLock<BTreeMap<Key, Bytes>>,
    log: Mutex<Option<File>>,
}

impl TestStore {
    pub fn open(path: &Path) -> Self {
        let store = Self::default();
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path).unwrap();
        let mut log = Vec::new();
        file.read_to_end(&mut log).unwrap();
        let mut rest = log.as_slice();
        // A group that was cut off in the middle was never acknowledged.
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let Some((group, behind)) = behind.split_at_checked(length) else { break };
            store.apply(&rmp_serde::from_slice::<Vec<(Vec<u8>, Option<Vec<u8>>)>>(group).unwrap());
            rest = behind;
        }
        file.set_len((log.len() - rest.len()) as u64).unwrap();
        *store.log.lock() = Some(file);
        store
    }

    fn apply(&self, group: &[(Vec<u8>, Option<Vec<u8>>)]) {
        let mut rows = self.rows.write();
        for (key, value) in group {
            let key = Key::from_bytes(key.clone());
            match value {
                Some(value) => drop(rows.insert(key, value.clone().into())),
                None => drop(rows.remove(&key)),
            }
        }
    }

    pub fn len(&self) -> usize {
        self.rows.read().len()
    }
}

impl Store for TestStore {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        Ok(self.rows.read().get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let rows = self.rows.read();
        let own = rows.range(prefix.clone()..).take_while(|(key, _)| key.as_bytes().starts_with(prefix.as_bytes()));
        let row = |(key, value): (&Key, &Bytes)| (key.clone(), value.clone());
        Ok(match direction {
            Direction::Forward => {
                own.filter(|(key, _)| after.is_none_or(|after| *key > after)).take(limit).map(row).collect()
            }
            Direction::Backward => {
                let mut all: Vec<_> = own.filter(|(key, _)| after.is_none_or(|after| *key < after)).map(row).collect();
                all.reverse();
                all.truncate(limit);
                all
            }
        })
    }

    fn claim(&self, _: &SessionId) -> Result<Claim, StoreError> {
        Ok(Claim { epoch: 1, head: 0 })
    }

    fn release(&self, _: &SessionId, _: OwnerEpoch) {}

    fn commit(&self, group: &[Commit]) -> Result<Vec<Verdict>, StoreError> {
        let changes = group.iter().flat_map(|commit| &commit.changes);
        let changes: Vec<(Vec<u8>, Option<Vec<u8>>)> = changes
            .map(|change| match change {
                Change::Put(key, value) => (key.as_bytes().to_vec(), Some(value.to_vec())),
                Change::Delete(key) => (key.as_bytes().to_vec(), None),
            })
            .collect();
        if let Some(log) = &mut *self.log.lock() {
            let group = rmp_serde::to_vec(&changes).unwrap();
            let mut record = u32::try_from(group.len()).unwrap().to_be_bytes().to_vec();
            record.extend(group);
            log.write_all(&record).map_err(StoreError::new)?;
        }
        self.apply(&changes);
        Ok(vec![Verdict::Written; group.len()])
    }
}

pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn at(text: &str) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(Timestamp::parse(text).unwrap().as_millis())))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
    }
}

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
    pub store: Arc<TestStore>,
    pub journal: Journal,
    pub clock: Arc<ManualClock>,
    pub sessions: Arc<Sessions>,
    pub devices: Arc<Devices>,
    pub expo: FakeExpo,
    pub config: Config,
    pub pusher: Arc<Pusher>,
}

pub const NOON: &str = "2026-01-10T12:00:00Z";

/// No waiting for a batch to fill or for a phone to rest, and a rate that does not slow a test.
pub fn quick(url: &str) -> Config {
    Config {
        base_url: url.into(),
        linger: Duration::ZERO,
        rate: 600,
        spacing: Duration::ZERO,
        spacing_later: Duration::ZERO,
        user_rate: 0,
        request_timeout: Duration::from_secs(2),
        ..Config::default()
    }
}

pub fn journal(store: Arc<TestStore>) -> Journal {
    Journal::start(store, Limits::default(), |error| panic!("{error}")).unwrap().0
}

impl Rig {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let expo = FakeExpo::start("127.0.0.1:0").await.unwrap();
        expo.set(Settings { receipt_delay: Duration::ZERO, rate: 100_000, ..Settings::default() });
        let mut config = quick(&expo.url);
        adjust(&mut config);
        let store = Arc::new(TestStore::default());
        let journal = journal(store.clone());
        let clock = ManualClock::at(NOON);
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
        self.clock.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
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
    pub async fn decide(&self, number: u32, name: &str, seq: Seq) {
        self.decide_all([(number, name.to_owned(), seq)]).await;
    }

    pub async fn decide_all(&self, pushes: impl IntoIterator<Item = (u32, String, Seq)>) {
        let now = self.clock.now();
        let rows = pushes.into_iter().map(|(number, name, seq)| job_row(now, session(number), user(&name), seq));
        self.journal.write(rows.collect()).await.unwrap();
        self.pusher.jobs_committed();
    }

    pub fn told(&self, number: u32) -> Vec<Told> {
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

    pub fn sends(&self) -> Vec<tandem::push::fake_expo::Seen> {
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
