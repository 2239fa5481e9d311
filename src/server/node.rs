//! What runs behind HTTP, and the order in which it stops.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use super::parts::{Coordination, Durable, DurableThreads};
use crate::{limits::NodeLimits, operator::OperatorFile};

/// How long closing the store may take after the time for a graceful stop is over.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct RunningNode {
    pub durable: Durable,
    pub threads: DurableThreads,
    pub coordination: Coordination,
    pub stopping: Arc<AtomicBool>,
    pub shutdown_timeout: Duration,
    pub limits: Arc<NodeLimits>,
    pub operator: Option<OperatorFile>,
    /// The data directory, if the next process starts on it.
    pub handover: Option<PathBuf>,
}

impl RunningNode {
    /// Waits for `no_more_calls`, then stops the parts in order. After `timeout`, only the store is closed.
    pub async fn stop_after(self, no_more_calls: impl Future<Output = ()>, timeout: Duration) {
        let Durable { journal, store, .. } = self.durable.clone();
        let stopping = async {
            no_more_calls.await;
            self.stop().await;
        };
        if tokio::time::timeout(timeout, stopping).await.is_err() {
            tracing::warn!(?timeout, "the graceful stop took too long");
            journal.close();
            let closed = on_a_thread("store-close", move || store.close());
            if tokio::time::timeout(CLOSE_TIMEOUT, closed).await.is_err() {
                tracing::warn!("the store was not closed in time; the next start repairs it");
            }
        }
    }

    async fn stop(self) {
        let Coordination { coordinator, provider, pusher, arbiters, .. } = self.coordination;
        if let (Some(data), envelope) = (self.handover, self.durable.envelope) {
            on_a_thread("handover", move || provider.hand_over(&data, &envelope)).await;
        }
        pusher.stop().await;
        coordinator.stop();
        self.durable.journal.close();
        self.durable.store.stop_waiting();
        // The writer ends when the last commit is durable, or when the database turns out to be away.
        let DurableThreads { writer, stall_watch, disk_watch, database_watch } = self.threads;
        let store = self.durable.store;
        on_a_thread("store-close", move || {
            drop(writer.join());
            store.close();
        })
        .await;
        arbiters.stop();
        drop((self.operator, stall_watch, disk_watch, database_watch));
        tracing::info!("stopped");
    }
}

/// Does `work` on a thread of its own and waits for it. If the caller stops waiting, the process can still end.
async fn on_a_thread(name: &str, work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
        work();
        drop(done);
    });
    match thread {
        Ok(_) => drop(is_done.await as Result<(), _>),
        Err(error) => tracing::warn!(%error, name, "no thread can be started for this step of the stop"),
    }
}
