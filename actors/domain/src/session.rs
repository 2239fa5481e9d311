//! A session's state: what its events add up to. Only [`Session::apply`] changes it; what may happen is decided in
//! [`crate::command`].

use serde::{Deserialize, Serialize};

use crate::{
    agreement::Agreement,
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
    pub at: Timestamp,
    pub by: Side,
    pub reason: Option<PrivateText>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub(super) id: SessionId,
    pub(super) seq: Seq,
    pub(super) status: SessionStatus,
    pub(super) salt: Salt,
    pub(super) created_at: Timestamp,
    /// When something changed that belongs to both.
    pub(super) updated_at: Timestamp,
    pub(super) last_event_at: Timestamp,
    /// The `seq` of the last event that was not about looking.
    pub(super) changed: Seq,
    /// What the creator wrote for itself about the session.
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
    /// What becomes of the agreements.
    #[serde(default, skip_serializing_if = "Tending::is_empty")]
    pub(super) tending: Tending,
}

impl Session {
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    pub fn invitation_id(&self) -> &InvitationId {
        &self.invitation.id
    }

    /// The one known person that the session was made for, until somebody has joined.
    pub fn invited_person(&self) -> Option<&UserId> {
        self.invitation.person.as_ref()
    }

    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The stored status; `WAITING` belongs to a viewer.
    pub fn status(&self) -> SessionStatus {
        self.status
    }

    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    pub fn resolved_at(&self) -> Option<Timestamp> {
        self.resolved_at
    }

    /// When the invited partner joined.
    pub fn joined_at(&self) -> Option<Timestamp> {
        self.invitee.as_ref().map(|invitee| invitee.joined_at)
    }

    /// Those who see the session: joined, and not withdrawn.
    pub fn members(&self) -> impl Iterator<Item = &UserId> {
        Side::BOTH
            .into_iter()
            .filter_map(|side| self.seat(side))
            .filter(|member| member.left_at.is_none())
            .map(|m| &m.id)
    }

    /// Everybody who ever was a member, also those who have withdrawn: whose words may be in the log.
    pub fn participants(&self) -> impl Iterator<Item = &UserId> {
        Side::BOTH.into_iter().filter_map(|side| self.seat(side)).map(|member| &member.id)
    }

    /// Whether anybody's client waits for what only the app waits for.
    pub fn serves_app(&self) -> bool {
        Side::BOTH.into_iter().filter_map(|side| self.seat(side)).any(Member::in_app_mode)
    }

    pub fn is_member(&self, user: &UserId) -> bool {
        self.side(user).is_some()
    }

    /// The other one, if there is one who still sees the session.
    pub fn partner_of(&self, user: &UserId) -> Option<&UserId> {
        let partner = self.seat(self.side(user)?.other())?;
        partner.left_at.is_none().then_some(&partner.id)
    }

    /// Whether something that the user was told of lies behind what the user has seen.
    pub fn unread_for(&self, user: &UserId) -> bool {
        self.side(user).and_then(|side| self.seat(side)).is_some_and(|member| member.news > member.last_seen)
    }

    pub fn last_seen(&self, user: &UserId) -> Seq {
        self.side(user).and_then(|side| self.seat(side)).map_or(0, |member| member.last_seen)
    }

    /// Which side a user is on; none for whoever never joined or has withdrawn.
    pub(super) fn side(&self, user: &UserId) -> Option<Side> {
        self.side_ever(user).filter(|side| self.seat(*side).is_some_and(|member| member.left_at.is_none()))
    }

    /// Like [`Session::side`], also for those who have withdrawn.
    pub(super) fn side_ever(&self, user: &UserId) -> Option<Side> {
        Side::BOTH.into_iter().find(|side| self.seat(*side).is_some_and(|member| member.id == *user))
    }

    pub(super) fn seat(&self, side: Side) -> Option<&Member> {
        match side {
            Side::Creator => Some(&self.creator),
            Side::Invitee => self.invitee.as_ref(),
        }
    }

    pub(super) fn seat_mut(&mut self, side: Side) -> Option<&mut Member> {
        match side {
            Side::Creator => Some(&mut self.creator),
            Side::Invitee => self.invitee.as_mut(),
        }
    }
}
