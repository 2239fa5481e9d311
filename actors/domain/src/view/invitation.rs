//! The invitation as its members see it.

use serde::Serialize;

use super::{SessionView, Viewer};
use crate::{
    ids::{InvitationId, Seq, SessionId, UserId},
    invitation::InvitationStatus,
    private_text::PrivateText,
    session::Session,
    side::Side,
    stage::{SessionStatus, Stage},
    time::Timestamp,
};

/// The creator of the session. `name` is null if the token names nobody.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct InvitedBy {
    id: UserId,
    name: Option<PrivateText>,
}

/// The invitation, for a member of the session.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct InvitationView {
    id: InvitationId,
    session_id: SessionId,
    invited_by: InvitedBy,
    status: InvitationStatus,
    created_at: Timestamp,
    expires_at: Timestamp,
    is_inviter: bool,
    message_confirmed: bool,
    message_confirmed_at: Option<Timestamp>,
    accepted_at: Option<Timestamp>,
    declined_at: Option<Timestamp>,
    /// What the inviter calls the invited person; for the inviter.
    name: Option<PrivateText>,
    /// The same as `name`.
    invite_name: Option<PrivateText>,
    /// Null for the invited.
    invitation_url: Option<String>,
    resends: u32,
    resent_at: Option<Timestamp>,
    /// The text that goes with the link. Null for the invited until it is sent.
    invitation_message: Option<PrivateText>,
    /// What the session is about. Null for the invited until the inviter has confirmed it.
    topic_frame: Option<PrivateText>,
    topic_frame_confirmed_at: Option<Timestamp>,
}

/// The answer to `GET /sessions/{id}/invitation`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct InvitationEnvelope {
    invitation: InvitationView,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/invitation/confirm`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct InvitationConfirmed {
    confirmed: bool,
    invitation: InvitationView,
    /// The stage that the app's creator has gone on to.
    advanced_to_stage: Option<Stage>,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/topic-frame/confirm`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TopicFrameConfirmed {
    topic_frame: Option<PrivateText>,
    confirmed_at: Option<Timestamp>,
    invitation: InvitationView,
    seq: Seq,
}

/// The answer to `POST /invitations/{id}/decline`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct InvitationDeclined {
    declined: bool,
    declined_at: Timestamp,
    seq: Seq,
}

/// The answer to `POST /invitations/{id}/resend`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct InvitationResent {
    sent: bool,
    sent_at: Option<Timestamp>,
    expires_at: Timestamp,
    seq: Seq,
}

/// The answer to `POST /sessions`: the session with its invitation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionCreated {
    pub(super) session: SessionView,
    invitation_id: InvitationId,
    invitation_url: String,
    invitation: InvitationView,
    seq: Seq,
}

/// A live session with the invited person, in place of another one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ExistingSession {
    existing_active_session: ExistingActiveSession,
    #[serde(flatten)]
    existing: SessionCreated,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct ExistingActiveSession {
    id: SessionId,
    status: SessionStatus,
    updated_at: Timestamp,
}

pub(super) fn invited_by(session: &Session) -> InvitedBy {
    InvitedBy { id: session.creator.id.clone(), name: session.creator.name.clone() }
}

pub(super) fn confirmed_topic(session: &Session) -> Option<PrivateText> {
    session.invitation.topic_confirmed_at.and(session.invitation.topic.clone())
}

impl InvitationDeclined {
    pub(super) fn of(session: &Session, now: Timestamp) -> Self {
        let declined_at = session.invitation.declined_at.unwrap_or(now);
        Self { declined: session.status == SessionStatus::Abandoned, declined_at, seq: session.seq }
    }
}

impl Viewer<'_> {
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
            name: invitation.invite_name.clone().filter(|_| is_inviter),
            invite_name: invitation.invite_name.clone().filter(|_| is_inviter),
            invitation_url: is_inviter.then(|| self.invitation_url()),
            resends: invitation.resends,
            resent_at: invitation.resent_at,
            invitation_message: self.invitation_message(),
            topic_frame: self.topic_frame(),
            topic_frame_confirmed_at: invitation.topic_confirmed_at,
        }
    }

    /// Both see confirmed texts. Unconfirmed texts are visible to the creator only, who has to confirm them.
    fn topic_frame(&self) -> Option<PrivateText> {
        match self.side {
            Side::Creator if self.session.invitation.topic_confirmed_at.is_none() => {
                self.session.topic(&self.settings.app.topic)
            }
            Side::Creator | Side::Invitee => confirmed_topic(self.session),
        }
    }

    fn invitation_message(&self) -> Option<PrivateText> {
        let invitation = &self.session.invitation;
        let standard = &self.settings.app.invitation_message;
        let standard =
            || Some(standard).filter(|text| !text.trim().is_empty()).map(|text| PrivateText::new(text.as_str()));
        match self.side {
            Side::Creator => invitation.message.clone().or_else(standard),
            Side::Invitee => invitation.sent_at.and(invitation.message.clone()),
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
        let has_gone_on = self.me.in_app_mode() && self.me.has_left(Stage::Onboarding);
        InvitationConfirmed {
            confirmed: invitation.message_confirmed,
            invitation,
            advanced_to_stage: has_gone_on.then_some(Stage::Witness),
            seq: self.session.seq,
        }
    }

    pub(super) fn topic_frame_confirmed(&self) -> TopicFrameConfirmed {
        TopicFrameConfirmed {
            topic_frame: self.topic_frame(),
            confirmed_at: self.session.invitation.topic_confirmed_at,
            invitation: self.invitation(),
            seq: self.session.seq,
        }
    }

    pub(super) fn existing_session(&self) -> ExistingSession {
        let session = self.session;
        ExistingSession {
            existing_active_session: ExistingActiveSession {
                id: session.id.clone(),
                status: self.status(),
                updated_at: session.updated_at,
            },
            existing: self.session_created(),
        }
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
