//! The composition root: creates the parts of the node, connects them, starts them in order, and stops them.

mod application;
mod error;
mod fleet;
mod keys;
mod listen;
mod node;
mod parts;
mod reload;
mod routes;
mod service_manager;
mod stop;
mod store;

use metrics_exporter_prometheus::PrometheusHandle;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub use self::{application::Application, error::StartError, store::missing as missing_store};
use self::{
    application::{ListeningNode, certificate},
    fleet::{FleetNode, StandingBy},
    reload::Reload,
    stop::StopSignals,
};
use crate::config::{self, EffectiveSetting, Settings, Sources};

/// The number of processor cores.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Runs a node until it stops. `tell` gets the line that says where it listens. SIGHUP reads `sources` again.
pub async fn run(
    settings: Settings,
    sources: Sources,
    metrics: PrometheusHandle,
    tell: fn(String),
) -> Result<(), StartError> {
    let effective = config::effective(&sources).map_err(StartError::setting)?;
    crate::tls::install_provider();
    let entered = ListeningNode::new(&settings)?;
    if settings.fleet.enabled {
        return run_in_fleet(settings, sources, effective, metrics, entered, tell).await;
    }
    // The store comes before the secrets: a secret is a sign that there was a store.
    let opened = store::open(&settings, None)?;
    let certificate = certificate(&settings)?;
    let application = Application::build(settings, effective, metrics, entered, opened, certificate, None).await?;
    let reload = Reload::new(hangups()?, application.certificate(), application.state(), sources)?;
    actix_web::rt::spawn(reload.run());
    actix_web::rt::spawn(service_manager::report_alive());
    let signals = StopSignals::listen().map_err(StartError::Ended)?;
    announce(&application.url(), tell);
    application.run_until_stopped(signals).await.map_err(StartError::Ended)
}

/// Stands by until the database has no other owner, and is then a node as any other.
async fn run_in_fleet(
    settings: Settings,
    sources: Sources,
    effective: Vec<EffectiveSetting>,
    metrics: PrometheusHandle,
    entered: ListeningNode,
    tell: fn(String),
) -> Result<(), StartError> {
    let certificate = certificate(&settings)?;
    let node = FleetNode::new(&settings)?;
    let mut hangups = hangups()?;
    let mut signals = StopSignals::listen().map_err(StartError::Ended)?;
    let shown = certificate.0.clone();
    let standing_by = StandingBy::begin(
        &settings,
        &node,
        (&entered.listener, entered.address),
        &entered.limits,
        shown.clone(),
        metrics.clone(),
    )?;
    actix_web::rt::spawn(service_manager::report_alive());
    announce(&entered.url(shown.is_some()), tell);
    let needed = standing_by.until_needed(&settings, &node, &mut signals, &mut hangups).await?;
    let Some((opened, door)) = needed else { return Ok(()) };
    let (member, owner) = (node.member.clone(), node.as_owner()?);
    let connections = entered.limits.connections.clone();
    let application =
        Application::build(settings, effective, metrics, entered, opened, certificate, Some(node)).await?;
    door.close(owner);
    actix_web::rt::spawn(crate::fleet::watch_lease(member, connections));
    let reload = Reload::new(hangups, application.certificate(), application.state(), sources)?;
    actix_web::rt::spawn(reload.run());
    application.run_until_stopped(signals).await.map_err(StartError::Ended)
}

/// SIGHUP, from when this is called. Without it, SIGHUP ends the process.
fn hangups() -> Result<Signal, StartError> {
    signal(SignalKind::hangup()).map_err(StartError::Ended)
}

fn announce(url: &str, tell: fn(String)) {
    let where_it_listens = format!("listening on {url}");
    service_manager::tell(&[NotifyState::Ready, NotifyState::Status(&where_it_listens)]);
    tell(where_it_listens);
}
