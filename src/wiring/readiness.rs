//! Whether the node can do its work.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tandem_actors::journal::Journal;

use crate::http::ports::{Check, Readiness};

pub struct NodeReadiness {
    pub journal: Journal,
    pub stopping: Arc<AtomicBool>,
}

impl Readiness for NodeReadiness {
    fn checks(&self) -> Vec<Check> {
        let check = |name, ok, problem: &str| Check { name, ok, problem: (!ok).then(|| problem.to_owned()) };
        vec![
            check("store", self.journal.is_alive(), "the store failed; nothing more is acknowledged"),
            check("journal", self.journal.has_room(), "more is waiting to be written than may wait"),
            check("running", !self.stopping.load(Ordering::Acquire), "the server is stopping"),
        ]
    }
}
