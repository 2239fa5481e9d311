//! The way from threads that wait to connections that do not: one thread drives all connections to the database.
//!
//! The port of the store waits for its answers. A caller blocks its own thread, never this one, and this one calls
//! nobody: so nothing can wait in a circle. A caller waits for a bounded time.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::{runtime::Handle, sync::Notify};

/// The thread of the connections. It ends when this is dropped.
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

    /// Does `work` on the thread of the connections. `None` if it takes longer than `within`; then it is given up.
    pub fn wait<T: Send + 'static>(
        &self,
        within: Duration,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (tell, told) = mpsc::sync_channel(1);
        let task = self.handle.spawn(async move {
            // Nobody listens any more after `within`.
            let _told = tell.send(work.await);
        });
        told.recv_timeout(within).inspect_err(|_| task.abort()).ok()
    }

    /// Does `work` on the thread of the connections, sooner or later.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(work));
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}
