//! Whether the node can do its work: the checks behind `GET /ready`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde::Serialize;
use tandem_actors::journal::{Journal, Obstacle};
use utoipa::ToSchema;

use crate::store::{DiskWatch, Member, RoomLeft};

const MIB: u64 = 1 << 20;

/// One thing that the node needs to serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Check {
    fn new(name: &'static str, ok: bool, problem: &str) -> Self {
        Self { name, ok, problem: (!ok).then(|| problem.to_owned()) }
    }
}

pub struct Readiness {
    pub journal: Journal,
    /// Absent for a store without a disk.
    pub disk: Option<Arc<DiskWatch>>,
    pub stopping: Arc<AtomicBool>,
    /// In a fleet: whether the database is this node's.
    pub member: Option<Arc<Member>>,
}

impl Readiness {
    pub fn checks(&self) -> Vec<Check> {
        let obstacle = self.journal.obstacle();
        let mut checks = vec![
            Check::new("store", obstacle != Some(Obstacle::Failed), "the store failed; nothing more is acknowledged"),
            Check::new("writes", obstacle != Some(Obstacle::Stalled), "a write to the disk has not returned"),
            self.room(obstacle),
            Check::new("journal", obstacle != Some(Obstacle::Busy), "more is waiting to be written than may wait"),
            Check::new("running", !self.stopping.load(Ordering::Acquire), "the server is stopping"),
        ];
        if let Some(member) = &self.member {
            let problem = "the lease of the database was not renewed in time";
            checks.push(Check::new("lease", member.held.holds(), problem));
        }
        checks
    }

    /// Room on the disk. Little room is a problem that does not stop the node.
    fn room(&self, obstacle: Option<Obstacle>) -> Check {
        let space = self.disk.as_ref().and_then(|disk| disk.space());
        let free = space.map_or_else(String::new, |space| {
            format!("; {} MiB are free, {} MiB are kept free (store.min_free)", space.free / MIB, space.floor / MIB)
        });
        let (ok, problem) = match (obstacle, space.map(|space| space.left())) {
            (Some(Obstacle::NoRoom), _) => {
                (false, Some("the disk is almost full: what is stored can be read, nothing is written"))
            }
            (_, Some(RoomLeft::Little)) => (true, Some("little room is left on the disk")),
            _ => (true, None),
        };
        Check { name: "room", ok, problem: problem.map(|problem| format!("{problem}{free}")) }
    }
}
