//! This node as a member of a fleet: several nodes on one database, of which one owns it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::{Owner, owner, schema::random_id};
use crate::Password;

/// What the other nodes have to know of this one, and what has to be the same for all of them.
#[derive(Debug)]
pub struct Member {
    /// Of this process alone.
    pub id: String,
    /// The node's name. Two nodes may have the same one.
    pub name: String,
    /// Where the other nodes reach it, as `HOST:PORT`.
    pub address: String,
    /// What proves that a connection comes from one of them.
    pub token: Password,
    /// A digest of the settings that have to be the same for all nodes.
    pub likeness: String,
    /// How long the database is this node's after the last renewal.
    pub lease: Duration,
    /// How long it is this node's for certain.
    pub held: LeaseClock,
}

impl Member {
    /// A process that joins a fleet. An empty `name` is the machine's.
    pub fn new(name: &str, address: String, likeness: String, lease: Duration) -> Self {
        Self {
            id: random_id(),
            name: if name.is_empty() { owner::machine() } else { name.to_owned() },
            address,
            token: random_id().into(),
            likeness,
            lease,
            held: LeaseClock::default(),
        }
    }

    /// This node as the owner.
    pub fn as_owner(&self) -> Owner {
        let Self { id, name, address, token, .. } = self;
        Owner { id: id.clone(), name: name.clone(), address: address.clone(), token: token.clone() }
    }
}

/// Until when no other node can own the database. It follows a monotonic clock, which goes on while the process stands
/// still.
#[derive(Debug)]
pub struct LeaseClock {
    base: Instant,
    /// Milliseconds after `base`.
    until: AtomicU64,
}

impl Default for LeaseClock {
    fn default() -> Self {
        Self { base: Instant::now(), until: AtomicU64::new(0) }
    }
}

impl LeaseClock {
    /// Whether the database is this node's for certain.
    pub fn holds(&self) -> bool {
        self.now() < self.until.load(Ordering::Acquire)
    }

    /// The lease was renewed by a statement that was sent at `sent`. The database's lease begins later than that.
    pub(super) fn renewed(&self, sent: Instant, lease: Duration) {
        let until = sent.saturating_duration_since(self.base).saturating_add(lease);
        self.until.store(millis(until), Ordering::Release);
    }

    /// It is given up.
    pub(super) fn ends(&self) {
        self.until.store(0, Ordering::Release);
    }

    fn now(&self) -> u64 {
        millis(self.base.elapsed())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_held_from_its_renewal_until_its_length_is_over() {
        let held = LeaseClock::default();
        assert!(!held.holds(), "nothing was claimed");
        let now = Instant::now();
        held.renewed(now, Duration::from_secs(60));
        assert!(held.holds());
        held.renewed(now, Duration::ZERO);
        assert!(!held.holds(), "it counts from when the statement was sent");
        held.renewed(now, Duration::from_secs(60));
        held.ends();
        assert!(!held.holds());
    }
}
