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
    /// Entries that come after the head, and that nobody hears of until they are stored.
    pending: VecDeque<Pending>,
    limits: LogLimits,
    /// Bytes of memory that the entries take.
    bytes: usize,
    ids: Ids,
}

#[derive(Debug)]
struct Pending {
    entry: Arc<Entry>,
    /// It is stored, but an earlier one is not.
    may_be_told: bool,
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
const FLOOR: usize = 16 * 1024;
/// The bytes of ids that each log keeps then: more, because a repetition that is not noticed arrives twice.
const IDS_FLOOR: usize = 32 * 1024;

/// The entries after a position.
pub enum MissedEntries<'a> {
    Known(Box<dyn Iterator<Item = &'a Arc<Entry>> + 'a>),
    Lost,
}

impl Log {
    /// An empty log.
    pub fn new(limits: &LogLimits) -> Self {
        Self::with_head(crate::random::random_id(8).into(), 0, 0, limits)
    }

    /// A log whose head is known, without its entries.
    pub fn with_head(id: Arc<str>, seq: u64, last_at: i64, limits: &LogLimits) -> Self {
        let ids = Ids::new(limits.bytes / 4);
        let (entries, pending) = (VecDeque::new(), VecDeque::new());
        Self { id, seq, last_at, entries, pending, limits: limits.clone(), bytes: 0, ids }
    }

    /// The number and time of the head.
    pub fn position(&self) -> (u64, i64) {
        (self.seq, self.last_at)
    }

    /// The serial of the head.
    pub fn head(&self) -> String {
        ChannelSerial { at: self.last_at, seq: self.seq, log: self.id.clone() }.to_string()
    }

    /// Appends an entry that is not to be heard of until [`Self::tell_next`].
    pub fn append(&mut self, channel: &Arc<str>, new_entry: NewEntry, now: Timestamp) -> Arc<Entry> {
        let (seq, at) = self.pending.back().map_or(self.position(), |last| (last.entry.seq, last.entry.at));
        let entry = Entry::new(channel, self.id.clone(), seq + 1, at.max(now.as_millis()), new_entry);
        self.count(&entry);
        self.pending.push_back(Pending { entry: entry.clone(), may_be_told: false });
        entry
    }

    /// Lets a pending entry be heard of, after all that come before it.
    pub fn allow(&mut self, seq: u64) {
        if let Some(pending) = self.pending.iter_mut().find(|pending| pending.entry.seq == seq) {
            pending.may_be_told = true;
        }
    }

    /// The next entry to be heard of, which is the head now.
    pub fn tell_next(&mut self) -> Option<Arc<Entry>> {
        self.pending.front().filter(|next| next.may_be_told)?;
        let entry = self.pending.pop_front()?.entry;
        if entry.seq != self.seq + 1 {
            // A withdrawn entry is not in the store either: after a restart the log begins behind it, too.
            self.forget_all();
        }
        (self.seq, self.last_at) = (entry.seq, entry.at);
        self.keep(entry.clone());
        Some(entry)
    }

    /// Forgets a pending entry, and that its id was published.
    pub fn withdraw(&mut self, seq: u64) {
        if let Some(index) = self.pending.iter().position(|pending| pending.entry.seq == seq)
            && let Some(Pending { entry, .. }) = self.pending.remove(index)
        {
            let before = self.ids.bytes();
            self.ids.forget(&entry);
            self.recount_ids(before);
            self.uncount(&entry);
        }
    }

    /// Restores a stored entry. Entries come in order and end at the head.
    pub fn restore(&mut self, channel: &Arc<str>, seq: u64, at: i64, new_entry: NewEntry) {
        let entry = Entry::new(channel, self.id.clone(), seq, at, new_entry);
        self.count(&entry);
        self.keep(entry);
    }

    /// Adds an entry and its id to the memory in use.
    fn count(&mut self, entry: &Entry) {
        let before = self.ids.bytes();
        let most = if self.limits.all.is_exhausted() { IDS_FLOOR } else { usize::MAX };
        self.ids.remember(entry, most);
        self.recount_ids(before);
        let bytes = entry.footprint();
        self.bytes += bytes;
        self.limits.all.take(bytes);
    }

    fn uncount(&mut self, entry: &Entry) {
        let bytes = entry.footprint();
        self.bytes -= bytes;
        self.limits.all.give(bytes);
    }

    fn keep(&mut self, entry: Arc<Entry>) {
        debug_assert!(self.entries.back().is_none_or(|last| last.seq + 1 == entry.seq), "numbers have no gaps");
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
            self.uncount(&first);
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

    /// The newest entry of this kind, also among those that are pending.
    pub fn newest(&self, is_wanted: impl Fn(&Entry) -> bool) -> Option<&Arc<Entry>> {
        let pending = self.pending.iter().rev().map(|pending| &pending.entry);
        pending.chain(self.entries.iter().rev()).find(|entry| is_wanted(entry))
    }

    /// The number of the oldest kept entry, or of the next entry if there is none.
    pub fn oldest(&self) -> u64 {
        self.entries.front().map_or(self.seq + 1, |entry| entry.seq)
    }

    /// Whether the position is in this log, and later entries are no longer kept.
    pub fn has_forgotten_since(&self, serial: &ChannelSerial) -> bool {
        serial.log == self.id && serial.seq + 1 < self.oldest()
    }

    /// Whether the store has lost the position's entry, as a backup from before it has. Another entry has its number
    /// then.
    fn is_of_lost_entry(&self, serial: &ChannelSerial) -> bool {
        let at = match serial.seq.checked_sub(self.oldest()) {
            _ if serial.seq == self.seq => Some(self.last_at),
            Some(index) => usize::try_from(index).ok().and_then(|index| self.entries.get(index)).map(|entry| entry.at),
            None => None,
        };
        at.is_some_and(|at| at != serial.at)
    }

    /// Whether the position is one of this log, up to its head.
    pub fn has(&self, serial: &ChannelSerial) -> bool {
        serial.log == self.id && serial.seq <= self.seq && !self.is_of_lost_entry(serial)
    }

    /// The entries after a position. `stored` are stored entries after it, oldest first and without gaps. They count
    /// if they reach the kept entries.
    pub fn since<'a>(&'a self, serial: &ChannelSerial, stored: &'a [Arc<Entry>]) -> MissedEntries<'a> {
        let oldest = self.oldest();
        if !self.has(serial) {
            return MissedEntries::Lost;
        }
        let next = serial.seq + 1;
        let stored = &stored[..stored.partition_point(|entry| entry.seq < oldest)];
        let joined =
            stored.first().zip(stored.last()).is_some_and(|(first, last)| first.seq == next && last.seq + 1 == oldest);
        if next < oldest && !joined {
            return MissedEntries::Lost;
        }
        let skip = usize::try_from(next.saturating_sub(oldest)).unwrap_or(usize::MAX);
        MissedEntries::Known(Box::new(stored.iter().chain(self.entries.iter().skip(skip))))
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
        if self.entries.is_empty() && self.pending.is_empty() {
            (self.entries, self.pending) = (VecDeque::new(), VecDeque::new());
        }
        let before = self.ids.bytes();
        self.ids.prune(horizon);
        self.recount_ids(before);
    }

    /// Forgets all entries. The head stays, so that a client cannot continue from before it without a gap.
    pub fn forget_all(&mut self) {
        while !self.entries.is_empty() {
            self.forget_first();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.pending.is_empty()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.limits.all.give(self.bytes + self.ids.bytes());
    }
}

#[cfg(test)]
mod tests;
