//! The parts of a node that start together.

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle};

use tandem_actors::{
    Arbiters, Coordinator,
    journal::Journal,
    ports::{Clock, Push, Store, StoreError, StoreFault},
};

use super::{StartError, cores};
use crate::{
    auth::Verifier,
    config::Settings,
    push::{Devices, Pusher},
    realtime::Provider,
    store::{DatabaseWatch, DiskWatch, Envelope, Place, StallWatch},
    system::{RandomIds, SystemClock},
    telemetry, traces,
};

/// The exit code of a node whose store failed while it was running.
const EXIT_STORE_FAILED: i32 = 70;

/// The store, the journal in front of it, and the clock, which starts at the time that the store holds.
#[derive(Clone)]
pub(super) struct Durable {
    pub store: Arc<dyn Store>,
    pub journal: Journal,
    pub clock: Arc<dyn Clock>,
    /// Encrypts files beside the store.
    pub envelope: Envelope,
}

/// The threads of [`Durable`].
pub(super) struct DurableThreads {
    pub writer: JoinHandle<()>,
    pub stall_watch: StallWatch,
    /// None for a store that is not on this machine.
    pub disk_watch: Option<Arc<DiskWatch>>,
    /// The same for a database.
    pub database_watch: Option<DatabaseWatch>,
}

impl Durable {
    pub fn start(
        settings: &Settings,
        store: Arc<dyn Store>,
        envelope: Envelope,
    ) -> Result<(Self, DurableThreads), StartError> {
        let last_time = tandem_actors::stored_time(&*store)?;
        let clock = Arc::new(SystemClock::new(last_time, settings.sessions.clock_believed_after));
        let (journal, writer) =
            Journal::start(store.clone(), settings.journal_limits(), stop_at_once).map_err(StartError::Thread)?;
        let stall_watch = StallWatch::start(journal.clone()).map_err(StartError::Thread)?;
        let (mut disk_watch, mut database_watch) = (None, None);
        match settings.store_place() {
            Place::Directory(location) => {
                let watch = DiskWatch::start(&location, settings.store.min_free, journal.clone());
                disk_watch = Some(Arc::new(watch.map_err(StartError::Thread)?));
            }
            Place::Postgres { .. } => {
                database_watch = Some(DatabaseWatch::start(journal.clone()).map_err(StartError::Thread)?);
            }
        }
        let threads = DurableThreads { writer, stall_watch, disk_watch, database_watch };
        Ok((Self { store, journal, clock, envelope }, threads))
    }
}

/// Ends the process, because a failed sync must not be retried. The next process reads what is on the disk. A database
/// that is away while the node stops is no failure: then the writer ends, and the stop goes on.
#[expect(clippy::exit, reason = "nothing may be acknowledged any more, and nothing waits to be written")]
fn stop_at_once(error: &StoreError) {
    if error.fault() == StoreFault::Stopping {
        return;
    }
    tracing::error!(%error, "the store failed; nothing more can be acknowledged, so the node exits");
    let usual = "check the disk, then start again: everything that was answered is there";
    let advice = error.advice().unwrap_or(usual);
    telemetry::stderr::say(format_args!("tandem: {error}; {advice}"));
    // The spans of the last second show what led to it.
    traces::stop();
    telemetry::stderr::flush();
    std::process::exit(EXIT_STORE_FAILED);
}

/// The sessions, and the ways in which events reach partners.
pub(super) struct Coordination {
    pub coordinator: Coordinator,
    pub arbiters: Arbiters,
    pub provider: Provider,
    pub devices: Arc<Devices>,
    pub pusher: Arc<Pusher>,
}

impl Coordination {
    pub async fn start(settings: &Settings, address: SocketAddr, durable: &Durable) -> Result<Self, StartError> {
        let Durable { store, journal, clock, .. } = durable.clone();
        let devices = Devices::new(store.clone(), journal.clone(), clock.clone(), settings.push.devices_per_user)?;
        let provider = Provider::new(&settings.realtime, address, clock.clone(), store.clone(), journal.clone())
            .map_err(StartError::setting)?;
        if !settings.fleet.enabled {
            provider.take_over(&settings.data, &durable.envelope);
        }
        let (ids, realtime) = (Arc::new(RandomIds), provider.port());
        let deps = settings.session_deps(store.clone(), journal.clone(), clock.clone(), ids, realtime, devices.clone());
        let deps = Arc::new(deps);
        let arbiters = Arbiters::start(cores());
        let coordinator = Coordinator::new(deps.clone(), arbiters.clone(), settings.supervision());
        coordinator.index_sessions().await?;
        provider.report_to(Arc::new(coordinator.clone()));
        let check = Arc::new(coordinator.clone());
        let pusher = Pusher::start(settings.push.clone(), store, journal, clock, check, devices.clone())
            .map_err(StartError::setting)?;
        let port: Arc<dyn Push> = pusher.clone();
        if deps.push.set(port).is_err() {
            unreachable!("the push sender is set here and nowhere else");
        }
        Ok(Self { coordinator, arbiters, provider, devices, pusher })
    }
}

/// The verifier of tokens. The issuer's keys are fetched before the first request, and then refreshed periodically.
pub(super) async fn verifier(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Arc<Verifier>, StartError> {
    let auth = Arc::new(Verifier::new(&settings.auth, clock)?);
    auth.warm_up().await;
    let refreshing = auth.clone();
    actix_web::rt::spawn(async move { refreshing.keep_keys_fresh().await });
    Ok(auth)
}
