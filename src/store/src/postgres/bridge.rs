//! Connects blocking callers with asynchronous connections: one thread drives all connections to the database.
//!
//! The port of the store is blocking. A caller blocks its own thread for a bounded time, and never this one. This
//! thread never waits for a caller, so there is no deadlock.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::{runtime::Handle, sync::Notify};

/// The thread of the connections. It ends when the bridge is dropped.
pub(super) struct Bridge {
    handle: Handle,
    stop: Arc<Notify>,
}

impl Bridge {
    pub fn start() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (handle, stop) = (runtime.handle().clone(), Arc::new(Notify::new()));
        let stopped = stop.clone();
        std::thread::Builder::new()
            .name("postgres".into())
            .spawn(move || runtime.block_on(async move { stopped.notified().await }))?;
        Ok(Self { handle, stop })
    }

    /// Runs `work` on the thread of the connections. If it takes longer than `within`, it is cancelled and the result
    /// is `None`.
    pub fn wait<T: Send + 'static>(
        &self,
        within: Duration,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (tell, told) = mpsc::sync_channel(1);
        let task = self.handle.spawn(async move {
            // After `within`, the receiver is gone.
            let _told = tell.send(work.await);
        });
        told.recv_timeout(within).inspect_err(|_| task.abort()).ok()
    }

    /// Runs `work` on the thread of the connections, and does not wait for it.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(work));
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}
