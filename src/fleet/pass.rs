//! One connection to a node that stands by. Its bytes are passed on to the owner unchanged. Only the first line is
//! read, to recognise requests about this node.

use std::{cell::Cell, io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use actix_web::rt::net::TcpStream;
use metrics_exporter_prometheus::PrometheusHandle;
use socket2::SockRef;
use tandem_intake::Handle;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::answers::{Question, no_owner};
use crate::{
    connections::{Registry, pass_to},
    store::Owner,
};

/// How long a connection waits for an owner to take it.
const WAIT: Duration = Duration::from_secs(5);
const TRY_EVERY: Duration = Duration::from_millis(50);
/// Bytes that are read before the owner is asked.
const FIRST: usize = 8 * 1024;
/// The buffer of one direction, in bytes.
const PIECE: usize = 8 * 1024;
/// How long the last bytes of an answer may take to reach the client.
const GOODBYE: Duration = Duration::from_secs(2);
/// A stopping node ends a connection if the last bytes came from the owner and are this old.
const QUIET: Duration = Duration::from_millis(300);

/// The state that all connections share.
pub(super) struct PassState {
    pub owners: watch::Receiver<Option<Owner>>,
    pub stopping: watch::Receiver<bool>,
    pub tls: Option<TlsAcceptor>,
    pub head_timeout: Duration,
    pub registry: Arc<Registry>,
    pub metrics: PrometheusHandle,
}

/// The two ends of a connection.
#[derive(Clone, Copy)]
struct Ends {
    client: SocketAddr,
    here: SocketAddr,
}

pub(super) async fn on(stream: TcpStream, passing: Rc<PassState>) {
    if let Err(error) = admit(stream, &passing).await {
        tracing::debug!(%error, "a connection that was passed on ended");
    }
}

async fn admit(stream: TcpStream, passing: &PassState) -> io::Result<()> {
    let ends = Ends { client: stream.peer_addr()?, here: stream.local_addr()? };
    stream.set_nodelay(true)?;
    let guarded = match passing.registry.admit(ends.client) {
        Ok(admitted) => admitted.guard(stream),
        Err(refusal) if passing.tls.is_none() => {
            return SockRef::from(&stream).send(refusal.answer().as_bytes()).map(drop);
        }
        Err(_) => return Ok(()),
    };
    let handle = guarded.handle().clone();
    match &passing.tls {
        None => serve(guarded, ends, &handle, passing).await,
        Some(tls) => serve(timeout(passing.head_timeout, tls.accept(guarded)).await??, ends, &handle, passing).await,
    }
}

async fn serve<S>(mut client: S, ends: Ends, handle: &Handle, passing: &PassState) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::with_capacity(1_024);
    // The registry ends a connection whose client is too slow.
    read_until(&mut client, &mut head, b"\n").await?;
    if head.is_empty() {
        return Ok(());
    }
    if let Some(question) = Question::of(&head) {
        read_until(&mut client, &mut head, b"\r\n\r\n").await?;
        let answer = question.answer(passing.owners.borrow().as_ref(), &passing.metrics);
        return say(client, &answer).await;
    }
    let _under_way = handle.begin();
    let mut owners = passing.owners.clone();
    let taken = timeout(WAIT, find(ends, &mut owners)).await;
    let Ok((mut owner, id)) = taken else {
        metrics::counter!("tandem_fleet_passed_total", "outcome" => "no_owner").increment(1);
        return say(client, &no_owner()).await;
    };
    metrics::counter!("tandem_fleet_passed_total", "outcome" => "passed").increment(1);
    owner.write_all(&head).await?;
    drop(head);
    let replaced = owners.wait_for(|owner| owner.as_ref().is_some_and(|owner| owner.id != id));
    tokio::select! {
        passed = both_ways(client, owner, passing.stopping.clone()) => passed,
        // There is another owner. The rest of an answer from the former owner is dropped.
        _ = replaced => Ok(()),
    }
}

async fn read_until(client: &mut (impl AsyncRead + Unpin), head: &mut Vec<u8>, end: &[u8]) -> io::Result<()> {
    while head.len() < FIRST && !head.windows(end.len()).any(|bytes| bytes == end) {
        if client.read_buf(head).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// A connection to the owner, and the owner's id. Waits for an owner that takes it.
async fn find(ends: Ends, owners: &mut watch::Receiver<Option<Owner>>) -> (TcpStream, String) {
    let mut told = false;
    loop {
        let owner = owners.borrow_and_update().clone();
        if let Some(owner) = owner {
            match pass_to(&owner.address, owner.token.reveal(), ends.client, ends.here).await {
                Ok(taken) => return (taken, owner.id),
                Err(error) if !std::mem::replace(&mut told, true) => {
                    tracing::debug!(%error, owner = owner.name, address = owner.address, "the owner does not take a connection");
                }
                Err(_) => {}
            }
        }
        tokio::select! {
            () = sleep(TRY_EVERY) => {}
            _ = owners.changed() => {}
        }
    }
}

/// Writes an answer and closes the connection.
async fn say<S: AsyncRead + AsyncWrite + Unpin>(mut client: S, answer: &str) -> io::Result<()> {
    client.write_all(answer.as_bytes()).await?;
    goodbye(&mut client).await
}

/// Waits until the client has read the answer. Closing with unread bytes would destroy it.
async fn goodbye<S: AsyncRead + AsyncWrite + Unpin>(client: &mut S) -> io::Result<()> {
    client.shutdown().await?;
    drop(timeout(GOODBYE, tokio::io::copy(client, &mut tokio::io::sink())).await);
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToClient,
    ToOwner,
}

/// The time of the last bytes, and where they went.
struct LastBytes(Cell<(Instant, Direction)>);

async fn both_ways<S>(client: S, mut owner: TcpStream, mut stopping: watch::Receiver<bool>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_owner, mut to_owner) = owner.split();
    let last = LastBytes(Cell::new((Instant::now(), Direction::ToOwner)));
    let up = async {
        copy(&mut from_client, &mut to_owner, &last, Direction::ToOwner).await?;
        // The owner may still answer.
        to_owner.shutdown().await?;
        std::future::pending().await
    };
    let down = copy(&mut from_owner, &mut to_client, &last, Direction::ToClient);
    let quiet = async {
        // The sender is gone, so there will be no stop.
        if stopping.wait_for(|stopping| *stopping).await.is_err() {
            std::future::pending::<()>().await;
        }
        loop {
            let (since, direction) = last.0.get();
            match QUIET.checked_sub(since.elapsed()) {
                None if direction == Direction::ToClient => return,
                rest => sleep(rest.unwrap_or(QUIET)).await,
            }
        }
    };
    tokio::select! {
        ended = up => return ended,
        ended = down => ended?,
        () = quiet => {}
    }
    goodbye(&mut from_client.unsplit(to_client)).await
}

async fn copy<R, W>(from: &mut R, to: &mut W, last: &LastBytes, direction: Direction) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&piece[..read]).await?;
        to.flush().await?;
        last.0.set((Instant::now(), direction));
    }
}
