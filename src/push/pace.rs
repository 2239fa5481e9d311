//! Limits how often a phone rings: notifications of one session are spaced, and each user has a rate. Pushes in between
//! are merged into the next one, which shows the last state. So a partner cannot flood a phone, and no user takes the
//! rate of the whole project.
//!
//! The pace is stored in the commit that starts a push, so that it survives a restart.

use std::time::Duration;

use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use tandem_actors::{
    domain::{
        ids::{SessionId, UserId},
        time::Timestamp,
    },
    ports::{Change, Store, StoreError},
    records,
};

use super::{
    config::PushSettings,
    rows::{self, PushId},
};

/// When one user was notified of one session lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SessionPace {
    last: Timestamp,
    /// Notifications in a row without a rest.
    streak: u32,
}

/// When one user was notified of any session lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct UserPace {
    /// The time at which everything sent so far fits the user's rate.
    paid: Timestamp,
}

/// A rest of this many times `spacing_later` ends a row of notifications.
const RESTS: u32 = 10;
/// The longest real wait. After the clock was set back, stored times may be further in the future; they are ignored.
const LONGEST_WAIT: Duration = Duration::from_secs(2 * 60);

/// The paces of all users. A push under way counts before it is written.
#[derive(Default)]
pub(super) struct Paces {
    sessions: DashMap<(SessionId, UserId), SessionPace>,
    users: DashMap<UserId, UserPace>,
}

/// A push that has to wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooSoon {
    pub until: Timestamp,
    pub why: &'static str,
}

impl Paces {
    /// Whether a push to the user has to wait.
    pub fn look(
        &self,
        store: &dyn Store,
        config: &PushSettings,
        id: &PushId,
        now: Timestamp,
    ) -> Result<Option<TooSoon>, StoreError> {
        let of_session = self.of_session(store, id)?.filter(|pace| is_sane(pace.last, now));
        let session_free = of_session.map_or(now, |pace| pace.last + pace.spacing(config, now));
        let user_free = match spacing_of_user(config) {
            Some(each) => {
                let paid = self.of_user(store, &id.user)?.map(|pace| pace.paid).filter(|paid| is_sane(*paid, now));
                // The notifications of a whole minute may be sent at once.
                paid.map_or(now, |paid| earlier(paid + each, Duration::from_secs(60)))
            }
            None => now,
        };
        if session_free > now {
            let why = "spaced: the session's last notification to this user is too recent; what comes until then is merged into one";
            return Ok(Some(TooSoon { until: session_free, why }));
        }
        let why = "spaced: this user has had as many notifications as push.user_rate allows";
        Ok((user_free > now).then_some(TooSoon { until: user_free, why }))
    }

    /// Counts a push that begins. Returns the rows to write when it is sent.
    pub fn begin(
        &self,
        store: &dyn Store,
        config: &PushSettings,
        id: &PushId,
        now: Timestamp,
    ) -> Result<Vec<Change>, StoreError> {
        let mut changes = Vec::new();
        if !config.spacing.is_zero() || !config.spacing_later.is_zero() {
            let of_session = self.of_session(store, id)?.unwrap_or_default().after(config, now);
            self.sessions.insert((id.session.clone(), id.user.clone()), of_session);
            changes.push(Change::Put(rows::session_pace(&id.session, &id.user), records::encode(&of_session)));
        }
        if let Some(each) = spacing_of_user(config) {
            let paid = self.of_user(store, &id.user)?.map_or(now, |pace| pace.paid);
            let from = if is_sane(paid, now) { paid.max(now) } else { now };
            let of_user = UserPace { paid: from + each };
            self.users.insert(id.user.clone(), of_user);
            changes.push(Change::Put(rows::user_pace(&id.user), records::encode(&of_user)));
        }
        Ok(changes)
    }

    /// The push was not sent.
    pub fn undo(&self, id: &PushId) {
        self.sessions.remove(&(id.session.clone(), id.user.clone()));
        self.users.remove(&id.user);
    }

    /// Drops entries that do not delay a push any more, or that the store holds too.
    pub fn forget_old(&self, config: &PushSettings, now: Timestamp) {
        let rest = config.spacing_later * RESTS;
        self.sessions.retain(|_, pace| now.since(pace.last) < rest);
        self.users.retain(|_, pace| pace.paid > now);
    }

    fn of_session(&self, store: &dyn Store, id: &PushId) -> Result<Option<SessionPace>, StoreError> {
        if let Some(pace) = self.sessions.get(&(id.session.clone(), id.user.clone())) {
            return Ok(Some(*pace));
        }
        store.get(&rows::session_pace(&id.session, &id.user))?.map(|row| records::decode(&row)).transpose()
    }

    fn of_user(&self, store: &dyn Store, user: &UserId) -> Result<Option<UserPace>, StoreError> {
        if let Some(pace) = self.users.get(user) {
            return Ok(Some(*pace));
        }
        store.get(&rows::user_pace(user))?.map(|row| records::decode(&row)).transpose()
    }
}

impl SessionPace {
    /// How long after the last notification the next one may be sent.
    fn spacing(self, config: &PushSettings, now: Timestamp) -> Duration {
        match self.streak {
            _ if self.has_rested(config, now) => Duration::ZERO,
            0 => Duration::ZERO,
            1 => config.spacing,
            _ => config.spacing_later,
        }
    }

    fn has_rested(self, config: &PushSettings, now: Timestamp) -> bool {
        now.since(self.last) >= config.spacing_later * RESTS
    }

    fn after(self, config: &PushSettings, now: Timestamp) -> Self {
        let streak = if self.has_rested(config, now) { 0 } else { self.streak };
        Self { last: now, streak: streak.saturating_add(1) }
    }
}

fn spacing_of_user(config: &PushSettings) -> Option<Duration> {
    (config.user_rate > 0).then(|| Duration::from_secs(60) / config.user_rate)
}

fn is_sane(at: Timestamp, now: Timestamp) -> bool {
    at.since(now) <= LONGEST_WAIT
}

fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(at.as_millis().saturating_sub(by))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn the_second_notification_waits_a_little_and_each_further_one_longer() {
        let config = PushSettings::default();
        let mut pace = SessionPace::default();
        for (now, wait) in [(1_000_000, 10), (1_000_010, 60), (1_000_070, 60)] {
            pace = pace.after(&config, at(now));
            assert_eq!(pace.spacing(&config, at(now)), Duration::from_secs(wait), "{now}");
        }
        assert_eq!(pace.spacing(&config, at(1_000_670)), Duration::ZERO, "rested");
        assert_eq!(pace.after(&config, at(1_000_670)).streak, 1);
    }

    #[test]
    fn a_clock_that_was_set_back_by_days_delays_no_push() {
        assert!(is_sane(at(100), at(90)) && is_sane(at(100), at(200)));
        assert!(!is_sane(at(200_000), at(0)));
    }
}
