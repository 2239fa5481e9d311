//! Logs of channels in the store: a row for each entry.
//!
//! Keys: `l <app> 0 <channel> 0 <seq> <part>`. Values begin with the number of parts that follow. New rows have one
//! part. Rows of earlier releases may have several, because those cut large entries.

use std::sync::Arc;

use bytes::Bytes;

use super::{PersistentRows, decode, encode, entry_row::EntryRow, members, row_key};
use crate::{
    log::{Entry, Log, LogLimits, NewEntry},
    protocol::ErrorInfo,
    storage::{Change, Direction, RowKey, StorageError},
};

/// A stored entry, for history.
pub struct StoredEntry {
    pub seq: u64,
    pub at: i64,
    pub log: Arc<str>,
    pub new_entry: NewEntry,
    /// The bytes of the row.
    pub size: usize,
    pub(super) parts: u8,
}

impl PersistentRows {
    /// Queues a new entry, and its changes of the presence set. `done` hears when they are durable.
    pub fn keep(&self, app: &str, entry: &Entry, log: &Log, done: impl FnOnce(Result<(), ErrorInfo>) + Send + 'static) {
        let row = encode(&EntryRow::of(entry, &log.id));
        let value = [&[0][..], &row].concat();
        let change = Change::Put(entry_key(app, &entry.channel, entry.seq, 0), value.into());
        let due = self.expiry.note(app, &entry.channel, entry.at);
        self.write(std::iter::once(change).chain(members::changes(app, entry)).chain(due).collect(), done);
    }

    /// Visits the entries of a channel beyond a number (exclusive) in one direction, until `visit` returns false.
    pub fn entries(
        &self,
        app: &str,
        channel: &str,
        from: Option<u64>,
        direction: Direction,
        mut visit: impl FnMut(StoredEntry) -> bool,
    ) -> Result<(), StorageError> {
        let prefix = log_prefix(app, channel);
        // The bound excludes all parts of `from`.
        let mut after = from.map(|seq| match direction {
            Direction::Forward => entry_key(app, channel, seq, u8::MAX),
            Direction::Backward => entry_key(app, channel, seq, 0),
        });
        let mut pieces: Vec<(u8, Bytes)> = Vec::new();
        let mut current = None;
        loop {
            let rows = self.storage.scan(&prefix, after.as_deref(), direction, 128)?;
            let last = rows.last().map(|(key, _)| key.clone());
            for (key, value) in rows {
                let Some((seq, part)) = read_entry_key(&key) else { continue };
                if current.is_some_and(|current| current != seq) {
                    pieces.clear();
                }
                current = Some(seq);
                pieces.push((part, value));
                let complete = match direction {
                    Direction::Forward => pieces.last().is_some_and(|(_, value)| value.first() == Some(&0)),
                    Direction::Backward => part == 0,
                };
                if complete {
                    pieces.sort_by_key(|(part, _)| *part);
                    let parts = u8::try_from(pieces.len()).unwrap_or(u8::MAX);
                    let whole: Vec<u8> =
                        pieces.drain(..).flat_map(|(_, value)| value.slice(1.min(value.len())..)).collect();
                    let row: EntryRow = decode(&whole)?;
                    let (log, size) = (row.log.as_str().into(), whole.len());
                    let stored = StoredEntry { seq, at: row.at, log, new_entry: row.new_entry(), size, parts };
                    if !visit(stored) {
                        return Ok(());
                    }
                }
            }
            match last {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    /// Queues the deletion of a channel's stored entries. `done` hears when it is durable.
    pub fn delete_entries(
        &self,
        app: &str,
        channel: &str,
        done: impl FnOnce(Result<(), ErrorInfo>) + Send + 'static,
    ) -> Result<(), StorageError> {
        let prefix = log_prefix(app, channel);
        let mut after: Option<RowKey> = None;
        loop {
            let page = self.storage.scan(&prefix, after.as_deref(), Direction::Forward, 256)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            self.write(page.into_iter().map(|(key, _)| Change::Delete(key)).collect(), |_| ());
        }
        self.settled(done);
        Ok(())
    }

    /// Reads a channel's log with its entries since `horizon`. If an entry is missing, the log begins after the gap.
    pub fn load_log(
        &self,
        app: &str,
        channel: &Arc<str>,
        horizon: i64,
        limit: &LogLimits,
    ) -> Result<Option<Log>, StorageError> {
        let mut recent: Vec<StoredEntry> = Vec::new();
        let (mut head, mut bytes) = (None, 0);
        self.entries(app, channel, None, Direction::Backward, |stored| {
            let next = recent.last().map_or(stored.seq, |later: &StoredEntry| later.seq.saturating_sub(1));
            let head = head.get_or_insert((stored.log.clone(), stored.seq, stored.at));
            let belongs =
                stored.seq == next && stored.log == head.0 && stored.at >= horizon && recent.len() < limit.entries;
            if belongs {
                bytes += stored.size;
                recent.push(stored);
            }
            belongs && bytes < limit.bytes
        })?;
        let Some((id, seq, at)) = head else { return Ok(None) };
        let mut log = Log::with_head(id, seq, at, limit);
        for stored in recent.into_iter().rev() {
            log.restore(channel, stored.seq, stored.at, stored.new_entry);
        }
        Ok(Some(log))
    }
}

pub(super) fn log_prefix(app: &str, channel: &str) -> RowKey {
    row_key(&[b"l", app.as_bytes(), b"\0", channel.as_bytes(), b"\0"])
}

pub(super) fn entry_key(app: &str, channel: &str, seq: u64, part: u8) -> RowKey {
    row_key(&[b"l", app.as_bytes(), b"\0", channel.as_bytes(), b"\0", &seq.to_be_bytes(), &[part]])
}

pub(super) fn read_entry_key(key: &[u8]) -> Option<(u64, u8)> {
    let (rest, part) = key.split_last_chunk::<1>().map(|(rest, part)| (rest, part[0]))?;
    let (_, seq) = rest.split_last_chunk::<8>()?;
    Some((u64::from_be_bytes(*seq), part))
}
