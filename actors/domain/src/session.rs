//! The state of a session: the sum of its events. Only [`Session::apply`] changes it. [`crate::command`] decides what
//! may happen.

use serde::{Deserialize, Serialize};

use crate::{
    agreement::Agreement,
    history::History,
    ids::{InvitationId, Seq, SessionId, UserId},
    invitation::Invitation,
    member::Member,
    private_text::{PrivateText, Salt},
    side::Side,
    stage::SessionStatus,
    stage4::Closure,
    strategy::Pool,
    tending::Tending,
    time::Timestamp,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pause {
    pub(crate) at: Timestamp,
    pub(crate) by: Side,
    pub(crate) reason: Option<PrivateText>,
}

/// The state of one session. It is stored as a snapshot, and built from events otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub(super) id: SessionId,
    pub(super) seq: Seq,
    pub(super) status: SessionStatus,
    pub(super) salt: Salt,
    pub(super) created_at: Timestamp,
    /// The time of the last event that changed the session.
    pub(super) updated_at: Timestamp,
    pub(super) last_event_at: Timestamp,
    /// The `seq` of the last event that changed the session. An event of a partner who only looks does not count.
    pub(super) changed: Seq,
    /// The creator's private note about the session.
    pub(super) context: Option<PrivateText>,
    pub(super) invitation: Invitation,
    pub(super) creator: Member,
    pub(super) invitee: Option<Member>,
    pub(super) pause: Option<Pause>,
    pub(super) resolved_at: Option<Timestamp>,
    pub(super) abandoned_at: Option<Timestamp>,
    pub(super) archived_at: Option<Timestamp>,
    pub(super) pool: Pool,
    pub(super) agreements: Vec<Agreement>,
    /// How the proposal path of stage 4 was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) closure: Option<Closure>,
    /// How the partners tend to their agreements.
    #[serde(default, skip_serializing_if = "Tending::is_empty")]
    pub(super) tending: Tending,
    #[serde(default, skip_serializing_if = "History::is_empty")]
    pub(super) history: History,
}

impl Session {
    /// Events that the log can do without: it gives the same state. They have no announcement.
    pub fn superseded(&self) -> &[Seq] {
        self.history.superseded()
    }

    /// Forgets the superseded events once they are no longer in the log.
    pub fn forget_superseded(&mut self) {
        self.history.forget_superseded();
    }

    /// The session's id, which never changes.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// The id in the invitation's link.
    pub fn invitation_id(&self) -> &InvitationId {
        &self.invitation.id
    }

    /// The user for whom the session was created, until somebody has joined.
    pub fn invited_person(&self) -> Option<&UserId> {
        self.invitation.person.as_ref()
    }

    /// The `seq` of the last event.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The stored status. Only the status for a viewer can be `WAITING`.
    pub fn status(&self) -> SessionStatus {
        self.status
    }

    /// None if the session was never resolved.
    pub fn resolved_at(&self) -> Option<Timestamp> {
        self.resolved_at
    }

    /// When the invited partner joined.
    pub fn joined_at(&self) -> Option<Timestamp> {
        self.invitee.as_ref().map(|invitee| invitee.joined_at)
    }

    /// The users who see the session: they have joined and not withdrawn.
    pub fn members(&self) -> impl Iterator<Item = &UserId> {
        Side::BOTH
            .into_iter()
            .filter_map(|side| self.member(side))
            .filter(|member| member.left_at.is_none())
            .map(|m| &m.id)
    }

    /// All users who were ever a member, including withdrawn ones. The log may hold their texts.
    pub fn participants(&self) -> impl Iterator<Item = &UserId> {
        Side::BOTH.into_iter().filter_map(|side| self.member(side)).map(|member| &member.id)
    }

    /// Whether a member's client waits for events that only the app waits for.
    pub fn serves_app(&self) -> bool {
        Side::BOTH.into_iter().filter_map(|side| self.member(side)).any(Member::in_app_mode)
    }

    /// Whether the user sees the session: joined, and not withdrawn.
    pub fn is_member(&self, user: &UserId) -> bool {
        self.side(user).is_some()
    }

    /// The other member. None if there is none, or if the other member has withdrawn.
    pub fn partner_of(&self, user: &UserId) -> Option<&UserId> {
        let partner = self.member(self.side(user)?.other())?;
        partner.left_at.is_none().then_some(&partner.id)
    }

    /// Whether there is news that the user has not seen.
    pub fn unread_for(&self, user: &UserId) -> bool {
        self.side(user).and_then(|side| self.member(side)).is_some_and(|member| member.news > member.last_seen)
    }

    /// The `seq` up to which the user has seen the session; 0 for others.
    pub fn last_seen(&self, user: &UserId) -> Seq {
        self.side(user).and_then(|side| self.member(side)).map_or(0, |member| member.last_seen)
    }

    /// The side of a user. None for a user who never joined or has withdrawn.
    pub(super) fn side(&self, user: &UserId) -> Option<Side> {
        self.side_ever(user).filter(|side| self.member(*side).is_some_and(|member| member.left_at.is_none()))
    }

    /// The side of a user, also after the user has withdrawn.
    pub(super) fn side_ever(&self, user: &UserId) -> Option<Side> {
        Side::BOTH.into_iter().find(|side| self.member(*side).is_some_and(|member| member.id == *user))
    }

    pub(super) fn member(&self, side: Side) -> Option<&Member> {
        match side {
            Side::Creator => Some(&self.creator),
            Side::Invitee => self.invitee.as_ref(),
        }
    }

    pub(super) fn member_mut(&mut self, side: Side) -> Option<&mut Member> {
        match side {
            Side::Creator => Some(&mut self.creator),
            Side::Invitee => self.invitee.as_mut(),
        }
    }
}
