//! Stage 0: both sign the Curiosity Compact.

use tandem_actors::domain::{
    Query,
    command::SignCompactRequest,
    view::{CompactSigned, CompactStatus},
};

use crate::http::{
    call::{Call, HandlerResult, JsonCall},
    envelope::Success,
};

/// Sign the compact
#[utoipa::path(
    post, path = "/sessions/{id}/compact/sign", tag = "compact", request_body = SignCompactRequest,
    responses((status = 200, body = Success<CompactSigned>))
)]
pub async fn sign(call: JsonCall<SignCompactRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Who has signed
///
/// The partner's signature is hidden until the caller has signed.
#[utoipa::path(
    get, path = "/sessions/{id}/compact/status", tag = "compact",
    responses((status = 200, body = Success<CompactStatus>))
)]
pub async fn status(call: Call) -> HandlerResult {
    call.query(Query::CompactStatus).await
}
