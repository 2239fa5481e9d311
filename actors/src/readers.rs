//! Threads for long reads of the store. An engine lets its readers wait while it writes. On an arbiter, such a read
//! would let all other sessions of the arbiter wait, too.

use std::{future::pending, panic, sync::Arc};

use tokio::sync::Semaphore;

/// Reads under way at a time. All of them wait for the same engine, so more would not be faster.
const MOST: usize = 16;

/// Runs long reads; cheap to clone.
#[derive(Clone, Debug)]
pub struct Readers(Option<Arc<Semaphore>>);

impl Readers {
    /// Threads of the runtime on which a read is asked for.
    pub fn threads() -> Self {
        Self(Some(Arc::new(Semaphore::new(MOST))))
    }

    /// No threads: the caller reads, but only after others have had a turn. For a simulation.
    pub fn this_thread() -> Self {
        Self(None)
    }

    /// The result of the read. A panic of the read is one of the caller.
    pub(crate) async fn read<T: Send + 'static>(&self, read: impl FnOnce() -> T + Send + 'static) -> T {
        let Some(most) = &self.0 else {
            tokio::task::yield_now().await;
            return read();
        };
        // It is never closed. Without a permit there would only be more threads.
        let _permit = most.acquire().await;
        match tokio::task::spawn_blocking(read).await {
            Ok(result) => result,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => panic::resume_unwind(panic),
                // The runtime ends, and with it the caller.
                Err(_) => pending().await,
            },
        }
    }
}
