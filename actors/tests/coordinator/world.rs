//! A node without HTTP: the real actors and journal, a store in memory, and providers that the tests control.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde_json::Value;
use tandem_actors::{
    Arbiters, CommandReply, Coordinator, Readers, Refusal,
    domain::{
        Caller, Command, CreateSession, DomainSettings,
        command::CreateSessionRequest,
        ids::{SessionId, UserId},
        private_text::PrivateText,
        routing::WhenAbsent,
        time::Timestamp,
    },
    journal::{Journal, QueueLimits as JournalLimits},
    keys, ports,
    ports::{PresenceChange, PresenceSink, PresenceSource},
    records::{self, PushJob},
    session::{DeliverySettings, ResidencySettings, RetentionSettings, SessionDeps},
    supervisor::SupervisionLimits,
};

use tandem_testing::{CountingIds, ManualClock, MemoryStore, RecordingRealtime, UsersWithDevices};

pub struct World {
    pub store: Arc<MemoryStore>,
    pub clock: Arc<ManualClock>,
    pub realtime: Arc<RecordingRealtime>,
    pub devices: Arc<UsersWithDevices>,
    pub journal: Journal,
    pub coordinator: Coordinator,
    arbiters: Arbiters,
}

#[derive(Clone)]
pub struct Options {
    pub presence_max_age: Option<Duration>,
    pub idle_after: Duration,
    pub limits: SupervisionLimits,
    pub live_per_user: usize,
}

impl Default for Options {
    fn default() -> Self {
        let limits = SupervisionLimits { backoff: Duration::from_millis(1), ..SupervisionLimits::default() };
        Self { presence_max_age: None, idle_after: Duration::from_secs(3600), limits, live_per_user: 500 }
    }
}

impl World {
    pub fn new(options: Options) -> Self {
        let realtime = Arc::new(RecordingRealtime::with_nobody_present());
        Self::over(Arc::default(), realtime, options)
    }

    /// A node with an active session of Ann and Bob.
    pub async fn with_session() -> (Self, SessionId) {
        let world = Self::new(Options::default());
        let session = world.active_session().await;
        (world, session)
    }

    /// A restarted node on the same store.
    pub fn over(store: Arc<MemoryStore>, realtime: Arc<RecordingRealtime>, options: Options) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_790_000_000_000)));
        let devices = Arc::new(UsersWithDevices::default());
        let (journal, _) = Journal::start(store.clone(), JournalLimits::default(), |_| {}).unwrap();
        let deps = Arc::new(SessionDeps {
            store: store.clone(),
            journal: journal.clone(),
            readers: Readers::threads(),
            clock: clock.clone(),
            ids: Arc::new(CountingIds),
            realtime: realtime.clone(),
            devices: devices.clone(),
            push: OnceLock::new(),
            domain: DomainSettings::default(),
            delivery: DeliverySettings {
                when_absent: WhenAbsent::Push,
                leave_grace: Duration::from_secs(30),
                resolve_within: Duration::from_millis(50),
                presence_max_age: options.presence_max_age,
                heartbeat_ttl: Duration::from_secs(60),
                retry_min: Duration::from_millis(50),
                retry_max: Duration::from_secs(1),
            },
            residency: ResidencySettings {
                idle_after: options.idle_after,
                snapshot_every: 16,
                live_per_user: options.live_per_user,
            },
            retention: RetentionSettings::default(),
        });
        let arbiters = Arbiters::start(2);
        let coordinator = Coordinator::new(deps, arbiters.clone(), options.limits);
        Self { store, clock, realtime, devices, journal, coordinator, arbiters }
    }

    pub fn register_device(&self, user: &str) {
        self.devices.0.lock().insert(id(user));
    }

    pub async fn execute(&self, session: &SessionId, user: &str, command: Command) -> Result<CommandReply, Refusal> {
        self.coordinator.execute(session, caller(user), command, None).await
    }

    /// The user signs the compact.
    pub async fn sign(&self, session: &SessionId, user: &str) {
        self.execute(session, user, Command::SignCompact).await.expect("signed");
    }

    /// Waits until an event of this name is published.
    pub async fn published(&self, name: &str) {
        eventually(name, || self.realtime.names().contains(&name)).await;
    }

    /// A session of Ann and Bob, both joined.
    pub async fn active_session(&self) -> SessionId {
        let session = self.invited_session().await;
        self.execute(&session, "bob", Command::AcceptInvitation).await.expect("joined");
        session
    }

    /// A session of Ann, who has invited Bob.
    pub async fn invited_session(&self) -> SessionId {
        let create =
            CreateSession::try_from(json_request::<CreateSessionRequest>(r#"{"inviteName":"Bob"}"#)).expect("valid");
        let reply = self.coordinator.create(caller("ann"), create, None).await.expect("created");
        let data: Value = serde_json::from_slice(&reply.data).expect("JSON");
        data["session"]["id"].as_str().expect("an id").parse().expect("a session id")
    }

    pub fn enter(&self, session: &SessionId, user: &str, present: bool) {
        let change = PresenceChange {
            user: id(user),
            connection: "connection".into(),
            present,
            vanished: false,
            at: ports::Clock::now(&*self.clock),
            source: PresenceSource::Webhook,
        };
        self.coordinator.presence(session, change);
    }

    pub fn push_jobs(&self) -> Vec<PushJob> {
        let rows = self.store.rows_under(&keys::push_jobs());
        rows.iter().map(|(_, row)| records::decode(row).expect("a push job")).collect()
    }

    pub async fn detail(&self, session: &SessionId, user: &str) -> Result<Value, Refusal> {
        let query = tandem_actors::domain::Query::Detail;
        let bytes = self.coordinator.query(session, &id(user), query).await?;
        Ok(serde_json::from_slice(&bytes).expect("JSON"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.store.release_commits();
        self.store.release_gets();
        self.arbiters.stop();
        self.journal.close();
    }
}

pub fn json_request<T: serde::de::DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("a request")
}

pub fn id(user: &str) -> UserId {
    user.parse().expect("a user id")
}

pub fn caller(user: &str) -> Caller {
    Caller { name: Some(PrivateText::new(user)), ..Caller::nameless(id(user)) }
}

/// Waits until `condition` holds; fails after five seconds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Runs a test within an actix system.
pub fn run(test: impl Future<Output = ()> + 'static) {
    actix::System::new().block_on(test);
}
