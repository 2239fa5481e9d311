//! The composition root: which part is given which, in what order they start, and how they stop.

mod application;
mod error;
mod keys;
mod listen;
mod node;
mod parts;
mod reload;
mod routes;
mod store;

use metrics_exporter_prometheus::PrometheusHandle;

use self::reload::{ReadSettings, Reload};
pub use self::{application::Application, error::StartError, store::missing as missing_store};
use crate::config::Settings;

/// The number of processor cores.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Runs a node until it stops. `tell` gets the line that says where it listens. `read_settings` is called on SIGHUP.
pub async fn run(
    settings: Settings,
    metrics: PrometheusHandle,
    tell: fn(String),
    read_settings: ReadSettings,
) -> Result<(), StartError> {
    let application = Application::build(settings, metrics).await?;
    let reload = Reload::new(application.certificate(), read_settings).map_err(StartError::Thread)?;
    actix_web::rt::spawn(reload.run());
    tell(format!("listening on {}", application.url()));
    application.run_until_stopped().await.map_err(StartError::Ended)
}
