//! Where Ably's cloud reports presence. Needs no token: each report is signed.

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use serde::Serialize;
use tandem_actors::{domain::Code, ports::PresenceSink};
use tandem_intake::Sender;
use utoipa::ToSchema;

use crate::{
    http::{
        AppState,
        envelope::{Success, success_of},
        error::ApiError,
    },
    realtime::webhook::{WebhookError, names_key, verify_and_parse},
};

#[derive(Serialize, ToSchema)]
pub struct Accepted {
    accepted: usize,
}

/// Presence as reported by Ably
///
/// Signed with the key in `X-Ably-Key`: `X-Ably-Signature` is the base64 of HMAC-SHA256 over the raw body.
#[utoipa::path(
    post, path = "/webhooks/ably", tag = "realtime", security(()), request_body = Object,
    responses((status = 200, body = Success<Accepted>), (status = 401), (status = 404))
)]
pub async fn ably(request: HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let state = AppState::of(&request)?;
    let key = state.realtime.webhook_key.as_ref().ok_or_else(ApiError::no_such_route)?;
    // The body of a report that names another key is not read.
    if !names_key(request.headers(), key) {
        return Err(refusal(WebhookError::Unsigned));
    }
    let limit = state.config.webhook_body_limit;
    let body = tandem_intake::read(&request, &mut payload.into_inner(), limit, Sender::Stranger).await?;
    let changes = verify_and_parse(request.headers(), &body, key, &state.realtime.names).map_err(refusal)?;
    let accepted = changes.len();
    for (session, change) in changes {
        state.coordinator.presence(&session, change);
    }
    Ok(success_of(Accepted { accepted }))
}

fn refusal(error: WebhookError) -> ApiError {
    match error {
        WebhookError::Unsigned | WebhookError::WrongSignature => {
            ApiError::new(Code::Unauthorized, "the webhook must be signed with this server's Ably key")
        }
        WebhookError::Malformed => ApiError::invalid(error.to_string()),
    }
}
