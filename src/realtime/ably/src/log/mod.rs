//! A channel's log: its entries with their positions. It is replayed to returning clients, read for history, and
//! asked whether a message is a repetition.

mod entry;
mod ids;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tandem_intake::Budget;

pub use self::entry::{Entry, EntryBody, NewEntry};
use self::ids::Ids;
use crate::{
    protocol::{ChannelSerial, frame::PublishResult},
    time::{Timestamp, millis},
};

#[derive(Debug)]
pub struct Log {
    /// Distinguishes this log from earlier logs of the channel.
    pub id: Arc<str>,
    seq: u64,
    last_at: i64,
    /// The numbers have no gaps. The last entry is the head.
    entries: VecDeque<Arc<Entry>>,
    limits: LogLimits,
    /// Bytes of memory that the entries take.
    bytes: usize,
    ids: Ids,
}

/// The limits of a log in memory.
#[derive(Clone, Debug)]
pub struct LogLimits {
    pub entries: usize,
    /// Bytes of memory.
    pub bytes: usize,
    /// The budget of all logs. Each log keeps little while it is used up.
    pub all: Arc<Budget>,
}

#[cfg(test)]
impl LogLimits {
    /// Limits only the number of entries.
    pub fn of_entries(entries: usize) -> Self {
        Self { entries, bytes: 1 << 20, all: Budget::new(1 << 20) }
    }
}

/// The bytes that each log keeps while the budget is used up.
const FLOOR: usize = 64 * 1024;

/// The entries after a position.
pub enum Missed<'a> {
    Known(Box<dyn Iterator<Item = &'a Arc<Entry>> + 'a>),
    Lost,
}

impl Log {
    /// An empty log.
    pub fn new(limits: &LogLimits) -> Self {
        Self::continued(super::random_id(8).into(), 0, 0, limits)
    }

    /// A log whose head is known, without its entries.
    pub fn continued(id: Arc<str>, seq: u64, last_at: i64, limits: &LogLimits) -> Self {
        let ids = Ids::new(limits.bytes / 4);
        Self { id, seq, last_at, entries: VecDeque::new(), limits: limits.clone(), bytes: 0, ids }
    }

    /// The number and time of the head.
    pub fn position(&self) -> (u64, i64) {
        (self.seq, self.last_at)
    }

    /// The serial of the head.
    pub fn head(&self) -> String {
        ChannelSerial { at: self.last_at, seq: self.seq, log: self.id.clone() }.to_string()
    }

    pub fn append(&mut self, channel: &Arc<str>, new_entry: NewEntry, now: Timestamp) -> Arc<Entry> {
        self.seq += 1;
        self.last_at = self.last_at.max(now.as_millis());
        let entry = Entry::new(channel, self.id.clone(), self.seq, self.last_at, new_entry);
        self.keep(entry.clone());
        entry
    }

    /// Restores a stored entry. Entries come in order and end at the head.
    pub fn restore(&mut self, channel: &Arc<str>, seq: u64, at: i64, new_entry: NewEntry) {
        self.keep(Entry::new(channel, self.id.clone(), seq, at, new_entry));
    }

    fn keep(&mut self, entry: Arc<Entry>) {
        let before = self.ids.bytes();
        self.ids.remember(&entry);
        self.recount_ids(before);
        let bytes = entry.footprint();
        self.bytes += bytes;
        self.limits.all.take(bytes);
        self.entries.push_back(entry);
        let most = if self.limits.all.is_exhausted() { FLOOR.min(self.limits.bytes) } else { self.limits.bytes };
        self.shrink(most);
    }

    /// Forgets the oldest entries until the limits hold. The newest entry stays.
    fn shrink(&mut self, most: usize) {
        while self.entries.len() > 1 && (self.entries.len() > self.limits.entries || self.bytes > most) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some(first) = self.entries.pop_front() {
            let bytes = first.footprint();
            self.bytes -= bytes;
            self.limits.all.give(bytes);
        }
    }

    fn recount_ids(&self, before: usize) {
        let now = self.ids.bytes();
        match now >= before {
            true => self.limits.all.take(now - before),
            false => self.limits.all.give(before - now),
        }
    }

    /// The memory budget of all channels.
    pub fn memory(&self) -> &Arc<Budget> {
        &self.limits.all
    }

    /// The result of the publish with this id.
    pub fn published(&self, id: &str) -> Option<&PublishResult> {
        self.ids.published(id)
    }

    /// The number of the oldest kept entry, or of the next entry if there is none.
    fn oldest(&self) -> u64 {
        self.entries.front().map_or(self.seq + 1, |entry| entry.seq)
    }

    /// Whether the position is in this log, and later entries are no longer kept.
    pub fn has_forgotten_since(&self, serial: &ChannelSerial) -> bool {
        serial.log == self.id && serial.seq + 1 < self.oldest()
    }

    /// Whether the position's entry was lost in a crash before it was durable. Another entry has its number then.
    fn was_another(&self, serial: &ChannelSerial) -> bool {
        let at = match serial.seq.checked_sub(self.oldest()) {
            _ if serial.seq == self.seq => Some(self.last_at),
            Some(index) => usize::try_from(index).ok().and_then(|index| self.entries.get(index)).map(|entry| entry.at),
            None => None,
        };
        at.is_some_and(|at| at != serial.at)
    }

    /// The entries after a position. `stored` are stored entries after it, oldest first and without gaps. They count
    /// if they reach the kept entries.
    pub fn since<'a>(&'a self, serial: &ChannelSerial, stored: &'a [Arc<Entry>]) -> Missed<'a> {
        let oldest = self.oldest();
        if serial.log != self.id || serial.seq > self.seq || self.was_another(serial) {
            return Missed::Lost;
        }
        let next = serial.seq + 1;
        let stored = &stored[..stored.partition_point(|entry| entry.seq < oldest)];
        let joined =
            stored.first().zip(stored.last()).is_some_and(|(first, last)| first.seq == next && last.seq + 1 == oldest);
        if next < oldest && !joined {
            return Missed::Lost;
        }
        let skip = usize::try_from(next.saturating_sub(oldest)).unwrap_or(usize::MAX);
        Missed::Known(Box::new(stored.iter().chain(self.entries.iter().skip(skip))))
    }

    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Arc<Entry>> {
        self.entries.iter()
    }

    /// Forgets entries that are older than the window.
    pub fn prune(&mut self, now: Timestamp, window: Duration) {
        let horizon = now.as_millis().saturating_sub(millis(window));
        while self.entries.front().is_some_and(|first| first.at < horizon) {
            self.forget_first();
        }
        if self.limits.all.is_exhausted() {
            self.shrink(FLOOR);
        }
        if self.entries.is_empty() && self.entries.capacity() > 0 {
            self.entries = VecDeque::new();
        }
        let before = self.ids.bytes();
        self.ids.prune(horizon);
        self.recount_ids(before);
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.limits.all.give(self.bytes + self.ids.bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Data, Message, data::Payload};

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const WINDOW: Duration = Duration::from_secs(120);
    const LIMIT: usize = 4;

    fn limits(entries: usize, bytes: usize, all: usize) -> LogLimits {
        LogLimits { entries, bytes, all: Budget::new(all) }
    }

    fn fresh() -> Log {
        Log::new(&LogLimits::of_entries(LIMIT))
    }

    fn publish(log: &mut Log, id: Option<&str>, now: Timestamp) -> Arc<Entry> {
        let message = Message { id: id.map(Into::into), ..Message::default() };
        let body = EntryBody::Messages(vec![message]);
        log.append(&"channel".into(), NewEntry { id: "frame".into(), connection_id: None, body, event: None }, now)
    }

    fn missed(log: &Log, serial: &str) -> Option<Vec<u64>> {
        missed_with(log, serial, &[])
    }

    fn missed_with(log: &Log, serial: &str, stored: &[Arc<Entry>]) -> Option<Vec<u64>> {
        match log.since(&ChannelSerial::parse(serial)?, stored) {
            Missed::Known(entries) => Some(entries.map(|entry| entry.seq).collect()),
            Missed::Lost => None,
        }
    }

    #[test]
    fn whoever_comes_back_in_time_misses_nothing() {
        let mut log = fresh();
        let at_start = log.head();
        let first = publish(&mut log, None, NOW);
        publish(&mut log, None, NOW);
        assert_eq!(missed(&log, &at_start), Some(vec![1, 2]));
        assert_eq!(missed(&log, &first.serial), Some(vec![2]));
        assert_eq!(missed(&log, &log.head()), Some(vec![]));
        log.prune(NOW + 2 * WINDOW, WINDOW);
        assert_eq!(missed(&log, &log.head()), Some(vec![]), "nothing was missed, however long it took");
        assert_eq!(missed(&log, &first.serial), None);
    }

    #[test]
    fn a_position_of_another_log_or_of_the_future_is_lost() {
        let mut log = fresh();
        publish(&mut log, None, NOW);
        assert_eq!(missed(&log, &fresh().head()), None);
        assert_eq!(missed(&log, &ChannelSerial { at: 0, seq: 2, log: log.id.clone() }.to_string()), None);
    }

    #[test]
    fn a_position_is_lost_whose_number_was_given_again() {
        let mut log = fresh();
        let entries = [NOW, NOW + WINDOW / 2].map(|at| publish(&mut log, None, at));
        let other = |entry: &Entry| ChannelSerial { at: entry.at + 1, seq: entry.seq, log: log.id.clone() }.to_string();
        for entry in &entries {
            assert!(missed(&log, &entry.serial).is_some());
            assert_eq!(missed(&log, &other(entry)), None, "seq {}", entry.seq);
        }
    }

    #[test]
    fn a_repetition_is_recognised_within_the_window() {
        let mut log = fresh();
        publish(&mut log, None, NOW);
        let entry = publish(&mut log, Some("once"), NOW);
        publish(&mut log, None, NOW + WINDOW);
        assert_eq!(log.published("once").unwrap().serial, Some(entry.serial.clone()));
        log.prune(NOW + WINDOW + WINDOW / 2, WINDOW);
        assert!(log.published("once").is_none());
    }

    #[test]
    fn a_log_keeps_its_newest_entries() {
        let mut log = fresh();
        let entries: Vec<_> = (0..7).map(|n| publish(&mut log, Some(&n.to_string()), NOW)).collect();
        assert_eq!(log.entries().map(|entry| entry.seq).collect::<Vec<_>>(), [4, 5, 6, 7]);
        assert!(log.published("0").is_some(), "what it was published under is known for longer");
        assert_eq!(missed(&log, &entries[2].serial), Some(vec![4, 5, 6, 7]));
        assert_eq!(missed(&log, &entries[1].serial), None);
    }

    #[test]
    fn what_is_stored_continues_what_memory_has_forgotten() {
        let mut log = fresh();
        let entries: Vec<_> = (0..9).map(|_| publish(&mut log, None, NOW)).collect();
        let from = |first: usize| &entries[first..];
        assert!(log.has_forgotten_since(&ChannelSerial::parse(&entries[1].serial).unwrap()));
        assert_eq!(missed_with(&log, &entries[1].serial, from(2)), Some(vec![3, 4, 5, 6, 7, 8, 9]));
        assert_eq!(missed_with(&log, &entries[1].serial, &entries[2..5]), Some(vec![3, 4, 5, 6, 7, 8, 9]));
        assert_eq!(missed_with(&log, &entries[1].serial, from(3)), None, "the first is missing");
        assert_eq!(missed_with(&log, &entries[1].serial, &entries[2..4]), None, "the last is missing");
        assert!(!log.has_forgotten_since(&ChannelSerial::parse(&entries[4].serial).unwrap()));
        assert_eq!(missed_with(&log, &entries[6].serial, &[]), Some(vec![8, 9]));
    }

    fn publish_bytes(log: &mut Log, bytes: usize) {
        let data = Some(Data::Text("x".repeat(bytes).into()));
        let message = Message { payload: Payload { data, encoding: None }, ..Message::default() };
        let body = EntryBody::Messages(vec![message]);
        log.append(&"channel".into(), NewEntry { id: "frame".into(), connection_id: None, body, event: None }, NOW);
    }

    #[test]
    fn a_log_keeps_so_many_bytes_and_all_of_them_together_no_more_than_there_is() {
        let shared = limits(1_000, 1 << 20, 2 << 20);
        let mut logs: Vec<_> = (0..8).map(|_| Log::new(&shared)).collect();
        for log in &mut logs {
            (0..100).for_each(|_| publish_bytes(log, 10_000));
            assert!(log.bytes <= 1 << 20 && !log.is_empty());
        }
        assert!(shared.all.taken() <= (2 << 20) + (1 << 20), "{}", shared.all.taken());
        logs.iter_mut().for_each(|log| log.prune(NOW, WINDOW));
        assert!(!shared.all.is_exhausted());
        drop(logs);
        assert_eq!(shared.all.taken(), 0);
    }

    #[test]
    fn ids_are_remembered_in_so_many_bytes() {
        let shared = limits(10, 40_000, 1 << 20);
        let mut log = Log::new(&shared);
        (0..100).for_each(|n| drop(publish(&mut log, Some(&format!("{n}{}", "i".repeat(1_000))), NOW)));
        assert!(log.ids.bytes() <= 10_000 && log.ids.bytes() > 5_000);
    }

    #[test]
    fn serials_sort_as_text_even_when_the_clock_goes_back() {
        let mut log = fresh();
        let first = publish(&mut log, None, NOW);
        let second = publish(&mut log, None, Timestamp::from_millis(NOW.as_millis() - 5_000));
        assert!(first.serial < second.serial);
    }
}
