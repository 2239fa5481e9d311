//! Ably's REST interface and the WebSocket's route. All routes are at the root, because SDKs have no base path.

mod batch;
mod channels;
mod enumeration;
mod event_stream;
mod form;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz_tests;
mod keys;
mod presentation;
mod request;
mod response;
mod sandbox;
mod summary;
mod unenveloped;
mod unknown;
mod upgrade;

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, guard, http::Method, web};
use tandem_intake::{IntakeError, Sender};

use self::{request::RestRequest, response::RestResponse};
use crate::{
    auth::Operation,
    endpoint::Endpoint,
    protocol::{ErrorInfo, MAX_FRAME_SIZE},
    stats::StatsQuery,
};

/// The largest body of an authenticated request.
const MAX_BODY: usize = 2 * MAX_FRAME_SIZE;
/// The largest body of an open route.
const MAX_OPEN_BODY: usize = MAX_FRAME_SIZE;
/// Routes without authentication. A token request is signed itself, and everybody may make test apps.
const OPEN: [&str; 2] = ["/keys/{key}/requestToken", "/apps"];

type Shared = web::Data<Arc<Endpoint>>;

/// A route for a method. HEAD works wherever GET does.
macro_rules! route {
    (get) => {
        web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
    };
    ($method:ident) => {
        web::$method()
    };
}

/// Routes: `method path → handler(&RestRequest) -> Result<RestResponse, ErrorInfo>`.
macro_rules! resource {
    ($cfg:ident, $endpoint:expr, $path:literal, $($method:ident => $handler:path),+) => {
        $cfg.service(
            web::resource($path)
                .app_data(web::Data::new($endpoint.clone()))
                $(.route(route!($method).to(|endpoint: Shared, request: HttpRequest, payload: web::Payload| async move {
                    respond(&endpoint, &request, payload, $handler).await
                })))+
                .route(web::method(actix_web::http::Method::OPTIONS).to(response::preflight))
                .default_service(web::to(not_allowed)),
        )
    };
}

impl Endpoint {
    /// Mounts the WebSocket and all of REST at the root, and starts the maintenance.
    pub fn configure(self: &Arc<Self>, cfg: &mut web::ServiceConfig) {
        mount(self, cfg);
        self.start_maintenance();
    }
}

fn mount(endpoint: &Arc<Endpoint>, cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/")
            .app_data(web::Data::new(endpoint.clone()))
            .route(web::get().guard(actix_web::guard::fn_guard(upgrade::is_upgrade)).to(upgrade::open))
            .route(route!(get).to(start_page))
            .route(web::method(actix_web::http::Method::OPTIONS).to(response::preflight))
            .default_service(web::to(not_allowed)),
    );
    resource!(cfg, endpoint, "/time", get => time);
    if endpoint.services.config.sandbox {
        resource!(cfg, endpoint, "/stats", get => stats, post => sandbox::take_stats);
    } else {
        resource!(cfg, endpoint, "/stats", get => stats);
    }
    resource!(cfg, endpoint, "/keys/{key}/requestToken", get => keys::token_of_query, post => keys::request_token);
    resource!(cfg, endpoint, "/keys/{key}/revokeTokens", post => keys::revoke_tokens);
    resource!(cfg, endpoint, "/messages", post => batch::publish);
    resource!(cfg, endpoint, "/presence", get => batch::presence);
    resource!(cfg, endpoint, "/channels/{channel}", get => channels::status);
    resource!(cfg, endpoint, "/channels/{channel}/messages", get => channels::messages, post => channels::publish);
    resource!(cfg, endpoint, "/channels/{channel}/history", get => channels::messages);
    resource!(cfg, endpoint, "/channels/{channel}/presence", get => channels::presence);
    resource!(cfg, endpoint, "/channels/{channel}/presence/history", get => channels::presence_history);
    resource!(cfg, endpoint, "/channels/{channel}/{rest:.*}", get => unsupported_route, post => unsupported_route, put => unsupported_route, patch => unsupported_route, delete => unsupported_route);
    resource!(cfg, endpoint, "/push/{rest:.*}", get => unsupported_route, post => unsupported_route, put => unsupported_route, patch => unsupported_route, delete => unsupported_route);
    resource!(cfg, endpoint, "/push", get => unsupported_route, post => unsupported_route);
    resource!(cfg, endpoint, "/comet/{rest:.*}", get => unsupported_route, post => unsupported_route);
    for path in ["/sse", "/event-stream"] {
        cfg.service(
            web::resource(path)
                .app_data(web::Data::new(endpoint.clone()))
                .route(web::get().to(event_stream::open))
                .route(web::method(actix_web::http::Method::OPTIONS).to(response::preflight))
                .default_service(web::to(not_allowed)),
        );
    }
    resource!(cfg, endpoint, "/channels", get => enumeration::channels);
    if endpoint.services.config.sandbox {
        resource!(cfg, endpoint, "/apps", post => sandbox::create);
        resource!(cfg, endpoint, "/apps/{app}", delete => sandbox::delete);
    }
    // A request for an unknown path gets Ably's "not found" if it comes from an Ably client. All others go to the
    // application.
    cfg.service(
        web::resource("/{rest:.*}")
            .guard(guard::fn_guard(|context| unknown::is_from_ably_client(context.head())))
            .to(unknown::respond),
    );
}

async fn not_allowed(request: HttpRequest) -> HttpResponse {
    RestResponse::error(ErrorInfo::method_not_allowed("this method is not allowed here")).respond(&request)
}

async fn respond(
    endpoint: &Arc<Endpoint>,
    request: &HttpRequest,
    payload: web::Payload,
    handler: fn(&RestRequest<'_>) -> Result<RestResponse, ErrorInfo>,
) -> HttpResponse {
    let outcome = match body_of(endpoint, request, payload).await {
        Ok(body) => presentation::present(&RestRequest::new(endpoint, request, body), handler),
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(RestResponse::error).settled().await.respond(request)
}

/// Reads the body of an authenticated request, or of a request to an open route.
async fn body_of(
    endpoint: &Arc<Endpoint>,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<web::Bytes, ErrorInfo> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::DELETE) {
        return Ok(web::Bytes::new());
    }
    let is_open = request.match_pattern().is_some_and(|pattern| OPEN.contains(&&*pattern));
    let (sender, limit) = if is_open { (Sender::Stranger, MAX_OPEN_BODY) } else { (Sender::Known, MAX_BODY) };
    if !is_open {
        RestRequest::new(endpoint, request, web::Bytes::new()).caller()?;
    }
    tandem_intake::read(request, &mut payload.into_inner(), limit, sender).await.map_err(refused)
}

fn refused(error: IntakeError) -> ErrorInfo {
    let code = match error {
        IntakeError::TooLarge { .. } => 40009,
        IntakeError::TooSlow => 40800,
        IntakeError::NoRoom => 50003,
        IntakeError::Broken | IntakeError::Encoding | IntakeError::Unreadable => 40000,
    };
    ErrorInfo::new(code, error.status(), error.to_string())
}

async fn start_page(request: HttpRequest, endpoint: Shared) -> HttpResponse {
    match endpoint.start_page.get() {
        Some(page) => page(&request),
        None => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("Tandem\n"),
    }
}

fn time(request: &RestRequest<'_>) -> Result<RestResponse, ErrorInfo> {
    Ok(request.response(200, &[request.endpoint.services.now().as_millis()]))
}

fn stats(request: &RestRequest<'_>) -> Result<RestResponse, ErrorInfo> {
    let caller = request.caller()?;
    if !caller.grant.capability.allows_somewhere(Operation::Stats) {
        return Err(ErrorInfo::not_permitted("statistics need the stats operation"));
    }
    let query = StatsQuery::read(|name| request.param(name))?;
    let (page, more) = caller.hub.stats.page(&caller.hub.app, &query, request.endpoint.services.now().as_millis());
    let next = page.last().filter(|_| more).map(|interval| interval.id().to_owned());
    Ok(request.response(200, &page).with_links("stats", request.links(next)))
}

fn unsupported_route(request: &RestRequest<'_>) -> Result<RestResponse, ErrorInfo> {
    request.caller()?;
    Err(ErrorInfo::unsupported(
        "this server does not support this: LiveObjects, annotations, message updates, push administration and comet are left out",
    ))
}
