//! How the second partner joins.

use actix_web::{HttpRequest, HttpResponse};
use tandem_actors::domain::{
    Command, Query,
    command::{ConfirmInvitationRequest, DeclineInvitationRequest, InvitationMessageRequest},
    view::{
        InvitationAcknowledged, InvitationConfirmed, InvitationDeclined, InvitationEnvelope, InvitationResent,
        PublicInvitationEnvelope, SessionEnvelope, TopicFrameConfirmed,
    },
};

use crate::http::{
    AppState,
    body::Json,
    call::{self, Call, HandlerResult, JsonCall, show},
    envelope::Success,
    error::ApiError,
    rate_limits,
};

/// Read an invitation
///
/// Needs no token, only the link.
#[utoipa::path(
    get, path = "/invitations/{id}", tag = "invitations", security(()),
    responses((status = 200, body = Success<PublicInvitationEnvelope>), (status = 429))
)]
pub async fn look(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let state = AppState::of(&request)?;
    state.limits.invitation.check(&rate_limits::client_address(&request, &state.config))?;
    let data = state.coordinator.invitation(&call::invitation(&request)?).await?;
    Ok(show(&data))
}

/// Accept an invitation
#[utoipa::path(
    post, path = "/invitations/{id}/accept", tag = "invitations",
    responses((status = 200, body = Success<SessionEnvelope>), (status = 410))
)]
pub async fn accept(call: Call) -> HandlerResult {
    let session = call.state.coordinator.session_of_invitation(&call.invitation()?)?;
    call.execute_in(session, Command::AcceptInvitation).await
}

/// Decline an invitation
#[utoipa::path(
    post, path = "/invitations/{id}/decline", tag = "invitations", request_body = DeclineInvitationRequest,
    responses((status = 200, body = Success<InvitationDeclined>), (status = 410))
)]
pub async fn decline(call: JsonCall<DeclineInvitationRequest>) -> HandlerResult {
    let session = call.state.coordinator.session_of_invitation(&call.invitation()?)?;
    let (call, Json(body)) = call.split();
    call.execute_in(session, Command::try_from(body)?).await
}

/// Send an invitation again
#[utoipa::path(
    post, path = "/invitations/{id}/resend", tag = "invitations",
    responses((status = 200, body = Success<InvitationResent>), (status = 429))
)]
pub async fn resend(call: Call) -> HandlerResult {
    let session = call.state.coordinator.session_of_invitation(&call.invitation()?)?;
    call.execute_in(session, Command::ResendInvitation).await
}

/// The session's invitation
#[utoipa::path(
    get, path = "/sessions/{id}/invitation", tag = "invitations",
    responses((status = 200, body = Success<InvitationEnvelope>))
)]
pub async fn own(call: Call) -> HandlerResult {
    call.query(Query::Invitation).await
}

/// Send a drafted invitation
#[utoipa::path(
    post, path = "/sessions/{id}/invitation/confirm", tag = "invitations", request_body = ConfirmInvitationRequest,
    responses((status = 200, body = Success<InvitationConfirmed>))
)]
pub async fn confirm(call: JsonCall<ConfirmInvitationRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Write the text that accompanies the link
///
/// The creator may change it until the invitation is confirmed.
#[utoipa::path(
    put, path = "/sessions/{id}/invitation/message", tag = "invitations", request_body = InvitationMessageRequest,
    responses((status = 200, body = Success<InvitationEnvelope>))
)]
pub async fn message(call: JsonCall<InvitationMessageRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Show the topic to the invited person
///
/// Sends a drafted invitation.
#[utoipa::path(
    post, path = "/sessions/{id}/topic-frame/confirm", tag = "invitations",
    responses((status = 200, body = Success<TopicFrameConfirmed>))
)]
pub async fn confirm_topic(call: Call) -> HandlerResult {
    call.execute(Command::ConfirmTopicFrame).await
}

/// Report that the link was opened
///
/// The app does so before it accepts.
#[utoipa::path(
    post, path = "/invitations/{id}/acknowledge", tag = "invitations",
    responses((status = 200, body = Success<InvitationAcknowledged>))
)]
pub async fn acknowledge(call: Call) -> HandlerResult {
    let data = call.state.coordinator.acknowledge(&call.invitation()?, &call.user.id).await?;
    call.state.users.mark_app(&call.user).await?;
    Ok(show(&data))
}
