//! The HTTP server, and the state that its handlers share.

use std::{
    net::TcpListener,
    sync::{Arc, atomic::AtomicBool},
};

use actix_web::{App, dev::Server, web::Data};
use metrics_exporter_prometheus::PrometheusHandle;
use tandem_actors::{
    Coordinator,
    journal::{Journal, JournalStats},
};

use super::{
    StartError, cores,
    fleet::FleetNode,
    keys::signing_key,
    listen::not_listening,
    parts::{Coordination, Durable, DurableThreads},
};
use crate::{
    auth::{Secret, Verifier},
    backups::BackupService,
    config::Settings,
    connections::listen::Service,
    console::{self, Console},
    http::{self, AppState, OperatorChanges, Readiness, RealtimeAccess, front::Front},
    limits::NodeLimits,
    realtime::Provider,
    store::{Member, Rekeying},
    telemetry,
    tls::ServerCertificate,
    users::Users,
};

/// What the routes share, beside the parts of the node.
pub(super) struct Shared {
    pub auth: Arc<Verifier>,
    pub limits: Arc<NodeLimits>,
    pub operator_token: Secret,
    pub stopping: Arc<AtomicBool>,
    pub metrics: PrometheusHandle,
    pub backups: Option<Arc<BackupService>>,
    pub rekeying: Option<Rekeying>,
    pub member: Option<Arc<Member>>,
}

pub(super) fn state(
    settings: &Settings,
    durable: &Durable,
    threads: &DurableThreads,
    coordination: &Coordination,
    shared: Shared,
) -> Result<Data<AppState>, StartError> {
    let Durable { store, journal, clock, .. } = durable.clone();
    let Coordination { coordinator, provider, devices, .. } = coordination;
    let realtime = RealtimeAccess {
        provider: provider.clone(),
        names: settings.realtime.names(),
        config: settings.realtime.clone(),
        signing_key: signing_key(settings)?,
        webhook_key: settings.ably_key().map_err(StartError::setting)?,
        clock: clock.clone(),
    };
    Ok(Data::new(AppState {
        auth: shared.auth,
        users: Arc::new(Users::new(store.clone(), journal.clone(), clock.clone())),
        coordinator: coordinator.clone(),
        devices: devices.clone(),
        realtime,
        readiness: Readiness {
            journal: journal.clone(),
            disk: threads.disk_watch.clone(),
            stopping: shared.stopping,
            member: shared.member,
        },
        metrics: Arc::new(node_metrics(shared.metrics, journal.clone(), coordinator.clone(), shared.limits)),
        operator_token: Some(shared.operator_token),
        service_token: settings.app.service_token.clone(),
        limits: http::RateLimits::new(&settings.server.limits),
        config: settings.server.clone(),
        store,
        backups: shared.backups,
        rekeying: shared.rekeying,
        operator_changes: OperatorChanges::default(),
        journal,
        clock,
    }))
}

fn node_metrics(
    handle: PrometheusHandle,
    journal: Journal,
    coordinator: Coordinator,
    limits: Arc<NodeLimits>,
) -> impl Fn() -> String + Send + Sync + 'static {
    move || {
        limits.measure();
        let JournalStats { flushes, commits, waiting, .. } = journal.stats();
        metrics::counter!("tandem_journal_flushes_total").absolute(flushes);
        metrics::counter!("tandem_journal_commits_total").absolute(commits);
        metrics::gauge!("tandem_journal_waiting").set(waiting as f64);
        metrics::counter!("tandem_log_lost_lines_total").absolute(telemetry::stderr::lost_lines());
        metrics::gauge!("tandem_session_slots").set(coordinator.resident() as f64);
        handle.run_upkeep();
        handle.render()
    }
}

pub(super) fn serve(
    settings: &Settings,
    (listener, fleet): (TcpListener, Option<FleetNode>),
    state: Data<AppState>,
    console: Option<Arc<Console>>,
    provider: Provider,
    limits: &Arc<NodeLimits>,
    certificate: Option<&Arc<ServerCertificate>>,
) -> Result<Server, StartError> {
    let config = &settings.server;
    let (limits, trusted_proxies) = (limits.clone(), config.trusted_proxies.clone());
    let member = fleet.as_ref().map(|node| node.member.clone());
    let front = Arc::new(Front { limits: limits.clone(), trusted_proxies, member });
    let registry = limits.connections.clone();
    let app = move || {
        let (state, console) = (state.clone(), console.clone());
        let (provider, front) = (provider.clone(), front.clone());
        App::new()
            .app_data(Data::from(front.limits.clone()))
            .app_data(Data::from(front.limits.intake.clone()))
            .wrap_fn(move |request, service| front.pass(request, service))
            .configure(crate::debug::configure)
            .configure(move |app| console::configure(app, console))
            // The API first: services are tried in order, and most of Ably's routes cost a regular expression each.
            .configure(move |app| http::configure(app, state))
            .configure(move |app| provider.mount(app))
    };
    let tls = certificate.map(|certificate| certificate.server_config()).transpose();
    let tls = tls.map_err(StartError::tls)?.map(Arc::new);
    let service = Service {
        workers: if config.workers == 0 { cores() } else { config.workers },
        keep_alive: config.keep_alive,
        head_timeout: config.client_request_timeout,
        shutdown_timeout: config.shutdown_timeout,
        tls,
        registry,
        passed: fleet.map(FleetNode::entrance),
    };
    service.serve(listener, app).map_err(|error| not_listening(config.listen, error))
}
