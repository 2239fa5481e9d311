//! A node of a fleet before it owns the database: it stands by until it is needed.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusHandle;
use sha2::{Digest, Sha256};
use tokio::signal::unix::Signal;

use super::{
    StartError,
    application::OpenStore,
    listen::{listen_for_fleet, not_listening},
    stop::StopSignals,
    store,
};
use crate::{
    config::Settings,
    connections::PassedConnections,
    fleet::{Door, Entrance},
    limits::NodeLimits,
    operator::{self, OperatorFile},
    store::{Member, Owner, Place, PostgresError, Sight, Standby, StoreOpenError},
    tls::ServerCertificate,
};

/// The pause after a failed attempt to take over.
const AGAIN: Duration = Duration::from_millis(250);
/// Digits of the digest of the shared settings. They are too few to reveal anything about a secret.
const LIKENESS: usize = 8;

/// This node's place in its fleet, and its address for the other nodes.
pub(super) struct FleetNode {
    pub member: Arc<Member>,
    pub listener: TcpListener,
}

impl FleetNode {
    pub fn new(settings: &Settings) -> Result<Self, StartError> {
        let config = &settings.fleet;
        let listener = listen_for_fleet(config.listen)?;
        let bound = listener.local_addr().map_err(|error| not_listening(config.listen, error))?;
        let address = if config.address.is_empty() { bound.to_string() } else { config.address.clone() };
        let member = Member::new(&config.name, address, likeness(settings), config.lease);
        Ok(Self { member: Arc::new(member), listener })
    }

    /// This node as the owner, for connections that this process passes on to itself.
    pub fn as_owner(&self) -> Result<Owner, StartError> {
        let address = self.listener.local_addr().map_err(StartError::Ended)?.to_string();
        Ok(Owner { address, ..self.member.as_owner() })
    }

    /// The listener for connections from other nodes, with the check of each one.
    pub fn entrance(self) -> (TcpListener, PassedConnections) {
        let (key, member) = (self.member.token.reveal().into(), self.member);
        (self.listener, PassedConnections { key, is_open: Arc::new(move || member.held.holds()) })
    }
}

/// The digest of the settings that must be the same on all nodes of a fleet, because each must accept the others'
/// tokens.
fn likeness(settings: &Settings) -> String {
    let auth = &settings.auth;
    let secret = auth.hs256_secret.as_ref().map(|secret| secret.reveal().to_owned());
    let keys: Vec<_> = settings.realtime.embedded.keys.iter().map(|key| (&key.name, &key.secret)).collect();
    let alike = (secret, &auth.jwks_url, &auth.issuer, settings.realtime.provider.name(), keys);
    let digest = Sha256::digest(format!("{alike:?}"));
    data_encoding::HEXLOWER.encode(&digest)[..LIKENESS].to_owned()
}

/// A node that takes connections for the owner.
pub(super) struct StandingBy {
    standby: Standby,
    door: Door,
    certificate: Option<Arc<ServerCertificate>>,
    _operator: Option<OperatorFile>,
}

impl StandingBy {
    /// Must be called within an actix system.
    pub fn begin(
        settings: &Settings,
        node: &FleetNode,
        (listener, address): (&TcpListener, SocketAddr),
        limits: &NodeLimits,
        certificate: Option<Arc<ServerCertificate>>,
        metrics: PrometheusHandle,
    ) -> Result<Self, StartError> {
        let Place::Postgres { address: database, .. } = settings.store_place() else {
            unreachable!("the settings of a fleet have a database")
        };
        let standby = Standby::begin(&database, &settings.store_options(), &node.member)?;
        let tls = certificate.as_ref().map(|certificate| certificate.server_config()).transpose();
        let entrance = Entrance {
            clients: listener,
            fleet: &node.listener,
            tls: tls.map_err(StartError::tls)?.map(Arc::new),
            head_timeout: settings.server.client_request_timeout,
            registry: limits.connections.clone(),
            metrics,
        };
        let door = Door::open(entrance, standby.sights()).map_err(|error| not_listening(address, error))?;
        metrics::gauge!("tandem_fleet_owner").set(0.0);
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let operator = OperatorFile::write(&settings.data, scheme, address, &operator::fresh_token());
        let operator = operator.inspect_err(|error| tracing::debug!(%error, "no operator file while standing by")).ok();
        let Member { name, address, lease, .. } = &*node.member;
        tracing::info!(name, address, ?lease, "this node is one of a fleet");
        Ok(Self { standby, door, certificate, _operator: operator })
    }

    /// Stands by until this node owns the database, and returns its store. `None` if the node is stopped.
    pub async fn until_needed(
        self,
        settings: &Settings,
        node: &FleetNode,
        signals: &mut StopSignals,
        hangups: &mut Signal,
    ) -> Result<Option<(OpenStore, Door)>, StartError> {
        let mut sights = self.standby.sights();
        let opened = tokio::select! {
            opened = take_over(settings, node, &mut sights) => opened?,
            () = reload_certificate(self.certificate.as_ref(), hangups) => unreachable!("it never returns"),
            () = signals.any() => {
                tracing::info!("stopping");
                self.door.stop().await;
                tracing::info!("stopped");
                return Ok(None);
            }
        };
        Ok(Some((opened, self.door)))
    }
}

async fn take_over(
    settings: &Settings,
    node: &FleetNode,
    sights: &mut tokio::sync::watch::Receiver<Sight>,
) -> Result<OpenStore, StartError> {
    let mut told = String::new();
    loop {
        let sight = sights.borrow_and_update().clone();
        match sight {
            Sight::Owned(owner) => {
                if told != owner.id {
                    tracing::info!(owner = owner.name, address = owner.address, "this node stands by");
                    told = owner.id;
                }
                if sights.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                continue;
            }
            Sight::Free => {}
        }
        let (settings, member) = (settings.clone(), node.member.clone());
        let opening = tokio::task::spawn_blocking(move || store::open(&settings, Some(member)));
        match opening.await.map_err(|error| StartError::Ended(error.into()))? {
            Ok(opened) => {
                tracing::info!("this node owns the database now");
                return Ok(opened);
            }
            Err(StartError::Store(StoreOpenError::Postgres(problem))) if passes(&problem) => {
                tracing::debug!(%problem, "the database was not taken over");
            }
            Err(problem) => return Err(problem),
        }
        // Another node was faster, or the database is away.
        drop(tokio::time::timeout(AGAIN, sights.changed()).await);
    }
}

/// Whether a later try can succeed.
fn passes(problem: &PostgresError) -> bool {
    matches!(
        problem,
        PostgresError::InUse { .. }
            | PostgresError::BeingMade { .. }
            | PostgresError::Unreachable { .. }
            | PostgresError::Failed { .. }
    )
}

/// SIGHUP, while this node stands by. Never returns.
async fn reload_certificate(certificate: Option<&Arc<ServerCertificate>>, hangups: &mut Signal) {
    while hangups.recv().await.is_some() {
        match certificate.map(|certificate| certificate.read_again()) {
            None | Some(Ok(false)) => tracing::info!("SIGHUP: this node stands by; settings wait for a restart"),
            Some(Ok(true)) => tracing::info!("SIGHUP: the certificate was read again"),
            Some(Err(error)) => tracing::error!(%error, "SIGHUP: the certificate stays as it was"),
        }
    }
    std::future::pending::<()>().await;
}
