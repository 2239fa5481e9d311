//! Reads, on connections of their own. Whoever reads waits on its own thread, for a bounded time. While the database is
//! away nobody waits: a read fails at once, and the caller is told to come back.

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
use tokio::sync::Notify;
use tokio_postgres::{Client, Error};

use super::{
    bridge::Bridge,
    connection::Access,
    error::{passes, told},
    statements::Reading,
};
use crate::{
    fence::LONGEST_WAIT,
    rows::{Bounds, Rows},
};

/// Connections. Statements on one of them are answered one after the other.
const LINKS: usize = 4;
/// The waits between two tries to connect.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// A connection that is ready to read.
struct Ready {
    client: Arc<Client>,
    reading: Reading,
}

#[derive(Default)]
struct Link {
    ready: Mutex<Option<Arc<Ready>>>,
    lost: Notify,
}

pub(super) struct Reads {
    bridge: Arc<Bridge>,
    links: Arc<[Link; LINKS]>,
    next: AtomicUsize,
}

impl Reads {
    /// Connects. Connections that are lost are made again.
    pub fn start(bridge: Arc<Bridge>, access: &Access) -> Self {
        let links: Arc<[Link; LINKS]> = Arc::default();
        for link in 0..LINKS {
            bridge.spawn(keep(links.clone(), link, access.clone()));
        }
        Self { bridge, links, next: AtomicUsize::new(0) }
    }

    /// # Errors
    /// If no connection is ready in time.
    pub fn wait_until_ready(&self, within: Duration) -> Result<(), StoreError> {
        let deadline = Instant::now() + within;
        while self.ready().is_none() {
            if Instant::now() >= deadline {
                return Err(StoreError::away("PostgreSQL does not answer"));
            }
            std::thread::sleep(PAUSES[0] / 10);
        }
        Ok(())
    }

    /// A connection; each time another one, if there are several.
    fn ready(&self) -> Option<Arc<Ready>> {
        let from = self.next.fetch_add(1, Ordering::Relaxed);
        let is_ready = |link: &Link| link.ready.lock().clone().filter(|ready| !ready.client.is_closed());
        (0..LINKS).find_map(|link| is_ready(&self.links[(from % LINKS + link) % LINKS]))
    }

    fn read<T: Send + 'static, F: Future<Output = Result<T, Error>> + Send + 'static>(
        &self,
        read: impl FnOnce(Arc<Ready>) -> F,
    ) -> Result<T, StoreError> {
        let ready = self.ready().ok_or_else(|| StoreError::away("PostgreSQL is away"))?;
        match self.bridge.wait(LONGEST_WAIT, read(ready)) {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) if error.as_db_error().is_some() && !passes(&error) => {
                Err(StoreError::new(format_args!("PostgreSQL refused to read: {}", told(&error))))
            }
            Some(Err(error)) => Err(StoreError::away(format_args!("PostgreSQL is away: {}", told(&error)))),
            None => {
                // No other reader shall wait as long for a server that does not answer.
                self.links.iter().for_each(|link| {
                    link.ready.lock().take();
                    link.lost.notify_one();
                });
                Err(StoreError::away("PostgreSQL does not answer"))
            }
        }
    }
}

/// Keeps one connection, as long as the thread of the connections runs.
async fn keep(links: Arc<[Link; LINKS]>, link: usize, access: Access) {
    let link = &links[link];
    let mut pause = PAUSES[0];
    loop {
        let connected = tokio::time::timeout(LONGEST_WAIT, async {
            let (client, connection) = access.connect().await.ok()?;
            let reading = Reading::prepare(&client).await.ok()?;
            Some((Ready { client, reading }, connection))
        });
        if let Ok(Some((ready, mut connection))) = connected.await {
            *link.ready.lock() = Some(Arc::new(ready));
            tokio::select! {
                _ = &mut connection => {}
                () = link.lost.notified() => connection.abort(),
            }
            link.ready.lock().take();
            pause = PAUSES[0];
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES[1]);
    }
}

impl Reads {
    /// The rows that are there, in one round trip.
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
