//! Deletes old entries of stored logs in small steps. An index by time names the channels with due entries, so that
//! the cost of a step does not depend on the number of channels.
//!
//! Keys: `x <app> 0 <minute> <channel>`, a time that is not later than the channel's oldest entry. A channel may have
//! several such rows. Each that comes due is replaced by one for the oldest entry at that time. `y <app>` says that
//! the logs from releases without an index are indexed.

use std::collections::HashSet;

use parking_lot::Mutex;

use super::{
    PersistentRows,
    logs::{entry_key, log_prefix, read_entry_key},
    row_key,
};
use crate::storage::{Change, Direction, RowKey, StorageError};

const MINUTE: i64 = 60_000;
/// The approximate number of rows that one step deletes.
const STEP: usize = 256;
/// The largest number of channels in [`Expiry`].
const REMEMBERED: usize = 50_000;

/// Channels that are known to be in the index.
#[derive(Default)]
pub struct Expiry(Mutex<HashSet<String>>);

impl Expiry {
    /// The index row for a channel with a new entry, unless it has one.
    pub(super) fn note(&self, app: &str, channel: &str, at: i64) -> Option<Change> {
        let mut known = self.0.lock();
        if known.contains(channel) {
            return None;
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(channel.to_owned());
        Some(Change::Put(due_key(app, at, channel), bytes::Bytes::new()))
    }

    /// Called before a channel's entries are read: an entry that comes in meanwhile gets its own index row.
    fn forget(&self, channel: &str) {
        self.0.lock().remove(channel);
    }
}

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// More may be due.
    More,
    Done,
}

impl PersistentRows {
    /// Runs one step: deletes some of the entries from before `horizon`.
    pub fn expire(&self, app: &str, horizon: i64) -> Result<Step, StorageError> {
        if !self.has_room() {
            return Ok(Step::Done);
        }
        let prefix = due_prefix(app);
        let Some((due, _)) = self.storage.scan(&prefix, None, Direction::Forward, 1)?.pop() else {
            return Ok(Step::Done);
        };
        let Some((minute, channel)) = read_due_key(&due, &prefix) else {
            self.write(vec![Change::Delete(due)], |_| ());
            return Ok(Step::More);
        };
        if (minute + 1) * MINUTE > horizon {
            return Ok(Step::Done);
        }
        self.expire_channel(app, &channel, horizon, Some(due))?;
        Ok(Step::More)
    }

    /// Deletes a channel's oldest entries, and indexes the rest.
    fn expire_channel(&self, app: &str, channel: &str, horizon: i64, due: Option<RowKey>) -> Result<(), StorageError> {
        self.expiry.forget(channel);
        let mut changes: Vec<Change> = due.map(Change::Delete).into_iter().collect();
        let mut rest = None;
        self.entries(app, channel, None, Direction::Forward, |stored| {
            if stored.at >= horizon || changes.len() >= STEP {
                rest = Some(stored.at);
                return false;
            }
            changes.extend((0..stored.parts).map(|part| Change::Delete(entry_key(app, channel, stored.seq, part))));
            true
        })?;
        // This comes after the deletion of the due row, because both may have the same key.
        changes.extend(rest.map(|at| Change::Put(due_key(app, at, channel), bytes::Bytes::new())));
        if !changes.is_empty() {
            self.write(changes, |_| ());
        }
        Ok(())
    }

    /// Indexes the log before `after`, from a release without an index. None when all are indexed.
    pub fn index_old_log(
        &self,
        app: &str,
        after: Option<RowKey>,
        horizon: i64,
    ) -> Result<Option<RowKey>, StorageError> {
        let done = row_key(&[b"y", app.as_bytes()]);
        if after.is_none() && self.storage.get(&done)?.is_some() {
            return Ok(None);
        }
        let prefix = row_key(&[b"l", app.as_bytes(), b"\0"]);
        let Some((key, _)) = self.storage.scan(&prefix, after.as_deref(), Direction::Backward, 1)?.pop() else {
            self.write(vec![Change::Put(done, bytes::Bytes::from_static(&[1]))], |_| ());
            return Ok(None);
        };
        let name = &key[prefix.len()..];
        let name = read_entry_key(&key).and_then(|_| name.len().checked_sub(10).map(|end| &name[..end]));
        let Some(name) = name else { return Ok(Some(key)) };
        let name = String::from_utf8_lossy(name).into_owned();
        self.expire_channel(app, &name, horizon, None)?;
        Ok(Some(log_prefix(app, &name)))
    }
}

fn due_prefix(app: &str) -> RowKey {
    row_key(&[b"x", app.as_bytes(), b"\0"])
}

fn due_key(app: &str, at: i64, channel: &str) -> RowKey {
    let minute = u64::try_from(at / MINUTE).unwrap_or(0);
    row_key(&[b"x", app.as_bytes(), b"\0", &minute.to_be_bytes(), channel.as_bytes()])
}

fn read_due_key(key: &[u8], prefix: &[u8]) -> Option<(i64, String)> {
    let (minute, channel) = key.get(prefix.len()..)?.split_first_chunk::<8>()?;
    let minute = i64::try_from(u64::from_be_bytes(*minute)).ok()?;
    Some((minute, std::str::from_utf8(channel).ok()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        log::{EntryBody, Log, LogLimits, NewEntry},
        storage::MemoryStorage,
        time::Timestamp,
    };

    const DAY: i64 = 24 * 60 * MINUTE;

    fn rows() -> PersistentRows {
        PersistentRows::new(Arc::new(MemoryStorage::default())).unwrap()
    }

    fn publish(rows: &PersistentRows, log: &mut Log, channel: &str, at: i64) {
        let new_entry =
            NewEntry { id: "id".into(), connection_id: None, body: EntryBody::Messages(Vec::new()), event: None };
        let entry = log.append(&channel.into(), new_entry, Timestamp::from_millis(at));
        rows.keep("app", &entry, log, |_| ());
    }

    fn seqs(rows: &PersistentRows, channel: &str) -> Vec<u64> {
        let mut seqs = Vec::new();
        let visit = |stored: super::super::StoredEntry| {
            seqs.push(stored.seq);
            true
        };
        rows.entries("app", channel, None, Direction::Forward, visit).expect("read");
        seqs
    }

    fn index(rows: &PersistentRows) -> usize {
        rows.storage.scan(&due_prefix("app"), None, Direction::Forward, usize::MAX).expect("read").len()
    }

    /// The number of steps until nothing is due.
    fn expire(rows: &PersistentRows, horizon: i64) -> usize {
        let mut steps = 0;
        while rows.expire("app", horizon).expect("a step") == Step::More {
            steps += 1;
        }
        steps
    }

    #[test]
    fn old_entries_are_deleted_even_a_channels_last_and_newer_ones_stay() {
        let rows = rows();
        let (mut old, mut young) = (Log::new(&LogLimits::of_entries(10)), Log::new(&LogLimits::of_entries(10)));
        (0..3).for_each(|minute| publish(&rows, &mut old, "old", DAY + minute * MINUTE));
        (0..3).for_each(|minute| publish(&rows, &mut young, "young", DAY + minute * 2 * MINUTE));
        assert_eq!(index(&rows), 2, "one row for each channel, not for each entry");
        assert_eq!(expire(&rows, DAY), 0, "nothing is due");
        assert_eq!((seqs(&rows, "old").len(), seqs(&rows, "young").len()), (3, 3));
        expire(&rows, DAY + 3 * MINUTE);
        assert_eq!((seqs(&rows, "old"), seqs(&rows, "young")), (vec![], vec![3]));
        assert_eq!(index(&rows), 1);
        publish(&rows, &mut old, "old", 2 * DAY);
        expire(&rows, 3 * DAY);
        assert_eq!((seqs(&rows, "old"), seqs(&rows, "young"), index(&rows)), (vec![], vec![], 0));
    }

    #[test]
    fn a_long_log_is_deleted_in_steps() {
        let rows = rows();
        let mut log = Log::new(&LogLimits::of_entries(10));
        (0..2 * STEP as i64).for_each(|n| publish(&rows, &mut log, "long", DAY + n));
        assert!(expire(&rows, 2 * DAY) >= 2);
        assert_eq!((seqs(&rows, "long"), index(&rows)), (vec![], 0));
    }

    #[test]
    fn logs_without_an_index_are_indexed_once() {
        let rows = rows();
        for channel in ["a", "b", "c"] {
            let mut log = Log::new(&LogLimits::of_entries(10));
            (1..=2).for_each(|day| publish(&rows, &mut log, channel, day * DAY));
        }
        let due = rows.storage.scan(&due_prefix("app"), None, Direction::Forward, usize::MAX).expect("read");
        rows.write(due.into_iter().map(|(key, _)| Change::Delete(key)).collect(), |_| ());
        let (mut after, mut steps) = (None, 0);
        while let Some(next) = rows.index_old_log("app", after.take(), DAY + 1).expect("a step") {
            after = Some(next);
            steps += 1;
        }
        assert_eq!((steps, seqs(&rows, "a"), index(&rows)), (3, vec![2], 3));
        assert!(rows.index_old_log("app", None, DAY + 1).expect("a look").is_none(), "never again");
        expire(&rows, 3 * DAY);
        assert_eq!((seqs(&rows, "c"), index(&rows)), (vec![], 0));
    }
}
