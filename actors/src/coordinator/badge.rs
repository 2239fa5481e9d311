//! The number on the app's icon, and the sessions that it counts.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Coordinator, list::ListFilter};
use crate::{
    domain::{
        ids::{SessionId, UserId},
        stage::SessionStatus,
    },
    messages::Refusal,
};

/// How many sessions are counted at most, the newest change first.
const MOST: usize = 50;

#[derive(Deserialize)]
struct SessionsPage {
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    id: SessionId,
    has_unread: bool,
}

/// One for each session that holds something unseen
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Badge {
    count: u32,
    /// By the session's id, also those with 0. The newest 50.
    #[schema(value_type = BTreeMap<String, u32>)]
    by_session: BTreeMap<SessionId, u32>,
}

impl Coordinator {
    /// `{count, bySession}`: 1 for each session that is going on and holds something that the user has not seen, else
    /// 0.
    pub async fn badge(&self, user: &UserId) -> Result<Bytes, Refusal> {
        let status = Some(vec![SessionStatus::Active, SessionStatus::Invited]);
        let page = self.list(user, ListFilter { status, cursor: None, limit: MOST }).await?;
        let internal = |error| Refusal::Internal(format!("a list cannot be read: {error}"));
        let page: SessionsPage = serde_json::from_slice(&page).map_err(internal)?;
        let by_session: BTreeMap<_, _> =
            page.items.into_iter().map(|item| (item.id, u32::from(item.has_unread))).collect();
        let badge = Badge { count: by_session.values().sum(), by_session };
        serde_json::to_vec(&badge).map(Bytes::from).map_err(internal)
    }
}
