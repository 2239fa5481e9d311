//! Stage 3: needs and common ground.

use tandem_actors::domain::{
    Command, Query,
    command::{
        AddNeedRequest, CaptureNeedsRequest, ConfirmCommonGroundRequest, ConfirmNeedsRequest, EditNeedsRequest,
        RemoveNeed, ShareNeedsRequest, ValidateNeedsRequest, no_such_need,
    },
    view::{
        CommonGround, CommonGroundConfirmed, NeedAdded, NeedRemoved, NeedsCaptured, NeedsComparison, NeedsConfirmed,
        NeedsEdited, NeedsList, NeedsShared, NeedsValidated,
    },
};

use crate::http::{
    call::{Call, HandlerResult, JsonCall},
    envelope::Success,
};

/// The caller's own needs
#[utoipa::path(
    get, path = "/sessions/{id}/needs", tag = "needs",
    responses((status = 200, body = Success<NeedsList>))
)]
pub async fn list(call: Call) -> HandlerResult {
    call.query(Query::Needs).await
}

/// Add a need
#[utoipa::path(
    post, path = "/sessions/{id}/needs", tag = "needs", request_body = AddNeedRequest,
    responses((status = 201, body = Success<NeedAdded>))
)]
pub async fn add(call: JsonCall<AddNeedRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Confirm needs
#[utoipa::path(
    post, path = "/sessions/{id}/needs/confirm", tag = "needs", request_body = ConfirmNeedsRequest,
    responses((status = 200, body = Success<NeedsConfirmed>))
)]
pub async fn confirm(call: JsonCall<ConfirmNeedsRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Consent to sharing confirmed needs
#[utoipa::path(
    post, path = "/sessions/{id}/needs/consent", tag = "needs", request_body = ShareNeedsRequest,
    responses((status = 200, body = Success<NeedsShared>))
)]
pub async fn share(call: JsonCall<ShareNeedsRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Both sides' shared needs
///
/// Shown when both have consented.
#[utoipa::path(
    get, path = "/sessions/{id}/needs/comparison", tag = "needs",
    responses((status = 200, body = Success<NeedsComparison>))
)]
pub async fn comparison(call: Call) -> HandlerResult {
    call.query(Query::NeedsComparison).await
}

/// The common ground
#[utoipa::path(
    get, path = "/sessions/{id}/common-ground", tag = "needs",
    responses((status = 200, body = Success<CommonGround>))
)]
pub async fn common_ground(call: Call) -> HandlerResult {
    call.query(Query::CommonGround).await
}

/// Confirm common ground
#[utoipa::path(
    post, path = "/sessions/{id}/common-ground/confirm", tag = "needs", request_body = ConfirmCommonGroundRequest,
    responses((status = 200, body = Success<CommonGroundConfirmed>))
)]
pub async fn confirm_common_ground(call: JsonCall<ConfirmCommonGroundRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Replace the unconfirmed needs
///
/// With needs that were read from the conversation.
#[utoipa::path(
    post, path = "/sessions/{id}/needs/capture", tag = "needs", request_body = CaptureNeedsRequest,
    responses((status = 201, body = Success<NeedsCaptured>))
)]
pub async fn capture(call: JsonCall<CaptureNeedsRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Change the caller's needs
///
/// All changes are made together or not at all. Not possible while the needs are shared.
#[utoipa::path(
    post, path = "/sessions/{id}/needs/apply-edits", tag = "needs", request_body = EditNeedsRequest,
    responses((status = 200, body = Success<NeedsEdited>))
)]
pub async fn apply_edits(call: JsonCall<EditNeedsRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Remove a need
///
/// Not possible while the needs are shared.
#[utoipa::path(
    delete, path = "/sessions/{id}/needs/{needId}", tag = "needs",
    responses((status = 200, body = Success<NeedRemoved>))
)]
pub async fn remove(call: Call) -> HandlerResult {
    let need = call.path("needId").ok_or_else(no_such_need);
    let need = call.reject_unless_member(need).await?;
    call.execute(Command::RemoveNeed(RemoveNeed { need })).await
}

/// Judge both lists of needs
#[utoipa::path(
    post, path = "/sessions/{id}/needs/validate", tag = "needs", request_body = ValidateNeedsRequest,
    responses((status = 200, body = Success<NeedsValidated>))
)]
pub async fn validate(call: JsonCall<ValidateNeedsRequest>) -> HandlerResult {
    call.execute_body().await
}
