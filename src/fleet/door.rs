//! The connections of a node that stands by. It takes them like the owner, and passes them on to the owner.

use std::{io, net::TcpListener, rc::Rc, sync::Arc, time::Duration};

use actix_web::rt::{self, net::TcpStream, task::JoinHandle};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::pass::{self, PassState};
use crate::{
    connections::Registry,
    store::{Owner, Sight},
};

/// The pause after an error of the system, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
/// A stop waits this long for connections to become quiet, and then ends all.
const STOP_WITHIN: Duration = Duration::from_secs(5);
const STOP_LOOKS_EVERY: Duration = Duration::from_millis(20);

/// The listeners of a node.
pub struct Entrance<'a> {
    /// For clients.
    pub clients: &'a TcpListener,
    /// For other nodes.
    pub fleet: &'a TcpListener,
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// For the head of a connection's first request, and for its TLS handshake.
    pub head_timeout: Duration,
    pub registry: Arc<Registry>,
    pub metrics: PrometheusHandle,
}

/// Passes connections on until [`Door::close`]. Connections that it has taken before then continue.
pub struct Door {
    owner: Rc<watch::Sender<Option<Owner>>>,
    registry: Arc<Registry>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Door {
    /// Must be called within an actix system.
    ///
    /// # Errors
    /// If the listeners cannot be used.
    pub fn open(entrance: Entrance<'_>, mut sights: watch::Receiver<Sight>) -> io::Result<Self> {
        let Entrance { clients, fleet, tls, head_timeout, registry, metrics } = entrance;
        let (clients, fleet) = (listener(clients)?, listener(fleet)?);
        let (owner, owners) = watch::channel(owner_in(&sights.borrow_and_update()));
        let (owner, (stop, stopping)) = (Rc::new(owner), watch::channel(false));
        let tls = tls.map(TlsAcceptor::from);
        let passing = PassState { owners, stopping, tls, head_timeout, registry: registry.clone(), metrics };
        let passing = Rc::new(passing);
        let tell = owner.clone();
        let tasks = vec![
            rt::spawn(accept(clients, move |stream| drop(rt::spawn(pass::on(stream, passing.clone()))))),
            // Another node takes this one for the owner. The closed connection makes it read the owner again.
            rt::spawn(accept(fleet, drop)),
            rt::spawn(async move {
                while sights.changed().await.is_ok() {
                    let sight = owner_in(&sights.borrow_and_update());
                    // Connections to a former owner end when they see this.
                    tell.send_replace(sight);
                }
            }),
        ];
        Ok(Self { owner, registry, stop, tasks })
    }

    /// Takes no more connections, because this node is the owner now and serves them itself. Connections that wait for
    /// an owner are passed on to it.
    pub fn close(self, owner: Owner) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.owner.send_replace(Some(owner));
        // The connections that were passed on keep their state alive.
        rt::spawn(async move { self.owner.closed().await });
    }

    /// Takes no more connections, and ends the present ones as soon as they are quiet.
    pub async fn stop(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.registry.stop();
        self.stop.send_replace(true);
        let ended = async {
            while !self.registry.is_empty() {
                tokio::time::sleep(STOP_LOOKS_EVERY).await;
            }
        };
        drop(tokio::time::timeout(STOP_WITHIN, ended).await);
    }
}

fn owner_in(sight: &Sight) -> Option<Owner> {
    match sight {
        Sight::Owned(owner) => Some(owner.clone()),
        Sight::Free => None,
    }
}

fn listener(listener: &TcpListener) -> io::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::from_std(listener.try_clone()?)
}

async fn accept(listener: tokio::net::TcpListener, take: impl Fn(TcpStream)) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => take(stream),
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
