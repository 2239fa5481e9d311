//! Stage 2: each imagines how the other feels, and both share it.

use tandem_actors::domain::{
    Query,
    command::{ConsentEmpathyRequest, SaveEmpathyDraftRequest, ValidateEmpathyRequest},
    view::{EmpathyConsented, EmpathyDraft, EmpathyDraftSaved, EmpathyValidated, PartnerEmpathy},
};

use crate::http::{
    call::{Answered, Call, Posted},
    envelope::Success,
};

/// The caller's own draft
#[utoipa::path(
    get, path = "/sessions/{id}/empathy/draft", tag = "empathy",
    responses((status = 200, body = Success<EmpathyDraft>))
)]
pub async fn draft(call: Call) -> Answered {
    call.query(Query::EmpathyDraft).await
}

/// Save the caller's draft
#[utoipa::path(
    post, path = "/sessions/{id}/empathy/draft", tag = "empathy", request_body = SaveEmpathyDraftRequest,
    responses((status = 200, body = Success<EmpathyDraftSaved>))
)]
pub async fn save_draft(call: Posted<SaveEmpathyDraftRequest>) -> Answered {
    call.execute_body().await
}

/// Consent to sharing the draft
#[utoipa::path(
    post, path = "/sessions/{id}/empathy/consent", tag = "empathy", request_body = ConsentEmpathyRequest,
    responses((status = 200, body = Success<EmpathyConsented>))
)]
pub async fn consent(call: Posted<ConsentEmpathyRequest>) -> Answered {
    call.execute_body().await
}

/// What the partner wrote about the caller
///
/// Shown once both have consented.
#[utoipa::path(
    get, path = "/sessions/{id}/empathy/partner", tag = "empathy",
    responses((status = 200, body = Success<PartnerEmpathy>))
)]
pub async fn partner(call: Call) -> Answered {
    call.query(Query::EmpathyPartner).await
}

/// Say whether the partner's attempt is right
#[utoipa::path(
    post, path = "/sessions/{id}/empathy/validate", tag = "empathy", request_body = ValidateEmpathyRequest,
    responses((status = 200, body = Success<EmpathyValidated>))
)]
pub async fn validate(call: Posted<ValidateEmpathyRequest>) -> Answered {
    call.execute_body().await
}
