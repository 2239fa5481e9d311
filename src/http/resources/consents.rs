//! Consents to sharing, looked at by themselves.

use tandem_actors::domain::{
    Query,
    command::{DecideConsentRequest, RevokeConsentRequest},
    view::{ConsentDecided, ConsentHistory, ConsentRevoked, PendingConsents},
};

use crate::http::{
    call::{Call, HandlerResult, JsonCall},
    envelope::Success,
};

/// What the caller has prepared and could share
#[utoipa::path(
    get, path = "/sessions/{id}/consent/pending", tag = "consent",
    responses((status = 200, body = Success<PendingConsents>))
)]
pub async fn pending(call: Call) -> HandlerResult {
    call.query(Query::PendingConsents).await
}

/// Give or deny a pending consent
///
/// A consent that is given does what sharing the draft or the needs does.
#[utoipa::path(
    post, path = "/sessions/{id}/consent/decide", tag = "consent", request_body = DecideConsentRequest,
    responses((status = 200, body = Success<ConsentDecided>))
)]
pub async fn decide(call: JsonCall<DecideConsentRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Take consent to sharing back
///
/// The content is hidden from the partner from now on; agreements that were built on it are flagged.
#[utoipa::path(
    post, path = "/sessions/{id}/consent/revoke", tag = "consent", request_body = RevokeConsentRequest,
    responses((status = 200, body = Success<ConsentRevoked>))
)]
pub async fn revoke(call: JsonCall<RevokeConsentRequest>) -> HandlerResult {
    call.execute_body().await
}

/// The caller's decisions, newest first
#[utoipa::path(
    get, path = "/sessions/{id}/consent/history", tag = "consent",
    responses((status = 200, body = Success<ConsentHistory>))
)]
pub async fn history(call: Call) -> HandlerResult {
    call.query(Query::ConsentHistory).await
}
