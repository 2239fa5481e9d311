//! Pushes that quiet hours hold. When a user changes the quiet hours, these pushes are decided again at once. Otherwise
//! they would be sent at the end of the former quiet hours, which may lie in the middle of the new ones.

use std::time::Duration;

use tandem_actors::{
    domain::{
        ids::{SessionId, UserId},
        time::Timestamp,
    },
    keys,
    ports::{Change, Direction, StoreError},
    records,
};

use super::Devices;
use crate::push::{
    decide::QUIET_HOURS,
    rows::{self, Decision, PushRecord},
};

/// How many sessions of the user are searched, and how many of the latest pushes of each.
const SESSIONS: usize = 1_000;
const LATEST: usize = 32;
/// A push that is due within this time is left alone. The sender may be working on it, and would send it twice.
const SOON: Duration = Duration::from_secs(10);

impl Devices {
    /// Makes the pushes due that the user's quiet hours hold.
    pub(super) fn release_held(&self, user: &UserId, now: Timestamp) -> Result<Vec<Change>, StoreError> {
        let prefix = keys::memberships(user);
        let memberships = self.store.scan(&prefix, None, Direction::Forward, SESSIONS)?;
        let sessions = memberships.iter().filter_map(|(key, _)| keys::session_of_membership(key, &prefix));
        let mut changes = Vec::new();
        for session in sessions {
            self.release_held_of(user, &session, now, &mut changes)?;
        }
        Ok(changes)
    }

    fn release_held_of(
        &self,
        user: &UserId,
        session: &SessionId,
        now: Timestamp,
        changes: &mut Vec<Change>,
    ) -> Result<(), StoreError> {
        for (_, row) in self.store.scan(&rows::records_of(session), None, Direction::Backward, LATEST)? {
            let PushRecord { id, decision, .. } = records::decode(&row)?;
            let until = match decision {
                Decision::Held { until, why } if id.user == *user && why == QUIET_HOURS && until > now + SOON => until,
                _ => continue,
            };
            let held = keys::push_job(until, session, user, id.seq);
            if let Some(job) = self.store.get(&held)? {
                changes.push(Change::Delete(held));
                changes.push(Change::Put(keys::push_job(now, session, user, id.seq), job));
            }
        }
        Ok(())
    }
}
