//! The index rows beside the log, which have to agree with the state: memberships, places in lists, unread marks, and
//! timers. Only changed rows are written.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    domain::{
        Listed, Session, Settings, Timer,
        ids::{SessionId, UserId},
        stage::SessionStatus,
        time::Timestamp,
    },
    ports::Change,
    rows::{
        keys,
        records::{self, Membership},
    },
};

/// The rows that the store has, or will have when the gate opens.
#[derive(Debug, Default)]
pub(super) struct KnownRows {
    users: BTreeMap<UserId, UserRows>,
    /// The earliest row of each kind of timer. A row may be earlier than its timer: when it fires, the timer decides
    /// anew.
    timers: BTreeMap<u8, Timestamp>,
}

/// One user's rows of this session.
#[derive(Debug, PartialEq, Eq)]
struct UserRows {
    membership: Membership,
    /// `None` for those who have left.
    listed: Option<Listed>,
}

impl KnownRows {
    /// The rows of a state that was read from the store.
    pub(super) fn of(session: &Session, settings: &Settings) -> Self {
        Self { users: user_rows(session), timers: earliest(session, settings) }
    }

    /// Adds the changes that bring the rows to `session`. Returns the users who have left.
    pub(super) fn follow(&mut self, session: &Session, settings: &Settings, changes: &mut Vec<Change>) -> Vec<UserId> {
        self.follow_timers(session, settings, changes);
        let users = user_rows(session);
        let is_in =
            |rows: &BTreeMap<UserId, UserRows>, user: &UserId| rows.get(user).is_some_and(|rows| rows.listed.is_some());
        let left = self.users.keys().filter(|user| is_in(&self.users, user) && !is_in(&users, user)).cloned().collect();
        for (user, rows) in &users {
            let known = self.users.get(user);
            if known.map(|known| &known.membership) != Some(&rows.membership) {
                changes.push(Change::Put(keys::membership(user, session.id()), records::encode(&rows.membership)));
            }
            follow_listed(user, session.id(), known.and_then(|known| known.listed), rows.listed, changes);
        }
        for (gone, rows) in self.users.iter().filter(|(user, _)| !users.contains_key(*user)) {
            changes.push(Change::Delete(keys::membership(gone, session.id())));
            follow_listed(gone, session.id(), rows.listed, None, changes);
        }
        self.users = users;
        left
    }

    fn follow_timers(&mut self, session: &Session, settings: &Settings, changes: &mut Vec<Change>) {
        for (timer, at) in earliest(session, settings) {
            if self.timers.get(&timer).is_none_or(|known| at < *known) {
                self.timers.insert(timer, at);
                changes.push(Change::Put(keys::due(at, session.id(), timer), Bytes::new()));
            }
        }
    }

    /// A row of the timer has fired, and the caller deletes it. `follow` writes another one if the timer goes on: after
    /// an activation the row that is known may never have been written, because there was an earlier one.
    pub(super) fn fired(&mut self, timer: Timer) {
        self.timers.remove(&timer.number());
    }
}

/// All list rows of a session, for a store that does not have them yet.
pub(crate) fn index_rows(session: &Session) -> Vec<Change> {
    let mut changes = Vec::new();
    for (user, rows) in user_rows(session) {
        follow_listed(&user, session.id(), None, rows.listed, &mut changes);
    }
    changes
}

fn follow_listed(
    user: &UserId,
    session: &SessionId,
    known: Option<Listed>,
    wanted: Option<Listed>,
    changes: &mut Vec<Change>,
) {
    let place = |listed: Listed| (listed.status, listed.changed_at);
    if known.map(place) != wanted.map(place) {
        let key = |listed: Listed| keys::listed(user, listed.status, listed.changed_at, session);
        changes.extend(known.map(|listed| Change::Delete(key(listed))));
        changes.extend(wanted.map(|listed| Change::Put(key(listed), Bytes::new())));
    }
    match (known.is_some_and(counts_as_unread), wanted.is_some_and(counts_as_unread)) {
        (false, true) => changes.push(Change::Put(keys::unread(user, session), Bytes::new())),
        (true, false) => changes.push(Change::Delete(keys::unread(user, session))),
        _ => {}
    }
}

fn counts_as_unread(listed: Listed) -> bool {
    listed.unread && listed.status != SessionStatus::Archived
}

fn user_rows(session: &Session) -> BTreeMap<UserId, UserRows> {
    session
        .participants()
        .map(|user| {
            let listed = session.listed_for(user);
            let membership = Membership {
                status: session.status(),
                partner: session.partner_of(user).or(session.invited_person()).filter(|other| *other != user).cloned(),
                resolved_at: session.resolved_at(),
                connected_at: session.partner_of(user).and_then(|_| session.joined_at()),
                left: listed.is_none(),
            };
            (user.clone(), UserRows { membership, listed })
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
