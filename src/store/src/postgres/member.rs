//! This node as a member of a fleet. A fleet is several nodes on one database, which one of them owns.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::{Owner, owner, schema::random_id};
use crate::Password;

/// What the other nodes of the fleet need to know of this one.
#[derive(Debug)]
pub struct Member {
    /// The id of this process.
    pub id: String,
    /// The node's name. Two nodes may have the same one.
    pub name: String,
    /// Where the other nodes reach it, as `HOST:PORT`.
    pub address: String,
    /// The key that proves that a connection comes from a member.
    pub token: Password,
    /// A digest of the settings that have to be the same for all nodes.
    pub likeness: String,
    /// The length of the lease: how long this node owns the database after the last renewal.
    pub lease: Duration,
    /// The time until which this node certainly owns the database.
    pub held: LeaseClock,
}

impl Member {
    /// Makes the member for this process. An empty `name` stands for the machine's name.
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

    /// This node, as the other nodes see it when it is the owner.
    pub fn as_owner(&self) -> Owner {
        let Self { id, name, address, token, .. } = self;
        Owner { id: id.clone(), name: name.clone(), address: address.clone(), token: token.clone() }
    }
}

/// The time until which no other node can own the database. It uses a monotonic clock, which continues while the
/// process is stopped.
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
    /// Whether this node certainly owns the database.
    pub fn holds(&self) -> bool {
        self.now() < self.until.load(Ordering::Acquire)
    }

    /// Renews the lease. The renewing statement was sent at `sent`, and the database's lease begins later than that.
    pub(super) fn renewed(&self, sent: Instant, lease: Duration) {
        let until = sent.saturating_duration_since(self.base).saturating_add(lease);
        self.until.store(millis(until), Ordering::Release);
    }

    /// Gives the lease up.
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
