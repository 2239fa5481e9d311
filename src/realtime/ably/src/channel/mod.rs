//! A channel: its log, its subscribers and its presence set, behind one lock that is never held while a socket is written to.

mod attaching;
mod filter;
mod name;
mod subscriber;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use parking_lot::Mutex;
use tandem_intake::Budget;

use crate::{
    application::{ChannelBinding, EventRef},
    log::{Entry, EntryBody, Log, NewEntry},
    presence::{Members, PresenceLimits},
    protocol::{ChannelSerial, ErrorInfo, Message, Modes, PresenceMessage, frame::PublishResult},
    random_id,
    time::Timestamp,
};

pub use self::{
    attaching::{Attach, MAX_REWIND, Rewind},
    name::{Name, check_name},
    subscriber::{Alias, Subscriber},
};

struct Room {
    log: Log,
    subscribers: Vec<Subscriber>,
    members: Members,
    last_used: i64,
}

/// How a frame that comes a second time is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// By the connection, which remembers what it has answered.
    Known,
    /// The connection is of before a restart: the log may hold the frame already.
    MayBeStored,
}

/// Numbers for `GET /channels/{channel}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    pub connections: usize,
    pub publishers: usize,
    pub subscribers: usize,
    pub presence_connections: usize,
    pub presence_members: usize,
    pub presence_subscribers: usize,
}

pub struct Channel {
    pub name: Arc<str>,
    pub binding: ChannelBinding,
    pub persisted: bool,
    /// The memory of all channels.
    kept: Arc<Budget>,
    room: Mutex<Room>,
}

impl Channel {
    pub fn new(
        name: Arc<str>,
        binding: ChannelBinding,
        persisted: bool,
        log: Log,
        members: Members,
        now: Timestamp,
    ) -> Self {
        let kept = log.memory().clone();
        kept.take(members.bytes());
        let room = Room { log, members, subscribers: Vec::new(), last_used: now.as_millis() };
        Self { name, binding, persisted, kept, room: Mutex::new(room) }
    }

    /// Appends and tells the subscribers; returns where it is in the log. A repetition is where it was before, and nobody is told
    /// again. `frame_id` and the message's place in the frame are the id of a message without one. `keep` sees a new
    /// entry in the order of the log.
    ///
    /// # Errors
    /// 40031 for the ids of an earlier publish that had fewer messages.
    pub fn publish(
        &self,
        frame_id: Arc<str>,
        connection_id: Option<&Arc<str>>,
        messages: Vec<Message>,
        repeats: Repeats,
        now: Timestamp,
        keep: impl FnOnce(&Arc<Entry>, &Log),
    ) -> Result<PublishResult, ErrorInfo> {
        let mut room = self.room.lock();
        room.last_used = now.as_millis();
        let chosen = messages.first().and_then(|message| message.id.clone());
        let earlier = match (chosen.as_deref(), repeats) {
            (Some(id), _) => room.log.published(id).cloned(),
            (None, Repeats::MayBeStored) => {
                let says = |body: &EntryBody| matches!(body, EntryBody::Messages(known) if *known == messages);
                let known = room.log.entries().rev().find(|entry| entry.id == frame_id && says(&entry.body));
                known.map(|entry| entry.published())
            }
            (None, Repeats::Known) => None,
        };
        if let Some(earlier) = earlier {
            // What was not in the earlier publish was never published.
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
        let entry = room.log.append(&self.name, new_entry, now);
        keep(&entry, &room.log);
        deliver(&room, &entry);
        Ok(entry.published())
    }

    /// Takes presence events of one frame. The returned entry is what was told, if anything was: nothing is for a repetition.
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
        repeats: Repeats,
        most: PresenceLimits,
        now: Timestamp,
        keep: impl FnOnce(&Arc<Entry>, &Log),
    ) -> Result<Option<Arc<Entry>>, ErrorInfo> {
        let mut room = self.room.lock();
        let told = |entry: &Entry| entry.id == frame_id && entry.tells(&events);
        if repeats == Repeats::MayBeStored && room.log.entries().rev().any(|entry| told(entry)) {
            return Ok(None);
        }
        let before = room.members.bytes();
        let told = room.members.apply(events, most)?;
        self.recount_members(&room, before);
        Ok(self.tell_presence(&mut room, frame_id, connection_id, told, now, keep))
    }

    /// Makes members of a connection leave, or only the one with this client id. Returns what was told, until there is nothing more to tell.
    pub fn leave(
        &self,
        connection_id: &Arc<str>,
        client_id: Option<&str>,
        now: Timestamp,
        keep: impl FnOnce(&Arc<Entry>, &Log),
    ) -> Option<Arc<Entry>> {
        let mut room = self.room.lock();
        let frame_id: Arc<str> = format!("s{}:0", random_id(12)).into();
        let before = room.members.bytes();
        let leaves = room.members.leave(connection_id, client_id, &frame_id, now.as_millis());
        self.recount_members(&room, before);
        self.tell_presence(&mut room, frame_id, connection_id, leaves, now, keep)
    }

    /// Takes from the memory of all channels what the presence set has grown by, or gives it back.
    fn recount_members(&self, room: &Room, before: usize) {
        let now = room.members.bytes();
        match now >= before {
            true => self.kept.take(now - before),
            false => self.kept.give(before - now),
        }
    }

    fn tell_presence(
        &self,
        room: &mut Room,
        frame_id: Arc<str>,
        connection_id: &Arc<str>,
        events: Vec<PresenceMessage>,
        now: Timestamp,
        keep: impl FnOnce(&Arc<Entry>, &Log),
    ) -> Option<Arc<Entry>> {
        room.last_used = now.as_millis();
        if events.is_empty() {
            return None;
        }
        let new_entry = NewEntry {
            id: frame_id,
            connection_id: Some(connection_id.clone()),
            body: EntryBody::Presence(events),
            event: None,
        };
        let entry = room.log.append(&self.name, new_entry, now);
        keep(&entry, &room.log);
        deliver(room, &entry);
        Some(entry)
    }

    // ---- reading ----

    /// The entries in memory, oldest first.
    pub fn recent(&self) -> Vec<Arc<Entry>> {
        self.room.lock().log.entries().cloned().collect()
    }

    /// Whether the position is known, and entries that follow it are in memory no more.
    pub fn has_forgotten_since(&self, serial: &ChannelSerial) -> bool {
        self.room.lock().log.has_forgotten_since(serial)
    }

    /// Whether the memory of all channels is used up.
    pub fn kept_is_exhausted(&self) -> bool {
        self.kept.is_exhausted()
    }

    /// Bytes of the presence set.
    pub fn presence_bytes(&self) -> usize {
        self.room.lock().members.bytes()
    }

    pub fn members(&self) -> Vec<PresenceMessage> {
        self.room.lock().members.iter().cloned().collect()
    }

    /// Visits the members while they are locked.
    pub fn present(&self, each: &mut dyn FnMut(&PresenceMessage)) {
        self.room.lock().members.iter().for_each(each);
    }

    pub fn has_members_of(&self, connection_id: &str) -> bool {
        self.room.lock().members.of_connection(connection_id).next().is_some()
    }

    pub fn occupancy(&self) -> Occupancy {
        let room = self.room.lock();
        let with = |mode| room.subscribers.iter().filter(|subscriber| subscriber.modes.has(mode)).count();
        let mut present: Vec<&str> = room.members.iter().map(|member| &*member.connection_id).collect();
        present.dedup();
        Occupancy {
            connections: room.subscribers.len(),
            publishers: with(Modes::PUBLISH),
            subscribers: with(Modes::SUBSCRIBE),
            presence_connections: present.len(),
            presence_members: room.members.len(),
            presence_subscribers: with(Modes::PRESENCE_SUBSCRIBE),
        }
    }

    /// Reads the log and the members while they are locked.
    pub fn read<T>(&self, read: impl FnOnce(&Log, &Members) -> T) -> T {
        let room = self.room.lock();
        read(&room.log, &room.members)
    }

    // ---- housekeeping ----

    pub fn prune(&self, now: Timestamp, window: Duration) {
        self.room.lock().log.prune(now, window);
    }

    /// Whether nobody could tell that it is gone.
    pub fn is_forgettable(&self, now: Timestamp, window: Duration) -> bool {
        let room = self.room.lock();
        room.subscribers.is_empty()
            && room.members.is_empty()
            && room.log.is_empty()
            && now.since(Timestamp::from_millis(room.last_used)) > window
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.kept.give(self.room.get_mut().members.bytes());
    }
}

/// Looked up once: it is counted for every message.
static DELIVERIES: LazyLock<metrics::Counter> = LazyLock::new(|| metrics::counter!("tandem_realtime_deliveries_total"));

fn deliver(room: &Room, entry: &Entry) {
    let mut told = 0;
    for subscriber in room.subscribers.iter().filter(|subscriber| subscriber.hears(entry)) {
        if let Some(frame) = subscriber.frame(entry, 0) {
            subscriber.outbox.push(frame);
            told += 1;
        }
    }
    DELIVERIES.increment(told);
}
