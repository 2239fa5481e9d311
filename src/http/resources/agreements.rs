//! Agreements of stage 4: one partner proposes, the other confirms.

use tandem_actors::domain::{
    Query,
    command::{ConfirmAgreementRequest, ProposeAgreementRequest},
    ids::AgreementId,
    view::{AgreementAnswered, AgreementProposed, AgreementsList},
};

use crate::http::{
    call::{Call, HandlerResult, JsonCall},
    envelope::Success,
};

/// The session's agreements
#[utoipa::path(
    get, path = "/sessions/{id}/agreements", tag = "agreements",
    responses((status = 200, body = Success<AgreementsList>))
)]
pub async fn list(call: Call) -> HandlerResult {
    call.query(Query::Agreements).await
}

/// Propose an agreement
#[utoipa::path(
    post, path = "/sessions/{id}/agreements", tag = "agreements", request_body = ProposeAgreementRequest,
    responses((status = 201, body = Success<AgreementProposed>))
)]
pub async fn propose(call: JsonCall<ProposeAgreementRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Confirm or decline a proposal
#[utoipa::path(
    post, path = "/sessions/{id}/agreements/{agreementId}/confirm", tag = "agreements", request_body = ConfirmAgreementRequest,
    responses((status = 200, body = Success<AgreementAnswered>))
)]
pub async fn answer(call: JsonCall<ConfirmAgreementRequest>) -> HandlerResult {
    let agreement: AgreementId = call.item("agreementId", "there is no such agreement in this session")?;
    call.execute_on(agreement).await
}
