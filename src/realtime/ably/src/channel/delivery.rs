//! Delivery: subscribers get an entry of a stored channel when it is stored. So nobody has heard what a crash can lose,
//! and every position that a client knows is in the store.

use std::sync::{Arc, LazyLock};

use super::{Channel, Inner};
use crate::{
    log::{Entry, EntryBody, Log, NewEntry},
    protocol::{ChannelSerial, frame::PublishResult},
    time::Timestamp,
};

/// When subscribers get a new entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Now,
    /// When it is stored ([`Channel::tell`]), so that a crash loses nothing that was heard.
    WhenStored,
}

impl Channel {
    pub(super) fn append(
        &self,
        inner: &mut Inner,
        new_entry: NewEntry,
        now: Timestamp,
        keep: impl FnOnce(&Arc<Entry>, &Log) -> Delivery,
    ) -> Arc<Entry> {
        let entry = inner.log.append(&self.name, new_entry, now);
        match keep(&entry, &inner.log) {
            Delivery::Now => inner.tell(entry.seq),
            Delivery::WhenStored => {}
        }
        entry
    }

    /// Delivers an entry that is stored, after those before it.
    pub fn tell(&self, seq: u64) {
        self.inner.lock().tell(seq);
    }

    /// Whether this publish was delivered. Otherwise it was withdrawn, or waits to be stored.
    pub fn has_told(&self, published: &PublishResult) -> bool {
        let position = published.serial.as_deref().and_then(ChannelSerial::parse);
        position.is_none_or(|position| self.inner.lock().log.has(&position))
    }

    /// Takes back messages that could not be stored: nobody gets them, and their publisher may try again. Presence
    /// cannot be taken back: it is told as it is.
    pub fn withdraw(&self, entry: &Entry) {
        let mut inner = self.inner.lock();
        match entry.body {
            EntryBody::Messages(_) => {
                inner.log.withdraw(entry.seq);
                inner.deliver();
            }
            EntryBody::Presence(_) => inner.tell(entry.seq),
        }
    }
}

/// The counter is looked up once, because it counts every message.
static DELIVERIES: LazyLock<metrics::Counter> = LazyLock::new(|| metrics::counter!("tandem_realtime_deliveries_total"));

impl Inner {
    fn tell(&mut self, seq: u64) {
        self.log.allow(seq);
        self.deliver();
    }

    /// Delivers what may be heard of.
    fn deliver(&mut self) {
        while let Some(entry) = self.log.tell_next() {
            let mut told = 0;
            for subscriber in self.subscribers.iter().filter(|subscriber| subscriber.wants(&entry)) {
                if let Some(frame) = subscriber.frame(&entry, 0) {
                    subscriber.outbox.push(frame);
                    told += 1;
                }
            }
            DELIVERIES.increment(told);
        }
    }
}
