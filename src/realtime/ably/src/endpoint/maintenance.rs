//! Periodic maintenance, on a thread of its own, so that it never blocks a worker.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::Endpoint;
use crate::{
    hub::Hub,
    persist::Step,
    storage::{RowKey, StorageError},
    time::millis,
};

const EVERY: Duration = Duration::from_secs(5);
/// Rounds between two runs of the rare tasks.
const SELDOM: u32 = 60;
/// Pause between two steps, so that others can use the store.
const PAUSE: Duration = Duration::from_millis(5);

impl Endpoint {
    /// Starts the maintenance once, if there is a runtime.
    pub(crate) fn start_maintenance(self: &Arc<Self>) {
        if tokio::runtime::Handle::try_current().is_err() || self.has_maintenance.swap(true, Ordering::AcqRel) {
            return;
        }
        let endpoint = Arc::downgrade(self);
        let config = &self.services.config;
        let grace = config.presence_grace.min(config.connection_state_ttl);
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
            runtime.block_on(async { tokio::join!(end_restored_presence(endpoint.clone(), grace), prune(endpoint)) });
            std::io::Result::Ok(())
        };
        let logged = move || {
            if let Err(error) = work() {
                tracing::error!(%error, "the realtime endpoint has no maintenance");
            }
        };
        if let Err(error) = std::thread::Builder::new().name("realtime-upkeep".into()).spawn(logged) {
            tracing::error!(%error, "the realtime endpoint has no maintenance: its thread cannot be started");
        }
    }
}

async fn end_restored_presence(endpoint: Weak<Endpoint>, grace: Duration) {
    sleep(grace).await;
    if let Some(endpoint) = endpoint.upgrade() {
        endpoint.main.end_restored_presence().await;
    }
}

async fn prune(endpoint: Weak<Endpoint>) {
    let mut absent_forgotten = false;
    let mut unindexed = UnindexedLogs::Unread(None);
    let mut looks = 0u32;
    loop {
        sleep(EVERY).await;
        let Some(endpoint) = endpoint.upgrade().filter(|endpoint| !endpoint.services.is_stopping()) else { return };
        endpoint.hubs().iter().for_each(|hub| hub.prune());
        endpoint.services.memory.measure();
        if looks.is_multiple_of(SELDOM) {
            endpoint.hubs().iter().for_each(|hub| hub.forget_revocations());
        }
        looks = looks.wrapping_add(1);
        let running = endpoint.services.now().since(endpoint.services.started_at);
        if !absent_forgotten && running > endpoint.services.config.connection_state_ttl {
            absent_forgotten = true;
            endpoint.main.delete_absent_connections();
        }
        if let Err(error) = expire(&endpoint.main, &mut unindexed).await {
            tracing::error!(%error, "old realtime rows could not be deleted");
        }
    }
}

/// Logs from releases without an index of due entries.
enum UnindexedLogs {
    /// Not read yet, up to this one.
    Unread(Option<RowKey>),
    Read,
}

/// Deletes stored entries that are older than the history, until the next round begins.
async fn expire(hub: &Hub, unindexed: &mut UnindexedLogs) -> Result<(), StorageError> {
    let services = &hub.services;
    let kept = services.config.history.max(services.config.continuity);
    let horizon = services.now().as_millis() - millis(kept);
    let until = Instant::now() + EVERY;
    while Instant::now() < until && !services.is_stopping() {
        let step = services.rows.expire(&hub.app, horizon)?;
        if let UnindexedLogs::Unread(after) = unindexed {
            match services.rows.index_old_log(&hub.app, after.take(), horizon)? {
                Some(next) => *after = Some(next),
                None => *unindexed = UnindexedLogs::Read,
            }
        } else if step == Step::Done {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
    Ok(())
}
