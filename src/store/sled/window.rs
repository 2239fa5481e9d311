//! The time between applying a group and its sync, in which sled already shows the group's rows. A read that touched one of them
//! is given back when the group is durable: nobody sees what a power cut can take back. All other reads pass.

use std::time::Instant;

use parking_lot::{Condvar, Mutex, RwLock};
use sled::IVec;
use tandem_actors::ports::StoreError;

use crate::store::fence::LONGEST_WAIT;

#[derive(Default)]
pub(super) struct Windows {
    /// Held for writing while a group is applied, so that readers see all of one or nothing.
    in_flight: RwLock<InFlight>,
    settled: Mutex<Settled>,
    changed: Condvar,
}

/// The rows that a group has changed; empty between groups.
#[derive(Default)]
pub(super) struct InFlight {
    group: u64,
    /// Sorted.
    keys: Vec<IVec>,
    /// Until when readers wait for it: all of them together, not each anew.
    deadline: Option<Instant>,
}

#[derive(Default)]
struct Settled {
    group: u64,
    failed: Option<StoreError>,
}

impl InFlight {
    /// Whether the group has changed the row.
    pub fn has(&self, key: &[u8]) -> bool {
        self.keys.binary_search_by(|changed| changed.as_ref().cmp(key)).is_ok()
    }

    /// Whether the group has changed a row from `from` up to, not including, `to`.
    pub fn has_between(&self, from: &[u8], to: &[u8]) -> bool {
        let first = self.keys.partition_point(|changed| changed.as_ref() < from);
        self.keys.get(first).is_some_and(|changed| changed.as_ref() < to)
    }
}

impl Windows {
    /// Begins a group: `apply` makes its changes, and no reader sees a part of them.
    pub fn begin(&self, mut keys: Vec<IVec>, apply: impl FnOnce() -> Result<(), StoreError>) -> Result<(), StoreError> {
        keys.sort_unstable();
        let mut in_flight = self.in_flight.write();
        in_flight.group += 1;
        in_flight.keys = keys;
        in_flight.deadline = Some(Instant::now() + LONGEST_WAIT);
        apply()
    }

    /// The group is durable, or has failed for good.
    pub fn end(&self, outcome: &Result<(), StoreError>) {
        let mut in_flight = self.in_flight.write();
        let mut settled = self.settled.lock();
        match outcome {
            Ok(()) => in_flight.keys.clear(),
            // Whoever reads these rows later is refused as well.
            Err(error) => settled.failed = Some(error.clone()),
        }
        settled.group = in_flight.group;
        self.changed.notify_all();
    }

    /// Reads, and waits for the group in flight if `touches` says that it is part of what was read.
    pub fn read<T>(
        &self,
        read: impl FnOnce() -> Result<T, StoreError>,
        touches: impl FnOnce(&T, &InFlight) -> bool,
    ) -> Result<T, StoreError> {
        let in_flight = self.in_flight.read();
        let read = read()?;
        let group = touches(&read, &in_flight).then_some((in_flight.group, in_flight.deadline));
        drop(in_flight);
        if let Some((group, deadline)) = group {
            self.wait_for(group, deadline.unwrap_or_else(|| Instant::now() + LONGEST_WAIT))?;
        }
        Ok(read)
    }

    fn wait_for(&self, group: u64, deadline: Instant) -> Result<(), StoreError> {
        let mut settled = self.settled.lock();
        while settled.group < group {
            if self.changed.wait_until(&mut settled, deadline).timed_out() {
                return Err(StoreError::stalled());
            }
        }
        settled.failed.clone().map_or(Ok(()), Err)
    }
}
