//! The HTTP interface under `/api/v1` and `/api`. Requests are parsed into commands and queries of the domain, and the
//! sessions' answers are put into an envelope. This layer decides only who calls, how often, and how much.
//!
//! One table of routes ([`routes`]) is the source of the mounted routes and of the OpenAPI description. So neither can
//! have a route that the other lacks.

mod body;
mod body_problem;
mod body_schemas;
mod call;
mod config;
mod described_errors;
mod docs;
mod envelope;
mod error;
mod examples;
pub(crate) mod front;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz_tests;
mod handbook;
mod idempotency;
mod observe;
mod openapi;
mod operator_changes;
mod paging;
mod rate_limits;
mod readiness;
mod realtime_access;
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
    config::{AcmeSettings, CorsSettings, ServerSettings, TlsSettings},
    error::ApiError,
    operator_changes::{OperatorChange, OperatorChanges},
    rate_limits::RateLimits,
    readiness::Readiness,
    realtime_access::RealtimeAccess,
    start_page::{DemoPlaces, StartPage, start_page},
};
pub(crate) use self::{
    resources::{
        account::{erase_account, erase_again},
        realtime::{SignOutError, sign_out_everywhere},
    },
    start_page::{ICON, whole_page},
};
use crate::{
    auth::{Secret, Verifier},
    backups::BackupService,
    push::Devices,
    store::Rekeying,
    users::Users,
};

/// Everything that handlers use. One for all workers.
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
    /// The operator's token. Without one, the operator's routes answer 404.
    pub operator_token: Option<Secret>,
    /// Opens the AI service's routes; without one they do not exist.
    pub service_token: Option<Secret>,
    pub store: Arc<dyn Store>,
    /// Absent if the store is not one on the disk.
    pub backups: Option<Arc<BackupService>>,
    /// Absent if the store is not one on the disk.
    pub rekeying: Option<Rekeying>,
    /// Where changes by commands are listed.
    pub operator_changes: OperatorChanges,
    pub journal: Journal,
    pub clock: Arc<dyn Clock>,
    pub limits: RateLimits,
}

impl AppState {
    fn of(request: &HttpRequest) -> Result<Data<AppState>, ApiError> {
        request.app_data::<Data<AppState>>().cloned().ok_or_else(|| {
            tracing::error!("the routes were mounted without their application state");
            ApiError::internal()
        })
    }
}

/// Whether the client reached the node by TLS, its own or a reverse proxy's.
pub fn is_https(request: &HttpRequest) -> bool {
    // The node serves both kinds alike, so the connection itself does not tell.
    let state = request.app_data::<Data<AppState>>();
    state.is_some_and(|state| state.config.tls.is_some()) || request.connection_info().scheme() == "https"
}

/// The address under which the client reached the node, without a slash at the end.
fn origin(request: &HttpRequest) -> String {
    let scheme = if is_https(request) { "https" } else { "http" };
    format!("{scheme}://{}", request.connection_info().host())
}

/// Mounts all routes, and the answer to paths that no service of the app knows.
pub fn configure(app: &mut ServiceConfig, state: Data<AppState>) {
    let cors = &state.config.cors;
    for prefix in ["/api/v1", "/api"] {
        let cors = Condition::new(!cors.allowed_origins.is_empty(), allow(cors));
        app.service(routes::mount_api(prefix).wrap(cors));
    }
    routes::mount_root(app);
    app.service(web::redirect("/docs", "/docs/"))
        .configure(docs::mount)
        .configure(handbook::mount)
        .service(web::resource("/favicon.ico").route(web::get().to(start_page::icon)))
        .default_service(web::to(routes::unknown))
        .app_data(state);
}

fn allow(config: &CorsSettings) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            idempotency::HEADER,
            observe::REQUEST_ID,
            observe::TRACE_CONTEXT,
        ])
        .expose_headers([observe::REQUEST_ID, idempotency::REPLAYED, header::RETRY_AFTER])
        .max_age(usize::try_from(config.max_age.as_secs()).ok());
    if config.allowed_origins.iter().any(|origin| origin == "*") {
        return cors.allow_any_origin().send_wildcard();
    }
    config.allowed_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}

#[cfg(test)]
mod tests;
