//! Faults of the disk for tests: syncs that hang, and little free space. Debug builds only.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

static UNTIL: Mutex<Option<Instant>> = Mutex::new(None);

/// Held by tests that change the pretended free space in one process.
pub static LITTLE: Mutex<()> = Mutex::new(());
/// The environment variable that sets it at the start of a process.
static FREE: LazyLock<Mutex<Option<u64>>> =
    LazyLock::new(|| Mutex::new(std::env::var("TANDEM_PRETEND_FREE").ok().and_then(|free| free.parse().ok())));

/// Sets the free space that the disk seems to have. `None`: the real free space.
pub fn pretend_free(free: Option<u64>) {
    *FREE.lock() = free;
}

/// The pretended free space. None: the real one.
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
