//! HTTP over guarded connections, plain or with TLS.

use std::{
    fmt::Debug,
    future::ready,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_http::{HttpService, KeepAlive, Protocol, Request, Response, body::MessageBody, error::DispatchError};
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::{Error, dev::AppConfig, rt::net::TcpStream};
use socket2::SockRef;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{GuardedSocket, PassedConnections, Registry, refusal::ConnectionRefusal};
use crate::tls::ACME_CHALLENGE;

/// How long a client may take to close a connection that the node ends.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How a listener is served.
pub struct Service {
    pub workers: usize,
    pub keep_alive: Duration,
    /// For the head of a connection's first request, and for its TLS handshake.
    pub head_timeout: Duration,
    pub shutdown_timeout: Duration,
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub registry: Arc<Registry>,
    /// Connections that other nodes of the fleet pass on.
    pub passed: Option<(TcpListener, PassedConnections)>,
}

impl Service {
    /// Serves an application on a listener until the server is stopped. The caller handles signals.
    ///
    /// # Errors
    /// If the listener cannot be used.
    pub fn serve<F, I, S, B>(self, listener: TcpListener, app: F) -> io::Result<Server>
    where
        F: Fn() -> I + Send + Clone + 'static,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig> + 'static,
        S::Error: Into<Error> + 'static,
        S::InitError: Debug,
        S::Response: Into<Response<B>> + 'static,
        S::Service: 'static,
        B: MessageBody + 'static,
    {
        let builder = Server::build()
            .workers(self.workers)
            .shutdown_timeout(self.shutdown_timeout.as_secs())
            .max_concurrent_connections(usize::MAX / 2)
            .disable_signals();
        let stopping = builder.graceful_shutdown_signal();
        macro_rules! http {
            ($io:ty, $handle:expr, $app:expr, $stopping:expr) => {{
                let stopping = $stopping.clone();
                HttpService::build()
                    .graceful_shutdown_signal(move || {
                        let stopping = stopping.clone();
                        async move { stopping.notified().await }
                    })
                    .keep_alive(KeepAlive::Timeout(self.keep_alive))
                    .client_request_timeout(self.head_timeout)
                    .client_disconnect_timeout(DISCONNECT_TIMEOUT)
                    .on_connect_ext(|io: &$io, data| drop(data.insert($handle(io).handle().clone())))
                    .finish(map_config(
                        $app().into_factory().map_err(|error: S::Error| error.into().error_response()),
                        |()| AppConfig::default(),
                    ))
            }};
        }
        let builder = match self.passed {
            None => builder,
            Some((listener, gate)) => {
                let (app, registry, stopping) = (app.clone(), self.registry.clone(), stopping.clone());
                builder.listen("fleet", listener, move || {
                    let (registry, gate) = (registry.clone(), gate.clone());
                    let accept = fn_service(move |stream: TcpStream| {
                        let (registry, gate) = (registry.clone(), gate.clone());
                        async move { passed(stream, &registry, &gate).await }
                    });
                    accept.and_then(http!(GuardedSocket<TcpStream>, itself, app, stopping))
                })?
            }
        };
        let registry = self.registry.clone();
        match self.tls.clone() {
            None => builder.listen("tandem", listener, move || {
                let registry = registry.clone();
                let accept = fn_service(move |stream: TcpStream| ready(plain(stream, &registry)));
                accept.and_then(http!(GuardedSocket<TcpStream>, itself, app, stopping))
            }),
            Some(tls) => builder.listen("tandem", listener, move || {
                let (registry, timeout) = (registry.clone(), self.head_timeout);
                let acceptor = TlsAcceptor::from(tls.clone());
                let accept = fn_service(move |stream: TcpStream| {
                    let (registry, acceptor) = (registry.clone(), acceptor.clone());
                    async move { encrypted(stream, &registry, acceptor, timeout).await }
                });
                accept.and_then(http!(TlsStream<GuardedSocket<TcpStream>>, below, app, stopping))
            }),
        }
        .map(actix_server::ServerBuilder::run)
    }
}

type AcceptedStream<S> = Result<(S, Protocol, Option<SocketAddr>), DispatchError>;

fn plain(stream: TcpStream, registry: &Arc<Registry>) -> AcceptedStream<GuardedSocket<TcpStream>> {
    let peer = stream.peer_addr()?;
    // Without it, a second small frame waits up to 40 ms for the client's delayed acknowledgement.
    stream.set_nodelay(true)?;
    match registry.admit(peer) {
        Ok(admitted) => Ok((admitted.guard(stream), Protocol::Http1, Some(peer))),
        Err(refusal) => {
            // Sent without waiting. A client that does not read yet misses it.
            drop(SockRef::from(&stream).send(refusal.answer().as_bytes()));
            Err(refused())
        }
    }
}

/// A connection that another node of the fleet passes on. Its client is the one that the node names.
async fn passed(
    mut stream: TcpStream,
    registry: &Arc<Registry>,
    gate: &PassedConnections,
) -> AcceptedStream<GuardedSocket<TcpStream>> {
    stream.set_nodelay(true)?;
    let client = gate.read(&mut stream).await.inspect_err(|error| {
        tracing::debug!(%error, "a connection to fleet.listen was not taken");
    })?;
    match registry.admit(client) {
        Ok(admitted) => {
            PassedConnections::take(&mut stream).await?;
            Ok((admitted.guard(stream), Protocol::Http1, Some(client)))
        }
        // The connection is not taken, so that it can be passed to the next owner.
        Err(ConnectionRefusal::Stopping) => Err(refused()),
        Err(refusal) => {
            PassedConnections::take(&mut stream).await?;
            drop(SockRef::from(&stream).send(refusal.answer().as_bytes()));
            Err(refused())
        }
    }
}

async fn encrypted(
    stream: TcpStream,
    registry: &Arc<Registry>,
    acceptor: TlsAcceptor,
    timeout: Duration,
) -> AcceptedStream<TlsStream<GuardedSocket<TcpStream>>> {
    let peer = stream.peer_addr()?;
    stream.set_nodelay(true)?;
    let guarded = registry.admit(peer).map_err(|_| refused())?.guard(stream);
    let shaken = tokio::time::timeout(timeout, acceptor.accept(guarded)).await;
    let stream = shaken.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    if stream.get_ref().1.alpn_protocol() == Some(ACME_CHALLENGE) {
        // The authority only needed the handshake, to see the certificate.
        return Err(refused());
    }
    Ok((stream, Protocol::Http1, Some(peer)))
}

fn itself(io: &GuardedSocket<TcpStream>) -> &GuardedSocket<TcpStream> {
    io
}

fn below(io: &TlsStream<GuardedSocket<TcpStream>>) -> &GuardedSocket<TcpStream> {
    io.get_ref().0
}

fn refused() -> DispatchError {
    DispatchError::Io(io::Error::from(io::ErrorKind::ConnectionRefused))
}
