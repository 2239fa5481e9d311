//! The invitation for a user who has its link: the inviter, the confirmed topic, and no more.

use serde::Serialize;

use super::{
    InvitedBy,
    invitation::{confirmed_topic, invited_by},
};
use crate::{
    ids::{InvitationId, SessionId, UserId},
    invitation::InvitationStatus,
    private_text::PrivateText,
    rejection::{Code, Rejection},
    session::Session,
    stage::SessionStatus,
    time::Timestamp,
};

/// What anybody may see who has the id.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PublicInvitation {
    id: InvitationId,
    session_id: SessionId,
    invited_by: InvitedBy,
    status: InvitationStatus,
    created_at: Timestamp,
    expires_at: Timestamp,
    session: PublicSession,
}

/// What the session is about, once the creator has confirmed that the invited person may see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct PublicSession {
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_frame: Option<PrivateText>,
}

/// Whether the invitation waits for an answer of the caller.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct InvitationAcknowledged {
    acknowledged: bool,
    /// The reason why the invitation was not acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    invitation: AcknowledgedInvitation,
}

/// An invitation, for a user who has followed its link and signed in.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AcknowledgedInvitation {
    id: InvitationId,
    status: InvitationStatus,
    invited_by: InvitedBy,
    session: SessionMark,
    expires_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionMark {
    id: SessionId,
    status: SessionStatus,
}

/// The invitation, and the same fields flat.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PublicInvitationEnvelope {
    invitation: PublicInvitation,
    #[serde(flatten)]
    flat: PublicInvitation,
}

impl PublicInvitationEnvelope {
    /// An invitation that was not sent yet is hidden from everybody.
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
            session: PublicSession { topic_frame: confirmed_topic(session) },
        };
        Ok(Self { flat: invitation.clone(), invitation })
    }
}

impl InvitationAcknowledged {
    /// For a user who has followed the link, member or not.
    pub(super) fn of(session: &Session, viewer: &UserId, now: Timestamp) -> Result<Self, Rejection> {
        let invitation = PublicInvitationEnvelope::of(session, now)?.invitation;
        if *viewer == session.creator.id {
            return Err(Rejection::new(Code::ValidationError, "this is your own invitation; your partner answers it"));
        }
        let reason = match invitation.status {
            InvitationStatus::Pending => None,
            InvitationStatus::Accepted => Some("the invitation has been accepted"),
            InvitationStatus::Declined => Some("the invitation has been declined"),
            InvitationStatus::Expired => Some("the invitation has expired"),
        };
        Ok(Self {
            acknowledged: reason.is_none(),
            reason,
            invitation: AcknowledgedInvitation {
                id: invitation.id,
                status: invitation.status,
                invited_by: invitation.invited_by,
                session: SessionMark { id: session.id.clone(), status: session.status },
                expires_at: invitation.expires_at,
            },
        })
    }
}
