//! For load balancers and monitoring. These routes need no token.

use actix_web::{HttpResponse, http::header, web::Data};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::http::{
    AppState,
    envelope::{Success, success_of},
    error::ApiError,
    readiness::Check,
};

#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ok`
    status: &'static str,
    version: &'static str,
}

#[derive(Serialize, ToSchema)]
pub struct Ready {
    /// `ready`, or `degraded` while the node works but needs an operator
    status: &'static str,
    checks: Vec<Check>,
}

/// Whether the process answers
#[utoipa::path(
    get, path = "/health", tag = "node", security(()),
    responses((status = 200, body = Success<Health>))
)]
pub async fn health() -> HttpResponse {
    success_of(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Whether the node can do its work
///
/// 503 while the store cannot be written or the node is stopping; `error.details.checks` names the problem. While the
/// disk has little room, `status` is `degraded` and a check has a problem.
#[utoipa::path(
    get, path = "/ready", tag = "node", security(()),
    responses((status = 200, body = Success<Ready>), (status = 503))
)]
pub async fn ready(state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let checks = state.readiness.checks();
    if checks.iter().all(|check| check.ok) {
        let degraded = checks.iter().any(|check| check.problem.is_some());
        return Ok(success_of(Ready { status: if degraded { "degraded" } else { "ready" }, checks }));
    }
    let wait = std::time::Duration::from_secs(1);
    Err(ApiError::unavailable("the node cannot do its work", wait).details(json!({ "checks": checks })))
}

/// Metrics in Prometheus' text format
#[utoipa::path(
    get, path = "/metrics", tag = "node", security(()),
    responses((status = 200, body = String, content_type = "text/plain"))
)]
pub async fn metrics(state: Data<AppState>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body((state.metrics)())
}
