//! For whoever runs the node. To everybody without the operator's token these routes do not exist.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Query},
};
use serde::Deserialize;
use tandem_actors::domain::{
    Rejection,
    ids::{Seq, SessionId},
};
use utoipa::{IntoParams, ToSchema};

use crate::http::{
    State,
    call::{bearer, path, show},
    envelope::Success,
    error::ApiError,
};

/// Made by the coordinator.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[allow(dead_code, reason = "describes what the coordinator answers")]
pub struct Explanation(());

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhyQuery {
    /// One event; all if absent.
    #[param(value_type = Option<u64>)]
    seq: Option<Seq>,
}

/// How each event was routed to each partner, and why
#[utoipa::path(
    get, path = "/operator/sessions/{id}/why", tag = "operator", security(("operator" = [])), params(WhyQuery),
    responses((status = 200, body = Success<Explanation>))
)]
pub async fn why(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (state, session) = operator(&request)?;
    let read = Query::<WhyQuery>::from_query(request.query_string());
    let WhyQuery { seq } =
        read.map_err(|_| Rejection::invalid("seq", "something else", "an event's number"))?.into_inner();
    Ok(show(&state.coordinator.why(session, seq).await?))
}

/// All sessions in quarantine, and why
#[utoipa::path(
    get, path = "/operator/quarantine", tag = "operator", security(("operator" = [])),
    responses((status = 200, body = Success<Explanation>))
)]
pub async fn quarantined(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let state = operator_only(&request)?;
    Ok(show(&state.coordinator.quarantined().await?))
}

/// Free a session from quarantine
///
/// The session is tried at once: `released` is false if it is in quarantine again.
#[utoipa::path(
    post, path = "/operator/sessions/{id}/release", tag = "operator", security(("operator" = [])),
    responses((status = 200, body = Success<Explanation>))
)]
pub async fn release(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (state, session) = operator(&request)?;
    Ok(show(&state.coordinator.release(session).await?))
}

fn operator_only(request: &HttpRequest) -> Result<Data<State>, ApiError> {
    let state = State::of(request)?;
    let shown = bearer(request).unwrap_or_default();
    if !state.operator_token.as_ref().is_some_and(|token| token.matches(shown)) {
        return Err(ApiError::no_such_route());
    }
    Ok(state)
}

fn operator(request: &HttpRequest) -> Result<(Data<State>, SessionId), ApiError> {
    let state = operator_only(request)?;
    let session = path(request, "id")
        .ok_or_else(|| Rejection::new(tandem_actors::domain::Code::NotFound, "there is no such session"))?;
    Ok((state, session))
}
