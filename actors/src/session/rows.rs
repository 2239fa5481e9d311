//! The rows beside the log that have to say the same as the state: memberships, and timers. Only what has changed is written.

use std::collections::BTreeMap;

use crate::{
    domain::{Session, Settings, Timer, ids::UserId, time::Timestamp},
    keys,
    ports::Change,
    records::{self, Membership},
};

/// Which rows the store has, or will have when the gate opens.
#[derive(Debug, Default)]
pub(super) struct KnownRows {
    memberships: BTreeMap<UserId, Membership>,
    /// The earliest row of each kind of timer. A row may be earlier than the timer: it fires, and the timer is asked again.
    timers: BTreeMap<u8, Timestamp>,
}

impl KnownRows {
    /// What the store has for a state that was read from it.
    pub fn of(session: &Session, settings: &Settings) -> Self {
        Self { memberships: memberships(session), timers: earliest(session, settings) }
    }

    /// The changes that bring the rows to `session`. Returns those who have left.
    pub fn follow(&mut self, session: &Session, settings: &Settings, changes: &mut Vec<Change>) -> Vec<UserId> {
        self.follow_timers(session, settings, changes);
        let members = memberships(session);
        if members == self.memberships {
            return Vec::new();
        }
        let was_in = |user: &UserId| self.memberships.get(user).is_some_and(|known| !known.left);
        let is_in = |user: &UserId| members.get(user).is_some_and(|membership| !membership.left);
        let left = self.memberships.keys().filter(|user| was_in(user) && !is_in(user)).cloned().collect();
        for (user, membership) in &members {
            if self.memberships.get(user) != Some(membership) {
                changes.push(Change::Put(keys::membership(user, session.id()), records::encode(membership)));
            }
        }
        for gone in self.memberships.keys().filter(|user| !members.contains_key(*user)) {
            changes.push(Change::Delete(keys::membership(gone, session.id())));
        }
        self.memberships = members;
        left
    }

    fn follow_timers(&mut self, session: &Session, settings: &Settings, changes: &mut Vec<Change>) {
        for (timer, at) in earliest(session, settings) {
            if self.timers.get(&timer).is_none_or(|known| at < *known) {
                self.timers.insert(timer, at);
                changes.push(Change::Put(keys::due(at, session.id(), timer), bytes::Bytes::new()));
            }
        }
    }

    /// The row of a timer has fired and is deleted by the caller; `follow` writes another if there is more to wait for.
    pub fn fired(&mut self, timer: Timer, at: Timestamp) {
        if self.timers.get(&timer.number()).is_some_and(|known| *known <= at) {
            self.timers.remove(&timer.number());
        }
    }
}

fn memberships(session: &Session) -> BTreeMap<UserId, Membership> {
    session
        .participants()
        .map(|user| {
            let membership = Membership {
                status: session.status(),
                partner: session.partner_of(user).or(session.invited_person()).filter(|other| *other != user).cloned(),
                resolved_at: session.resolved_at(),
                connected_at: session.partner_of(user).and_then(|_| session.joined_at()),
                left: !session.is_member(user),
            };
            (user.clone(), membership)
        })
        .collect()
}

fn earliest(session: &Session, settings: &Settings) -> BTreeMap<u8, Timestamp> {
    let mut earliest = BTreeMap::new();
    for (timer, at) in session.timers(settings) {
        let known = earliest.entry(timer.number()).or_insert(at);
        *known = at.min(*known);
    }
    earliest
}
