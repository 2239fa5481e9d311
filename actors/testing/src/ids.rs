//! Identifiers.

use std::sync::atomic::{AtomicU64, Ordering};

use tandem_actors::ports::Ids;

/// Identifiers in the order of numbers, unique within the process: failpoints are armed by session id, and tests run
/// side by side.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingIds;

static NEXT: AtomicU64 = AtomicU64::new(1);

impl Ids for CountingIds {
    fn fresh(&self) -> String {
        format!("c{:024}", NEXT.fetch_add(1, Ordering::SeqCst))
    }
}
