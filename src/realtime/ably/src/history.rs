//! History: the messages or presence events of a channel, page by page, from memory and from the store.

mod query;

use std::{sync::Arc, time::Duration};

pub use self::query::{Cursor, HistoryKind, HistoryQuery};
use crate::{
    channel::{Channel, MAX_REWIND, Persistence, Rewind},
    hub::Hub,
    log::Entry,
    protocol::{ChannelSerial, ErrorInfo},
    storage::Direction,
    time::millis,
};

/// The largest number of entries, and of bytes, that a returning client gets from the store.
const MAX_MISSED: usize = 20_000;
const MAX_MISSED_BYTES: usize = 4 << 20;
/// A page ends at this many bytes, or after this many entries, and links to the next page.
const MAX_PAGE_BYTES: usize = 1 << 20;
const MAX_LOOKED_AT: usize = 10_000;

/// The items of a page: each is an entry and the index of a message or event in it.
pub struct HistoryPage {
    pub items: Vec<(Arc<Entry>, usize)>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

struct Collector<'q> {
    query: &'q HistoryQuery,
    items: Vec<(Arc<Entry>, usize)>,
    more: bool,
    bytes: usize,
    looked_at: usize,
    /// The last entry that was examined completely.
    reached: Option<u64>,
}

impl Collector<'_> {
    fn new(query: &HistoryQuery) -> Collector<'_> {
        Collector { query, items: Vec::new(), more: false, bytes: 0, looked_at: 0, reached: None }
    }

    /// Takes entries until the page is full. False if it is.
    fn take_all<'e>(&mut self, mut entries: impl Iterator<Item = &'e Arc<Entry>>) -> bool {
        entries.all(|entry| self.take(entry))
    }

    /// False if the page is full.
    fn take(&mut self, entry: &Arc<Entry>) -> bool {
        let is_on_earlier_page = self.query.cursor.is_some_and(|cursor| match self.query.direction {
            Direction::Backward => entry.seq > cursor.seq,
            Direction::Forward => entry.seq < cursor.seq,
        });
        if is_on_earlier_page {
            return true;
        }
        if self.looked_at >= MAX_LOOKED_AT || self.bytes >= MAX_PAGE_BYTES {
            self.more = true;
            return false;
        }
        self.looked_at += 1;
        let taken = self.take_items(entry);
        if taken {
            self.reached = Some(entry.seq);
        }
        taken
    }

    fn take_items(&mut self, entry: &Arc<Entry>) -> bool {
        if !self.query.wants(entry) {
            return true;
        }
        self.bytes += entry.size();
        let indices: Box<dyn Iterator<Item = usize>> = match self.query.direction {
            Direction::Backward => Box::new((0..entry.count()).rev()),
            Direction::Forward => Box::new(0..entry.count()),
        };
        for index in indices.filter(|index| self.query.is_beyond_cursor(Cursor { seq: entry.seq, index: *index })) {
            if self.items.len() == self.query.limit {
                self.more = true;
                return false;
            }
            self.items.push((entry.clone(), index));
        }
        true
    }
}

impl Collector<'_> {
    /// Where the next page begins.
    fn next(&self) -> Option<Cursor> {
        let last = self.items.last().map(|(entry, index)| Cursor { seq: entry.seq, index: *index });
        // After examined entries without a matching item.
        let reached = self.reached.map(|seq| match self.query.direction {
            Direction::Backward => Cursor { seq, index: 0 },
            Direction::Forward => Cursor { seq, index: usize::MAX },
        });
        let further = match self.query.direction {
            Direction::Backward => last.into_iter().chain(reached).min(),
            Direction::Forward => last.into_iter().chain(reached).max(),
        };
        further.filter(|_| self.more)
    }
}

impl Hub {
    /// # Errors
    /// 50000 if the store cannot be read.
    pub fn history(&self, channel: &Channel, query: &HistoryQuery) -> Result<HistoryPage, ErrorInfo> {
        let mut collector = Collector::new(query);
        let recent = channel.recent();
        let oldest_recent = recent.first().map(|entry| entry.seq);
        match query.direction {
            Direction::Backward => {
                if collector.take_all(recent.iter().rev()) {
                    self.read_stored(channel, oldest_recent, query, &mut collector)?;
                }
            }
            Direction::Forward => {
                self.read_stored(channel, oldest_recent, query, &mut collector)?;
                if !collector.more {
                    collector.take_all(recent.iter());
                }
            }
        }
        Ok(HistoryPage { next: collector.next(), items: collector.items })
    }

    /// Stored messages for a rewind on a persisted channel, newest first.
    pub fn stored_before(&self, channel: &Channel, rewind: Rewind) -> Vec<Arc<Entry>> {
        if !self.stores(channel) {
            return Vec::new();
        }
        let since = |window: Duration| self.services.now().as_millis().saturating_sub(millis(window));
        let query = HistoryQuery {
            kind: HistoryKind::Messages,
            start: match rewind {
                Rewind::Messages(_) => None,
                Rewind::Time(window) => Some(since(window)),
            },
            end: None,
            direction: Direction::Backward,
            limit: match rewind {
                Rewind::Messages(wanted) => wanted.max(1),
                Rewind::Time(_) => MAX_REWIND,
            },
            from_serial: None,
            cursor: None,
        };
        // If the store cannot be read, the rewind reaches only as far as memory.
        let page = self.history(channel, &query).map(|page| page.items).unwrap_or_default();
        let mut entries: Vec<Arc<Entry>> = page.into_iter().map(|(entry, _)| entry).collect();
        entries.dedup_by_key(|entry| entry.seq);
        entries
    }

    /// Stored entries of a persisted channel after a position that memory no longer reaches, oldest first and without
    /// gaps. Empty if some are missing, if the position is outside of the continuity window, or if there are too
    /// many.
    pub fn stored_since(&self, channel: &Channel, serial: &str) -> Vec<Arc<Entry>> {
        let Some(serial) = ChannelSerial::parse(serial).filter(|serial| channel.has_forgotten_since(serial)) else {
            return Vec::new();
        };
        if !self.stores(channel) {
            return Vec::new();
        }
        let continuity = millis(self.services.config.continuity);
        let horizon = self.services.now().as_millis().saturating_sub(continuity);
        let (mut entries, mut size, mut lost) = (Vec::<Arc<Entry>>::new(), 0, false);
        let visit = |stored: super::persist::StoredEntry| {
            let follows = stored.log == serial.log;
            let entry = Entry::new(&channel.name, stored.log, stored.seq, stored.at, stored.new_entry);
            size += entry.size();
            let follows = follows && entry.seq == entries.last().map_or(serial.seq, |before| before.seq) + 1;
            lost = !follows || entry.at < horizon || size > MAX_MISSED_BYTES || entries.len() >= MAX_MISSED;
            entries.push(entry);
            !lost
        };
        let from = Some(serial.seq);
        let read = self.services.rows.entries(&self.app, &channel.name, from, Direction::Forward, visit);
        if let Err(error) = &read {
            tracing::error!(%error, "missed messages could not be read");
        }
        if lost || read.is_err() { Vec::new() } else { entries }
    }

    /// Collects entries that are stored and no longer in memory.
    fn read_stored(
        &self,
        channel: &Channel,
        oldest_recent: Option<u64>,
        query: &HistoryQuery,
        collector: &mut Collector<'_>,
    ) -> Result<(), ErrorInfo> {
        if channel.persistence == Persistence::NotPersisted || !self.is_main {
            return Ok(());
        }
        let cursor = query.cursor.map(|cursor| cursor.seq);
        let history = millis(self.services.config.history);
        let horizon = self.services.now().as_millis() - history;
        let from = match query.direction {
            Direction::Backward => match (cursor, oldest_recent) {
                (Some(cursor), Some(oldest)) => Some(oldest.min(cursor.saturating_add(1))),
                (Some(cursor), None) => Some(cursor.saturating_add(1)),
                (None, oldest) => oldest,
            },
            Direction::Forward => cursor.map(|cursor| cursor.saturating_sub(1)),
        };
        let visit = |stored: super::persist::StoredEntry| {
            if oldest_recent.is_some_and(|oldest| stored.seq >= oldest) {
                return query.direction == Direction::Backward;
            }
            // The times of a log never decrease.
            let (is_early, is_late) =
                (query.start.is_some_and(|start| stored.at < start), query.end.is_some_and(|end| stored.at > end));
            match query.direction {
                Direction::Backward if is_early || stored.at < horizon => return false,
                Direction::Forward if is_late => return false,
                Direction::Forward if stored.at < horizon => return true,
                _ => {}
            }
            collector.take(&Entry::new(&channel.name, stored.log, stored.seq, stored.at, stored.new_entry))
        };
        self.services.rows.entries(&self.app, &channel.name, from, query.direction, visit).map_err(|error| {
            tracing::error!(%error, "history could not be read");
            ErrorInfo::internal("history could not be read")
        })
    }
}
