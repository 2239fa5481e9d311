//! Logs on stderr, metrics for `/metrics`, and traces for a collector.

mod panics;
pub(crate) mod stderr;

use std::{io::IsTerminal, sync::OnceLock};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Deserialize;
use tracing_subscriber::{
    EnvFilter, Layer as _, fmt,
    layer::SubscriberExt,
    registry, reload,
    util::{SubscriberInitExt, TryInitError},
};

use crate::traces::{self, TracesError};

/// Section `telemetry`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// What is logged, in the syntax of `RUST_LOG`. The environment variable takes precedence.
    pub filter: String,
    pub log_format: LogFormat,
    /// The collector that traces are sent to, by OTLP over HTTP. `None`: there are no traces.
    pub otlp_endpoint: Option<String>,
    /// One of this many traces is sent.
    pub otlp_one_in: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self { filter: "info".into(), log_format: LogFormat::Text, otlp_endpoint: None, otlp_one_in: 1 }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("environment variable RUST_LOG: is {found:?}, but must be a filter, as \"info\" or \"warn,tandem=debug\"")]
    Filter { found: String },
    #[error("logging cannot be started: {0}")]
    Logs(#[from] TryInitError),
    #[error(transparent)]
    Traces(#[from] TracesError),
    #[error("metrics cannot be started: {0}")]
    Metrics(#[from] BuildError),
}

/// `RUST_LOG` if it is set and not empty, else the setting. Log lines of actix-http about malformed requests are left
/// out unless the filter names it: any client can cause such lines, and no operator can act on them.
fn filter(config: &TelemetrySettings) -> Result<EnvFilter, TelemetryError> {
    let environment = std::env::var_os(EnvFilter::DEFAULT_ENV).filter(|text| !text.is_empty());
    let text = environment.map_or_else(|| config.filter.clone(), |text| text.to_string_lossy().into_owned());
    let noise = if text.contains("actix_http") { "" } else { ",actix_http=off" };
    EnvFilter::try_new(format!("{text}{noise}")).map_err(|_| TelemetryError::Filter { found: text })
}

type SetFilter = Box<dyn Fn(EnvFilter) + Send + Sync>;
static SET_FILTER: OnceLock<SetFilter> = OnceLock::new();

/// Replaces the filter.
///
/// # Errors
/// If the new filter is malformed. The old filter stays.
pub fn change_filter(config: &TelemetrySettings) -> Result<(), TelemetryError> {
    let filter = filter(config)?;
    if let Some(set) = SET_FILTER.get() {
        set(filter);
    }
    Ok(())
}

/// Starts logging to stderr, panics included, and sending traces if a collector is set. Once per process.
pub fn start(config: &TelemetrySettings) -> Result<(), TelemetryError> {
    match &config.otlp_endpoint {
        None => start_logging(config)?,
        Some(endpoint) => start_logging_and_traces(config, endpoint)?,
    }
    panics::log_panics();
    Ok(())
}

/// The handle fails only after the subscriber is dropped, which never happens.
fn filter_changes_by<S: 'static>(handle: reload::Handle<EnvFilter, S>) {
    let set: SetFilter = Box::new(move |filter| drop(handle.reload(filter)));
    drop(SET_FILTER.set(set));
}

fn start_logging(config: &TelemetrySettings) -> Result<(), TelemetryError> {
    let filter = filter(config)?;
    let logs = fmt().with_env_filter(filter).with_writer(stderr::LogLines).log_internal_errors(false);
    macro_rules! start {
        ($logs:expr) => {{
            let logs = $logs.with_filter_reloading();
            filter_changes_by(logs.reload_handle());
            logs.finish().try_init()?;
        }};
    }
    match config.log_format {
        LogFormat::Text => start!(logs.with_ansi(std::io::stderr().is_terminal())),
        LogFormat::Json => start!(logs.json().flatten_event(true)),
    }
    Ok(())
}

/// Starts the log and the traces. Here the filter applies to the log only, because traces need spans that the log
/// leaves out. This costs more than one filter for everything, so it is not done without traces.
fn start_logging_and_traces(config: &TelemetrySettings, endpoint: &str) -> Result<(), TelemetryError> {
    let (filter, handle) = reload::Layer::new(filter(config)?);
    let logs = fmt::layer().with_writer(stderr::LogLines).log_internal_errors(false);
    let logs = match config.log_format {
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => logs.json().flatten_event(true).boxed(),
    };
    let traces = traces::start(endpoint, config.otlp_one_in)?;
    registry().with(logs.with_filter(filter)).with(traces).try_init()?;
    filter_changes_by(handle);
    Ok(())
}

/// Upper bounds of histograms named `…_seconds`: from a flush to a timeout.
const SECONDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
/// Upper bounds of all other histograms: sizes of groups and batches.
const COUNTS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// Starts the metrics. `render()` returns them in Prometheus' text format. Once per process. The caller must call
/// `run_upkeep()` periodically.
pub fn start_metrics() -> Result<PrometheusHandle, TelemetryError> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&COUNTS)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .install_recorder()?;
    crate::meters::describe();
    Ok(handle)
}
