//! The presence set of one session, as its actor knows it: connections of each partner with their source and, for
//! heartbeats, their expiry. It is not stored: a fresh actor asks the provider.

use std::collections::BTreeMap;

use crate::{
    domain::{ids::UserId, routing::Presence, time::Timestamp},
    ports::{PresenceChange, PresenceMember, PresenceSource, Uptime},
};

#[derive(Debug)]
struct Connection {
    present: bool,
    /// When it entered or left, by the clock of the reporter.
    at: Timestamp,
    heard_at: Uptime,
    expires_at: Option<Uptime>,
    /// Known only from the provider's answer to a query, so no report will say that it has left.
    queried: bool,
}

/// The origin of a report. All reports of the provider, on every path, are about the same connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Provider,
    Heartbeat,
}

impl From<PresenceSource> for Origin {
    fn from(source: PresenceSource) -> Self {
        match source {
            PresenceSource::Heartbeat => Self::Heartbeat,
            PresenceSource::Embedded | PresenceSource::Webhook | PresenceSource::Rest => Self::Provider,
        }
    }
}

impl PresenceSource {
    /// Whether reports can arrive out of order. Reports of this process arrive in order, but their clock may be set in
    /// between.
    fn may_overtake(self) -> bool {
        matches!(self, Self::Webhook | Self::Rest)
    }
}

/// The presence set of one session.
#[derive(Debug, Default)]
pub(super) struct PresenceSet {
    connections: BTreeMap<(UserId, Origin, String), Connection>,
    /// When the provider last answered.
    asked_at: Option<Uptime>,
}

/// How old the provider's answer may be to tell who is present and who is absent. `None`: the provider reports every
/// change.
pub(super) type MaxAge = Option<std::time::Duration>;

impl PresenceSet {
    /// Applies one change. A repeated report has no effect, nor has a late report that came over a network. True if
    /// the partner has just become absent.
    pub(super) fn change(&mut self, change: PresenceChange, expires_at: Option<Uptime>, now: Uptime) -> bool {
        let was_present = self.is_present(&change.user, now);
        let user = change.user.clone();
        let key = (change.user, change.source.into(), change.connection);
        let is_late = |known: &Connection| known.at > change.at && change.source.may_overtake();
        if self.connections.get(&key).is_some_and(is_late) {
            return false;
        }
        let connection =
            Connection { present: change.present, at: change.at, heard_at: now, expires_at, queried: false };
        self.connections.insert(key, connection);
        was_present && !self.is_present(&user, now)
    }

    /// Applies the provider's whole set. It replaces what the provider reported before `now`.
    pub(super) fn replace(&mut self, members: Vec<PresenceMember>, now: Uptime) {
        self.connections.retain(|(_, origin, _), _| *origin == Origin::Heartbeat);
        for PresenceMember { user, connection, at } in members {
            let connected = Connection { present: true, at, heard_at: now, expires_at: None, queried: true };
            self.connections.insert((user, Origin::Provider, connection), connected);
        }
        self.asked_at = Some(now);
    }

    fn is_present(&self, user: &UserId, now: Uptime) -> bool {
        self.connections_of(user, now).next().is_some()
    }

    fn connections_of(&self, user: &UserId, now: Uptime) -> impl Iterator<Item = &Connection> {
        let of_user =
            self.connections.iter().filter(move |((who, ..), _)| who == user).map(|(_, connection)| connection);
        of_user.filter(move |connection| connection.present && connection.expires_at.is_none_or(|expiry| expiry > now))
    }

    pub(super) fn state(&self, user: &UserId, now: Uptime, max_age: MaxAge) -> Presence {
        let is_believed = |connection: &Connection| {
            !connection.queried || max_age.is_none_or(|max| now.saturating_sub(connection.heard_at) <= max)
        };
        if self.connections_of(user, now).any(is_believed) {
            return Presence::Present;
        }
        match (self.asked_at, max_age) {
            (Some(_), None) => Presence::Absent,
            (Some(asked), Some(max)) if now.saturating_sub(asked) <= max => Presence::Absent,
            (Some(_), Some(_)) | (None, _) => Presence::Unknown,
        }
    }

    /// Since when the user has been present, or absent. Leaves are not remembered for long.
    pub(super) fn since(&self, user: &UserId, present: bool, now: Uptime) -> Option<Timestamp> {
        if present {
            return self.connections_of(user, now).map(|connection| connection.at).min();
        }
        self.connections.iter().filter(|((who, ..), _)| who == user).map(|(_, connection)| connection.at).max()
    }

    /// When the next heartbeat runs out.
    pub(super) fn next_expiry(&self, now: Uptime) -> Option<Uptime> {
        self.connections.values().filter(|c| c.present).filter_map(|c| c.expires_at).filter(|at| *at > now).min()
    }

    /// Forgets connections that have ended. Returns the partners who became absent by it.
    pub(super) fn sweep(&mut self, now: Uptime) -> Vec<UserId> {
        let expired: Vec<UserId> = self
            .connections
            .iter()
            .filter(|(_, c)| c.present && c.expires_at.is_some_and(|at| at <= now))
            .map(|((user, ..), _)| user.clone())
            .collect();
        self.connections.retain(|_, c| {
            let keeps_order = now.saturating_sub(c.heard_at) < REMEMBER_LEAVES;
            if c.present { c.expires_at.is_none_or(|at| at > now) } else { keeps_order }
        });
        expired.into_iter().filter(|user| !self.is_present(user, now)).collect()
    }
}

/// How long a leave is remembered, so that a late enter is recognised as older.
const REMEMBER_LEAVES: std::time::Duration = std::time::Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> Uptime {
        Duration::from_millis(millis)
    }

    fn wall(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn change(connection: &str, present: bool, millis: i64) -> PresenceChange {
        PresenceChange {
            user: "ann".parse().unwrap(),
            connection: connection.into(),
            present,
            vanished: false,
            at: wall(millis),
            source: PresenceSource::Webhook,
        }
    }

    fn ann() -> UserId {
        "ann".parse().unwrap()
    }

    #[test]
    fn presence_from_a_query_becomes_unknown_with_age() {
        let mut presence = PresenceSet::default();
        presence.replace(vec![PresenceMember { user: ann(), connection: "K1".into(), at: wall(1) }], at(1));
        let max_age = Some(Duration::from_millis(10));
        assert_eq!(presence.state(&ann(), at(11), max_age), Presence::Present);
        assert_eq!(presence.state(&ann(), at(12), max_age), Presence::Unknown);
        assert_eq!(presence.state(&ann(), at(12), None), Presence::Present, "where every change is reported");
        presence.change(change("K2", true, 2), None, at(12));
        assert_eq!(presence.state(&ann(), at(100), max_age), Presence::Present, "it was reported, as its end will be");
    }

    #[test]
    fn presence_is_unknown_until_the_provider_has_answered() {
        let mut presence = PresenceSet::default();
        assert_eq!(presence.state(&ann(), at(1), None), Presence::Unknown);
        presence.replace(vec![], at(2));
        assert_eq!(presence.state(&ann(), at(3), None), Presence::Absent);
        let stale = Some(Duration::from_millis(10));
        assert_eq!(presence.state(&ann(), at(100), stale), Presence::Unknown);
    }

    #[test]
    fn a_partner_is_present_until_the_last_connection_leaves() {
        let mut presence = PresenceSet::default();
        assert!(!presence.change(change("one", true, 1), None, at(1)));
        assert!(!presence.change(change("two", true, 2), None, at(2)));
        assert!(!presence.change(change("one", false, 3), None, at(3)));
        assert_eq!(presence.state(&ann(), at(3), None), Presence::Present);
        assert!(presence.change(change("two", false, 4), None, at(4)));
    }

    #[test]
    fn a_leave_by_webhook_ends_presence_from_a_query() {
        let mut presence = PresenceSet::default();
        presence.replace(vec![PresenceMember { user: ann(), connection: "one".into(), at: wall(1) }], at(2));
        assert!(presence.change(change("one", false, 3), None, at(3)));
        assert_eq!(presence.state(&ann(), at(3), None), Presence::Absent);
    }

    #[test]
    fn a_late_enter_does_not_undo_a_leave() {
        let mut presence = PresenceSet::default();
        presence.replace(vec![], at(0));
        presence.change(change("one", false, 5), None, at(5));
        presence.change(change("one", true, 4), None, at(6));
        assert_eq!(presence.state(&ann(), at(6), None), Presence::Absent);
    }

    #[test]
    fn a_heartbeat_runs_out() {
        let mut presence = PresenceSet::default();
        let beat = PresenceChange { source: PresenceSource::Heartbeat, ..change("http", true, 1) };
        presence.change(beat, Some(at(60)), at(1));
        assert_eq!(presence.state(&ann(), at(59), None), Presence::Present);
        assert_eq!(presence.next_expiry(at(59)), Some(at(60)));
        assert_eq!(presence.sweep(at(60)), vec![ann()]);
        assert_ne!(presence.state(&ann(), at(60), None), Presence::Present);
    }

    #[test]
    fn a_partner_who_goes_away_after_the_clock_was_set_back_is_absent() {
        for source in [PresenceSource::Heartbeat, PresenceSource::Embedded] {
            let mut presence = PresenceSet::default();
            presence.replace(vec![], at(0));
            presence.change(PresenceChange { source, ..change("one", true, 3_600_000) }, None, at(1));
            assert!(presence.change(PresenceChange { source, ..change("one", false, 10) }, None, at(2)), "{source:?}");
            assert_eq!(presence.state(&ann(), at(2), None), Presence::Absent);
        }
    }
}
