//! The invitation: for members, and for anybody who has its id.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Eyes, SessionView};
use crate::domain::{
    ids::{InvitationId, Seq, SessionId, UserId},
    invitation::InvitationStatus,
    member::Side,
    rejection::Rejection,
    session::Session,
    stage::SessionStatus,
    time::Timestamp,
    words::Words,
};

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitedBy {
    pub id: UserId,
    pub name: Option<Words>,
}

/// What anybody may see who has the id.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublicInvitation {
    pub id: InvitationId,
    pub session_id: SessionId,
    pub invited_by: InvitedBy,
    pub status: InvitationStatus,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// The invitation, and the same fields flat.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublicInvitationEnvelope {
    pub invitation: PublicInvitation,
    #[serde(flatten)]
    pub flat: PublicInvitation,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitationView {
    pub id: InvitationId,
    pub session_id: SessionId,
    pub invited_by: InvitedBy,
    pub status: InvitationStatus,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub is_inviter: bool,
    pub message_confirmed: bool,
    pub message_confirmed_at: Option<Timestamp>,
    pub accepted_at: Option<Timestamp>,
    pub declined_at: Option<Timestamp>,
    /// What the inviter calls the invited person; for the inviter.
    pub invite_name: Option<Words>,
    /// Null for the invited.
    pub invitation_url: Option<String>,
    pub resends: u32,
    pub resent_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitationEnvelope {
    pub invitation: InvitationView,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitationConfirmed {
    pub confirmed: bool,
    pub invitation: InvitationView,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitationDeclined {
    pub declined: bool,
    pub declined_at: Timestamp,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitationResent {
    pub sent: bool,
    pub sent_at: Option<Timestamp>,
    pub expires_at: Timestamp,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionCreated {
    pub session: SessionView,
    pub invitation_id: InvitationId,
    pub invitation_url: String,
    pub invitation: InvitationView,
    pub seq: Seq,
}

fn invited_by(session: &Session) -> InvitedBy {
    InvitedBy { id: session.creator.id.clone(), name: session.creator.name.clone() }
}

impl PublicInvitationEnvelope {
    /// An invitation that was not sent yet does not exist for anybody.
    pub(super) fn of(session: &Session, now: Timestamp) -> Result<Self, Rejection> {
        if session.invitation.confirmed_at.is_none() {
            return Err(Rejection::no_such_invitation());
        }
        let invitation = PublicInvitation {
            id: session.invitation.id.clone(),
            session_id: session.id.clone(),
            invited_by: invited_by(session),
            status: session.invitation.status(!session.status.is_live(), now),
            created_at: session.invitation.created_at,
            expires_at: session.invitation.expires_at,
        };
        Ok(Self { flat: invitation.clone(), invitation })
    }
}

impl InvitationDeclined {
    pub(super) fn of(session: &Session, now: Timestamp) -> Self {
        let declined_at = session.invitation.declined_at.unwrap_or(now);
        Self { declined: session.status == SessionStatus::Abandoned, declined_at, seq: session.seq }
    }
}

impl Eyes<'_> {
    pub(super) fn invitation(&self) -> InvitationView {
        let invitation = &self.session.invitation;
        let is_inviter = self.side == Side::Creator;
        InvitationView {
            id: invitation.id.clone(),
            session_id: self.session.id.clone(),
            invited_by: invited_by(self.session),
            status: invitation.status(!self.session.status.is_live(), self.now),
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
            is_inviter,
            message_confirmed: invitation.confirmed_at.is_some(),
            message_confirmed_at: invitation.confirmed_at,
            accepted_at: invitation.accepted_at,
            declined_at: invitation.declined_at,
            invite_name: invitation.invite_name.clone().filter(|_| is_inviter),
            invitation_url: is_inviter.then(|| self.invitation_url()),
            resends: invitation.resends,
            resent_at: invitation.resent_at,
        }
    }

    fn invitation_url(&self) -> String {
        self.settings.invitation_url.replace("{invitationId}", self.session.invitation.id.as_str())
    }

    pub(super) fn invitation_envelope(&self) -> InvitationEnvelope {
        InvitationEnvelope { invitation: self.invitation(), seq: self.session.seq }
    }

    pub(super) fn invitation_confirmed(&self) -> InvitationConfirmed {
        let invitation = self.invitation();
        InvitationConfirmed { confirmed: invitation.message_confirmed, invitation, seq: self.session.seq }
    }

    pub(super) fn invitation_resent(&self) -> InvitationResent {
        let invitation = &self.session.invitation;
        InvitationResent {
            sent: invitation.resent_at.is_some(),
            sent_at: invitation.resent_at,
            expires_at: invitation.expires_at,
            seq: self.session.seq,
        }
    }

    pub(super) fn session_created(&self) -> SessionCreated {
        SessionCreated {
            session: self.session(),
            invitation_id: self.session.invitation.id.clone(),
            invitation_url: self.invitation_url(),
            invitation: self.invitation(),
            seq: self.session.seq,
        }
    }
}
