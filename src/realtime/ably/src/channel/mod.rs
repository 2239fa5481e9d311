//! A channel: its log, its subscribers and its presence set, behind one lock. The lock is never held while a socket
//! is written to.

mod attaching;
mod delivery;
mod filter;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz_tests;
mod name;
mod occupancy;
mod subscriber;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tandem_intake::Budget;

use crate::{
    application::{ChannelBinding, EventRef},
    log::{Entry, EntryBody, Log, NewEntry},
    presence::{Members, PresenceLimits},
    protocol::{ChannelSerial, ErrorInfo, Message, PresenceMessage, frame::PublishResult},
    random::random_id,
    time::Timestamp,
};

pub use self::{
    attaching::{Attach, MAX_REWIND, Rewind},
    delivery::Delivery,
    name::{Name, check_name},
    occupancy::Occupancy,
    subscriber::{Alias, Subscriber},
};

struct Inner {
    log: Log,
    subscribers: Vec<Subscriber>,
    members: Members,
    last_used: i64,
}

/// How a repeated frame of a connection is detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepeatDetection {
    /// By the connection, which remembers the replies to its frames.
    ByConnection,
    /// By the channel's log: the connection is older than the last restart, so its replies are forgotten.
    ByLog,
}

/// Whether the entries of a channel outlive the time in which clients can continue it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// The namespace of the channel is persisted.
    Persisted,
    NotPersisted,
}

pub struct Channel {
    pub name: Arc<str>,
    pub binding: ChannelBinding,
    pub persistence: Persistence,
    /// The memory budget of all channels.
    kept: Arc<Budget>,
    inner: Mutex<Inner>,
}

impl Channel {
    pub fn new(
        name: Arc<str>,
        binding: ChannelBinding,
        persistence: Persistence,
        log: Log,
        members: Members,
        now: Timestamp,
    ) -> Self {
        let kept = log.memory().clone();
        kept.take(members.bytes());
        let inner = Inner { log, members, subscribers: Vec::new(), last_used: now.as_millis() };
        Self { name, binding, persistence, kept, inner: Mutex::new(inner) }
    }

    /// Appends messages to the log and delivers them to the subscribers. Returns their position. A repeated publish
    /// returns its first position and is not delivered again. A message without an id gets one from `frame_id` and
    /// its index. `keep` sees new entries in the order of the log, and says when they are delivered.
    ///
    /// # Errors
    /// 40031 if the ids belong to an earlier publish with fewer messages.
    pub fn publish(
        &self,
        frame_id: Arc<str>,
        connection_id: Option<&Arc<str>>,
        messages: Vec<Message>,
        repeat_detection: RepeatDetection,
        now: Timestamp,
        keep: impl FnOnce(&Arc<Entry>, &Log) -> Delivery,
    ) -> Result<PublishResult, ErrorInfo> {
        let mut inner = self.inner.lock();
        inner.last_used = now.as_millis();
        let chosen = messages.first().and_then(|message| message.id.clone());
        let earlier = match (chosen.as_deref(), repeat_detection) {
            (Some(id), _) => inner.log.published(id).cloned(),
            (None, RepeatDetection::ByLog) => {
                let says = |body: &EntryBody| matches!(body, EntryBody::Messages(known) if *known == messages);
                let known = inner.log.newest(|entry| entry.id == frame_id && says(&entry.body));
                known.map(|entry| entry.published())
            }
            (None, RepeatDetection::ByConnection) => None,
        };
        if let Some(earlier) = earlier {
            // The additional messages were never published, so this is not a repetition.
            if earlier.messages < messages.len() {
                return Err(ErrorInfo::invalid_ids("these ids belong to an earlier publish with fewer messages"));
            }
            return Ok(earlier);
        }
        let named = self.binding.stream.as_ref().zip(chosen.as_deref());
        let event = named.and_then(|(stream, id)| EventRef::of_message(stream, id)).map(Arc::new);
        let new_entry = NewEntry {
            id: frame_id,
            connection_id: connection_id.cloned(),
            body: EntryBody::Messages(messages),
            event,
        };
        Ok(self.append(&mut inner, new_entry, now, keep).published())
    }

    /// Applies the presence events of one frame. Returns the entry that subscribers get, or none if nothing changed.
    ///
    /// # Errors
    /// 91003 if the set is full.
    #[allow(
        clippy::too_many_arguments,
        reason = "one frame, the channel's limits and what keeps it: a struct would be made once"
    )]
    pub fn take_presence(
        &self,
        frame_id: Arc<str>,
        connection_id: &Arc<str>,
        events: Vec<PresenceMessage>,
        repeat_detection: RepeatDetection,
        most: PresenceLimits,
        now: Timestamp,
        keep: impl FnOnce(&Arc<Entry>, &Log) -> Delivery,
    ) -> Result<Option<Arc<Entry>>, ErrorInfo> {
        let mut inner = self.inner.lock();
        let told = |entry: &Entry| entry.id == frame_id && entry.contains_presence(&events);
        if repeat_detection == RepeatDetection::ByLog && inner.log.newest(told).is_some() {
            return Ok(None);
        }
        let before = inner.members.bytes();
        let told = inner.members.apply(events, most)?;
        self.recount_members(&inner, before);
        Ok(self.append_presence(&mut inner, frame_id, connection_id, told, now, keep))
    }

    /// Removes members of a connection, or only the one with this client id. Returns the entry that subscribers get.
    /// Call it again until it returns none: one frame does not hold any number of members.
    pub fn leave(
        &self,
        connection_id: &Arc<str>,
        client_id: Option<&str>,
        now: Timestamp,
        keep: impl FnOnce(&Arc<Entry>, &Log) -> Delivery,
    ) -> Option<Arc<Entry>> {
        let mut inner = self.inner.lock();
        let frame_id: Arc<str> = format!("s{}:0", random_id(12)).into();
        let before = inner.members.bytes();
        let leaves = inner.members.leave(connection_id, client_id, &frame_id, now.as_millis());
        self.recount_members(&inner, before);
        self.append_presence(&mut inner, frame_id, connection_id, leaves, now, keep)
    }

    /// Adjusts the memory budget to the presence set's new size.
    fn recount_members(&self, inner: &Inner, before: usize) {
        let now = inner.members.bytes();
        match now >= before {
            true => self.kept.take(now - before),
            false => self.kept.give(before - now),
        }
    }

    fn append_presence(
        &self,
        inner: &mut Inner,
        frame_id: Arc<str>,
        connection_id: &Arc<str>,
        events: Vec<PresenceMessage>,
        now: Timestamp,
        keep: impl FnOnce(&Arc<Entry>, &Log) -> Delivery,
    ) -> Option<Arc<Entry>> {
        inner.last_used = now.as_millis();
        if events.is_empty() {
            return None;
        }
        let new_entry = NewEntry {
            id: frame_id,
            connection_id: Some(connection_id.clone()),
            body: EntryBody::Presence(events),
            event: None,
        };
        Some(self.append(inner, new_entry, now, keep))
    }

    // ---- reading ----

    /// The entries in memory that were delivered, oldest first.
    pub fn recent(&self) -> Vec<Arc<Entry>> {
        self.inner.lock().log.entries().cloned().collect()
    }

    /// Whether the position is in this log, and later entries are no longer in memory.
    pub fn has_forgotten_since(&self, serial: &ChannelSerial) -> bool {
        self.inner.lock().log.has_forgotten_since(serial)
    }

    /// Whether the memory budget of all channels is used up.
    pub fn kept_is_exhausted(&self) -> bool {
        self.kept.is_exhausted()
    }

    /// Bytes of the presence set.
    pub fn presence_bytes(&self) -> usize {
        self.inner.lock().members.bytes()
    }

    pub fn members(&self) -> Vec<PresenceMessage> {
        self.inner.lock().members.iter().cloned().collect()
    }

    /// Visits the members while they are locked.
    pub fn each_member(&self, each: &mut dyn FnMut(&PresenceMessage)) {
        self.inner.lock().members.iter().for_each(each);
    }

    pub fn has_members_of(&self, connection_id: &str) -> bool {
        self.inner.lock().members.of_connection(connection_id).next().is_some()
    }

    /// Reads the log and the members under one lock.
    pub fn read<T>(&self, read: impl FnOnce(&Log, &Members) -> T) -> T {
        let inner = self.inner.lock();
        read(&inner.log, &inner.members)
    }

    // ---- maintenance ----

    pub fn prune(&self, now: Timestamp, window: Duration) {
        self.inner.lock().log.prune(now, window);
    }

    /// Forgets what was published. Clients that come back are told that they have missed something.
    pub fn forget_entries(&self) {
        self.inner.lock().log.forget_all();
    }

    /// Whether dropping the channel has no effect that a client can see.
    pub fn is_forgettable(&self, now: Timestamp, window: Duration) -> bool {
        let inner = self.inner.lock();
        inner.subscribers.is_empty()
            && inner.members.is_empty()
            && inner.log.is_empty()
            && now.since(Timestamp::from_millis(inner.last_used)) > window
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.kept.give(self.inner.get_mut().members.bytes());
    }
}
