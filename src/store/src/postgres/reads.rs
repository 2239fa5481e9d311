//! Reads, on connections of their own. A reader waits on its own thread, for a bounded time. While the database is
//! away, a read fails at once and can be repeated.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tandem_actors::{
    keys::Key,
    ports::{Change, Direction, StoreError},
};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_postgres::{Client, Error};

use super::{
    PostgresError,
    bridge::Bridge,
    connection::{Access, RETRY},
    error::{is_transient, reason_of},
    schema::failed,
    statements::ReadStatements,
};
use crate::{
    fence::LONGEST_WAIT,
    rows::{Bounds, Rows},
};

/// The number of connections. Each answers one statement at a time.
const LINKS: usize = 4;
/// After one connection was lost, the others must answer within this time, or they count as lost, too.
const PROBE_WITHIN: Duration = Duration::from_secs(1);
/// How often the start checks for a first connection.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A connection that is ready to read.
pub(super) struct Ready {
    client: Arc<Client>,
    reading: ReadStatements,
    /// Notified when this connection counts as lost.
    lost: Notify,
}

#[derive(Default)]
struct Link {
    ready: Mutex<Option<Arc<Ready>>>,
}

impl Link {
    fn ready(&self) -> Option<Arc<Ready>> {
        self.ready.lock().clone().filter(|ready| !ready.client.is_closed())
    }

    /// Drops the connection, unless it was already replaced.
    fn lose(&self, lost: &Arc<Ready>) {
        if self.ready.lock().take_if(|ready| Arc::ptr_eq(ready, lost)).is_some() {
            lost.lost.notify_one();
        }
    }

    /// Drops the connection if it does not answer.
    async fn probe(&self, ready: Arc<Ready>) {
        let answer = tokio::time::timeout(PROBE_WITHIN, ready.client.batch_execute("")).await;
        if !matches!(answer, Ok(Ok(()))) {
            self.lose(&ready);
        }
    }
}

#[derive(Default)]
struct Links {
    all: [Link; LINKS],
    /// Why the last attempt to connect failed. `None` after a success.
    refusal: Mutex<Option<PostgresError>>,
}

impl Links {
    /// Logs a reason once, and not after every attempt.
    fn refused(&self, refusal: PostgresError) {
        let mut last = self.refusal.lock();
        if last.as_ref().is_none_or(|last| last.to_string() != refusal.to_string()) {
            tracing::warn!(error = %refusal, "a connection for reads cannot be made");
        }
        *last = Some(refusal);
    }
}

pub(super) struct Reads {
    bridge: Arc<Bridge>,
    links: Arc<Links>,
    next: AtomicUsize,
}

impl Reads {
    /// Connects. Lost connections are made again.
    pub fn start(bridge: Arc<Bridge>, access: &Access) -> Self {
        let links: Arc<Links> = Arc::default();
        for link in 0..LINKS {
            bridge.spawn(keep_connected(links.clone(), link, access.clone()));
        }
        Self { bridge, links, next: AtomicUsize::new(0) }
    }

    /// # Errors
    /// Why no connection is ready in time. `None` if the server has not answered.
    pub fn wait_until_ready(&self, within: Duration) -> Result<(), Option<PostgresError>> {
        let deadline = Instant::now() + within;
        while self.ready().is_none() {
            if Instant::now() >= deadline {
                return Err(self.links.refusal.lock().take());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// The connections in turn.
    fn ready(&self) -> Option<(usize, Arc<Ready>)> {
        let from = self.next.fetch_add(1, Ordering::Relaxed);
        let mut in_turn = (0..LINKS).map(|link| (from % LINKS + link) % LINKS);
        in_turn.find_map(|link| self.links.all[link].ready().map(|ready| (link, ready)))
    }

    pub(super) fn read<T: Send + 'static, F: Future<Output = Result<T, Error>> + Send + 'static>(
        &self,
        read: impl FnOnce(Arc<Ready>) -> F,
    ) -> Result<T, StoreError> {
        let (link, ready) = self.ready().ok_or_else(|| StoreError::away("PostgreSQL is away"))?;
        match self.bridge.wait(LONGEST_WAIT, read(ready.clone())) {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) if error.as_db_error().is_some() && !is_transient(&error) => {
                Err(StoreError::new(format_args!("PostgreSQL refused to read: {}", reason_of(&error))))
            }
            Some(Err(error)) => Err(StoreError::away(format_args!("PostgreSQL is away: {}", reason_of(&error)))),
            None => {
                self.links.all[link].lose(&ready);
                self.probe_the_rest();
                Err(StoreError::away("PostgreSQL does not answer"))
            }
        }
    }

    /// Finds out whether one read is slow or the server does not answer at all, so that other readers need not wait as
    /// long.
    fn probe_the_rest(&self) {
        let links = self.links.clone();
        let probes = async move {
            let probe = |link: usize| {
                let links = links.clone();
                links.all[link].ready().map(|ready| tokio::spawn(async move { links.all[link].probe(ready).await }))
            };
            let probes: Vec<JoinHandle<()>> = (0..LINKS).filter_map(probe).collect();
            for probe in probes {
                drop(probe.await);
            }
        };
        let _ended = self.bridge.wait(2 * PROBE_WITHIN, probes);
    }
}

/// Keeps one connection open, as long as the thread of the connections runs.
async fn keep_connected(links: Arc<Links>, link: usize, access: Access) {
    let mut failures = 0;
    loop {
        let connected = tokio::time::timeout(LONGEST_WAIT, connect(&access)).await;
        match connected.unwrap_or_else(|_| Err(PostgresError::silent(&access.address))) {
            Ok((ready, mut connection)) => {
                let link = &links.all[link];
                links.refusal.lock().take();
                let ready = Arc::new(ready);
                *link.ready.lock() = Some(ready.clone());
                tokio::select! {
                    _ = &mut connection => {}
                    () = ready.lost.notified() => connection.abort(),
                }
                link.ready.lock().take();
                failures = 1;
            }
            Err(refusal) => {
                links.refused(refusal);
                failures += 1;
            }
        }
        tokio::time::sleep(RETRY.upper_half(failures)).await;
    }
}

async fn connect(access: &Access) -> Result<(Ready, JoinHandle<()>), PostgresError> {
    let (client, connection) = access.connect().await?;
    let reading = ReadStatements::prepare(&client).await.map_err(failed(&access.address, "read its rows"))?;
    Ok((Ready { client, reading, lost: Notify::new() }, connection))
}

impl Reads {
    /// The existing rows, in one round trip.
    pub fn get_all(&self, keys: &[Key]) -> Result<HashMap<Key, Bytes>, StoreError> {
        let keys = keys.to_vec();
        self.read(|ready| async move { ready.reading.get_all(&ready.client, &keys).await })
    }
}

impl Rows for Reads {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let key = key.clone();
        self.read(|ready| async move { ready.reading.get(&ready.client, &key).await })
    }

    fn range(&self, bounds: &Bounds, direction: Direction, limit: usize) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let bounds = bounds.clone();
        self.read(move |ready| async move { ready.reading.range(&ready.client, &bounds, direction, limit).await })
    }

    fn write(&self, _changes: &[&Change]) -> Result<(), StoreError> {
        Err(StoreError::new("it is open to be read"))
    }
}

#[cfg(test)]
mod tests {
    use tandem_testing::postgres::Postgres;

    use super::*;
    use crate::{Options, postgres::Address};

    #[test]
    fn one_slow_read_leaves_the_other_connections_alone() {
        let Some(server) = Postgres::shared() else { return };
        let (address, here) = (server.database(), tempfile::tempdir().expect("a directory"));
        let address: Address = address.parse().expect("an address");
        super::super::open(&address, here.path(), &Options::default()).expect("a store").close();
        let access = Access::new(&address, None, None).expect("no certificate");
        let reads = Reads::start(Arc::new(Bridge::start().expect("a thread")), &access);
        let ready = || reads.links.all.iter().filter_map(Link::ready).collect::<Vec<_>>();
        let deadline = Instant::now() + Duration::from_secs(30);
        while ready().len() < LINKS {
            assert!(Instant::now() < deadline, "all connect");
            std::thread::sleep(LOOK_EVERY);
        }
        let before = ready();
        let slow = reads.read(|ready| async move { ready.client.batch_execute("SELECT pg_sleep(600)").await });
        assert!(slow.is_err_and(|error| error.fault().passes()));
        let after = ready();
        let kept = before.iter().filter(|ready| after.iter().any(|kept| Arc::ptr_eq(kept, ready))).count();
        // All but the slow one. On a busy machine, a probe may take too long, too.
        assert!((1..LINKS).contains(&kept), "{kept} are kept");
    }
}
