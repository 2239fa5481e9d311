//! The session as a whole: pausing, resolving and archiving.

use tandem_actors::domain::{
    Command,
    command::PauseRequest,
    view::{Archived, Paused, Resolved, Resumed},
};

use crate::http::{
    call::{Call, HandlerResult, JsonCall},
    envelope::Success,
};

/// Pause the session
#[utoipa::path(
    post, path = "/sessions/{id}/pause", tag = "sessions", request_body = PauseRequest,
    responses((status = 200, body = Success<Paused>))
)]
pub async fn pause(call: JsonCall<PauseRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Resume a paused session
#[utoipa::path(
    post, path = "/sessions/{id}/resume", tag = "sessions",
    responses((status = 200, body = Success<Resumed>))
)]
pub async fn resume(call: Call) -> HandlerResult {
    call.execute(Command::Resume).await
}

/// Resolve the session
///
/// Needs at least one agreement that both have confirmed.
#[utoipa::path(
    post, path = "/sessions/{id}/resolve", tag = "sessions",
    responses((status = 200, body = Success<Resolved>))
)]
pub async fn resolve(call: Call) -> HandlerResult {
    call.execute(Command::Resolve).await
}

/// Archive a session that is over
#[utoipa::path(
    post, path = "/sessions/{id}/archive", tag = "sessions",
    responses((status = 200, body = Success<Archived>))
)]
pub async fn archive(call: Call) -> HandlerResult {
    call.execute(Command::Archive).await
}
