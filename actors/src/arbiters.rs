//! One arbiter, a thread with its own event loop, for each core. A session always goes to the same one, unless that one froze:
//! then a new thread takes its place and the frozen one is left to itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::Arbiter;
use parking_lot::{Mutex, RwLock};

struct Thread {
    arbiter: Arbiter,
    /// When a task that was handed to the thread last ran there.
    alive_at: Arc<Mutex<Instant>>,
}

impl Thread {
    fn start() -> Self {
        Self { arbiter: Arbiter::new(), alive_at: Arc::new(Mutex::new(Instant::now())) }
    }
}

/// The arbiters that session actors live on; cheap to clone.
#[derive(Clone)]
pub struct Arbiters(Arc<RwLock<Vec<Thread>>>);

impl Arbiters {
    /// Must be called within an actix `System`.
    pub fn start(count: usize) -> Self {
        Self(Arc::new(RwLock::new((0..count.max(1)).map(|_| Thread::start()).collect())))
    }

    /// Runs `task` on the thread that `hash` chooses. False if that thread has ended.
    pub fn spawn(&self, hash: u64, task: impl FnOnce() + Send + 'static) -> bool {
        let threads = self.0.read();
        threads[hash as usize % threads.len()].arbiter.spawn_fn(task)
    }

    /// Runs `task` on some thread after a pause.
    pub fn spawn_after(&self, pause: Duration, task: impl FnOnce() + Send + 'static) {
        let threads = self.0.read();
        threads[rand::random_range(0..threads.len())].arbiter.spawn(async move {
            tokio::time::sleep(pause).await;
            task();
        });
    }

    /// Puts a new thread in the place of each that has run nothing for `limit`, and asks the others for a sign of life.
    pub fn replace_frozen(&self, limit: Duration) {
        let frozen: Vec<usize> = {
            let threads = self.0.read();
            for thread in threads.iter() {
                let alive_at = thread.alive_at.clone();
                thread.arbiter.spawn_fn(move || *alive_at.lock() = Instant::now());
            }
            (0..threads.len()).filter(|n| threads[*n].alive_at.lock().elapsed() > limit).collect()
        };
        for index in frozen {
            tracing::error!(arbiter = index, "arbiter does not answer, starting another in its place");
            self.0.write()[index] = Thread::start();
        }
    }

    pub fn stop(&self) {
        self.0.read().iter().for_each(|thread| {
            thread.arbiter.stop();
        });
    }
}
