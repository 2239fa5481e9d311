//! The sessions of one user. Which there are, in which order and what is unread is read from index rows, a page of them; nothing is woken
//! for it. What a session shows in the list comes from its actor if that is awake and answers, and else from the store: a session that is
//! ill or slow costs its neighbours in the list nothing.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json, value::RawValue};

use super::Coordinator;
use crate::{
    domain::{
        Code, Query, Rejection,
        ids::{SessionId, UserId},
        stage::SessionStatus,
        time::Timestamp,
        view,
    },
    messages::Refusal,
    ports::{Direction, StoreError},
    rows::{
        keys::{self, Key},
        records::{self, Membership},
    },
    session::reads::to_json,
    stored::{self, nicknames},
};

/// What part of the list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFilter {
    /// `None`: all.
    pub status: Option<Vec<SessionStatus>>,
    /// As given with the page before.
    pub cursor: Option<String>,
    pub limit: usize,
}

/// One page, the newest change first. `items` and `sessions` are the same.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionsPage {
    #[schema(value_type = Vec<view::SessionView>)]
    items: Vec<Box<RawValue>>,
    #[schema(value_type = Vec<view::SessionView>)]
    sessions: Vec<Box<RawValue>>,
    /// For the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    has_more: bool,
}

/// Position in the list: newest change first, then by id.
pub type Position = (std::cmp::Reverse<Timestamp>, SessionId);

const ALL_STATUSES: [SessionStatus; 8] = [
    SessionStatus::Created,
    SessionStatus::Invited,
    SessionStatus::Active,
    SessionStatus::Waiting,
    SessionStatus::Paused,
    SessionStatus::Resolved,
    SessionStatus::Abandoned,
    SessionStatus::Archived,
];

/// The shown statuses of sessions that are going on.
pub const LIVE_STATUSES: [SessionStatus; 5] = [
    SessionStatus::Created,
    SessionStatus::Invited,
    SessionStatus::Active,
    SessionStatus::Waiting,
    SessionStatus::Paused,
];

/// What is made of all sessions of a user at once is made of the newest of them.
const MOST_SHOWN: usize = 1_000;

/// Nobody needs to know of more: a number with three digits is "many".
const MOST_UNREAD: usize = 999;

/// An actor that is awake has so long to say how its session stands.
const SUMMARY_WITHIN: Duration = Duration::from_millis(500);

impl Coordinator {
    /// The user's part in a session, also after leaving it.
    pub(crate) fn membership(&self, session: &SessionId, user: &UserId) -> Result<Option<Membership>, StoreError> {
        self.store().get(&keys::membership(user, session))?.map(|row| records::decode(&row)).transpose()
    }

    /// As [`Coordinator::membership`], for lists: a row that cannot be read costs its own place in them and no other.
    fn readable(&self, session: &SessionId, user: &UserId) -> Option<Membership> {
        self.membership(session, user).unwrap_or_else(|error| {
            tracing::error!(%session, %error, "a membership cannot be read");
            None
        })
    }

    /// Whether the user sees the session. Costs one look into the store, whether or not there is such a session.
    ///
    /// # Errors
    /// If the store fails.
    pub fn is_member(&self, session: &SessionId, user: &UserId) -> Result<bool, StoreError> {
        Ok(self.membership(session, user)?.is_some_and(|membership| !membership.left))
    }

    /// At most `limit` of the user's sessions after `after`, of these shown statuses, the newest change first.
    ///
    /// # Errors
    /// If the store fails.
    pub fn listed(
        &self,
        user: &UserId,
        statuses: &[SessionStatus],
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Vec<(Position, SessionStatus)>, StoreError> {
        let mut all = Vec::new();
        for status in statuses {
            let prefix = keys::listed_as(user, *status);
            let beyond: Option<Key> = after.map(|(at, session)| keys::listed(user, *status, at.0, session));
            let rows = self.store().scan(&prefix, beyond.as_ref(), Direction::Forward, limit)?;
            let places = rows.iter().filter_map(|(key, _)| keys::parse_listed(key, &prefix));
            all.extend(places.map(|(at, session)| ((std::cmp::Reverse(at), session), *status)));
        }
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all.truncate(limit);
        Ok(all)
    }

    /// The sessions that the user sees, the newest change first, with their rows; no more than [`MOST_SHOWN`].
    pub(crate) fn in_order(&self, user: &UserId) -> Result<Vec<(Position, Membership)>, StoreError> {
        let mut sessions = Vec::new();
        for (position, _) in self.listed(user, &ALL_STATUSES, None, MOST_SHOWN)? {
            if let Some(membership) = self.readable(&position.1, user).filter(|membership| !membership.left) {
                sessions.push((position, membership));
            }
        }
        Ok(sessions)
    }

    /// As [`Coordinator::in_order`], without the positions.
    pub(crate) fn memberships(&self, user: &UserId) -> Result<Vec<(SessionId, Membership)>, StoreError> {
        Ok(self.in_order(user)?.into_iter().map(|((_, session), membership)| (session, membership)).collect())
    }

    /// `{items, sessions, cursor, hasMore}`, newest change first.
    pub async fn list(&self, user: &UserId, filter: ListFilter) -> Result<Bytes, Refusal> {
        let after = filter.cursor.as_deref().map(parse_cursor).transpose()?;
        let wanted = filter.status.map_or_else(|| ALL_STATUSES.to_vec(), shown_as);
        let mut page = self.listed(user, &wanted, after.as_ref(), filter.limit + 1)?;
        let has_more = page.len() > filter.limit;
        page.truncate(filter.limit);
        let cursor = page.last().filter(|_| has_more).map(|(position, _)| cursor(position));
        let mut items: Vec<Box<RawValue>> = Vec::new();
        for ((_, session), status) in page {
            if let Some(summary) = self.summary(&session, user, status).await? {
                items.push(serde_json::from_slice(&summary).map_err(internal)?);
            }
        }
        let page = SessionsPage { sessions: items.clone(), items, cursor, has_more };
        serde_json::to_vec(&page).map(Bytes::from).map_err(internal)
    }

    /// The session as it stands in a list; `None` for those who have left it meanwhile.
    async fn summary(
        &self,
        session: &SessionId,
        user: &UserId,
        status: SessionStatus,
    ) -> Result<Option<Bytes>, Refusal> {
        if self.supervisor.is_awake(session) {
            let asked = self.ask_member(session, user, Query::Summary);
            match tokio::time::timeout(SUMMARY_WITHIN, asked).await {
                Ok(Ok(summary)) => return Ok(Some(summary)),
                Ok(Err(Refusal::Rejected(_))) => return Ok(None),
                Ok(Err(_)) | Err(_) => {}
            }
        }
        match self.query_stored(session, user, Query::Summary) {
            Ok(summary) => Ok(Some(summary)),
            Err(Refusal::Rejected(_)) => Ok(None),
            Err(_) => Ok(Some(unreadable(session, status))),
        }
    }

    /// What the store's last good state answers.
    pub(crate) fn query_stored(&self, session: &SessionId, user: &UserId, query: Query) -> Result<Bytes, Refusal> {
        // The row is the first to know of an account that was erased.
        if !self.is_member(session, user)? {
            return Err(Rejection::no_such_session().into());
        }
        let known = self.read_for_members(session)?;
        let stored::StateForMembers { session: state, .. } = known.ok_or_else(|| self.unavailable(session))?;
        let settings = &self.deps.domain;
        let mut answer = view::query(&state, Some(user), &query, self.deps.clock.now(), settings)?;
        nicknames::put_into(&mut answer, self.store(), user)?;
        if self.quarantine(session).is_some() {
            answer.mark(view::Condition::Quarantined);
        }
        to_json(&answer)
    }

    pub(crate) fn read_for_members(&self, session: &SessionId) -> Result<Option<stored::StateForMembers>, StoreError> {
        let deps = &self.deps;
        stored::read_for_members(&*deps.store, session, &*deps.ids, &deps.domain, deps.clock.now())
    }

    /// The sessions that a realtime token may cover: live ones, and resolved ones that were resolved after `resolved_since`;
    /// newest change first, at most `limit`.
    pub fn active_sessions(
        &self,
        user: &UserId,
        resolved_since: Timestamp,
        limit: usize,
    ) -> Result<Vec<SessionId>, Refusal> {
        let mut covered = self.listed(user, &LIVE_STATUSES, None, limit)?;
        for (position, status) in self.listed(user, &[SessionStatus::Resolved], None, limit)? {
            let resolved_at = self.readable(&position.1, user).and_then(|membership| membership.resolved_at);
            if resolved_at.is_some_and(|at| at >= resolved_since) {
                covered.push((position, status));
            }
        }
        covered.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(covered.into_iter().map(|((_, session), _)| session).take(limit).collect())
    }

    /// How many of the user's sessions are going on; counts no further than the sessions that a user may have.
    ///
    /// # Errors
    /// If the store fails.
    pub fn live_sessions(&self, user: &UserId) -> Result<usize, StoreError> {
        let most = self.deps.residency.live_per_user;
        let mut count = 0;
        for status in LIVE_STATUSES {
            count += self.store().scan(&keys::listed_as(user, status), None, Direction::Forward, most - count)?.len();
        }
        Ok(count)
    }

    /// How many of the user's sessions have something that they have not seen; counts no further than 999.
    ///
    /// # Errors
    /// If the store fails.
    pub fn unread_count(&self, user: &UserId) -> Result<u32, StoreError> {
        let unread = self.store().scan(&keys::unread_of(user), None, Direction::Forward, MOST_UNREAD)?;
        Ok(u32::try_from(unread.len()).unwrap_or(u32::MAX))
    }

    /// A live session of these two, or an invitation of one to the other that is still open.
    pub(crate) fn live_session_of(&self, one: &UserId, other: &UserId) -> Result<Option<SessionId>, StoreError> {
        for (user, partner) in [(one, other), (other, one)] {
            for ((_, session), _) in
                self.listed(user, &LIVE_STATUSES, None, self.deps.residency.live_per_user.max(1))?
            {
                let membership = self.readable(&session, user);
                if membership.is_some_and(|membership| membership.partner.as_ref() == Some(partner)) {
                    return Ok(Some(session));
                }
            }
        }
        Ok(None)
    }
}

/// `ACTIVE` asks for those who are waiting too: `WAITING` is a way of being active.
fn shown_as(mut wanted: Vec<SessionStatus>) -> Vec<SessionStatus> {
    if wanted.contains(&SessionStatus::Active) {
        wanted.push(SessionStatus::Waiting);
    }
    ALL_STATUSES.into_iter().filter(|status| wanted.contains(status)).collect()
}

/// All that can be said of a session of which nothing can be read.
fn unreadable(session: &SessionId, status: SessionStatus) -> Bytes {
    let summary: Value = json!({ "id": session, "status": status, "storedStatus": status, "displayStatus": status,
        "condition": view::Condition::Unreadable });
    summary.to_string().into()
}

pub(crate) fn cursor((at, id): &Position) -> String {
    format!("{}.{id}", at.0.as_millis())
}

pub(crate) fn parse_cursor(text: &str) -> Result<Position, Refusal> {
    let position = text
        .split_once('.')
        .and_then(|(at, id)| Some((std::cmp::Reverse(Timestamp::from_millis(at.parse().ok()?)), id.parse().ok()?)));
    position.ok_or_else(|| {
        Rejection::new(Code::ValidationError, "cursor must be the one that came with the page before").into()
    })
}

pub(crate) fn internal(error: serde_json::Error) -> Refusal {
    Refusal::Internal(format!("a list cannot be written as JSON: {error}"))
}
