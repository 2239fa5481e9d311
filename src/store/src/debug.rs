//! A disk that does not answer for a while, or has little room: for tests, in debug builds only.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

static UNTIL: Mutex<Option<Instant>> = Mutex::new(None);

/// For tests that pretend in one process.
pub static LITTLE: Mutex<()> = Mutex::new(());
static FREE: Mutex<Option<u64>> = Mutex::new(None);

/// What is free, as far as anybody who asks is told; none: the truth.
pub fn pretend_free(free: Option<u64>) {
    *FREE.lock() = free;
}

/// What was pretended last. None for the truth.
pub fn free() -> Option<u64> {
    *FREE.lock()
}

/// Makes all syncs wait for this long.
pub fn hang(duration: Duration) {
    *UNTIL.lock() = Some(Instant::now() + duration);
}

/// Called where data is synced.
pub fn wait() {
    while UNTIL.lock().is_some_and(|until| Instant::now() < until) {
        std::thread::sleep(Duration::from_millis(10));
    }
}
