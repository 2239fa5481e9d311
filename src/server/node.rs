//! What runs behind HTTP, and how it is stopped.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    thread::JoinHandle,
    time::Duration,
};

use tandem_actors::{Arbiters, Coordinator, journal::Journal, ports::Store};

use crate::{
    limits::Limits,
    operator::OperatorFile,
    push::Pusher,
    realtime::Provider,
    store::{DiskWatch, StallWatch},
};

/// How long closing the store may take when the time for a graceful stop is over.
const AFTER_ALL: Duration = Duration::from_secs(2);

/// What runs behind HTTP, and has to be stopped in order.
pub(super) struct Node {
    pub coordinator: Coordinator,
    pub arbiters: Arbiters,
    pub provider: Provider,
    pub pusher: Arc<Pusher>,
    pub journal: Journal,
    pub writer: JoinHandle<()>,
    pub store: Arc<dyn Store>,
    pub watches: (StallWatch, Arc<DiskWatch>),
    pub stopping: Arc<AtomicBool>,
    pub shutdown_timeout: Duration,
    pub limits: Arc<Limits>,
    pub operator: Option<OperatorFile>,
    pub data: PathBuf,
}

impl Node {
    /// Stops in order, when `nobody_calls` any more. After `timeout` only the store is closed, whatever else is under way.
    pub async fn stop_after(self, nobody_calls: impl Future<Output = ()>, timeout: Duration) {
        let (journal, store) = (self.journal.clone(), self.store.clone());
        let stopping = async {
            nobody_calls.await;
            self.stop().await;
        };
        if tokio::time::timeout(timeout, stopping).await.is_err() {
            tracing::warn!(?timeout, "not everything came to its end in time");
            journal.close();
            let closed = on_a_thread("store-close", move || store.close());
            if tokio::time::timeout(AFTER_ALL, closed).await.is_err() {
                tracing::warn!("the store was not closed in time; the next start has something to mend");
            }
        }
    }

    /// Nobody calls any more.
    async fn stop(self) {
        let (provider, data) = (self.provider.clone(), self.data.clone());
        on_a_thread("handover", move || provider.hand_over(&data)).await;
        self.pusher.stop().await;
        self.coordinator.stop();
        self.journal.close();
        // The writer ends when the last commit is durable.
        let (writer, store) = (self.writer, self.store);
        on_a_thread("store-close", move || {
            drop(writer.join());
            store.close();
        })
        .await;
        self.arbiters.stop();
        drop((self.operator, self.watches));
        tracing::info!("stopped");
    }
}

/// Waits for `work` on a thread that nobody else waits for: if it never ends, the process ends without it.
async fn on_a_thread(name: &str, work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
        work();
        drop(done);
    });
    match thread {
        Ok(_) => drop(is_done.await as Result<(), _>),
        Err(error) => tracing::warn!(%error, "the store is not closed: there is no thread to do it"),
    }
}
