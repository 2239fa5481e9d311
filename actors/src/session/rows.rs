//! The index rows beside the log, which have to agree with the state: invitation, memberships, places in lists, unread
//! marks, timers, and since when a session is over. Only changed rows are written.

use bytes::Bytes;

use crate::{
    domain::{
        DomainSettings, ListEntry, Session, Timer,
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

/// The rows that the store has, or will have when the gate opens. There are two users and a few timers: lists take less
/// memory than maps, and less time with every command.
#[derive(Debug, Default)]
pub(super) struct KnownRows {
    users: Vec<(UserId, UserRows)>,
    /// The earliest row of each kind of timer. A row may be earlier than its timer. Then it has no effect when it
    /// fires.
    timers: Vec<(u8, Timestamp)>,
    /// The row of a session that is over.
    over: Option<Timestamp>,
}

/// One user's rows of this session.
#[derive(Debug, PartialEq, Eq)]
struct UserRows {
    membership: Membership,
    /// `None` for those who have left.
    listed: Option<ListEntry>,
}

/// What changed beside the rows.
#[derive(Debug, Default)]
pub(super) struct RowEffects {
    /// The users who have left.
    pub left: Vec<UserId>,
    /// The set of users who see the session has changed.
    pub members_changed: bool,
}

impl KnownRows {
    /// The rows of a state that was read from the store.
    pub(super) fn of(session: &Session, settings: &DomainSettings) -> Self {
        Self { users: user_rows(session), timers: earliest(session, settings), over: session.over_since() }
    }

    /// The users who see the session.
    pub(super) fn members(&self) -> impl Iterator<Item = &UserId> {
        members(&self.users)
    }

    /// Adds the changes that bring the rows to `session`.
    pub(super) fn follow(
        &mut self,
        session: &Session,
        settings: &DomainSettings,
        changes: &mut Vec<Change>,
    ) -> RowEffects {
        self.follow_timers(session, settings, changes);
        self.follow_end(session, changes);
        let users = user_rows(session);
        if users == self.users {
            return RowEffects::default();
        }
        let is_in =
            |rows: &[(UserId, UserRows)], user: &UserId| find(rows, user).is_some_and(|rows| rows.listed.is_some());
        let stays = |user: &UserId| !is_in(&self.users, user) || is_in(&users, user);
        let left = self.users.iter().map(|(user, _)| user).filter(|user| !stays(user)).cloned().collect();
        for (user, rows) in &users {
            let known = find(&self.users, user);
            if known.map(|known| &known.membership) != Some(&rows.membership) {
                changes.push(Change::Put(keys::membership(user, session.id()), records::encode(&rows.membership)));
            }
            follow_listed(user, session.id(), known.and_then(|known| known.listed), rows.listed, changes);
        }
        for (gone, rows) in self.users.iter().filter(|(user, _)| find(&users, user).is_none()) {
            changes.push(Change::Delete(keys::membership(gone, session.id())));
            follow_listed(gone, session.id(), rows.listed, None, changes);
        }
        let before = std::mem::replace(&mut self.users, users);
        RowEffects { left, members_changed: !members(&before).eq(self.members()) }
    }

    fn follow_timers(&mut self, session: &Session, settings: &DomainSettings, changes: &mut Vec<Change>) {
        for (timer, at) in earliest(session, settings) {
            let known = self.timers.iter().position(|(known, _)| *known == timer);
            if known.is_none_or(|known| at < self.timers[known].1) {
                match known {
                    Some(known) => self.timers[known].1 = at,
                    None => self.timers.push((timer, at)),
                }
                changes.push(Change::Put(keys::due(at, session.id(), timer), Bytes::new()));
            }
        }
    }

    fn follow_end(&mut self, session: &Session, changes: &mut Vec<Change>) {
        let since = session.over_since();
        if since != self.over {
            let row = |since: Timestamp| keys::over(since, session.id());
            changes.extend(self.over.map(|known| Change::Delete(row(known))));
            changes.extend(since.map(|since| Change::Put(row(since), Bytes::new())));
            self.over = since;
        }
    }

    /// Adds the deletion of all rows.
    pub(super) fn clear(&self, session: &SessionId, changes: &mut Vec<Change>) {
        for (user, rows) in &self.users {
            changes.push(Change::Delete(keys::membership(user, session)));
            follow_listed(user, session, rows.listed, None, changes);
        }
        // An earlier row of a timer may stay. It is deleted when it fires.
        changes.extend(self.timers.iter().map(|(timer, at)| Change::Delete(keys::due(*at, session, *timer))));
        changes.extend(self.over.map(|since| Change::Delete(keys::over(since, session))));
    }

    /// A row of the timer has fired, and the caller deletes it. `follow` writes another one if the timer goes on: after
    /// an activation the row that is known may never have been written, because there was an earlier one.
    pub(super) fn fired(&mut self, timer: Timer) {
        self.timers.retain(|(known, _)| *known != timer.number());
    }
}

/// All index rows of a session, for a store that may have none of them.
pub(crate) fn index_rows(session: &Session, settings: &DomainSettings) -> Vec<Change> {
    let mut changes = vec![invitation_row(session)];
    KnownRows::default().follow(session, settings, &mut changes);
    changes
}

/// The row that leads from the invitation to the session. It is written once, when the session begins.
pub(super) fn invitation_row(session: &Session) -> Change {
    let id = Bytes::copy_from_slice(session.id().as_str().as_bytes());
    Change::Put(keys::invitation(session.invitation_id()), id)
}

fn follow_listed(
    user: &UserId,
    session: &SessionId,
    known: Option<ListEntry>,
    wanted: Option<ListEntry>,
    changes: &mut Vec<Change>,
) {
    let place = |listed: ListEntry| (listed.status, listed.changed_at);
    if known.map(place) != wanted.map(place) {
        let key = |listed: ListEntry| keys::listed(user, listed.status, listed.changed_at, session);
        changes.extend(known.map(|listed| Change::Delete(key(listed))));
        changes.extend(wanted.map(|listed| Change::Put(key(listed), Bytes::new())));
    }
    match (known.is_some_and(counts_as_unread), wanted.is_some_and(counts_as_unread)) {
        (false, true) => changes.push(Change::Put(keys::unread(user, session), Bytes::new())),
        (true, false) => changes.push(Change::Delete(keys::unread(user, session))),
        (false, false) | (true, true) => {}
    }
}

fn counts_as_unread(listed: ListEntry) -> bool {
    listed.unread && listed.status != SessionStatus::Archived
}

fn find<'a>(rows: &'a [(UserId, UserRows)], user: &UserId) -> Option<&'a UserRows> {
    rows.iter().find(|(known, _)| known == user).map(|(_, rows)| rows)
}

fn members(rows: &[(UserId, UserRows)]) -> impl Iterator<Item = &UserId> {
    rows.iter().filter(|(_, rows)| !rows.membership.left).map(|(user, _)| user)
}

fn user_rows(session: &Session) -> Vec<(UserId, UserRows)> {
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

fn earliest(session: &Session, settings: &DomainSettings) -> Vec<(u8, Timestamp)> {
    let mut earliest: Vec<(u8, Timestamp)> = Vec::new();
    for (timer, at) in session.timers(settings) {
        match earliest.iter_mut().find(|(known, _)| *known == timer.number()) {
            Some((_, known)) => *known = at.min(*known),
            None => earliest.push((timer.number(), at)),
        }
    }
    earliest
}
