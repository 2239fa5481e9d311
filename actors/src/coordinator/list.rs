//! The list of one user's sessions. Membership, order and unread marks are read from index rows, page by page, without
//! waking a session. The summary of a session comes from its actor if that is awake and answers in time, and otherwise
//! from the store: a faulty or slow session does not delay the others in the list.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
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
    messages::{Reader, Refusal},
    ports::{Direction, StoreError},
    rows::{
        keys::{self, Key},
        records::{self, Membership},
    },
    session::reads::to_json,
    stored::{self, nicknames},
};

/// Selects a part of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFilter {
    /// `None`: all.
    pub status: Option<Vec<SessionStatus>>,
    /// From the previous page.
    pub cursor: Option<String>,
    /// The most sessions on the page.
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
pub(super) type Position = (std::cmp::Reverse<Timestamp>, SessionId);

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

/// The shown statuses of live sessions.
pub(super) const LIVE_STATUSES: [SessionStatus; 5] = [
    SessionStatus::Created,
    SessionStatus::Invited,
    SessionStatus::Active,
    SessionStatus::Waiting,
    SessionStatus::Paused,
];

/// Views over all sessions of a user show at most this many of them, the newest first.
const MOST_SHOWN: usize = 1_000;

/// The unread count stops here: a number with three digits means "many".
const MOST_UNREAD: usize = 999;

/// How long an awake actor may take for its summary.
const SUMMARY_WITHIN: Duration = Duration::from_millis(500);

impl Coordinator {
    /// The user's membership of a session. It outlives the user's leaving.
    pub(crate) fn membership(&self, session: &SessionId, user: &UserId) -> Result<Option<Membership>, StoreError> {
        self.store().get(&keys::membership(user, session))?.map(|row| records::decode(&row)).transpose()
    }

    /// Like [`Coordinator::membership`], for lists: an unreadable row is logged, and its session is left out.
    fn readable(&self, session: &SessionId, user: &UserId) -> Option<Membership> {
        self.membership(session, user).unwrap_or_else(|error| {
            tracing::error!(%session, %error, "a membership cannot be read");
            None
        })
    }

    /// Whether the user sees the session. An awake session knows its members. In all other cases one row is read,
    /// whether or not the session exists.
    ///
    /// # Errors
    /// If the store fails.
    pub fn is_member(&self, session: &SessionId, user: &UserId) -> Result<bool, StoreError> {
        if self.supervisor.lists_member(session, user) {
            return Ok(true);
        }
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
        self.with_memberships(user, &ALL_STATUSES, MOST_SHOWN)
    }

    /// The user's live sessions, the newest change first, with their rows. There are as many as a user may have.
    pub(crate) fn live_in_order(&self, user: &UserId) -> Result<Vec<(Position, Membership)>, StoreError> {
        self.with_memberships(user, &LIVE_STATUSES, self.deps.residency.live_per_user.max(1))
    }

    pub(super) fn with_memberships(
        &self,
        user: &UserId,
        statuses: &[SessionStatus],
        most: usize,
    ) -> Result<Vec<(Position, Membership)>, StoreError> {
        let listed = self.listed(user, statuses, None, most)?;
        let keys: Vec<Key> = listed.iter().map(|((_, session), _)| keys::membership(user, session)).collect();
        let decoded = |row: Option<Bytes>| row.map(|row| records::decode(&row)).transpose();
        let rows = self.store().get_all(&keys).and_then(|rows| rows.into_iter().map(decoded).collect());
        let memberships: Vec<Option<Membership>> = match rows {
            Ok(memberships) => memberships,
            Err(_) => listed.iter().map(|((_, session), _)| self.readable(session, user)).collect(),
        };
        let known = listed.into_iter().zip(memberships);
        let seen =
            known.filter_map(|((position, _), membership)| Some((position, membership.filter(|row| !row.left)?)));
        Ok(seen.collect())
    }

    /// `{items, sessions, cursor, hasMore}`, newest change first.
    pub async fn list(&self, user: &UserId, filter: ListFilter) -> Result<Bytes, Refusal> {
        let after = filter.cursor.as_deref().map(parse_cursor).transpose()?;
        let wanted = filter.status.map_or_else(|| ALL_STATUSES.to_vec(), shown_as);
        let (owner, most) = (user.clone(), filter.limit + 1);
        let mut page = self.read(move |node| node.listed(&owner, &wanted, after.as_ref(), most)).await?;
        let has_more = page.len() > filter.limit;
        page.truncate(filter.limit);
        let cursor = page.last().filter(|_| has_more).map(|(position, _)| cursor(position));
        // All sessions at the same time, so that slow ones delay the page only once.
        let summaries = page.iter().map(|((_, session), status)| self.summary(session, user, *status));
        let mut items: Vec<Box<RawValue>> = Vec::new();
        for summary in try_join_all(summaries).await?.into_iter().flatten() {
            items.push(serde_json::from_slice(&summary).map_err(internal)?);
        }
        let page = SessionsPage { sessions: items.clone(), items, cursor, has_more };
        serde_json::to_vec(&page).map(Bytes::from).map_err(internal)
    }

    /// The summary of a session; `None` if the user has left it meanwhile.
    async fn summary(
        &self,
        session: &SessionId,
        user: &UserId,
        status: SessionStatus,
    ) -> Result<Option<Bytes>, Refusal> {
        if self.supervisor.is_awake(session) {
            let asked = self.ask_member(Reader::Client, session, user, Query::Summary);
            match tokio::time::timeout(SUMMARY_WITHIN, asked).await {
                Ok(Ok(summary)) => return Ok(Some(summary)),
                Ok(Err(Refusal::Rejected(_))) => return Ok(None),
                Ok(Err(_)) | Err(_) => {}
            }
        }
        match self.query_stored(session, user, Query::Summary).await {
            Ok(summary) => Ok(Some(summary)),
            Err(Refusal::Rejected(_)) => Ok(None),
            Err(_) => Ok(Some(unreadable(session, status))),
        }
    }

    /// Answers a query from the last good state in the store.
    pub(crate) async fn query_stored(
        &self,
        session: &SessionId,
        user: &UserId,
        query: Query,
    ) -> Result<Bytes, Refusal> {
        let (session, user) = (session.clone(), user.clone());
        self.read(move |node| node.stored_answer(&session, &user, query)).await
    }

    fn stored_answer(&self, session: &SessionId, user: &UserId, query: Query) -> Result<Bytes, Refusal> {
        // The membership row already shows an erasure that the session has not carried out yet.
        if !self.is_member(session, user)? {
            return Err(Rejection::no_such_session().into());
        }
        let known = self.state_for_members(session)?;
        let stored::StateForMembers { session: state, .. } = known.ok_or_else(|| self.unavailable(session))?;
        let settings = &self.deps.domain;
        let mut answer = view::query(&state, Some(user), &query, self.deps.clock.now(), settings)?;
        nicknames::put_into(&mut answer, self.store(), user)?;
        if self.quarantine(session).is_some() {
            answer.mark(view::Condition::Quarantined);
        }
        to_json(&answer)
    }

    /// The last good state of a session in the store.
    pub(crate) async fn read_for_members(
        &self,
        session: &SessionId,
    ) -> Result<Option<stored::StateForMembers>, StoreError> {
        let session = session.clone();
        self.read(move |node| node.state_for_members(&session)).await
    }

    pub(super) fn state_for_members(&self, session: &SessionId) -> Result<Option<stored::StateForMembers>, StoreError> {
        let deps = &self.deps;
        stored::read_for_members(&*deps.store, session, &*deps.ids, &deps.domain, deps.clock.now())
    }

    /// The sessions that a realtime token may cover: live ones, and resolved ones that were resolved after
    /// `resolved_since`; newest change first, at most `limit`.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn active_sessions(
        &self,
        user: &UserId,
        resolved_since: Timestamp,
        limit: usize,
    ) -> Result<Vec<SessionId>, Refusal> {
        let user = user.clone();
        Ok(self.read(move |node| node.stored_active_sessions(&user, resolved_since, limit)).await?)
    }

    fn stored_active_sessions(
        &self,
        user: &UserId,
        resolved_since: Timestamp,
        limit: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
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

    /// The number of the user's live sessions. Counting stops at the number that a user may have.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn live_sessions(&self, user: &UserId) -> Result<usize, StoreError> {
        let user = user.clone();
        self.read(move |node| node.stored_live_sessions(&user)).await
    }

    pub(super) fn stored_live_sessions(&self, user: &UserId) -> Result<usize, StoreError> {
        let most = self.deps.residency.live_per_user;
        let mut count = 0;
        for status in LIVE_STATUSES {
            count += self.store().scan(&keys::listed_as(user, status), None, Direction::Forward, most - count)?.len();
        }
        Ok(count)
    }

    /// The number of the user's sessions with unseen events. Counting stops at 999.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn unread_count(&self, user: &UserId) -> Result<u32, StoreError> {
        let unread = keys::unread_of(user);
        let scan = move |node: &Self| node.store().scan(&unread, None, Direction::Forward, MOST_UNREAD);
        let unread = self.read(scan).await?;
        Ok(u32::try_from(unread.len()).unwrap_or(u32::MAX))
    }

    /// A live session of these two users, or an open invitation of one to the other.
    pub(crate) fn live_session_of(&self, one: &UserId, other: &UserId) -> Result<Option<SessionId>, StoreError> {
        for (user, partner) in [(one, other), (other, one)] {
            let mut live = self.live_in_order(user)?.into_iter();
            let with_partner = live.find(|(_, membership)| membership.partner.as_ref() == Some(partner));
            if let Some(((_, session), _)) = with_partner {
                return Ok(Some(session));
            }
        }
        Ok(None)
    }
}

/// The filter `ACTIVE` includes `WAITING`, which is shown for an active session whose viewer waits.
fn shown_as(mut wanted: Vec<SessionStatus>) -> Vec<SessionStatus> {
    if wanted.contains(&SessionStatus::Active) {
        wanted.push(SessionStatus::Waiting);
    }
    ALL_STATUSES.into_iter().filter(|status| wanted.contains(status)).collect()
}

/// The summary of a session that cannot be read.
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
        Rejection::new(Code::ValidationError, "cursor must be the one that the previous page returned").into()
    })
}

pub(crate) fn internal(error: serde_json::Error) -> Refusal {
    Refusal::Internal(format!("a list cannot be written as JSON: {error}"))
}
