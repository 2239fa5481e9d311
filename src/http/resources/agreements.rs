//! Stage 4: one proposes, the other confirms.

use tandem_actors::domain::{
    Command, Query,
    command::{ConfirmAgreementRequest, ProposeAgreementRequest},
    view::{AgreementAnswered, AgreementProposed, AgreementsList},
};

use crate::http::{
    body::Json,
    call::{Answered, Call, Posted},
    envelope::Success,
};

/// The session's agreements
#[utoipa::path(
    get, path = "/sessions/{id}/agreements", tag = "agreements",
    responses((status = 200, body = Success<AgreementsList>))
)]
pub async fn list(call: Call) -> Answered {
    call.query(Query::Agreements).await
}

/// Propose an agreement
#[utoipa::path(
    post, path = "/sessions/{id}/agreements", tag = "agreements", request_body = ProposeAgreementRequest,
    responses((status = 201, body = Success<AgreementProposed>))
)]
pub async fn propose(call: Posted<ProposeAgreementRequest>) -> Answered {
    call.execute_body().await
}

/// Confirm or decline a proposal
#[utoipa::path(
    post, path = "/sessions/{id}/agreements/{agreementId}/confirm", tag = "agreements", request_body = ConfirmAgreementRequest,
    responses((status = 200, body = Success<AgreementAnswered>))
)]
pub async fn answer(call: Posted<ConfirmAgreementRequest>) -> Answered {
    let session = call.session()?;
    let agreement = call.agreement()?;
    let (call, Json(body)) = call.split();
    let command = call.reject_unless_member(Command::try_from((agreement, body))).await?;
    call.execute_in(session, command).await
}
