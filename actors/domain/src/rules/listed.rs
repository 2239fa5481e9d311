//! How a session stands in the list of a member. What a partner does in private changes nothing that the other one
//! sees.

use crate::{ids::UserId, session::Session, stage::SessionStatus, time::Timestamp};

/// A session in one member's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListEntry {
    /// The status as the member sees it, which can be `WAITING`.
    pub status: SessionStatus,
    /// When the member's view of the session last changed.
    pub changed_at: Timestamp,
    /// There is news that the member has not seen.
    pub unread: bool,
}

impl Session {
    /// None for a user who does not see the session.
    pub fn listed_for(&self, user: &UserId) -> Option<ListEntry> {
        let side = self.side(user)?;
        let member = self.member(side)?;
        let status = if self.is_waiting(side) { SessionStatus::Waiting } else { self.status };
        Some(ListEntry { status, changed_at: member.changed_at, unread: member.news > member.last_seen })
    }
}
