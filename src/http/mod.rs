//! The HTTP interface under `/api/v1` and `/api`: what clients send is parsed into commands and queries of the domain,
//! and what the sessions answer goes out in an envelope. Nothing is decided here except who calls, how often, and how
//! much.
//!
//! One table of routes ([`routes`]) serves both the mounting and the OpenAPI description, so that neither can have a
//! route that the other has not.

mod bodies;
mod body;
mod call;
mod config;
mod docs;
mod envelope;
mod error;
pub mod front;
mod idempotency;
mod rate_limits;
mod observe;
pub mod openapi;
mod readiness;
mod realtime_access;
mod refusals;
mod resources;
mod routes;
mod service;
mod start_page;

use std::sync::Arc;

use actix_cors::Cors;
use actix_web::{
    HttpRequest,
    http::header,
    middleware::Condition,
    web::{self, Data, ServiceConfig},
};
use tandem_actors::{
    Coordinator,
    journal::Journal,
    ports::{Clock, Store},
};

pub use self::{
    config::{CorsSettings, RateLimitSettings, ServerSettings, TlsSettings},
    error::ApiError,
    rate_limits::RateLimits,
    readiness::Readiness,
    realtime_access::RealtimeAccess,
    start_page::{StartPage, start_page},
};
use crate::{
    auth::{Secret, Verifier},
    push::Devices,
    users::Users,
};

/// Everything that handlers reach. Made once, shared by all workers.
pub struct AppState {
    pub config: ServerSettings,
    pub auth: Arc<Verifier>,
    pub users: Arc<Users>,
    pub coordinator: Coordinator,
    pub devices: Arc<Devices>,
    pub realtime: RealtimeAccess,
    pub readiness: Readiness,
    /// The metrics in Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Opens the operator's routes; without one they do not exist.
    pub operator_token: Option<Secret>,
    /// Opens the AI service's routes; without one they do not exist.
    pub service_token: Option<Secret>,
    pub store: Arc<dyn Store>,
    pub journal: Journal,
    pub clock: Arc<dyn Clock>,
    pub limits: RateLimits,
}

impl AppState {
    fn of(request: &HttpRequest) -> Result<Data<AppState>, ApiError> {
        request.app_data::<Data<AppState>>().cloned().ok_or_else(|| {
            tracing::error!("the routes were mounted without their state");
            ApiError::internal()
        })
    }
}

impl RateLimits {
    pub fn from_config(config: &ServerSettings) -> Self {
        Self::new(&config.limits)
    }
}

/// Mounts all routes, and the answer to whatever else is asked. Other services of the same app are to be registered
/// before.
pub fn configure(app: &mut ServiceConfig, state: Data<AppState>) {
    let cors = &state.config.cors;
    for prefix in ["/api/v1", "/api"] {
        let cors = Condition::new(!cors.allowed_origins.is_empty(), allow(cors));
        app.service(routes::mount_api(prefix).wrap(cors));
    }
    routes::mount_root(app);
    app.service(web::redirect("/docs", "/docs/"))
        .configure(docs::mount)
        .default_service(web::to(routes::unknown))
        .app_data(state);
}

fn allow(config: &CorsSettings) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE, idempotency::HEADER, observe::REQUEST_ID])
        .expose_headers([observe::REQUEST_ID, idempotency::REPLAYED, header::RETRY_AFTER])
        .max_age(usize::try_from(config.max_age.as_secs()).ok());
    if config.allowed_origins.iter().any(|origin| origin == "*") {
        return cors.allow_any_origin().send_wildcard();
    }
    config.allowed_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}

#[cfg(test)]
mod tests;
