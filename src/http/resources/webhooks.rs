//! Where realtime providers report presence. Open, and signed by the provider.

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use serde::Serialize;
use tandem_actors::domain::Code;
use tandem_intake::Sender;
use utoipa::ToSchema;

use crate::http::{
    State,
    envelope::{Success, success_of},
    error::ApiError,
    ports::WebhookOutcome,
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
    let state = State::of(&request)?;
    let outcome = match state.webhooks.refuses(request.headers()) {
        Some(refusal) => refusal,
        None => {
            let limit = state.config.webhook_body_limit;
            let body = tandem_intake::read(&request, &mut payload.into_inner(), limit, Sender::Stranger).await?;
            state.webhooks.ably(request.headers(), &body)
        }
    };
    match outcome {
        WebhookOutcome::Accepted(accepted) => Ok(success_of(Accepted { accepted })),
        WebhookOutcome::Unsigned => {
            Err(ApiError::new(Code::Unauthorized, "the webhook must be signed with this server's Ably key"))
        }
        WebhookOutcome::Malformed(expected) => Err(ApiError::invalid(expected)),
        WebhookOutcome::Off => Err(ApiError::no_such_route()),
    }
}
