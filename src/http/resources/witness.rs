//! Stage 1: each is heard.

use tandem_actors::domain::{command::FeelHeardRequest, view::FeelHeard};

use crate::http::{
    call::{HandlerResult, JsonCall},
    envelope::Success,
};

/// Confirm feeling heard
#[utoipa::path(
    post, path = "/sessions/{id}/feel-heard", tag = "witness", request_body = FeelHeardRequest,
    responses((status = 200, body = Success<FeelHeard>))
)]
pub async fn feel_heard(call: JsonCall<FeelHeardRequest>) -> HandlerResult {
    call.execute_body().await
}
