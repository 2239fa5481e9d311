//! How a session stands in the list of a member. What a partner does in private changes nothing that the other one sees.

use crate::{ids::UserId, session::Session, stage::SessionStatus, time::Timestamp};

/// A session in one member's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// As the member sees it: `WAITING` belongs to a viewer.
    pub status: SessionStatus,
    /// When something changed that the member sees.
    pub changed_at: Timestamp,
    /// Something that the member was told of lies behind what the member has seen.
    pub unread: bool,
}

impl Session {
    /// `None` for everybody who does not see the session.
    pub fn listed_for(&self, user: &UserId) -> Option<Listed> {
        let side = self.side(user)?;
        let member = self.seat(side)?;
        let status = if self.is_waiting(side) { SessionStatus::Waiting } else { self.status };
        Some(Listed { status, changed_at: member.changed_at, unread: member.news > member.last_seen })
    }
}
