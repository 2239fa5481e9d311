//! The composition root: creates the parts of the node, connects them, starts them in order, and stops them.

mod application;
mod error;
mod keys;
mod listen;
mod node;
mod parts;
mod reload;
mod routes;
mod service_manager;
mod store;

use metrics_exporter_prometheus::PrometheusHandle;

use sd_notify::NotifyState;

pub use self::{application::Application, error::StartError, store::missing as missing_store};
use self::{application::StopSignals, reload::Reload};
use crate::config::{self, Settings, Sources};

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
    let application = Application::build(settings, effective, metrics).await?;
    let reload = Reload::new(application.certificate(), application.state(), sources)?;
    actix_web::rt::spawn(reload.run());
    actix_web::rt::spawn(service_manager::report_alive());
    let signals = StopSignals::listen().map_err(StartError::Ended)?;
    let where_it_listens = format!("listening on {}", application.url());
    service_manager::tell(&[NotifyState::Ready, NotifyState::Status(&where_it_listens)]);
    tell(where_it_listens);
    application.run_until_stopped(signals).await.map_err(StartError::Ended)
}
