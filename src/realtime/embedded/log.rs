//! A channel's log: what was published on it, with positions. Replayed to whoever comes back in time, read for history, and asked whether
//! a message is a repetition.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use tandem_actors::domain::time::Timestamp;

use super::{
    outbox::{Frame, Mark},
    protocol::{
        Action, ChannelSerial, Format, Message, Outbound, PresenceMessage,
        message::{Place, Placed},
    },
};

#[derive(Debug)]
pub enum Body {
    Messages(Vec<Message>),
    Presence(Vec<PresenceMessage>),
}

/// One frame's worth of messages or presence events.
#[derive(Debug)]
pub struct Entry {
    pub seq: u64,
    pub at: i64,
    pub channel: Arc<str>,
    /// The channel serial of this position.
    pub serial: Arc<str>,
    pub id: Arc<str>,
    /// Whose connection published it; none for REST and for the server itself.
    pub connection_id: Option<Arc<str>>,
    pub body: Body,
    pub mark: Option<Arc<Mark>>,
    json: OnceLock<Bytes>,
    msgpack: OnceLock<Bytes>,
}

impl Entry {
    /// The entry of `log` with this number.
    pub fn new(channel: &Arc<str>, log: Arc<str>, seq: u64, at: i64, draft: Draft) -> Arc<Self> {
        Arc::new(Self {
            seq,
            at,
            channel: channel.clone(),
            serial: ChannelSerial { at, seq, log }.to_text().into(),
            id: draft.id,
            connection_id: draft.connection_id,
            body: draft.body,
            mark: draft.mark,
            json: OnceLock::new(),
            msgpack: OnceLock::new(),
        })
    }

    /// The frame that carries it, encoded once for each format.
    pub fn bytes(&self, format: Format) -> Bytes {
        let cell = match format {
            Format::Json => &self.json,
            Format::Msgpack => &self.msgpack,
        };
        cell.get_or_init(|| self.encode(format, 0)).clone()
    }

    pub fn frame(&self, format: Format) -> Frame {
        Frame { bytes: self.bytes(format), mark: self.mark.clone() }
    }

    /// The frame without its first `skip` messages.
    pub fn frame_from(&self, format: Format, skip: usize) -> Frame {
        if skip == 0 {
            return self.frame(format);
        }
        Frame { bytes: self.encode(format, skip), mark: self.mark.clone() }
    }

    fn encode(&self, format: Format, skip: usize) -> Bytes {
        let frame = |action| Outbound {
            id: Some(&self.id),
            channel_serial: Some(&self.serial),
            connection_id: self.connection_id.as_deref(),
            timestamp: Some(self.at),
            ..Outbound::on(action, &self.channel)
        };
        match &self.body {
            Body::Presence(events) => {
                Outbound { presence: Some(events.iter().collect()), ..frame(Action::Presence) }.encode(format)
            }
            Body::Messages(messages) => {
                // The receiver counts from the frame's id, unless the beginning is missing.
                let own = |index| ((skip > 0).then(|| self.message_id(index)), self.message_serial(index));
                let own: Vec<_> = (skip..messages.len()).map(own).collect();
                let placed = own.iter().zip(&messages[skip..]).map(|((id, serial), message)| {
                    let place = Place { id: id.as_deref(), connection_id: None, timestamp: None, serial };
                    Placed { message, place }
                });
                Outbound { messages: Some(placed.collect()), ..frame(Action::Message) }.encode(format)
            }
        }
    }

    pub fn message_serial(&self, index: usize) -> String {
        super::protocol::serial::message_serial(&self.serial, index)
    }

    pub fn message_id(&self, index: usize) -> String {
        match &self.body {
            Body::Messages(messages) => match messages.get(index).and_then(|message| message.id.as_deref()) {
                Some(own) => own.to_owned(),
                None => format!("{}:{index}", self.id),
            },
            Body::Presence(_) => format!("{}:{index}", self.id),
        }
    }

    pub fn count(&self) -> usize {
        match &self.body {
            Body::Messages(messages) => messages.len(),
            Body::Presence(events) => events.len(),
        }
    }

    /// The serials of its messages.
    pub fn serials(&self) -> Vec<String> {
        (0..self.count()).map(|index| self.message_serial(index)).collect()
    }

    /// The id by which a repetition is recognised: the first message's, if its publisher chose one.
    fn chosen_id(&self) -> Option<&Arc<str>> {
        match &self.body {
            Body::Messages(messages) => messages.first().and_then(|message| message.id.as_ref()),
            Body::Presence(_) => None,
        }
    }
}

/// What a new entry is made of.
pub struct Draft {
    pub id: Arc<str>,
    pub connection_id: Option<Arc<str>>,
    pub body: Body,
    pub mark: Option<Arc<Mark>>,
}

#[derive(Debug)]
pub struct Log {
    /// Tells this log from those of earlier lives of the channel.
    pub id: Arc<str>,
    seq: u64,
    last_at: i64,
    /// Without gaps in `seq`; the last one is the head.
    entries: VecDeque<Arc<Entry>>,
    /// The most entries that are kept.
    limit: usize,
    chosen_ids: HashMap<Arc<str>, u64>,
}

/// What has been missed since a position.
pub enum Since<'a> {
    Known(Box<dyn Iterator<Item = &'a Arc<Entry>> + 'a>),
    Lost,
}

impl Log {
    /// An empty log that keeps at most `limit` entries.
    pub fn new(limit: usize) -> Self {
        Self::continued(super::random_id(8).into(), 0, 0, limit)
    }

    /// A log whose head is known, without its entries.
    pub fn continued(id: Arc<str>, seq: u64, last_at: i64, limit: usize) -> Self {
        Self { id, seq, last_at, entries: VecDeque::new(), limit, chosen_ids: HashMap::new() }
    }

    /// The serial of the head.
    pub fn head(&self) -> String {
        ChannelSerial { at: self.last_at, seq: self.seq, log: self.id.clone() }.to_string()
    }

    pub fn append(&mut self, channel: &Arc<str>, draft: Draft, now: Timestamp) -> Arc<Entry> {
        self.seq += 1;
        self.last_at = self.last_at.max(now.as_millis());
        let entry = Entry::new(channel, self.id.clone(), self.seq, self.last_at, draft);
        self.keep(entry.clone());
        entry
    }

    /// Puts back an entry that was stored. They come in order and end at the head.
    pub fn restore(&mut self, channel: &Arc<str>, seq: u64, at: i64, draft: Draft) {
        self.keep(Entry::new(channel, self.id.clone(), seq, at, draft));
    }

    fn keep(&mut self, entry: Arc<Entry>) {
        if let Some(id) = entry.chosen_id() {
            self.chosen_ids.insert(id.clone(), entry.seq);
        }
        if self.entries.len() >= self.limit {
            self.forget_first();
        }
        self.entries.push_back(entry);
    }

    /// The entry that a message with this id was published in.
    pub fn published(&self, id: &str) -> Option<Arc<Entry>> {
        let seq = *self.chosen_ids.get(id)?;
        let first = self.entries.front()?.seq;
        self.entries.get(usize::try_from(seq.checked_sub(first)?).ok()?).cloned()
    }

    pub fn since(&self, serial: &ChannelSerial) -> Since<'_> {
        let oldest = self.entries.front().map_or(self.seq + 1, |entry| entry.seq);
        if serial.log != self.id || serial.seq > self.seq || serial.seq + 1 < oldest {
            return Since::Lost;
        }
        let skip = usize::try_from(serial.seq + 1 - oldest).unwrap_or(usize::MAX);
        Since::Known(Box::new(self.entries.iter().skip(skip)))
    }

    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Arc<Entry>> {
        self.entries.iter()
    }

    /// Forgets what is older than the window.
    pub fn prune(&mut self, now: Timestamp, window: Duration) {
        let horizon = now.as_millis().saturating_sub(i64::try_from(window.as_millis()).unwrap_or(i64::MAX));
        while self.entries.front().is_some_and(|first| first.at < horizon) {
            self.forget_first();
        }
        if self.entries.is_empty() && self.entries.capacity() > 0 {
            self.entries = VecDeque::new();
            self.chosen_ids = HashMap::new();
        }
    }

    fn forget_first(&mut self) {
        let Some(first) = self.entries.pop_front() else { return };
        if let Some(id) = first.chosen_id()
            && self.chosen_ids.get(id) == Some(&first.seq)
        {
            self.chosen_ids.remove(id);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const WINDOW: Duration = Duration::from_secs(120);
    const LIMIT: usize = 4;

    fn publish(log: &mut Log, id: Option<&str>, now: Timestamp) -> Arc<Entry> {
        let message = Message { id: id.map(Into::into), ..Message::default() };
        let body = Body::Messages(vec![message]);
        log.append(&"channel".into(), Draft { id: "frame".into(), connection_id: None, body, mark: None }, now)
    }

    fn missed(log: &Log, serial: &str) -> Option<Vec<u64>> {
        match log.since(&ChannelSerial::parse(serial)?) {
            Since::Known(entries) => Some(entries.map(|entry| entry.seq).collect()),
            Since::Lost => None,
        }
    }

    #[test]
    fn whoever_comes_back_in_time_misses_nothing() {
        let mut log = Log::new(LIMIT);
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
        let mut log = Log::new(LIMIT);
        publish(&mut log, None, NOW);
        assert_eq!(missed(&log, &Log::new(LIMIT).head()), None);
        assert_eq!(missed(&log, &ChannelSerial { at: 0, seq: 2, log: log.id.clone() }.to_string()), None);
    }

    #[test]
    fn a_repetition_is_recognised_as_long_as_the_log_reaches() {
        let mut log = Log::new(LIMIT);
        publish(&mut log, None, NOW);
        let entry = publish(&mut log, Some("once"), NOW);
        publish(&mut log, None, NOW + WINDOW);
        assert_eq!(log.published("once").unwrap().serial, entry.serial);
        log.prune(NOW + WINDOW + WINDOW / 2, WINDOW);
        assert!(log.published("once").is_none());
    }

    #[test]
    fn a_log_keeps_its_newest_entries() {
        let mut log = Log::new(LIMIT);
        let entries: Vec<_> = (0..7).map(|n| publish(&mut log, Some(&n.to_string()), NOW)).collect();
        assert_eq!(log.entries().map(|entry| entry.seq).collect::<Vec<_>>(), [4, 5, 6, 7]);
        assert!(log.published("2").is_none() && log.published("3").is_some());
        assert_eq!(missed(&log, &entries[2].serial), Some(vec![4, 5, 6, 7]));
        assert_eq!(missed(&log, &entries[1].serial), None);
    }

    #[test]
    fn serials_sort_as_text_even_when_the_clock_goes_back() {
        let mut log = Log::new(LIMIT);
        let first = publish(&mut log, None, NOW);
        let second = publish(&mut log, None, Timestamp::from_millis(NOW.as_millis() - 5_000));
        assert!(first.serial < second.serial);
    }
}
