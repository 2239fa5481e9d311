//! The composition root: which part meets which, in what order they start, and how they stop.

mod error;
mod keys;
mod listen;
mod node;
mod reload;
mod store;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::{App, dev::Server, web::Data};
use metrics_exporter_prometheus::PrometheusHandle;
use tandem_actors::{
    Arbiters, Coordinator,
    journal::{self, Journal},
    ports::{Clock, Push, Realtime, Store, StoreError},
    session::Shell,
};
use tokio::signal::unix::{SignalKind, signal};

pub use self::{error::StartError, store::missing as missing_store};
use self::{
    keys::{complete, signing_key},
    listen::{listen, not_listening},
    node::Node,
    reload::{ReadSettings, Reload},
};
use crate::{
    auth::Verifier,
    config::Settings,
    connections::listen::Service,
    http::{self, State, front::Front},
    limits::Limits,
    operator::{self, OperatorFile},
    push::{Devices, Pusher},
    realtime::Provider,
    store::{DiskWatch, StallWatch},
    system::{RandomIds, SystemClock},
    telemetry,
    tls::ServerCertificate,
    users::Users,
    wiring::{
        accounts::Accounts,
        readiness::NodeReadiness,
        realtime::{AblyReports, Access},
        sessions::{Sessions, TokenScope},
    },
};

/// The store failed while the node was running.
const EXIT_STORE_FAILED: i32 = 70;

/// How long a stop waits for bodies that are on their way.
const BODIES_MAY_TAKE: Duration = Duration::from_secs(1);

/// A node that listens and is ready to run.
pub struct Application {
    address: SocketAddr,
    scheme: &'static str,
    certificate: Option<Arc<ServerCertificate>>,
    http: Server,
    node: Node,
}

impl Application {
    /// Opens the store, starts everything and listens; nothing is served before [`Application::run_until_stopped`]. Must be called within an
    /// actix system.
    pub async fn build(mut settings: Settings, metrics: PrometheusHandle) -> Result<Self, StartError> {
        crate::tls::install_provider();
        let listener = listen(settings.server.listen)?;
        let address = listener.local_addr().map_err(|error| not_listening(settings.server.listen, &error))?;
        // The store first: a secret says that there is one.
        let store = self::store::open(&settings)?;
        crate::files::mend_modes(&settings.data, &settings.store_location().path);
        let token_hint = complete(&mut settings)?;
        let operator_token = operator::fresh_token();
        announce(&settings, address);
        let noted = tandem_actors::noted_time(&*store)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(noted, settings.sessions.clock_believed_after));
        let (journal, writer) =
            Journal::start(store.clone(), settings.journal_limits(), stop_at_once).map_err(StartError::Thread)?;
        let stall_watch = StallWatch::start(journal.clone()).map_err(StartError::Thread)?;
        let disk_watch = DiskWatch::start(&settings.store_location(), settings.store.min_free, journal.clone());
        let disk_watch = Arc::new(disk_watch.map_err(StartError::Thread)?);
        let devices = Devices::new(store.clone(), journal.clone(), clock.clone(), settings.push.devices_per_user)?;
        let provider = Provider::new(&settings.realtime, address, clock.clone(), store.clone(), journal.clone())
            .map_err(StartError::Setting)?;
        provider.take_over(&settings.data);

        let shell = Arc::new(shell(&settings, &store, &journal, &clock, provider.port(), &devices));
        let arbiters = Arbiters::start(cores());
        let coordinator = Coordinator::new(shell.clone(), arbiters.clone(), settings.supervision());
        coordinator.index_sessions().await?;
        provider.report_to(Arc::new(coordinator.clone()));
        let check = Arc::new(coordinator.clone());
        let pusher =
            Pusher::start(settings.push.clone(), store.clone(), journal.clone(), clock.clone(), check, devices.clone())
                .map_err(|error| StartError::Setting(error.to_string()))?;
        let port: Arc<dyn Push> = pusher.clone();
        if shell.push.set(port).is_err() {
            unreachable!("the shell was made above, and nobody else has it");
        }

        let limits = Arc::new(settings.limits.limits(&settings.server));
        let auth = Arc::new(Verifier::new(&settings.auth, clock.clone())?);
        auth.warm_up().await;
        let refreshing = auth.clone();
        actix_web::rt::spawn(async move { refreshing.keep_keys_fresh().await });
        let stopping = Arc::new(AtomicBool::new(false));
        let state = Data::new(State {
            auth,
            users: Arc::new(Users::new(store.clone(), journal.clone(), clock.clone())),
            coordinator: Arc::new(Sessions {
                coordinator: coordinator.clone(),
                store: store.clone(),
                journal: journal.clone(),
                clock: clock.clone(),
                scope: TokenScope {
                    most: settings.realtime.token_sessions,
                    resolved_for: settings.realtime.resolved_access,
                },
                live_per_user: settings.sessions.live_per_user,
            }),
            push: Arc::new(Accounts(devices)),
            realtime: Arc::new(Access {
                provider: provider.clone(),
                names: settings.realtime.names(),
                config: settings.realtime.clone(),
                key: signing_key(&settings)?,
                clock: clock.clone(),
            }),
            webhooks: Arc::new(AblyReports {
                key: settings.ably_key().map_err(StartError::Setting)?,
                names: settings.realtime.names(),
                sink: Arc::new(coordinator.clone()),
            }),
            readiness: Arc::new(NodeReadiness {
                journal: journal.clone(),
                disk: disk_watch.clone(),
                stopping: stopping.clone(),
            }),
            metrics: Arc::new(node_metrics(metrics, journal.clone(), coordinator.clone(), limits.clone())),
            operator_token: Some(operator_token.clone()),
            service_token: settings.app.service_token.clone(),
            limits: http::RateLimits::from_config(&settings.server),
            config: settings.server.clone(),
            store: store.clone(),
            journal: journal.clone(),
            clock,
        });
        provider.set_start_page(token_hint);
        limits.connections.watch().map_err(StartError::Thread)?;
        let tls = settings.server.tls.as_ref().map(|tls| ServerCertificate::read(&tls.certificate, &tls.key));
        let certificate = tls.transpose().map_err(StartError::Tls)?;
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let http = serve(&settings, listener, state, provider.clone(), limits.clone(), certificate.as_ref())?;
        // A full disk must not keep anybody from reading what is stored.
        let operator = OperatorFile::write(&settings.data, scheme, address, &operator_token)
            .inspect_err(|error| {
                tracing::warn!(%error, data = %settings.data.display(), "`tandem session` will not find this node");
            })
            .ok();
        let node = Node {
            coordinator,
            arbiters,
            provider,
            pusher,
            journal,
            writer,
            store,
            watches: (stall_watch, disk_watch),
            stopping,
            shutdown_timeout: settings.server.shutdown_timeout,
            limits,
            operator,
            data: settings.data.clone(),
        };
        Ok(Self { address, scheme, certificate, http, node })
    }

    /// `http://ADDR:PORT`
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Serves until SIGTERM or SIGINT; then stops accepting, finishes what is behind the gate, says goodbye to connections, and returns when
    /// all of it is on disk.
    pub async fn run_until_stopped(self) -> io::Result<()> {
        let Self { http, node, .. } = self;
        let woken = node.coordinator.drain_outboxes().map_err(io::Error::other)?;
        if woken > 0 {
            tracing::info!(sessions = woken, "telling what was left to tell");
        }
        let house = actix_web::rt::spawn(node.coordinator.clone().keep_house());
        let handle = http.handle();
        let mut serving = std::pin::pin!(http);
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            ended = &mut serving => return ended,
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        house.abort();
        let timeout = node.shutdown_timeout;
        node.stopping.store(true, Ordering::Release);
        node.limits.connections.stop();
        let connections = node.limits.connections.clone();
        actix_web::rt::spawn(async move {
            tokio::time::sleep(BODIES_MAY_TAKE.min(timeout / 2)).await;
            connections.end_bodies();
        });
        let (provider, goodbye) = (node.provider.clone(), timeout.mul_f64(0.3).min(Duration::from_secs(5)));
        let nobody_calls = async move {
            tokio::join!(handle.stop(true), provider.stop(goodbye), async { drop(serving.await) });
        };
        node.stop_after(nobody_calls, timeout).await;
        Ok(())
    }
}

/// What somebody who reads the log of a strange node wants to know first. Secrets are named, never shown.
fn announce(settings: &Settings, address: SocketAddr) {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        %address,
        tls = settings.server.tls.is_some(),
        data = %settings.data.display(),
        store = %settings.store_location(),
        realtime = settings.realtime.provider.name(),
        push = settings.push.base_url,
        tokens = settings.auth.ways(),
        "starting"
    );
}

fn shell(
    settings: &Settings,
    store: &Arc<dyn Store>,
    journal: &Journal,
    clock: &Arc<dyn Clock>,
    realtime: Arc<dyn Realtime>,
    devices: &Arc<Devices>,
) -> Shell {
    Shell {
        store: store.clone(),
        journal: journal.clone(),
        clock: clock.clone(),
        ids: Arc::new(RandomIds),
        realtime,
        devices: devices.clone(),
        push: OnceLock::new(),
        domain: settings.domain(),
        delivery: settings.delivery(),
        residency: settings.residency(),
    }
}

fn node_metrics(
    handle: PrometheusHandle,
    journal: Journal,
    coordinator: Coordinator,
    limits: Arc<Limits>,
) -> impl Fn() -> String + Send + Sync + 'static {
    move || {
        limits.measure();
        let journal::JournalStats { flushes, commits, waiting, .. } = journal.stats();
        metrics::counter!("tandem_journal_flushes_total").absolute(flushes);
        metrics::counter!("tandem_journal_commits_total").absolute(commits);
        metrics::gauge!("tandem_journal_waiting").set(waiting as f64);
        metrics::counter!("tandem_log_lost_lines_total").absolute(telemetry::stderr::lost_lines());
        metrics::gauge!("tandem_session_slots").set(coordinator.resident() as f64);
        handle.run_upkeep();
        handle.render()
    }
}

fn serve(
    settings: &Settings,
    listener: TcpListener,
    state: Data<State>,
    provider: Provider,
    limits: Arc<Limits>,
    certificate: Option<&Arc<ServerCertificate>>,
) -> Result<Server, StartError> {
    let config = &settings.server;
    let front = Arc::new(Front { limits: limits.clone(), trusted_proxies: config.trusted_proxies.clone() });
    let registry = limits.connections.clone();
    let app = move || {
        let (state, provider, front) = (state.clone(), provider.clone(), front.clone());
        App::new()
            .app_data(Data::from(front.limits.clone()))
            .app_data(Data::from(front.limits.intake.clone()))
            .wrap_fn(move |request, service| front.pass(request, service))
            .configure(crate::debug::configure)
            .configure(move |app| provider.mount(app))
            .configure(move |app| http::configure(app, state))
    };
    let tls = certificate.as_ref().map(|certificate| certificate.server_config()).transpose();
    let tls = tls.map_err(|error| StartError::Tls(error.to_string()))?.map(Arc::new);
    let service = Service {
        workers: if config.workers == 0 { cores() } else { config.workers },
        keep_alive: config.keep_alive,
        head_timeout: config.client_request_timeout,
        shutdown_timeout: config.shutdown_timeout,
        tls,
        registry,
    };
    service.serve(listener, app).map_err(|error| not_listening(config.listen, &error))
}

pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Nothing can be acknowledged any more, and a failed sync is never tried again: the process ends, and the next one reads what is
/// there.
fn stop_at_once(error: &StoreError) {
    tracing::error!(%error, "the store failed; nothing more can be acknowledged, the node ends");
    let advice = "check the disk, then start again: everything that was answered is there";
    telemetry::stderr::say(format_args!("tandem: {error}; {advice}"));
    telemetry::stderr::flush();
    std::process::exit(EXIT_STORE_FAILED);
}

/// Runs a node to its end. `tell` gets the line that says where it listens; `read_settings` is asked on SIGHUP.
pub async fn run(
    settings: Settings,
    metrics: PrometheusHandle,
    tell: fn(String),
    read_settings: ReadSettings,
) -> Result<(), StartError> {
    let application = Application::build(settings, metrics).await?;
    let reload = Reload::new(application.certificate.clone(), read_settings).map_err(StartError::Thread)?;
    actix_web::rt::spawn(reload.run());
    tell(format!("listening on {}", application.url()));
    application.run_until_stopped().await.map_err(|error| StartError::Setting(format!("the server ended: {error}")))
}
