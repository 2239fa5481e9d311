//! Wakes a flush that nobody else will wake. In sled 0.34, a write that fails on one of its threads sets the database's
//! error, but on one of two paths forgets to notify a thread that waits in `flush` (`exit_reservation`): a full disk
//! would hang the journal instead of failing it. Any other call of `flush` sees the error and notifies everybody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

const LOOK: Duration = Duration::from_millis(500);

/// Incremented when a flush begins and when it ends. It is odd while a flush runs.
#[derive(Default)]
pub(super) struct Progress(AtomicU64);

impl Progress {
    pub fn during<T>(&self, flush: impl FnOnce() -> T) -> T {
        self.0.fetch_add(1, Ordering::Relaxed);
        let outcome = flush();
        self.0.fetch_add(1, Ordering::Relaxed);
        outcome
    }
}

pub(super) struct Watchdog {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    pub fn start(db: sled::Db, progress: Arc<Progress>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let watch = move || {
            let mut last = 0;
            while !stopped.load(Ordering::Acquire) {
                std::thread::park_timeout(LOOK);
                let flush = progress.0.load(Ordering::Relaxed);
                let lasts = flush % 2 == 1 && flush == last;
                last = flush;
                // The database's error is set, so this call only wakes the waiting threads.
                if lasts && db.context.global_error().is_err() {
                    let _error = db.flush();
                }
            }
        };
        let thread = std::thread::Builder::new().name("store-watchdog".into()).spawn(watch).ok();
        Self { stop, thread }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The watchdog has no result, even if it panicked.
            let _outcome = thread.join();
        }
    }
}
