//! Attaching: a subscriber first gets what it missed, then everything newer.

use std::{sync::Arc, time::Duration};

use super::{Alias, Channel, Inner, Subscriber};
use crate::{
    log::{Entry, EntryBody, Log, MissedEntries},
    outbox::{Frame, Outbox},
    presence::FrameRoom,
    protocol::{Action, ChannelSerial, ErrorInfo, Modes, Outbound, PresenceMessage, flags, frame::Params},
    random::random_id,
    time::Timestamp,
};

/// The largest number of messages that a rewind replays.
pub const MAX_REWIND: usize = 100;

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

/// An ATTACH request. Its modes are granted already.
pub struct Attach<'a> {
    pub serial: Option<&'a str>,
    /// Stored entries after `serial` that are no longer in memory.
    pub missed: Vec<Arc<Entry>>,
    /// Whether the client says that it was attached before.
    pub resumes: bool,
    pub rewind: Option<Rewind>,
    /// Stored messages for the rewind, newest first.
    pub stored: Vec<Arc<Entry>>,
    pub params: &'a [(String, String)],
    /// Why a part of the request is not served. The client is attached anyway.
    pub refusal: Option<ErrorInfo>,
}

impl Channel {
    /// Subscribes, and sends ATTACHED, the missed entries and the presence set, in this order and before anything
    /// newer. Returns the serial of the log's head.
    pub fn attach(&self, subscriber: Subscriber, request: &Attach<'_>, now: Timestamp) -> String {
        let mut inner = self.inner.lock();
        inner.last_used = now.as_millis();
        let known = inner
            .subscribers
            .iter()
            .position(|known| known.is_attachment_of(&subscriber.outbox, subscriber.alias.as_ref()));
        let mut answer =
            Attached { flags: subscriber.modes.bits(), error: request.refusal.clone(), replay: Vec::new() };
        match request.serial {
            // The subscriber is attached already: later frames are in its outbox.
            Some(_) if known.is_some() => answer.flags |= flags::RESUMED,
            Some(serial) => answer.resume(&inner.log, ChannelSerial::parse(serial), &request.missed),
            None if known.is_none() && !request.resumes => answer.rewind(&inner.log, request, now),
            None => {}
        }
        let shows_presence = subscriber.modes.has(Modes::PRESENCE_SUBSCRIBE) && !inner.members.is_empty();
        if shows_presence {
            answer.flags |= flags::HAS_PRESENCE;
        }
        let head = inner.log.head();
        let outbox = subscriber.outbox.clone();
        outbox.send(&Outbound {
            channel_serial: Some(&head),
            flags: Some(answer.flags),
            params: (!request.params.is_empty()).then_some(Params(request.params)),
            error: answer.error.as_ref(),
            ..Outbound::on(Action::Attached, subscriber.name_of(&self.name))
        });
        let wanted = answer.replay.iter().filter(|(entry, _)| subscriber.wants(entry));
        outbox.replay(wanted.filter_map(|(entry, skip)| subscriber.frame(entry, *skip)));
        if shows_presence {
            sync(subscriber.name_of(&self.name), &inner, &outbox);
        }
        match known {
            Some(index) => inner.subscribers[index] = subscriber,
            None => inner.subscribers.push(subscriber),
        }
        head
    }

    /// Tells a subscriber its changed modes, in an ATTACHED with RESUMED.
    pub fn change_modes(
        &self,
        outbox: &Arc<Outbox>,
        alias: Option<&Arc<Alias>>,
        modes: Modes,
        params: &[(String, String)],
    ) {
        let mut inner = self.inner.lock();
        let head = inner.log.head();
        if let Some(subscriber) = inner.subscribers.iter_mut().find(|known| known.is_attachment_of(outbox, alias)) {
            subscriber.modes = modes;
            outbox.send(&Outbound {
                channel_serial: Some(&head),
                flags: Some(modes.bits() | flags::RESUMED),
                params: (!params.is_empty()).then_some(Params(params)),
                ..Outbound::on(Action::Attached, subscriber.name_of(&self.name))
            });
        }
    }

    pub fn unsubscribe(&self, outbox: &Arc<Outbox>, alias: Option<&Arc<Alias>>, now: Timestamp) {
        let mut inner = self.inner.lock();
        inner.last_used = now.as_millis();
        if let Some(index) = inner.subscribers.iter().position(|known| known.is_attachment_of(outbox, alias)) {
            inner.subscribers.swap_remove(index);
            if inner.subscribers.is_empty() {
                inner.subscribers = Vec::new();
            }
        }
    }

    /// Sends the presence set to a subscriber that asks for it, unless its outbox is too full.
    pub fn sync(&self, outbox: &Arc<Outbox>, alias: Option<&Arc<Alias>>) {
        if outbox.is_full() {
            return;
        }
        let inner = self.inner.lock();
        let subscriber = inner.subscribers.iter().find(|subscriber| subscriber.is_attachment_of(outbox, alias));
        if let Some(subscriber) = subscriber.filter(|subscriber| subscriber.modes.has(Modes::PRESENCE_SUBSCRIBE)) {
            sync(subscriber.name_of(&self.name), &inner, outbox);
        }
    }
}

struct Attached {
    flags: u64,
    error: Option<ErrorInfo>,
    /// Entries to replay, each with the number of its first messages to skip.
    replay: Vec<(Arc<Entry>, usize)>,
}

impl Attached {
    fn resume(&mut self, log: &Log, serial: Option<ChannelSerial>, stored: &[Arc<Entry>]) {
        match serial.as_ref().map(|serial| log.since(serial, stored)) {
            Some(MissedEntries::Known(missed)) => {
                self.flags |= flags::RESUMED;
                self.replay.extend(missed.map(|entry| (entry.clone(), 0)));
            }
            _ => {
                self.error =
                    Some(ErrorInfo::continuity_lost("messages since the channelSerial are not available any more"));
            }
        }
        if !self.replay.is_empty() {
            self.flags |= flags::HAS_BACKLOG;
        }
    }

    fn rewind(&mut self, log: &Log, request: &Attach<'_>, now: Timestamp) {
        // What was stored after the head is left out: it is delivered next.
        let older = request.stored.iter().filter(|entry| entry.seq < log.oldest());
        let messages = log.entries().rev().chain(older).filter(|entry| matches!(entry.body, EntryBody::Messages(_)));
        match request.rewind {
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

fn sync(channel: &str, inner: &Inner, outbox: &Outbox) {
    let id = random_id(10);
    let members: Vec<&PresenceMessage> = inner.members.iter().collect();
    let mut rest = Some(&members[..]);
    // Sends at least one frame, even for an empty set: the client waits for the last page.
    let frames = std::iter::from_fn(|| {
        let members = rest.take()?;
        let mut page = FrameRoom::default();
        let end = members.iter().position(|member| !page.takes(member)).unwrap_or(members.len());
        let (members, later) = members.split_at(end);
        rest = Some(later).filter(|later| !later.is_empty());
        let cursor = if later.is_empty() { format!("{id}:") } else { format!("{id}:{}", later.len()) };
        let frame = Outbound {
            channel_serial: Some(&cursor),
            presence: Some(members.to_vec()),
            ..Outbound::on(Action::Sync, channel)
        };
        Some(Frame { bytes: frame.encode(outbox.format), event: None })
    });
    outbox.replay(frames);
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
