//! The outbox: what a session still has to publish, and which published events partners may have missed. It is one row,
//! written in the same commit as the event and read again when the session is next activated. There is no row when
//! nothing is outstanding. Pushes are rows of their own ([`PushJob`](crate::rows::records::PushJob)), which the push
//! sender takes over.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        ids::{Seq, UserId},
        time::Timestamp,
    },
    ports::{Publication, Uptime},
    trace::Trace,
};

/// An event that waits to be published on the session channel, or for the decision whether it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PendingEvent {
    pub seq: Seq,
    /// The partners it is meant for.
    pub to: Vec<UserId>,
    /// Those of them who were present and get the event over realtime only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub present: Vec<UserId>,
    /// Whether the session channel gets it. Partners' own channels always get the notice of a change.
    pub publish: bool,
    /// Partners whose route is decided once their presence is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unresolved: Vec<UserId>,
    /// Rebuilt from the event after the outbox was read from the store.
    #[serde(skip)]
    pub publications: Vec<Publication>,
    /// Messages beside the event's own. They are published whether or not the event's own is. Rebuilt like those.
    #[serde(skip)]
    pub hints: Vec<Publication>,
    /// The trace of the command that made the event; rebuilt like the messages.
    #[serde(skip)]
    pub trace: Option<Trace>,
}

/// An event that was published to a present partner, and whose arrival is not confirmed yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WatchedEvent {
    pub user: UserId,
    pub seq: Seq,
    pub at: Timestamp,
    /// When this process began to watch it.
    #[serde(skip)]
    pub since: Uptime,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Outbox {
    #[serde(default)]
    pub pending: VecDeque<PendingEvent>,
    #[serde(default)]
    pub watched: Vec<WatchedEvent>,
}

/// An event is watched no longer than this. By then the partner has fetched the session again, or the connection is
/// known to be dead.
const WATCH_AT_MOST: Duration = Duration::from_secs(120);

/// How a partner left. It tells whether earlier messages can have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Departure {
    pub at: Uptime,
    /// The connection broke: nothing that is unconfirmed has arrived, however long ago it was sent.
    pub vanished: bool,
}

impl PendingEvent {
    pub(super) fn new(seq: Seq) -> Self {
        Self {
            seq,
            to: Vec::new(),
            present: Vec::new(),
            publish: false,
            unresolved: Vec::new(),
            publications: Vec::new(),
            hints: Vec::new(),
            trace: None,
        }
    }
}

impl PendingEvent {
    /// Runs `log` within the span of the command that made the event.
    pub(super) fn in_span(&self, log: impl FnOnce()) {
        match &self.trace {
            Some(trace) => trace.span.in_scope(log),
            None => log(),
        }
    }
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.watched.is_empty()
    }

    /// The partner has seen everything up to `seq`.
    pub(super) fn seen(&mut self, user: &UserId, seq: Seq) {
        self.watched.retain(|watched| watched.user != *user || watched.seq > seq);
    }

    /// Removes the partner's watched events. Returns the newest that the partner may have missed.
    pub(super) fn left(&mut self, user: &UserId, departure: Departure, grace: Duration) -> Option<Seq> {
        let (theirs, others): (Vec<_>, Vec<_>) = self.watched.drain(..).partition(|watched| watched.user == *user);
        self.watched = others;
        let missed =
            |watched: &&WatchedEvent| departure.vanished || departure.at.saturating_sub(watched.since) <= grace;
        theirs.iter().filter(missed).map(|watched| watched.seq).max()
    }

    /// Stops watching old events. `grace` may be configured to be longer than the usual limit.
    pub(super) fn forget_old(&mut self, now: Uptime, grace: Duration) {
        let limit = WATCH_AT_MOST.max(grace);
        self.watched.retain(|watched| now.saturating_sub(watched.since) <= limit);
    }

    /// Restarts the watches of an outbox that was read from the store.
    pub(super) fn watch_on(&mut self, now: Uptime) {
        self.watched.iter_mut().for_each(|watched| watched.since = now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        name.parse().unwrap()
    }

    fn outbox() -> Outbox {
        let watched = |name, seq, since| {
            let at = Timestamp::default();
            WatchedEvent { user: user(name), seq, at, since: Duration::from_millis(since) }
        };
        Outbox {
            pending: VecDeque::new(),
            watched: vec![watched("ann", 3, 0), watched("ann", 4, 20_000), watched("bob", 4, 0)],
        }
    }

    fn departure(millis: u64, vanished: bool) -> Departure {
        Departure { at: Duration::from_millis(millis), vanished }
    }

    const GRACE: Duration = Duration::from_secs(30);

    #[test]
    fn a_partner_who_leaves_within_the_grace_has_missed_the_newest_unseen_event() {
        let mut outbox = outbox();
        assert_eq!(outbox.left(&user("ann"), departure(29_000, false), GRACE), Some(4));
        assert_eq!(outbox.watched.len(), 1, "the other partner's are kept");
    }

    #[test]
    fn a_partner_who_has_seen_the_event_has_missed_nothing() {
        let mut outbox = outbox();
        outbox.seen(&user("ann"), 4);
        assert_eq!(outbox.left(&user("ann"), departure(21_000, false), GRACE), None);
    }

    #[test]
    fn after_the_grace_only_a_broken_connection_counts() {
        assert_eq!(outbox().left(&user("ann"), departure(60_000, false), GRACE), None);
        assert_eq!(outbox().left(&user("ann"), departure(60_000, true), GRACE), Some(4));
    }

    #[test]
    fn an_event_is_watched_for_a_limited_time() {
        let mut outbox = outbox();
        outbox.forget_old(Duration::from_millis(120_001), GRACE);
        assert_eq!(outbox.watched.len(), 1);
        outbox.watch_on(Duration::from_secs(200));
        outbox.forget_old(Duration::from_secs(300), GRACE);
        assert_eq!(outbox.watched.len(), 1, "after a restart it is watched anew");
    }
}
