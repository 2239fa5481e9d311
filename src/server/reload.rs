//! SIGHUP reads again what can change while the node runs: the certificate, the filter of the log, and the limits of
//! requests. Errors are logged, and the old value stays. Other settings wait for a restart; the log names those that
//! were changed.

use std::sync::Arc;

use actix_web::web::Data;
use sd_notify::NotifyState;
use tokio::signal::unix::Signal;

use super::{
    StartError,
    service_manager::{tell, tell_reloading},
};
use crate::{
    config::{EffectiveSetting, Settings, Sources, effective},
    http::AppState,
    telemetry,
    tls::ServerCertificate,
};

/// What SIGHUP applies: a setting, or a section that ends with a dot.
const APPLIED: [&str; 2] = ["telemetry.filter", "server.limits."];

pub struct Reload {
    hangups: Signal,
    certificate: Option<Arc<ServerCertificate>>,
    state: Data<AppState>,
    sources: Sources,
    /// The settings that the node started with.
    at_start: Vec<EffectiveSetting>,
}

impl Reload {
    pub fn new(
        hangups: Signal,
        certificate: Option<Arc<ServerCertificate>>,
        state: Data<AppState>,
        sources: Sources,
    ) -> Result<Self, StartError> {
        let at_start = effective(&sources).map_err(StartError::setting)?;
        Ok(Self { hangups, certificate, state, sources, at_start })
    }

    /// Never returns.
    pub async fn run(mut self) {
        while self.hangups.recv().await.is_some() {
            tell_reloading();
            match Settings::load(&self.sources) {
                Ok(settings) => self.apply(&settings),
                Err(error) => tracing::error!(%error, "SIGHUP: the settings stay as they were"),
            }
            match self.certificate.as_ref().map(|certificate| certificate.read_again()) {
                None | Some(Ok(false)) => {}
                Some(Ok(true)) => tracing::info!("SIGHUP: the certificate was read again"),
                Some(Err(error)) => tracing::error!(%error, "SIGHUP: the certificate stays as it was"),
            }
            tell(&[NotifyState::Ready]);
        }
    }

    fn apply(&self, settings: &Settings) {
        self.state.limits.change(&settings.server.limits);
        match telemetry::change_filter(&settings.telemetry) {
            Ok(()) => tracing::info!("SIGHUP: the log's filter was read again, and so were the limits of requests"),
            Err(error) => tracing::error!(%error, "SIGHUP: the log's filter stays as it was"),
        }
        let settings = match effective(&self.sources) {
            Ok(read) => self.waiting(&read),
            Err(error) => return tracing::error!(%error, "SIGHUP: the settings cannot be compared"),
        };
        if !settings.is_empty() {
            tracing::warn!(settings = settings.join(" "), "SIGHUP: these settings were changed and wait for a restart");
        }
    }

    /// The changed settings that only a restart applies. Secrets look alike here.
    fn waiting(&self, read: &[EffectiveSetting]) -> Vec<String> {
        let applied =
            |key: &str| APPLIED.iter().any(|name| key == *name || (name.ends_with('.') && key.starts_with(name)));
        let changed = self.at_start.iter().zip(read).filter(|(old, new)| old.value != new.value);
        changed.map(|(_, new)| new.key.clone()).filter(|key| !applied(key)).collect()
    }
}
