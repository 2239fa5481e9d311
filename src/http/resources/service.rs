//! What the AI service writes for a member. The member confirms, shares or discards it.

use serde::Deserialize;
use tandem_actors::domain::{
    Command,
    command::{
        AnswerSubChatRequest, CaptureNeedsRequest, ProposeStrategyRequest, SaveEmpathyDraftRequest,
        WriteInvitationRequest,
    },
    ids::SubChatId,
};
use utoipa::ToSchema;

use crate::http::{
    body::Json,
    call::HandlerResult,
    envelope::Success,
    service::{ServiceCall, Written},
};

/// Write the topic and the text of an invitation
///
/// For the inviting partner, until the invitation is confirmed.
#[utoipa::path(
    put, path = "/service/sessions/{id}/members/{userId}/invitation", tag = "service",
    security(("service" = [])), request_body = WriteInvitationRequest,
    responses((status = 200, body = Success<Written>))
)]
pub async fn invitation(call: ServiceCall<Json<WriteInvitationRequest>>) -> HandlerResult {
    call.execute_body().await
}

/// Offer a member in stage 1 to confirm feeling heard
#[utoipa::path(
    post, path = "/service/sessions/{id}/members/{userId}/feel-heard-offer", tag = "service",
    security(("service" = [])),
    responses((status = 200, body = Success<Written>))
)]
pub async fn offer_feel_heard(call: ServiceCall) -> HandlerResult {
    call.execute(Command::OfferFeelHeard).await
}

/// Add a strategy to the pool for a member
#[utoipa::path(
    post, path = "/service/sessions/{id}/members/{userId}/strategies", tag = "service",
    security(("service" = [])), request_body = ProposeStrategyRequest,
    responses((status = 200, body = Success<Written>))
)]
pub async fn strategy(call: ServiceCall<Json<ProposeStrategyRequest>>) -> HandlerResult {
    call.execute_body().await
}

/// Answer in a member's sub-chat
#[utoipa::path(
    post, path = "/service/sessions/{id}/members/{userId}/subchats/{subChatId}/messages", tag = "service",
    security(("service" = [])), request_body = AnswerSubChatRequest,
    responses((status = 200, body = Success<Written>))
)]
pub async fn answer_sub_chat(call: ServiceCall<Json<AnswerSubChatRequest>>) -> HandlerResult {
    call.execute_on::<SubChatId>("subChatId").await
}

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({ "content": "you may have felt alone with the children" }))]
pub struct WriteEmpathyDraftRequest {
    /// 1 to 2000 characters.
    #[schema(value_type = String, min_length = 1, max_length = 2000, pattern = r"\S")]
    pub content: Option<String>,
}

/// Write a member's empathy draft
///
/// It is not ready to share; only the member can declare that.
#[utoipa::path(
    put, path = "/service/sessions/{id}/members/{userId}/empathy/draft", tag = "service",
    security(("service" = [])), request_body = WriteEmpathyDraftRequest,
    responses((status = 200, body = Success<Written>))
)]
pub async fn empathy_draft(call: ServiceCall<Json<WriteEmpathyDraftRequest>>) -> HandlerResult {
    let (call, Json(WriteEmpathyDraftRequest { content })) = call.split();
    let draft = SaveEmpathyDraftRequest { content, ready_to_share: Some(false) };
    call.execute(Command::try_from(draft)?).await
}

/// Replace a member's unconfirmed needs
///
/// With needs that were read from the conversation. Not possible while the needs are shared.
#[utoipa::path(
    put, path = "/service/sessions/{id}/members/{userId}/needs", tag = "service",
    security(("service" = [])), request_body = CaptureNeedsRequest,
    responses((status = 200, body = Success<Written>))
)]
pub async fn needs(call: ServiceCall<Json<CaptureNeedsRequest>>) -> HandlerResult {
    call.execute_body().await
}
