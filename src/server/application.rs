//! A node from its settings to its end.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::{HttpRequest, dev::Server, web::Data};
use metrics_exporter_prometheus::PrometheusHandle;
use sd_notify::NotifyState;
use tandem_actors::{
    Coordinator,
    ports::{Store, StoreError},
};

use super::{
    StartError,
    fleet::FleetNode,
    keys::complete,
    listen::{listen, not_listening},
    node::RunningNode,
    parts::{Coordination, Durable, verifier},
    routes::{Shared, serve, state},
    service_manager,
    stop::{StopSignals, end_calls},
};
use crate::{
    acme::Acme,
    backups::{BackupService, Destination},
    config::{self, EffectiveSetting, Settings},
    console::{Console, ListFleet},
    http::{self, AppState, DemoPlaces, StartPage, start_page},
    limits::NodeLimits,
    operator::{self, OperatorFile},
    secrets,
    store::{self, Backups, Place},
    tls::ServerCertificate,
    version::VERSION,
};

/// The pause between two attempts to erase the accounts that a restore has brought back.
const ERASE_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// A node that listens and is ready to run.
pub struct Application {
    address: SocketAddr,
    scheme: &'static str,
    certificate: Option<Arc<ServerCertificate>>,
    state: Data<AppState>,
    http: Server,
    node: RunningNode,
}

impl Application {
    /// Starts all parts on an opened store. Nothing is served before [`Application::run_until_stopped`]. Must be
    /// called within an actix system.
    pub(super) async fn build(
        mut settings: Settings,
        effective: Vec<EffectiveSetting>,
        metrics: PrometheusHandle,
        entered: ListeningNode,
        (store, backups): OpenStore,
        (certificate, acme): Certificate,
        fleet: Option<FleetNode>,
    ) -> Result<Self, StartError> {
        let ListeningNode { listener, address, limits } = entered;
        crate::files::restrict_modes(&settings.data, settings.store_place().path());
        let token_hint = complete(&mut settings)?;
        announce(&settings, address);
        let (durable, threads) = Durable::start(&settings, store, backups.envelope())?;
        let coordination = Coordination::start(&settings, address, &durable).await?;
        let auth = verifier(&settings, durable.clock.clone()).await?;
        let (operator_token, stopping) = (operator::fresh_token(), Arc::new(AtomicBool::new(false)));
        let shared = Shared {
            auth,
            limits: limits.clone(),
            operator_token: operator_token.clone(),
            stopping: stopping.clone(),
            member: fleet.as_ref().map(|node| node.member.clone()),
            metrics,
            rekeying: backups.rekeying(),
            backups: Some(backup_service(&settings, backups)),
        };
        let state = state(&settings, &durable, &threads, &coordination, shared)?;
        erase_again(&state).await;
        show_start_page(&settings, &state, &coordination, token_hint);
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let console = open_console(&settings, &state, &coordination, effective);
        let http = serve(
            &settings,
            (listener, fleet),
            state.clone(),
            console,
            coordination.provider.clone(),
            &limits,
            certificate.as_ref(),
        )?;
        if let Some(acme) = acme {
            actix_web::rt::spawn(acme.keep_valid());
        }
        // On a full disk the file cannot be written, and the node still serves what is stored.
        let operator = OperatorFile::write(&settings.data, scheme, address, &operator_token)
            .inspect_err(|error| {
                tracing::warn!(%error, data = %settings.data.display(), "the operator file cannot be written, so `tandem session` cannot reach this node");
            })
            .ok();
        let shutdown_timeout = settings.server.shutdown_timeout;
        // In a fleet, the next owner is another process with another directory.
        let handover = (!settings.fleet.enabled).then_some(settings.data);
        let node =
            RunningNode { durable, threads, coordination, stopping, shutdown_timeout, limits, operator, handover };
        Ok(Self { address, scheme, certificate, state, http, node })
    }

    /// `http://ADDR:PORT`
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub(super) fn certificate(&self) -> Option<Arc<ServerCertificate>> {
        self.certificate.clone()
    }

    pub(super) fn state(&self) -> Data<AppState> {
        self.state.clone()
    }

    /// Serves until SIGTERM or SIGINT. Then it accepts no more connections, finishes what is behind the gate, closes
    /// connections, and returns when everything is on disk.
    pub(super) async fn run_until_stopped(self, mut signals: StopSignals) -> io::Result<()> {
        let Self { http, node, .. } = self;
        let coordinator = &node.coordination.coordinator;
        let upkeep = actix_web::rt::spawn(upkeep(coordinator.clone()));
        let handle = http.handle();
        let mut serving = std::pin::pin!(http);
        tokio::select! {
            ended = &mut serving => return ended,
            () = signals.any() => {}
        }
        tracing::info!("stopping");
        service_manager::tell(&[NotifyState::Stopping]);
        upkeep.abort();
        let timeout = node.shutdown_timeout;
        node.stopping.store(true, Ordering::Release);
        let (provider, connections) = (node.coordination.provider.clone(), node.limits.connections.clone());
        let no_more_calls = end_calls(serving, handle, &provider, &connections, timeout);
        node.stop_after(no_more_calls, timeout).await;
        Ok(())
    }
}

/// A store that is open.
pub(super) type OpenStore = (Arc<dyn Store>, Backups);

/// The certificate, and the task that renews it if the node does that itself.
type Certificate = (Option<Arc<ServerCertificate>>, Option<Acme>);

/// A node that listens, before its parts are started.
pub(super) struct ListeningNode {
    pub listener: TcpListener,
    pub address: SocketAddr,
    pub limits: Arc<NodeLimits>,
}

impl ListeningNode {
    pub fn new(settings: &Settings) -> Result<Self, StartError> {
        let server = &settings.server;
        let listener = listen(server.listen)?;
        let address = listener.local_addr().map_err(|error| not_listening(server.listen, error))?;
        let limits = settings.limits.limits(&server.trusted_proxies, server.client_request_timeout, server.keep_alive);
        limits.connections.watch().map_err(StartError::Thread)?;
        Ok(Self { listener, address, limits: Arc::new(limits) })
    }

    pub fn url(&self, is_encrypted: bool) -> String {
        format!("{}://{}", if is_encrypted { "https" } else { "http" }, self.address)
    }
}

/// The settings of the listeners.
pub(super) fn certificate(settings: &Settings) -> Result<Certificate, StartError> {
    let Some(tls) = &settings.server.tls else { return Ok((None, None)) };
    if let Some(acme) = &tls.acme {
        let acme = Acme::open(acme, &settings.data).map_err(StartError::tls)?;
        return Ok((Some(acme.certificate()), Some(acme)));
    }
    let file = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
    let certificate = ServerCertificate::read(&file(&tls.certificate), &file(&tls.key)).map_err(StartError::tls)?;
    Ok((Some(certificate), None))
}

/// Erases the accounts that a restore has brought back, before anybody can read them. A failure is tried again later.
async fn erase_again(state: &Data<AppState>) {
    match http::erase_again(state).await {
        Ok(0) => {}
        Ok(accounts) => {
            tracing::info!(accounts, "accounts that were erased after the restored backup are erased again");
        }
        Err(error) => {
            tracing::error!(%error, "accounts that were erased after the restored backup could not be erased again yet");
            let state = state.clone();
            actix_web::rt::spawn(async move {
                while http::erase_again(&state).await.is_err() {
                    tokio::time::sleep(ERASE_AGAIN_AFTER).await;
                }
            });
        }
    }
}

/// Runs until the process ends.
async fn upkeep(coordinator: Coordinator) {
    let resume = async {
        match coordinator.resume_deliveries().await {
            Ok(0) => {}
            Ok(sessions) => tracing::info!(sessions, "sessions go on with deliveries that the restart interrupted"),
            Err(error) => tracing::error!(%error, "the deliveries that the restart interrupted cannot be read"),
        }
    };
    tokio::join!(resume, coordinator.clone().run_maintenance());
}

/// Logs the most important settings. Secrets are never shown.
fn announce(settings: &Settings, address: SocketAddr) {
    tracing::info!(
        version = VERSION,
        %address,
        tls = settings.server.tls.is_some(),
        data = %settings.data.display(),
        store = %settings.store_place(),
        realtime = settings.realtime.provider.name(),
        push = settings.push.base_url,
        tokens = settings.auth.accepted_tokens(),
        "starting"
    );
}

/// Takes backups, also by schedule.
fn backup_service(settings: &Settings, backups: Backups) -> Arc<BackupService> {
    let config::BackupSettings { to, schedule, keep } = settings.backup.clone();
    let destination = to.map(|to| Destination { to, keep });
    let service = BackupService::new(backups, secrets::files_of(&settings.data), destination);
    if let Some(schedule) = schedule {
        actix_web::rt::spawn(service.clone().keep_schedule(schedule));
    }
    service
}

/// The page at `/`.
fn show_start_page(settings: &Settings, state: &Data<AppState>, coordination: &Coordination, token_hint: String) {
    // A weak reference, because the node's parts own the page.
    let state = Arc::downgrade(&state.clone().into_inner());
    let (provider, console) = (coordination.provider.name(), settings.console.enabled);
    // `tandem demo --open` tells its node where its phones are.
    let demo = std::env::var("TANDEM_PHONES").ok().map(|phones| {
        let binary = std::env::current_exe().map_or("tandem".to_owned(), |path| path.display().to_string());
        DemoPlaces { phones, tandem: format!("{binary} --data {}", settings.data.display()) }
    });
    let page = move |request: &HttpRequest| {
        let checks = state.upgrade().map(|state| state.readiness.checks()).unwrap_or_default();
        let (token_hint, demo) = (token_hint.as_str(), demo.as_ref());
        start_page(&StartPage { provider, token_hint, console, demo, checks }, request)
    };
    coordination.provider.set_start_page(Arc::new(page));
}

/// How the console lists the nodes of the fleet. `None` without a fleet.
fn list_fleet(settings: &Settings) -> Option<ListFleet> {
    let Place::Postgres { address, .. } = settings.store_place() else { return None };
    let options = settings.store_options();
    let list = move || store::fleet_nodes(&address, &options).map_err(StoreError::caused_by);
    settings.fleet.enabled.then(|| Arc::new(list) as ListFleet)
}

/// The console, if it is enabled. It records the node's numbers from now on.
fn open_console(
    settings: &Settings,
    state: &Data<AppState>,
    coordination: &Coordination,
    effective: Vec<EffectiveSetting>,
) -> Option<Arc<Console>> {
    let console = settings.console.enabled.then(|| {
        let store = settings.store_place().path().to_owned();
        Console::new(state.clone(), coordination.pusher.clone(), store, effective, list_fleet(settings))
    })?;
    actix_web::rt::spawn(console.clone().keep_history());
    Some(console)
}
