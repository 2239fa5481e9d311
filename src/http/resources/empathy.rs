//! Stage 2: each partner writes how the other might feel, and both share it.

use tandem_actors::domain::{
    Query,
    command::{
        ConsentEmpathyRequest, ResubmitEmpathyRequest, SaveEmpathyDraftRequest, SkipRefinementRequest,
        ValidateEmpathyRequest,
    },
    view::{
        EmpathyConsented, EmpathyDraft, EmpathyDraftSaved, EmpathyResubmitted, EmpathyStatus, EmpathyValidated,
        PartnerEmpathy, PendingActions, RefinementSkipped, ShareOffer,
    },
};

use crate::http::{
    call::{Call, HandlerResult, JsonCall},
    envelope::Success,
};

/// The caller's own draft
#[utoipa::path(
    get, path = "/sessions/{id}/empathy/draft", tag = "empathy",
    responses((status = 200, body = Success<EmpathyDraft>))
)]
pub async fn draft(call: Call) -> HandlerResult {
    call.query(Query::EmpathyDraft).await
}

/// Save the caller's draft
#[utoipa::path(
    post, path = "/sessions/{id}/empathy/draft", tag = "empathy", request_body = SaveEmpathyDraftRequest,
    responses((status = 200, body = Success<EmpathyDraftSaved>))
)]
pub async fn save_draft(call: JsonCall<SaveEmpathyDraftRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Consent to sharing the draft
#[utoipa::path(
    post, path = "/sessions/{id}/empathy/consent", tag = "empathy", request_body = ConsentEmpathyRequest,
    responses((status = 200, body = Success<EmpathyConsented>))
)]
pub async fn consent(call: JsonCall<ConsentEmpathyRequest>) -> HandlerResult {
    call.execute_body().await
}

/// What the partner wrote about the caller
///
/// Shown when both have consented.
#[utoipa::path(
    get, path = "/sessions/{id}/empathy/partner", tag = "empathy",
    responses((status = 200, body = Success<PartnerEmpathy>))
)]
pub async fn partner(call: Call) -> HandlerResult {
    call.query(Query::EmpathyPartner).await
}

/// Judge the partner's attempt
#[utoipa::path(
    post, path = "/sessions/{id}/empathy/validate", tag = "empathy", request_body = ValidateEmpathyRequest,
    responses((status = 200, body = Success<EmpathyValidated>))
)]
pub async fn validate(call: JsonCall<ValidateEmpathyRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Both attempts and their status
#[utoipa::path(
    get, path = "/sessions/{id}/empathy/status", tag = "empathy",
    responses((status = 200, body = Success<EmpathyStatus>))
)]
pub async fn status(call: Call) -> HandlerResult {
    call.query(Query::EmpathyStatus).await
}

/// Share the attempt again
///
/// After the partner has asked for a revision. The partner judges it again.
#[utoipa::path(
    post, path = "/sessions/{id}/empathy/resubmit", tag = "empathy", request_body = ResubmitEmpathyRequest,
    responses((status = 200, body = Success<EmpathyResubmitted>))
)]
pub async fn resubmit(call: JsonCall<ResubmitEmpathyRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Keep the attempt although the partner has asked for a revision
#[utoipa::path(
    post, path = "/sessions/{id}/empathy/skip-refinement", tag = "empathy", request_body = SkipRefinementRequest,
    responses((status = 200, body = Success<RefinementSkipped>))
)]
pub async fn skip_refinement(call: JsonCall<SkipRefinementRequest>) -> HandlerResult {
    call.execute_body().await
}

/// What another service offers to share
///
/// The answer is always empty.
#[utoipa::path(
    get, path = "/sessions/{id}/reconciler/share-offer", tag = "empathy",
    responses((status = 200, body = Success<ShareOffer>))
)]
pub async fn share_offer(call: Call) -> HandlerResult {
    call.query(Query::ShareOffer).await
}

/// The caller's pending actions
#[utoipa::path(
    get, path = "/sessions/{id}/pending-actions", tag = "empathy",
    responses((status = 200, body = Success<PendingActions>))
)]
pub async fn pending_actions(call: Call) -> HandlerResult {
    call.query(Query::PendingActions).await
}
