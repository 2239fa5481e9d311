//! Rows in a PostgreSQL database: `store.engine = "postgres"`.
//!
//! A group is durable when PostgreSQL has committed it. There is no journal and no important file on this machine. One
//! group is one statement in one round trip ([`writer`]). The statement writes only if this node still owns the
//! database ([`owner`]). Reads have connections of their own ([`reads`]).

mod bridge;
mod connection;
mod direct;
mod error;
mod fleet;
mod group;
mod here;
mod member;
mod open;
mod owner;
mod reads;
mod sabotage;
mod schema;
mod statements;
mod tls;
mod writer;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tandem_actors::{
    domain::ids::SessionId,
    keys::Key,
    ports::{Change, Claim, Commit, Direction, OwnerEpoch, Store, StoreError, StoreFault, Verdict},
};

pub(crate) use self::direct::DirectRows;
pub use self::{
    fleet::{NodeSeen, Owner, Sight, Standby, fleet_nodes},
    member::{LeaseClock, Member},
    open::{inspect, open},
};
use self::{group::Group, reads::Reads, writer::Writer};
use crate::{
    acknowledged::LastAcknowledged,
    address::Address,
    error::PostgresError,
    fence::{Fences, head_of},
    row_check::RowCheck,
    rows::{Bounds, Rows, check_key},
};

/// The longest key that PostgreSQL's index accepts. Tandem's keys are shorter.
const LONGEST_KEY: usize = 2_600;
/// How long closing waits for a group that is being written.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

pub(super) struct PostgresStore {
    reads: Reads,
    check: RowCheck,
    fences: Fences,
    failed: OnceLock<StoreError>,
    writer: Mutex<Writer>,
    /// The last group that was acknowledged, for the next start.
    acknowledged: Option<LastAcknowledged>,
    closing: Arc<AtomicBool>,
    _here: here::Here,
}

impl PostgresStore {
    fn check_alive(&self) -> Result<(), StoreError> {
        self.failed.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn write(&self, writer: &mut Writer, group: &[Commit], verdicts: &[Verdict]) -> Result<(), StoreError> {
        let judged = group.iter().zip(verdicts).filter(|(_, verdict)| **verdict == Verdict::Written);
        let changes: Vec<&Change> = judged.flat_map(|(commit, _)| &commit.changes).collect();
        if changes.is_empty() {
            return writer.renew_if_due();
        }
        writer.write(Group::of(changes.into_iter()))?;
        if let Some(acknowledged) = &self.acknowledged
            && let Err(error) = acknowledged.record(writer.number().cast_unsigned())
        {
            tracing::warn!(%error, file = %acknowledged.path().display(), "a later loss of groups would not be noticed");
        }
        Ok(())
    }
}

/// Refuses an invalid group before the fences change.
fn admit(group: &[Commit]) -> Result<(), StoreError> {
    for change in group.iter().flat_map(|commit| &commit.changes) {
        let (Change::Put(key, _) | Change::Delete(key)) = change;
        check_key(key)?;
        if key.as_bytes().len() > LONGEST_KEY {
            return Err(StoreError::new(format_args!("a key must have at most {LONGEST_KEY} bytes")));
        }
    }
    Ok(())
}

impl Store for PostgresStore {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.reads.get(key)?.map(|stored| self.check.value(key, stored)).transpose()
    }

    fn get_all(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let found = self.reads.get_all(keys)?;
        let open = |key| found.get(key).cloned().map(|stored| self.check.value(key, stored)).transpose();
        keys.iter().map(open).collect()
    }

    fn scan(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let mut after = after.cloned();
        loop {
            let Some(bounds) = Bounds::of(prefix, after.as_ref(), direction) else { return Ok(Vec::new()) };
            let found = self.reads.range(&bounds, direction, limit)?;
            let Some((last, _)) = found.last() else { return Ok(Vec::new()) };
            let last = last.clone();
            let mut rows = Vec::with_capacity(found.len());
            for (key, stored) in found {
                let value = self.check.value_in_scan(&key, stored)?;
                rows.extend(value.map(|value| (key, value)));
            }
            // An empty page would mean that no rows follow.
            if !rows.is_empty() {
                return Ok(rows);
            }
            after = Some(last);
        }
    }

    fn claim(&self, session: &SessionId) -> Result<Claim, StoreError> {
        let claim = self.fences.claim(session, || head_of(self, session))?;
        self.check_alive().map(|()| claim)
    }

    fn release(&self, session: &SessionId, epoch: OwnerEpoch) {
        self.fences.release(session, epoch);
    }

    fn commit(&self, group: &[Commit]) -> Result<Vec<Verdict>, StoreError> {
        self.check_alive()?;
        let mut writer = self.writer.lock();
        admit(group)?;
        let verdicts = self.fences.judge(group);
        let outcome = self.write(&mut writer, group, &verdicts);
        if let Err(error) = &outcome {
            if error.fault() == StoreFault::Stopping {
                tracing::warn!(%error, "what waited to be written is given up");
            } else {
                tracing::error!(%error, "the store failed: nothing more is acknowledged");
            }
            self.failed.get_or_init(|| error.clone());
        }
        self.fences.settle();
        outcome.map(|()| verdicts)
    }

    fn stop_waiting(&self) {
        self.closing.store(true, Ordering::Release);
    }

    fn close(&self) {
        self.stop_waiting();
        self.failed.get_or_init(|| StoreError::stopping("it is closed"));
        if let Some(mut writer) = self.writer.try_lock_for(CLOSE_WITHIN) {
            writer.release();
        }
    }
}

impl Drop for PostgresStore {
    /// Drops the connections without a release, as a kill does.
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
    }
}
