//! The table of routes. A handler's `#[utoipa::path]` states its path, input and output. The table lists the handlers;
//! both the mounted routes and their description are made from it.

use actix_web::{
    HttpRequest, HttpResponse, Resource, Scope,
    dev::{HttpServiceFactory, Service},
    http::{Method, header},
    web::{self, ServiceConfig},
};
use utoipa::{
    __dev::{SchemaReferences, Tags},
    Path,
    openapi::{
        RefOr, Schema,
        path::{HttpMethod, Operation},
    },
};

use super::{
    error::ApiError,
    observe::{ObservedRequest, RouteMetrics},
    resources::*,
    start_page,
};

pub type Schemas = Vec<(String, RefOr<Schema>)>;

/// One method of one path.
pub struct Handler {
    pub method: Method,
    pub http_method: HttpMethod,
    pub path: String,
    /// Its id is made of the module's and the handler's names.
    pub operation: Operation,
    pub schemas: fn(&mut Schemas),
    route: fn() -> actix_web::Route,
}

impl Handler {
    fn new<P: Path + SchemaReferences + for<'t> Tags<'t>>(
        resource: &str,
        name: &str,
        route: fn() -> actix_web::Route,
    ) -> Self {
        let mut operation = P::operation();
        operation.operation_id = Some(format!("{resource}_{name}"));
        operation.tags = Some(P::tags().into_iter().map(str::to_owned).collect());
        let http_method = P::methods().swap_remove(0);
        Self { method: method(&http_method), http_method, path: P::path(), operation, schemas: P::schemas, route }
    }
}

/// All methods of one path.
pub struct Route {
    pub path: String,
    pub handlers: Vec<Handler>,
}

impl Route {
    /// The methods, as in an `Allow` header.
    pub fn allow(&self) -> String {
        let methods = self.handlers.iter().map(|handler| match handler.method {
            Method::GET => "GET, HEAD",
            ref method => method.as_str(),
        });
        methods.collect::<Vec<_>>().join(", ")
    }

    /// `prefix` is the part of the path that the surrounding scope matches.
    fn mount(self, prefix: &str) -> impl HttpServiceFactory + use<> {
        let allow = self.allow();
        let metrics = RouteMetrics::of(&self.path);
        let mut resource = Resource::new(self.path.strip_prefix(prefix).unwrap_or(&self.path));
        for handler in self.handlers {
            if handler.method == Method::GET {
                resource = resource.route((handler.route)().method(Method::HEAD));
            }
            resource = resource.route((handler.route)().method(handler.method));
        }
        resource
            .default_service(web::to(move || {
                let refusal = ApiError::wrong_method(&allow);
                async move { Err::<HttpResponse, _>(refusal) }
            }))
            .wrap_fn(move |request, service| {
                let observed = ObservedRequest::begin(&metrics, &request);
                observed.run(service.call(request))
            })
    }
}

/// The routes under `/api/v1` or `/api`. The router tries routes one after the other, and each route with a placeholder
/// costs a regular expression. So the session's id is matched once for all routes of a session.
pub(super) fn mount_api(base: &str) -> Scope {
    let (of_a_session, others): (Vec<_>, Vec<_>) =
        api().into_iter().partition(|route| route.path.starts_with(A_SESSION));
    let session = mount(web::scope(A_SESSION), of_a_session, A_SESSION);
    let (first, last): (Vec<_>, Vec<_>) = others.into_iter().partition(|route| route.path.starts_with(SESSIONS));
    mount(mount(web::scope(base), first, "").service(session), last, "")
}

pub(super) fn mount_root(app: &mut ServiceConfig) {
    for route in root() {
        app.service(route.mount(""));
    }
}

const SESSIONS: &str = "/sessions";
pub(super) const A_SESSION: &str = "/sessions/{id}";

fn mount(scope: Scope, routes: Vec<Route>, prefix: &str) -> Scope {
    let scope = routes.into_iter().fold(scope, |scope, route| scope.service(route.mount(prefix)));
    scope.default_service(web::to(unknown))
}

/// The answer to unknown paths: a page for a browser, and an error for programs.
pub(super) async fn unknown(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_browser = request.method() == Method::GET && accepted.starts_with("text/html");
    if is_browser && !request.path().starts_with("/api") {
        return Ok(start_page::nothing_here());
    }
    Err(ApiError::no_such_route())
}

macro_rules! routes {
    ($($module:ident: $($handler:ident),+;)+) => { pastey::paste! {
        grouped(vec![$($(
            Handler::new::<$module::[<__path_ $handler>]>(
                stringify!($module), stringify!($handler), || web::to($module::$handler)
            )
        ),+),+])
    } };
}

/// The routes under `/api/v1` and `/api`.
pub fn api() -> Vec<Route> {
    routes! {
        sessions: create, list, unread_count, badge_count, detail, withdraw, state, events, viewed, share_tab_viewed, messages, presence,
            nudge;
        stages: progress, gates, advance;
        lifecycle: pause, resume, resolve, archive;
        consents: pending, decide, revoke, history;
        compact: sign, status;
        witness: feel_heard;
        empathy: draft, save_draft, consent, partner, status, validate, resubmit, skip_refinement, share_offer, pending_actions;
        needs: list, add, capture, apply_edits, confirm, share, validate, comparison, remove, common_ground, confirm_common_ground;
        strategies: list, propose, ready, rank, overlap;
        agreements: list, propose, answer;
        stage4: state, select, select_many, share, unshare, decline_need, address_need, walk, close, open_sub_chat,
            sub_chat, say, resolve_sub_chat;
        tending: list, history, write_note, reenter, check_in, respond, share, unshare;
        invitations: look, acknowledge, accept, decline, resend, own, confirm, message, confirm_topic;
        account: me, rename, erase, biometric, privacy, change_privacy;
        export: ask, fetch, own;
        people: list, person, sessions, nickname;
        push: register, remove, preferences, change_preferences, test;
        realtime: ably_token, sign_out, config;
        webhooks: ably;
        operator: why, quarantined, release, back_up, backup, rekey;
        service: invitation, offer_feel_heard, empathy_draft, needs, strategy, answer_sub_chat;
        documentation: openapi;
    }
}

/// The routes at the root.
pub fn root() -> Vec<Route> {
    routes! {
        node: health, ready, metrics;
    }
}

/// One entry for each path, in the order of the table.
fn grouped(handlers: Vec<Handler>) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    for handler in handlers {
        match routes.iter_mut().find(|route| route.path == handler.path) {
            Some(route) => route.handlers.push(handler),
            None => routes.push(Route { path: handler.path.clone(), handlers: vec![handler] }),
        }
    }
    routes
}

fn method(method: &HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Trace => Method::TRACE,
    }
}
