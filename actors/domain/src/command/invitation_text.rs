//! The texts of an invitation: the topic and the message that goes with the link. Only the creator sees them until the
//! creator confirms them.

use serde::Deserialize;

use super::{
    Command,
    action::{MemberAction, not_active},
    fields,
};
use crate::{
    event::EventBody,
    private_text::PrivateText,
    rejection::{Code, Rejection},
    session::Session,
    stage::SessionStatus,
};

const LONGEST: usize = 500;

/// The body of `POST /sessions/{id}/invitation/confirm`: the creator has sent the invitation.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "message": "I would like us to talk. Will you join me?" })))]
pub struct ConfirmInvitationRequest {
    /// The text that goes with the link, at most 500 characters. If it is left out, the text does not change.
    #[cfg_attr(feature = "schema", schema(max_length = 500))]
    message: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfirmInvitation {
    message: Option<PrivateText>,
}

impl ConfirmInvitation {
    pub(super) fn has_message(&self) -> bool {
        self.message.is_some()
    }
}

impl TryFrom<ConfirmInvitationRequest> for Command {
    type Error = Rejection;
    fn try_from(request: ConfirmInvitationRequest) -> Result<Self, Rejection> {
        let message = fields::optional_text("message", request.message, LONGEST)?;
        Ok(Command::ConfirmInvitation(ConfirmInvitation { message }))
    }
}

/// The body of `POST /sessions/{id}/invitation/message`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "message": "I would like us to talk. Will you join me?" })))]
pub struct InvitationMessageRequest {
    /// 1 to 500 characters.
    #[cfg_attr(feature = "schema", schema(value_type = String, min_length = 1, max_length = 500, pattern = r"\S"))]
    message: Option<String>,
}

impl TryFrom<InvitationMessageRequest> for Command {
    type Error = Rejection;
    fn try_from(request: InvitationMessageRequest) -> Result<Self, Rejection> {
        let message = fields::text("message", request.message, 1..=LONGEST)?;
        Ok(Command::WriteInvitation(WriteInvitation { topic: None, message: Some(message) }))
    }
}

/// The body of a request that writes texts of the invitation: at least one of the two.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({
    "topicFrame": "who cooks on Sundays",
    "invitationMessage": "I would like us to talk. Will you join me?"
})))]
pub struct WriteInvitationRequest {
    /// 1 to 500 characters.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 500, pattern = r"\S"))]
    topic_frame: Option<String>,
    /// 1 to 500 characters.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 500, pattern = r"\S"))]
    invitation_message: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteInvitation {
    topic: Option<PrivateText>,
    message: Option<PrivateText>,
}

impl TryFrom<WriteInvitationRequest> for Command {
    type Error = Rejection;
    fn try_from(request: WriteInvitationRequest) -> Result<Self, Rejection> {
        let text =
            |field, value: Option<String>| value.map(|value| fields::text(field, Some(value), 1..=LONGEST)).transpose();
        let topic = text("topicFrame", request.topic_frame)?;
        let message = text("invitationMessage", request.invitation_message)?;
        if topic.is_none() && message.is_none() {
            return Err(Rejection::invalid("topicFrame", "nothing", "a text, or invitationMessage given instead"));
        }
        Ok(Command::WriteInvitation(WriteInvitation { topic, message }))
    }
}

impl Session {
    /// The current topic: the written one, or the creator's context, or the default of the settings.
    pub(crate) fn topic(&self, default: &str) -> Option<PrivateText> {
        let default = || Some(default).filter(|text| !text.trim().is_empty()).map(PrivateText::new);
        self.invitation.topic.clone().or_else(|| self.context.clone()).or_else(default)
    }
}

/// A second confirmation changes nothing.
pub(super) fn confirm(action: &mut MemberAction<'_>, confirm: &ConfirmInvitation) -> Result<(), Rejection> {
    must_be_creators(action)?;
    must_not_be_over(action)?;
    confirm_once(action);
    let is_sent = action.session.invitation.sent_at.is_some();
    if !is_sent && (action.me.in_app_mode() || confirm.has_message()) {
        action.record(EventBody::InvitationSent { message: confirm.message.clone() });
    }
    Ok(())
}

/// The creator shows the topic to the invited person. A second confirmation changes nothing.
pub(super) fn confirm_topic(action: &mut MemberAction<'_>) -> Result<(), Rejection> {
    must_be_creators(action)?;
    must_not_be_over(action)?;
    if action.session.invitation.topic_confirmed_at.is_some() {
        return Ok(());
    }
    let Some(topic) = action.session.topic(&action.ctx.settings.app.topic) else {
        return Err(Rejection::new(Code::ValidationError, "there is no topic yet; it has to be written first"));
    };
    action.record(EventBody::TopicFrameConfirmed { topic });
    confirm_once(action);
    Ok(())
}

pub(super) fn write(action: &mut MemberAction<'_>, write: &WriteInvitation) -> Result<(), Rejection> {
    must_be_creators(action)?;
    must_not_be_over(action)?;
    let invitation = &action.session.invitation;
    let is_settled = (write.topic.is_some() && invitation.topic_confirmed_at.is_some())
        || (write.message.is_some() && invitation.confirmed_at.is_some());
    if is_settled {
        let message = "the invitation is confirmed; its texts stay as they are";
        return Err(Rejection::new(Code::ValidationError, message));
    }
    action.record(EventBody::InvitationWritten { topic: write.topic.clone(), message: write.message.clone() });
    Ok(())
}

/// Confirms the invitation, if this has not happened. The time to accept it starts.
fn confirm_once(action: &mut MemberAction<'_>) {
    if action.session.status == SessionStatus::Created {
        let expires_at = action.ctx.now + action.ctx.settings.invitation_ttl;
        action.record(EventBody::InvitationConfirmed { expires_at });
    }
}

fn must_be_creators(action: &MemberAction<'_>) -> Result<(), Rejection> {
    if action.me.id == action.session.creator.id {
        return Ok(());
    }
    Err(Rejection::forbidden("only the one who invites can write and confirm the invitation"))
}

fn must_not_be_over(action: &MemberAction<'_>) -> Result<(), Rejection> {
    let status = action.session.status;
    let is_over = matches!(status, SessionStatus::Abandoned | SessionStatus::Archived);
    if is_over { Err(not_active(status)) } else { Ok(()) }
}
