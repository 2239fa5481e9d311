//! SIGHUP reads again what can change while the node runs: the certificate and the filter of the log. Errors are
//! logged, and the old value stays.

use std::{io, sync::Arc};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    config::{Settings, SettingsError},
    telemetry,
    tls::ServerCertificate,
};

/// Reads the settings from their original sources.
pub type ReadSettings = Box<dyn Fn() -> Result<Settings, SettingsError>>;

pub struct Reload {
    hangups: Signal,
    certificate: Option<Arc<ServerCertificate>>,
    read_settings: ReadSettings,
}

impl Reload {
    /// Registers the signal. Without it, SIGHUP ends the process.
    pub fn new(certificate: Option<Arc<ServerCertificate>>, read_settings: ReadSettings) -> io::Result<Self> {
        Ok(Self { hangups: signal(SignalKind::hangup())?, certificate, read_settings })
    }

    /// Never returns.
    pub async fn run(mut self) {
        while self.hangups.recv().await.is_some() {
            match (self.read_settings)().map(|settings| telemetry::change_filter(&settings.telemetry)) {
                Ok(Ok(())) => tracing::info!("SIGHUP: the log's filter was read again"),
                Ok(Err(error)) => tracing::error!(%error, "SIGHUP: the log's filter stays as it was"),
                Err(error) => tracing::error!(%error, "SIGHUP: the log's filter stays as it was"),
            }
            match self.certificate.as_ref().map(|certificate| certificate.read_again()) {
                None => {}
                Some(Ok(())) => tracing::info!("SIGHUP: the certificate was read again"),
                Some(Err(error)) => tracing::error!(%error, "SIGHUP: the certificate stays as it was"),
            }
        }
    }
}
