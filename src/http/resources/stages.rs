//! The progress of the partners, and the way to the next stage.

use tandem_actors::domain::{
    Code, Query,
    command::AdvanceRequest,
    stage::Stage,
    view::{Advanced, GatesAnswer, Progress},
};

use crate::http::{
    call::{Call, HandlerResult, JsonCall},
    envelope::Success,
    error::ApiError,
};

/// The progress of both partners
#[utoipa::path(
    get, path = "/sessions/{id}/progress", tag = "stages",
    responses((status = 200, body = Success<Progress>))
)]
pub async fn progress(call: Call) -> HandlerResult {
    call.query(Query::Progress).await
}

/// The caller's own gates of a stage
#[utoipa::path(
    get, path = "/sessions/{id}/stages/{stage}/gates", tag = "stages",
    responses((status = 200, body = Success<GatesAnswer>))
)]
pub async fn gates(call: Call) -> HandlerResult {
    let stage: Option<Stage> = call.path::<u8>("stage").and_then(|number| Stage::try_from(number).ok());
    let none = || ApiError::new(Code::NotFound, "there is no such stage; the stages are 0 to 4");
    let stage = stage.ok_or_else(none)?;
    call.query(Query::Gates(stage)).await
}

/// Advance to the next stage
///
/// Moves only the caller. If a gate is not satisfied, the answer is 200 with `advanced: false` and `blockedReason`.
#[utoipa::path(
    post, path = "/sessions/{id}/stages/advance", tag = "stages", request_body = AdvanceRequest,
    responses((status = 200, body = Success<Advanced>))
)]
pub async fn advance(call: JsonCall<AdvanceRequest>) -> HandlerResult {
    call.execute_body().await
}
