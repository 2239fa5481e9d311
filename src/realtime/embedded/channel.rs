//! A channel: its log, its subscribers and its presence set, behind one lock that is never held while a socket is written to.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tandem_actors::domain::{
    ids::{Seq, SessionId},
    time::Timestamp,
};

use super::{
    log::{Body, Draft, Entry, Log, Since},
    outbox::{Frame, Mark, Outbox},
    presence::Members,
    protocol::{
        Action, ChannelSerial, ErrorInfo, Message, Modes, Outbound, PresenceAction, PresenceMessage, flags,
        frame::Params,
    },
};

/// Members in one page of a SYNC.
const SYNC_PAGE: usize = 100;
/// Messages that a rewind brings at most.
const MAX_REWIND: usize = 100;

/// Checks a channel's name.
///
/// # Errors
/// 40010 if it is empty, begins with `:` or `[`, holds control characters, or is longer than 2048 bytes.
pub fn check_name(name: &str) -> Result<(), ErrorInfo> {
    let problem = match name {
        "" => "a channel name must not be empty",
        _ if name.starts_with(':') => "a channel name must not begin with ':'",
        _ if name.starts_with('[') => {
            "a channel name must not begin with '[': channel qualifiers are not supported by this server"
        }
        _ if name.len() > 2048 => "a channel name must have at most 2048 bytes",
        _ if name.chars().any(char::is_control) => "a channel name must not hold control characters",
        _ => return Ok(()),
    };
    Err(ErrorInfo::invalid_channel(problem))
}

/// What the coordinator knows of a channel of its own.
#[derive(Clone, Debug, Default)]
pub struct Role {
    /// It is this session's channel.
    pub session: Option<SessionId>,
    /// It is the presence channel of this session with this number.
    pub presence: Option<(SessionId, usize)>,
}

#[derive(Clone)]
pub struct Subscriber {
    pub connection: Arc<str>,
    pub outbox: Arc<Outbox>,
    pub modes: Modes,
    pub echo: bool,
}

impl Subscriber {
    fn is(&self, outbox: &Arc<Outbox>) -> bool {
        Arc::ptr_eq(&self.outbox, outbox)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewind {
    Messages(usize),
    Time(Duration),
}

impl Rewind {
    /// `10`, `30s`, `2m`.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |digits: &str| digits.parse::<u64>().ok();
        if let Some(seconds) = text.strip_suffix('s') {
            return number(seconds).map(|n| Rewind::Time(Duration::from_secs(n)));
        }
        if let Some(minutes) = text.strip_suffix('m') {
            return number(minutes).and_then(|n| n.checked_mul(60)).map(|n| Rewind::Time(Duration::from_secs(n)));
        }
        number(text).map(|n| Rewind::Messages(usize::try_from(n).unwrap_or(MAX_REWIND).min(MAX_REWIND)))
    }
}

/// What an ATTACH asks for, beyond the modes, which are granted already.
pub struct Attach<'a> {
    pub serial: Option<&'a str>,
    /// The client says that it is not new here.
    pub resumes: bool,
    pub rewind: Option<Rewind>,
    pub params: &'a [(String, String)],
}

#[derive(Default)]
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
    pub role: Role,
    pub persisted: bool,
    room: Mutex<Room>,
}

impl Channel {
    pub fn new(name: Arc<str>, role: Role, persisted: bool, log: Log, members: Members, now: Timestamp) -> Self {
        let room = Room { log, members, subscribers: Vec::new(), last_used: now.as_millis() };
        Self { name, role, persisted, room: Mutex::new(room) }
    }

    // ---- attaching ----

    /// Subscribes and answers with ATTACHED, what was missed, and the presence set, in this order and before anything newer.
    pub fn attach(&self, subscriber: Subscriber, request: &Attach<'_>, now: Timestamp) {
        let mut room = self.room.lock();
        room.last_used = now.as_millis();
        let known = room.subscribers.iter().position(|known| known.is(&subscriber.outbox));
        let mut answer = Attached { flags: subscriber.modes.bits(), error: None, replay: Vec::new() };
        match request.serial {
            // The frames since are on their way already.
            Some(_) if known.is_some() => answer.flags |= flags::RESUMED,
            Some(serial) => answer.resume(&room.log, ChannelSerial::parse(serial)),
            None if known.is_none() && !request.resumes => answer.rewind(&room.log, request.rewind, now),
            None => {}
        }
        let shows_presence = subscriber.modes.has(Modes::PRESENCE_SUBSCRIBE) && !room.members.is_empty();
        if shows_presence {
            answer.flags |= flags::HAS_PRESENCE;
        }
        let head = room.log.head();
        let outbox = subscriber.outbox.clone();
        outbox.send(&Outbound {
            channel_serial: Some(&head),
            flags: Some(answer.flags),
            params: (!request.params.is_empty()).then_some(Params(request.params)),
            error: answer.error.as_ref(),
            ..Outbound::on(Action::Attached, &self.name)
        });
        let wanted = answer.replay.iter().filter(|(entry, _)| hears(&subscriber, entry));
        outbox.replay(wanted.map(|(entry, skip)| entry.frame_from(outbox.format, *skip)));
        if shows_presence {
            sync(&self.name, &room, &outbox);
        }
        match known {
            Some(index) => room.subscribers[index] = subscriber,
            None => room.subscribers.push(subscriber),
        }
    }

    /// Tells a subscriber that its modes have changed. Nothing was missed.
    pub fn change_modes(&self, outbox: &Arc<Outbox>, modes: Modes, params: &[(String, String)]) {
        let mut room = self.room.lock();
        let head = room.log.head();
        if let Some(subscriber) = room.subscribers.iter_mut().find(|known| known.is(outbox)) {
            subscriber.modes = modes;
            outbox.send(&Outbound {
                channel_serial: Some(&head),
                flags: Some(modes.bits() | flags::RESUMED),
                params: (!params.is_empty()).then_some(Params(params)),
                ..Outbound::on(Action::Attached, &self.name)
            });
        }
    }

    pub fn unsubscribe(&self, outbox: &Arc<Outbox>, now: Timestamp) {
        let mut room = self.room.lock();
        room.last_used = now.as_millis();
        if let Some(index) = room.subscribers.iter().position(|known| known.is(outbox)) {
            room.subscribers.swap_remove(index);
            if room.subscribers.is_empty() {
                room.subscribers = Vec::new();
            }
        }
    }

    /// Sends the presence set to a subscriber that asks for it.
    pub fn sync(&self, outbox: &Arc<Outbox>) {
        let room = self.room.lock();
        let may = |subscriber: &Subscriber| subscriber.is(outbox) && subscriber.modes.has(Modes::PRESENCE_SUBSCRIBE);
        if room.subscribers.iter().any(may) {
            sync(&self.name, &room, outbox);
        }
    }

    // ---- publishing ----

    /// Appends and tells the subscribers; returns where it is in the log. A repetition is where it was before, and nobody is
    /// told again. `frame_id` and the message's place in the frame are the id of a message without one. `keep` sees a new
    /// entry in the order of the log.
    pub fn publish(
        &self,
        frame_id: Arc<str>,
        connection: Option<&Arc<str>>,
        messages: Vec<Message>,
        repeats: Repeats,
        now: Timestamp,
        keep: impl FnOnce(&Arc<Entry>, &Log),
    ) -> Arc<Entry> {
        let mut room = self.room.lock();
        room.last_used = now.as_millis();
        let chosen = messages.first().and_then(|message| message.id.clone());
        let earlier = match (chosen.as_deref(), repeats) {
            (Some(id), _) => room.log.published(id),
            (None, Repeats::MayBeStored) => room.log.entries().rev().find(|entry| entry.id == frame_id).cloned(),
            (None, Repeats::Known) => None,
        };
        if let Some(entry) = earlier {
            return entry;
        }
        let mark = self.role.session.as_ref().zip(chosen.as_deref()).and_then(|(session, id)| event_mark(session, id));
        let draft = Draft { id: frame_id, connection_id: connection.cloned(), body: Body::Messages(messages), mark };
        let entry = room.log.append(&self.name, draft, now);
        keep(&entry, &room.log);
        deliver(&room, &entry);
        entry
    }

    /// Takes presence events of one frame. The returned entry is what was told, if anything was.
    ///
    /// # Errors
    /// 91003 if the set is full.
    pub fn take_presence(
        &self,
        frame_id: Arc<str>,
        connection: &Arc<str>,
        events: Vec<PresenceMessage>,
        most: usize,
        now: Timestamp,
        keep: impl FnOnce(&Arc<Entry>, &Log),
    ) -> Result<Option<Arc<Entry>>, ErrorInfo> {
        let mut room = self.room.lock();
        let told = room.members.apply(events, most)?;
        Ok(self.tell_presence(&mut room, frame_id, connection, told, now, keep))
    }

    /// Makes all members of a connection leave.
    pub fn leave_all(
        &self,
        connection: &Arc<str>,
        now: Timestamp,
        keep: impl FnOnce(&Arc<Entry>, &Log),
    ) -> Option<Arc<Entry>> {
        let mut room = self.room.lock();
        let frame_id: Arc<str> = format!("s{}:0", super::random_id(12)).into();
        let leaves = room.members.leave_all(connection, &frame_id, now.as_millis());
        self.tell_presence(&mut room, frame_id, connection, leaves, now, keep)
    }

    fn tell_presence(
        &self,
        room: &mut Room,
        frame_id: Arc<str>,
        connection: &Arc<str>,
        events: Vec<PresenceMessage>,
        now: Timestamp,
        keep: impl FnOnce(&Arc<Entry>, &Log),
    ) -> Option<Arc<Entry>> {
        room.last_used = now.as_millis();
        if events.is_empty() {
            return None;
        }
        let draft =
            Draft { id: frame_id, connection_id: Some(connection.clone()), body: Body::Presence(events), mark: None };
        let entry = room.log.append(&self.name, draft, now);
        keep(&entry, &room.log);
        deliver(room, &entry);
        Some(entry)
    }

    // ---- reading ----

    /// The entries in memory, oldest first.
    pub fn recent(&self) -> Vec<Arc<Entry>> {
        self.room.lock().log.entries().cloned().collect()
    }

    pub fn members(&self) -> Vec<PresenceMessage> {
        self.room.lock().members.iter().cloned().collect()
    }

    /// Visits the members while they are locked.
    pub fn present(&self, each: &mut dyn FnMut(&PresenceMessage)) {
        self.room.lock().members.iter().for_each(each);
    }

    pub fn has_members_of(&self, connection: &str) -> bool {
        self.room.lock().members.of_connection(connection).next().is_some()
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

    // ---- housekeeping ----

    pub fn prune(&self, now: Timestamp, window: Duration, limit: usize) {
        self.room.lock().log.prune(now, window, limit);
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

struct Attached {
    flags: u64,
    error: Option<ErrorInfo>,
    /// Entries, each without its first so many messages.
    replay: Vec<(Arc<Entry>, usize)>,
}

impl Attached {
    fn resume(&mut self, log: &Log, serial: Option<ChannelSerial>) {
        match serial.as_ref().map(|serial| log.since(serial)) {
            Some(Since::Known(missed)) => {
                self.flags |= flags::RESUMED;
                self.replay.extend(missed.map(|entry| (entry.clone(), 0)));
            }
            _ => {
                self.error =
                    Some(ErrorInfo::continuity_lost("messages since the channelSerial are not available any more"))
            }
        }
        if !self.replay.is_empty() {
            self.flags |= flags::HAS_BACKLOG;
        }
    }

    fn rewind(&mut self, log: &Log, rewind: Option<Rewind>, now: Timestamp) {
        let messages = log.entries().rev().filter(|entry| matches!(entry.body, Body::Messages(_)));
        match rewind {
            None => {}
            Some(Rewind::Messages(mut wanted)) => {
                for entry in messages {
                    if wanted == 0 {
                        break;
                    }
                    self.replay.push((entry.clone(), entry.count().saturating_sub(wanted)));
                    wanted = wanted.saturating_sub(entry.count());
                }
            }
            Some(Rewind::Time(window)) => {
                let recent = messages.take_while(|entry| now.since(Timestamp::from_millis(entry.at)) <= window);
                self.replay.extend(recent.take(MAX_REWIND).map(|entry| (entry.clone(), 0)));
            }
        }
        self.replay.reverse();
        if !self.replay.is_empty() {
            self.flags |= flags::HAS_BACKLOG;
        }
    }
}

/// Whether the subscriber is to hear of the entry.
fn hears(subscriber: &Subscriber, entry: &Entry) -> bool {
    let own = entry.connection_id.as_deref() == Some(&*subscriber.connection);
    match entry.body {
        Body::Messages(_) => subscriber.modes.has(Modes::SUBSCRIBE) && (subscriber.echo || !own),
        Body::Presence(_) => own || subscriber.modes.has(Modes::PRESENCE_SUBSCRIBE),
    }
}

fn deliver(room: &Room, entry: &Entry) {
    let mut told = 0;
    for subscriber in room.subscribers.iter().filter(|subscriber| hears(subscriber, entry)) {
        subscriber.outbox.push(entry.frame(subscriber.outbox.format));
        told += 1;
    }
    metrics::counter!("tandem_realtime_deliveries_total").increment(told);
}

fn sync(channel: &str, room: &Room, outbox: &Outbox) {
    let id = super::random_id(10);
    let members: Vec<&PresenceMessage> = room.members.iter().collect();
    let pages: Vec<_> = if members.is_empty() { vec![&members[..]] } else { members.chunks(SYNC_PAGE).collect() };
    let count = pages.len();
    let frames = pages.into_iter().enumerate().map(|(index, page)| {
        let cursor = if index + 1 < count { format!("{id}:{}", (index + 1) * SYNC_PAGE) } else { format!("{id}:") };
        let frame = Outbound {
            channel_serial: Some(&cursor),
            presence: Some(page.to_vec()),
            ..Outbound::on(Action::Sync, channel)
        };
        Frame { bytes: frame.encode(outbox.format), mark: None }
    });
    outbox.replay(frames);
}

/// The mark of an event whose message id is `<session>:<seq>` and perhaps more behind it.
fn event_mark(session: &SessionId, id: &str) -> Option<Arc<Mark>> {
    let rest = id.strip_prefix(session.as_str())?.strip_prefix(':')?;
    let digits = rest.split(':').next()?;
    let seq: Seq = digits.parse().ok()?;
    Some(Arc::new(Mark { session: session.clone(), seq }))
}

impl PresenceMessage {
    /// Whether the member is there after this event.
    pub fn is_present(&self) -> bool {
        self.action != PresenceAction::Leave
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for name in ["a", "a:b", "a b", "ünï", "a[b]"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", ":a", "::", "[meta]log", "[?rewind=1]a", "a\nb"] {
            assert_eq!(check_name(name).unwrap_err().code, 40010, "{name}");
        }
    }

    #[test]
    fn rewinds_are_counts_or_times() {
        assert_eq!(Rewind::parse("5"), Some(Rewind::Messages(5)));
        assert_eq!(Rewind::parse("2m"), Some(Rewind::Time(Duration::from_secs(120))));
        assert_eq!(Rewind::parse("30s"), Some(Rewind::Time(Duration::from_secs(30))));
        assert_eq!(Rewind::parse("1000000"), Some(Rewind::Messages(MAX_REWIND)));
        for text in ["", "x", "-1", "5h", "99999999999999999999m"] {
            assert_eq!(Rewind::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_coordinators_events_are_marked_with_their_seq() {
        let session: SessionId = "csession01".parse().unwrap();
        assert_eq!(event_mark(&session, "csession01:7").unwrap().seq, 7);
        assert_eq!(event_mark(&session, "csession01:7:0").unwrap().seq, 7);
        assert_eq!(event_mark(&session, "csession011:7"), None);
    }
}
