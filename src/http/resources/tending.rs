//! After the session: check-ins on agreements, notes between them, and re-entry.

use tandem_actors::domain::{
    Query,
    command::{CheckInRequest, ReenterTendingRequest, RespondTendingRequest, TendingCommand, WriteTendingNoteRequest},
    ids::TendingEntryId,
    view::{CheckedIn, NoteAnswer, TendingEntryAnswer, TendingHistory, TendingList},
};

use crate::http::{
    call::{Call, HandlerResult, JsonCall},
    envelope::Success,
};

/// Check-ins, cycles and notes
#[utoipa::path(
    get, path = "/sessions/{id}/tending", tag = "tending",
    responses((status = 200, body = Success<TendingList>))
)]
pub async fn list(call: Call) -> HandlerResult {
    call.query(Query::Tending).await
}

/// The caller's own check-ins
#[utoipa::path(
    get, path = "/sessions/{id}/tending/history", tag = "tending",
    responses((status = 200, body = Success<TendingHistory>))
)]
pub async fn history(call: Call) -> HandlerResult {
    call.query(Query::TendingHistory).await
}

/// Write a note for the next check-in
///
/// Private until it is shared with a check-in.
#[utoipa::path(
    post, path = "/sessions/{id}/tending/notes", tag = "tending", request_body = WriteTendingNoteRequest,
    responses((status = 201, body = Success<NoteAnswer>))
)]
pub async fn write_note(call: JsonCall<WriteTendingNoteRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Re-enter without a due check-in
#[utoipa::path(
    post, path = "/sessions/{id}/tending/reentry", tag = "tending", request_body = ReenterTendingRequest,
    responses((status = 201, body = Success<TendingEntryAnswer>))
)]
pub async fn reenter(call: JsonCall<ReenterTendingRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Check in on all open entries
///
/// Own entries take effect at once. Choices about shared entries wait until both partners have checked in, or 14 days
/// have passed.
#[utoipa::path(
    post, path = "/sessions/{id}/tending/checkin", tag = "tending", request_body = CheckInRequest,
    responses((status = 200, body = Success<CheckedIn>))
)]
pub async fn check_in(call: JsonCall<CheckInRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Answer one check-in
#[utoipa::path(
    post, path = "/sessions/{id}/tending/{entryId}/responses", tag = "tending", request_body = RespondTendingRequest,
    responses((status = 200, body = Success<TendingEntryAnswer>))
)]
pub async fn respond(call: JsonCall<RespondTendingRequest>) -> HandlerResult {
    let entry: TendingEntryId = call.item_for_member("entryId", NO_SUCH_CHECK_IN).await?;
    call.execute_on(entry).await
}

/// Show the caller's check-in to the partner
#[utoipa::path(
    post, path = "/sessions/{id}/tending/{entryId}/share", tag = "tending",
    responses((status = 200, body = Success<TendingEntryAnswer>))
)]
pub async fn share(call: Call) -> HandlerResult {
    set_shared(call, true).await
}

/// Hide the caller's check-in from the partner
#[utoipa::path(
    post, path = "/sessions/{id}/tending/{entryId}/unshare", tag = "tending",
    responses((status = 200, body = Success<TendingEntryAnswer>))
)]
pub async fn unshare(call: Call) -> HandlerResult {
    set_shared(call, false).await
}

const NO_SUCH_CHECK_IN: &str = "there is no such check-in in this session";

async fn set_shared(call: Call, shared: bool) -> HandlerResult {
    let entry = call.item_for_member("entryId", NO_SUCH_CHECK_IN).await?;
    call.execute(TendingCommand::Share { entry, shared }.into()).await
}
