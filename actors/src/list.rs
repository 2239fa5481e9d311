//! The sessions of one user. Which there are, and in which order, is read from index rows and from the last event of each; only the
//! sessions of the page that is asked for are woken.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::{
    coordinator::Coordinator,
    domain::{
        Code, Query, Rejection,
        ids::{SessionId, UserId},
        stage::SessionStatus,
        time::Timestamp,
    },
    keys,
    messages::Refusal,
    ports::{Direction, StoreError},
    records::{self, EventRow, Membership},
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

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<Box<RawValue>>,
    sessions: Vec<Box<RawValue>>,
    /// Absent at the end: clients take a null for a wrong type.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    has_more: bool,
}

/// Position in the list: newest change first, then by id.
pub(crate) type Position = (std::cmp::Reverse<Timestamp>, SessionId);

impl Coordinator {
    /// The sessions that the user sees.
    pub(crate) fn memberships(&self, user: &UserId) -> Result<Vec<(SessionId, Membership)>, StoreError> {
        let all = self.memberships_ever(user)?;
        Ok(all.into_iter().filter(|(_, membership)| !membership.left).collect())
    }

    /// Also those that the user has withdrawn from.
    pub(crate) fn memberships_ever(&self, user: &UserId) -> Result<Vec<(SessionId, Membership)>, StoreError> {
        let prefix = keys::memberships(user);
        let rows = self.store().scan(&prefix, None, Direction::Forward, usize::MAX)?;
        let skip = prefix.as_bytes().len();
        rows.into_iter()
            .map(|(key, row)| {
                let id = std::str::from_utf8(&key.as_bytes()[skip..]).ok().and_then(|id| id.parse().ok());
                let id = id.ok_or_else(|| StoreError::new("a membership row names no session"))?;
                Ok((id, records::decode(&row)?))
            })
            .collect()
    }

    fn changed_at(&self, session: &SessionId) -> Result<Timestamp, StoreError> {
        let last = self.store().scan(&keys::events(session), None, Direction::Backward, 1)?;
        match last.first() {
            Some((_, row)) => Ok(records::decode::<EventRow>(row)?.event.at),
            None => Ok(Timestamp::default()),
        }
    }

    pub(crate) fn in_order(&self, user: &UserId) -> Result<Vec<(Position, Membership)>, StoreError> {
        let mut sessions = Vec::new();
        for (session, membership) in self.memberships(user)? {
            sessions.push(((std::cmp::Reverse(self.changed_at(&session)?), session), membership));
        }
        sessions.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(sessions)
    }

    /// `{items, sessions, cursor, hasMore}`, newest change first.
    pub async fn list(&self, user: &UserId, filter: ListFilter) -> Result<Bytes, Refusal> {
        let after = filter.cursor.as_deref().map(parse_cursor).transpose()?;
        let mut items: Vec<Box<RawValue>> = Vec::new();
        let mut last: Option<Position> = None;
        let mut has_more = false;
        for (position, membership) in self.in_order(user)? {
            let before_page = after.as_ref().is_some_and(|after| position <= *after);
            if before_page || !may_match(filter.status.as_deref(), membership.status) {
                continue;
            }
            let summary = match self.query(&position.1, user, Query::Summary).await {
                Ok(summary) => summary,
                // Withdrawn meanwhile.
                Err(Refusal::Rejected(_)) => continue,
                Err(refusal) => return Err(refusal),
            };
            if !matches_view(filter.status.as_deref(), &summary)? {
                continue;
            }
            if items.len() == filter.limit {
                has_more = true;
                break;
            }
            items.push(serde_json::from_slice(&summary).map_err(internal)?);
            last = Some(position);
        }
        let cursor = last.filter(|_| has_more).as_ref().map(cursor);
        let page = Page { sessions: items.clone(), items, cursor, has_more };
        serde_json::to_vec(&page).map(Bytes::from).map_err(internal)
    }

    /// The sessions that a realtime token may cover: live ones, and resolved ones that were resolved after `resolved_since`;
    /// newest change first, at most `limit`.
    pub fn active_sessions(
        &self,
        user: &UserId,
        resolved_since: Timestamp,
        limit: usize,
    ) -> Result<Vec<SessionId>, Refusal> {
        let covered = |membership: &Membership| {
            let recently = membership.resolved_at.is_some_and(|at| at >= resolved_since);
            membership.status.is_live() || (membership.status == SessionStatus::Resolved && recently)
        };
        let sessions = self.in_order(user)?.into_iter().filter(|(_, membership)| covered(membership));
        Ok(sessions.map(|((_, session), _)| session).take(limit).collect())
    }

    /// A live session of these two, or an invitation of one to the other that is still open.
    pub(crate) fn live_session_of(&self, one: &UserId, other: &UserId) -> Result<Option<SessionId>, StoreError> {
        for (user, partner) in [(one, other), (other, one)] {
            let live = self
                .memberships(user)?
                .into_iter()
                .find(|(_, membership)| membership.status.is_live() && membership.partner.as_ref() == Some(partner));
            if let Some((session, _)) = live {
                return Ok(Some(session));
            }
        }
        Ok(None)
    }
}

/// The stored status cannot tell who is waiting.
fn may_match(wanted: Option<&[SessionStatus]>, stored: SessionStatus) -> bool {
    let Some(wanted) = wanted else { return true };
    let waiting = stored == SessionStatus::Active && wanted.contains(&SessionStatus::Waiting);
    wanted.contains(&stored) || waiting
}

/// `ACTIVE` asks for those who are waiting too: `WAITING` is a way of being active.
fn matches_view(wanted: Option<&[SessionStatus]>, summary: &[u8]) -> Result<bool, Refusal> {
    #[derive(serde::Deserialize)]
    struct Summary {
        status: SessionStatus,
    }
    let Some(wanted) = wanted else { return Ok(true) };
    let shown = serde_json::from_slice::<Summary>(summary).map_err(internal)?.status;
    Ok(wanted.contains(&shown) || (shown == SessionStatus::Waiting && wanted.contains(&SessionStatus::Active)))
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
