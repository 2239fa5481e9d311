//! What a session still has to tell. Stored as one row in the same commit as the event that it tells of, and read again when
//! the session is next activated; absent when nothing is outstanding. Pushes are rows of their own (`records::PushJob`): the
//! push sender takes them over.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        ids::{Seq, UserId},
        time::Timestamp,
    },
    ports::{Publication, Uptime},
};

/// An event that waits to be published on the session channel, or for the decision whether to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingEvent {
    pub seq: Seq,
    /// The partners it is meant for.
    pub to: Vec<UserId>,
    /// Those of them who were present when it was decided to tell them over realtime alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub present: Vec<UserId>,
    /// Whether the session channel gets it. Partners' user channels always hear that something changed.
    pub publish: bool,
    /// Partners whose presence has to be found out first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unresolved: Vec<UserId>,
    /// Made again from the event when the outbox was read from the store.
    #[serde(skip)]
    pub publications: Vec<Publication>,
    /// Messages beside the event's own, which go out whether or not the event's own does. Made again like those.
    #[serde(skip)]
    pub hints: Vec<Publication>,
}

/// An event that went out over realtime to a partner who was present, and has not been seen to arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedEvent {
    pub user: UserId,
    pub seq: Seq,
    pub at: Timestamp,
    /// Since when this process watches.
    #[serde(skip)]
    pub since: Uptime,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outbox {
    #[serde(default)]
    pub pending: VecDeque<PendingEvent>,
    #[serde(default)]
    pub watched: Vec<WatchedEvent>,
}

/// After this long nobody is announced_event any more that a message may have missed them: they have met the session again by then, or
/// their connection is known to be dead.
const WATCH_AT_MOST: Duration = Duration::from_secs(120);

/// How the partner left, as far as it bears on whether what was sent before has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    pub at: Uptime,
    /// Without a word: whatever is still unconfirmed was sent into the void, however long ago.
    pub vanished: bool,
}

impl PendingEvent {
    pub fn new(seq: Seq) -> Self {
        let (to, present, unresolved) = (Vec::new(), Vec::new(), Vec::new());
        Self { seq, to, present, publish: false, unresolved, publications: Vec::new(), hints: Vec::new() }
    }
}

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.watched.is_empty()
    }

    /// The partner has seen everything up to `seq`.
    pub fn seen(&mut self, user: &UserId, seq: Seq) {
        self.watched.retain(|watched| watched.user != *user || watched.seq > seq);
    }

    /// The partner left: takes out what they may have missed, and gives the newest of it that still warrants a push.
    pub fn left(&mut self, user: &UserId, departure: Departure, grace: Duration) -> Option<Seq> {
        let (theirs, others): (Vec<_>, Vec<_>) = self.watched.drain(..).partition(|watched| watched.user == *user);
        self.watched = others;
        let missed =
            |watched: &&WatchedEvent| departure.vanished || departure.at.saturating_sub(watched.since) <= grace;
        theirs.iter().filter(missed).map(|watched| watched.seq).max()
    }

    /// Stops watching what is too old. `grace` may be configured to be longer than the usual limit.
    pub fn forget_old(&mut self, now: Uptime, grace: Duration) {
        let limit = WATCH_AT_MOST.max(grace);
        self.watched.retain(|watched| now.saturating_sub(watched.since) <= limit);
    }

    /// The outbox was read from the store: what was watched before is watched from here on.
    pub fn watch_on(&mut self, now: Uptime) {
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
    fn who_leaves_within_the_grace_is_told_of_the_newest_unseen_event() {
        let mut outbox = outbox();
        assert_eq!(outbox.left(&user("ann"), departure(29_000, false), GRACE), Some(4));
        assert_eq!(outbox.watched.len(), 1, "the other partner's are kept");
    }

    #[test]
    fn who_has_seen_it_is_not_told_again() {
        let mut outbox = outbox();
        outbox.seen(&user("ann"), 4);
        assert_eq!(outbox.left(&user("ann"), departure(21_000, false), GRACE), None);
    }

    #[test]
    fn after_the_grace_only_a_connection_that_vanished_counts() {
        assert_eq!(outbox().left(&user("ann"), departure(60_000, false), GRACE), None);
        assert_eq!(outbox().left(&user("ann"), departure(60_000, true), GRACE), Some(4));
    }

    #[test]
    fn nothing_is_watched_for_ever() {
        let mut outbox = outbox();
        outbox.forget_old(Duration::from_millis(120_001), GRACE);
        assert_eq!(outbox.watched.len(), 1);
        outbox.watch_on(Duration::from_secs(200));
        outbox.forget_old(Duration::from_secs(300), GRACE);
        assert_eq!(outbox.watched.len(), 1, "after a restart it is watched anew");
    }
}
