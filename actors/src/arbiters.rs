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
    /// Since when the thread owes a sign of life.
    asked_at: Arc<Mutex<Option<Instant>>>,
}

impl Thread {
    fn start() -> Self {
        Self { arbiter: Arbiter::new(), asked_at: Arc::default() }
    }

    /// Asks for a sign of life, unless one is still owed. True if it has been owed for longer than `limit`.
    fn is_frozen(&self, limit: Duration) -> bool {
        let mut asked_at = self.asked_at.lock();
        if let Some(asked_at) = *asked_at {
            return asked_at.elapsed() > limit;
        }
        *asked_at = Some(Instant::now());
        let owed = self.asked_at.clone();
        self.arbiter.spawn_fn(move || *owed.lock() = None);
        false
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

    /// Puts a new thread in the place of each that gave no sign of life within `limit`, and asks the others for the next one.
    /// How often this is called makes no difference to who is taken for frozen.
    pub fn replace_frozen(&self, limit: Duration) {
        let frozen: Vec<usize> = {
            let threads = self.0.read();
            (0..threads.len()).filter(|n| threads[*n].is_frozen(limit)).collect()
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
