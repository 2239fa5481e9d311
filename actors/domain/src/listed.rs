//! How a session stands in a member's own list, and which events move it there. What a partner does in private moves nothing that the
//! other one sees.

use super::{
    event::{Event, EventBody},
    ids::UserId,
    member::Side,
    session::Session,
    stage::SessionStatus,
    time::Timestamp,
};

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

    /// Notes for whom an event changed something that they see.
    pub(super) fn note_changed(&mut self, event: &Event, author: Option<Side>) {
        let is_look = matches!(event.body, EventBody::Viewed { .. } | EventBody::NudgeRefused {});
        let shows = event.shows_to_both();
        for side in Side::BOTH {
            if let Some(member) = self.seat_mut(side).filter(|_| shows || (author == Some(side) && !is_look)) {
                member.changed_at = event.at;
            }
        }
    }
}

impl Event {
    /// Whether the event changes what both partners see of the session. An idea for the pool does not count: its time would tell whose
    /// it is.
    fn shows_to_both(&self) -> bool {
        self.is_announced()
            || matches!(
                self.body,
                EventBody::InvitationConfirmed { .. }
                    | EventBody::InvitationResent { .. }
                    | EventBody::InvitationExpired {}
                    | EventBody::Archived {}
                    | EventBody::Left {}
                    | EventBody::AccountErased {}
                    | EventBody::Renamed { .. }
            )
    }
}
