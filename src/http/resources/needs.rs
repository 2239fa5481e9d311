//! Stage 3: needs, and the ground that both share.

use tandem_actors::domain::{
    Query,
    command::{AddNeedRequest, ConfirmCommonGroundRequest, ConfirmNeedsRequest, ShareNeedsRequest},
    view::{CommonGround, CommonGroundConfirmed, NeedAdded, NeedsComparison, NeedsConfirmed, NeedsList, NeedsShared},
};

use crate::http::{
    call::{Answered, Call, Posted},
    envelope::Success,
};

/// The caller's own needs
#[utoipa::path(
    get, path = "/sessions/{id}/needs", tag = "needs",
    responses((status = 200, body = Success<NeedsList>))
)]
pub async fn list(call: Call) -> Answered {
    call.query(Query::Needs).await
}

/// Add a need
#[utoipa::path(
    post, path = "/sessions/{id}/needs", tag = "needs", request_body = AddNeedRequest,
    responses((status = 201, body = Success<NeedAdded>))
)]
pub async fn add(call: Posted<AddNeedRequest>) -> Answered {
    call.execute_body().await
}

/// Confirm needs
#[utoipa::path(
    post, path = "/sessions/{id}/needs/confirm", tag = "needs", request_body = ConfirmNeedsRequest,
    responses((status = 200, body = Success<NeedsConfirmed>))
)]
pub async fn confirm(call: Posted<ConfirmNeedsRequest>) -> Answered {
    call.execute_body().await
}

/// Consent to sharing confirmed needs
#[utoipa::path(
    post, path = "/sessions/{id}/needs/consent", tag = "needs", request_body = ShareNeedsRequest,
    responses((status = 200, body = Success<NeedsShared>))
)]
pub async fn share(call: Posted<ShareNeedsRequest>) -> Answered {
    call.execute_body().await
}

/// Both sides' shared needs
///
/// Shown once both have consented.
#[utoipa::path(
    get, path = "/sessions/{id}/needs/comparison", tag = "needs",
    responses((status = 200, body = Success<NeedsComparison>))
)]
pub async fn comparison(call: Call) -> Answered {
    call.query(Query::NeedsComparison).await
}

/// The ground that both share
#[utoipa::path(
    get, path = "/sessions/{id}/common-ground", tag = "needs",
    responses((status = 200, body = Success<CommonGround>))
)]
pub async fn common_ground(call: Call) -> Answered {
    call.query(Query::CommonGround).await
}

/// Confirm common ground
#[utoipa::path(
    post, path = "/sessions/{id}/common-ground/confirm", tag = "needs", request_body = ConfirmCommonGroundRequest,
    responses((status = 200, body = Success<CommonGroundConfirmed>))
)]
pub async fn confirm_common_ground(call: Posted<ConfirmCommonGroundRequest>) -> Answered {
    call.execute_body().await
}
