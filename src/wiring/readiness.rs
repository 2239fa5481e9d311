//! Whether the node can do its work.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tandem_actors::journal::{Journal, Obstacle};

use crate::{
    http::ports::{Check, Readiness},
    store::{DiskWatch, Left},
};

const MIB: u64 = 1 << 20;

pub struct NodeReadiness {
    pub journal: Journal,
    pub disk: Arc<DiskWatch>,
    pub stopping: Arc<AtomicBool>,
}

impl Readiness for NodeReadiness {
    fn checks(&self) -> Vec<Check> {
        let check = |name, ok, problem: &str| Check { name, ok, problem: (!ok).then(|| problem.to_owned()) };
        let obstacle = self.journal.obstacle();
        vec![
            check("store", obstacle != Some(Obstacle::Failed), "the store failed; nothing more is acknowledged"),
            check("writes", obstacle != Some(Obstacle::Stalled), "a write to the disk has not returned"),
            self.room(obstacle),
            check("journal", obstacle != Some(Obstacle::Busy), "more is waiting to be written than may wait"),
            check("running", !self.stopping.load(Ordering::Acquire), "the server is stopping"),
        ]
    }
}

impl NodeReadiness {
    fn room(&self, obstacle: Option<Obstacle>) -> Check {
        let space = self.disk.space();
        let free = space.map_or_else(String::new, |space| {
            format!("; {} MiB are free, {} MiB are kept free (store.min_free)", space.free / MIB, space.floor / MIB)
        });
        let (ok, problem) = match (obstacle, space.map(|space| space.left())) {
            (Some(Obstacle::NoRoom), _) => {
                (false, Some("the disk is almost full: what is stored can be read, nothing is written"))
            }
            (_, Some(Left::Little)) => (true, Some("little room is left on the disk")),
            _ => (true, None),
        };
        Check { name: "room", ok, problem: problem.map(|problem| format!("{problem}{free}")) }
    }
}
