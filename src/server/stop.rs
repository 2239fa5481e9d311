//! The signals to stop, and the end of all requests and connections.

use std::{
    future::pending,
    io,
    pin::Pin,
    time::{Duration, Instant},
};

use actix_web::dev::{Server, ServerHandle};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

use crate::{connections::Registry, realtime::Provider};

/// A stopping node waits this long for request bodies that are on their way, and for clients that read slowly.
const BODIES_MAY_TAKE: Duration = Duration::from_millis(500);
/// How long it takes at most to say goodbye to all WebSockets.
const LONGEST_GOODBYE: Duration = Duration::from_secs(1);
/// How long connections may take to close.
const CLOSING_MAY_TAKE: Duration = Duration::from_millis(200);

/// SIGTERM and SIGINT. It is made before the node reports that it runs.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Accepts no more connections, says goodbye to WebSockets, and returns when no request is under way. What only waits
/// for its client is awaited for a moment.
pub(super) async fn end_calls(
    http: Pin<&mut Server>,
    handle: ServerHandle,
    provider: &Provider,
    connections: &Registry,
    timeout: Duration,
) {
    connections.stop();
    // It looks once a second whether its connections are closed. Nobody waits for that.
    let server = async {
        tokio::join!(handle.stop(true), async { drop(http.await) });
        pending::<()>().await;
    };
    let bodies = async {
        sleep(BODIES_MAY_TAKE.min(timeout / 2)).await;
        connections.end_bodies();
        pending::<()>().await;
    };
    let calls = async {
        provider.stop(timeout.mul_f64(0.3).min(LONGEST_GOODBYE)).await;
        closed(connections).await;
    };
    tokio::select! { () = server => {} () = bodies => {} () = calls => {} }
}

/// Waits until all connections are closed, or only wait for their clients.
async fn closed(connections: &Registry) {
    let until = Instant::now() + CLOSING_MAY_TAKE;
    while !connections.is_empty() && (Instant::now() < until || connections.end_all_but_busy() > 0) {
        sleep(Duration::from_millis(5)).await;
    }
}
