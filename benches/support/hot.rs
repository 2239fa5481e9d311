//! Real actors, journal and store in this process, without realtime and pushes: for the load that one session bears.

use std::{
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::future::join_all;
use serde_json::Value;
use tandem::{config::Settings, store};
use tandem_actors::{
    Arbiters, Coordinator,
    domain::{
        Caller, Command, CreateSession,
        command::{AdvanceRequest, CreateSessionRequest, FeelHeardRequest, SaveEmpathyDraftRequest},
        ids::{SessionId, UserId},
        time::Timestamp,
    },
    journal::{Journal, QueueLimits as JournalLimits},
    ports::{BoxFuture, Clock, Devices, Ids, PresenceMember, Publication, Realtime, RealtimeError, Store},
    supervisor::SupervisionLimits,
};

use super::{load::Measured, world::DRAFT};

struct Quiet(AtomicU64);

impl Clock for Quiet {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
        Timestamp::from_millis(since.as_millis() as i64)
    }
}

impl Ids for Quiet {
    fn fresh(&self) -> String {
        format!("c{:024}", self.0.fetch_add(1, Ordering::Relaxed))
    }
}

impl Realtime for Quiet {
    fn publish(&self, _: Vec<Publication>) -> BoxFuture<Result<(), RealtimeError>> {
        Box::pin(async { Ok(()) })
    }

    fn members(&self, _: &SessionId) -> BoxFuture<Result<Vec<PresenceMember>, RealtimeError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

impl Devices for Quiet {
    fn has_push_token(&self, _: &UserId) -> bool {
        false
    }
}

pub struct Heart {
    coordinator: Coordinator,
    pub journal: Journal,
    pub session: SessionId,
    /// The id of the invitation to the session.
    pub invitation: String,
    arbiters: Arbiters,
}

/// The ids of the session's members.
pub const CREATOR: &str = "creator-0000000";
pub const PARTNER: &str = "partner-0000000";

/// Opens a store of that engine in a directory, or one in memory that makes nothing durable.
pub fn store(engine: &str, directory: &std::path::Path) -> Arc<dyn Store> {
    if engine == "memory" {
        return Arc::new(tandem_testing::MemoryStore::default());
    }
    let location = format!("{engine}:{}", directory.display()).parse().expect("a location");
    store::open(&location, &store::Options::default()).expect("the store opens")
}

impl Heart {
    /// Starts the actors and creates one session, with its creator in stage 2. Must run within an actix system.
    pub async fn start(store: Arc<dyn Store>) -> Self {
        Self::start_with(store, &Settings::default()).await
    }

    pub async fn start_with(store: Arc<dyn Store>, settings: &Settings) -> Self {
        let quiet = Arc::new(Quiet(AtomicU64::new(1)));
        let (journal, _) =
            Journal::start(store.clone(), JournalLimits::default(), |error| panic!("{error}")).expect("a thread");
        let deps = settings.session_deps(store, journal.clone(), quiet.clone(), quiet.clone(), quiet.clone(), quiet);
        let deps = Arc::new(deps);
        let arbiters = Arbiters::start(std::thread::available_parallelism().map_or(1, usize::from));
        let coordinator = Coordinator::new(deps, arbiters.clone(), SupervisionLimits::default());
        let request: CreateSessionRequest = parse(r#"{"inviteName":"Sam"}"#);
        let create = CreateSession::try_from(request).expect("a valid request");
        let created = coordinator.create(caller(CREATOR), create, None).await.expect("a session");
        let created: Value = serde_json::from_slice(&created.data).expect("JSON");
        let session = created["session"]["id"].as_str().and_then(|id| id.parse().ok()).expect("a session id");
        let invitation = created["invitationId"].as_str().expect("an invitation").to_owned();
        let heart = Self { coordinator, journal, session, invitation, arbiters };
        heart.bring_to_stage_two().await;
        heart
    }

    async fn bring_to_stage_two(&self) {
        let advance = || Command::try_from(parse::<AdvanceRequest>("{}")).expect("valid");
        let heard = Command::try_from(parse::<FeelHeardRequest>(r#"{"confirmed":true}"#)).expect("valid");
        let steps = [
            (PARTNER, Command::AcceptInvitation),
            (CREATOR, Command::SignCompact),
            (PARTNER, Command::SignCompact),
            (CREATOR, advance()),
            (CREATOR, heard),
            (CREATOR, advance()),
        ];
        for (who, command) in steps {
            self.coordinator.execute(&self.session, caller(who), command, None).await.expect("a step on the way");
        }
    }

    pub async fn save_draft(&self) {
        let request = SaveEmpathyDraftRequest { content: Some(DRAFT.into()), ready_to_share: Some(false) };
        let command = Command::try_from(request).expect("a valid request");
        let done = self.coordinator.execute(&self.session, caller(CREATOR), command, None).await;
        done.expect("a draft is saved");
    }

    /// Waits until no session is in memory.
    pub async fn asleep(&self) {
        while self.coordinator.resident() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Saves drafts in a closed loop, with a given number of commands in flight.
    pub async fn drive(&self, in_flight: usize, warm_up: Duration, measured: Duration) -> Measured {
        let begin = Instant::now() + warm_up;
        let end = begin + measured;
        let loops = (0..in_flight).map(|_| async {
            let mut latencies = Vec::new();
            loop {
                let sent = Instant::now();
                if sent >= end {
                    return latencies;
                }
                self.save_draft().await;
                let now = Instant::now();
                if sent >= begin && now <= end {
                    latencies.push(now - sent);
                }
            }
        });
        let latencies = join_all(loops).await.into_iter().flatten().collect();
        Measured::of(latencies, 0, measured)
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.arbiters.stop();
        self.journal.close();
    }
}

fn caller(user: &str) -> Caller {
    Caller::nameless(user.parse().expect("a user id"))
}

fn parse<T: serde::de::DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("a request")
}
