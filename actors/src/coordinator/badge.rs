//! The number on the app's icon, and the sessions that it counts. Both are read from index rows.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Coordinator;
use crate::{
    domain::{
        ids::{SessionId, UserId},
        stage::SessionStatus,
    },
    ports::{Key, StoreError},
    rows::keys,
};

/// At most this many sessions are counted, the newest change first.
const MOST: usize = 50;

/// The shown statuses of the sessions that are counted.
const COUNTED: [SessionStatus; 3] = [SessionStatus::Invited, SessionStatus::Active, SessionStatus::Waiting];

/// The number of sessions with unseen events.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Badge {
    count: u32,
    /// The count of each session by its id, also if it is 0. The newest 50 sessions.
    #[schema(value_type = BTreeMap<String, u32>)]
    by_session: BTreeMap<SessionId, u32>,
}

impl Coordinator {
    /// 1 for each session that is going on and holds something that the user has not seen, else 0.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn badge(&self, user: &UserId) -> Result<Badge, StoreError> {
        let user = user.clone();
        self.read(move |node| node.stored_badge(&user)).await
    }

    fn stored_badge(&self, user: &UserId) -> Result<Badge, StoreError> {
        let sessions = self.with_memberships(user, &COUNTED, MOST)?;
        let sessions: Vec<_> = sessions.into_iter().map(|((_, session), _)| session).collect();
        let marks: Vec<Key> = sessions.iter().map(|session| keys::unread(user, session)).collect();
        let marks = self.store().get_all(&marks)?;
        let by_session: BTreeMap<_, _> =
            sessions.into_iter().zip(marks).map(|(session, mark)| (session, u32::from(mark.is_some()))).collect();
        Ok(Badge { count: by_session.values().sum(), by_session })
    }
}
