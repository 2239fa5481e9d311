//! The routes of the console. The headers of all answers forbid frames of other sites, caches and foreign scripts.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    middleware::DefaultHeaders,
    web::{self, Data, FormConfig, Json, JsonConfig, Query, ServiceConfig},
};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use tandem_actors::ports::StoreError;

use super::{
    Console, acts, files, layout, live, pages,
    sign_in::{COOKIE_TTL, Operator},
    view::View,
};
use crate::http::is_https;

const COOKIE: &str = "tandem_console";
const HTML: &str = "text/html; charset=utf-8";

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The largest form, in bytes. A test message is the longest thing in one.
const BODY: usize = 64 * 1024;

/// Mounts the console. `None`: the console is off, and its paths are unknown.
pub fn configure(app: &mut ServiceConfig, console: Option<Arc<Console>>) {
    let Some(console) = console else { return };
    let headers = DefaultHeaders::new()
        .add((header::CONTENT_SECURITY_POLICY, POLICY))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::X_FRAME_OPTIONS, "DENY"))
        .add((header::REFERRER_POLICY, "same-origin"))
        .add((header::VARY, "cookie, accept"))
        .add((header::CACHE_CONTROL, "no-store"));
    let scope = web::scope("/console")
        .app_data(Data::from(console))
        .app_data(JsonConfig::default().limit(BODY))
        .app_data(FormConfig::default().limit(BODY))
        .wrap(headers)
        .route("/style.css", web::get().to(files::style))
        .route("/script.js", web::get().to(files::script))
        .route("/icon.svg", web::get().to(files::icon))
        .route("/link", web::post().to(link))
        .route("/enter", web::get().to(enter))
        .route("/leave", web::post().to(acts::leave))
        .configure(acts::mount)
        .default_service(web::to(page));
    app.service(scope);
}

#[derive(Deserialize)]
struct LinkFor {
    /// The operator who will sign in.
    name: String,
}

#[derive(Serialize)]
struct Link {
    path: String,
}

/// The longest name that is shown.
const NAME: usize = 40;

/// Gives the holder of the operator's token a path that signs in.
async fn link(request: HttpRequest, console: Data<Console>, body: Json<LinkFor>) -> HttpResponse {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if !console.node.operator_token.as_ref().is_some_and(|token| token.matches(shown)) {
        return nothing_here();
    }
    let name: String = body.name.chars().filter(|letter| !letter.is_control()).take(NAME).collect();
    let path = format!("/console/enter?ticket={}", console.sign_ins.ticket(&name));
    HttpResponse::Ok().json(Link { path })
}

#[derive(Deserialize)]
struct Ticket {
    #[serde(default)]
    ticket: String,
}

async fn enter(request: HttpRequest, console: Data<Console>, query: Query<Ticket>) -> HttpResponse {
    let Some(cookie) = console.sign_ins.enter(&query.ticket) else {
        let old = html! { p { "This link was used already, or is older than five minutes." } (how_to_sign_in()) };
        return shown(StatusCode::UNAUTHORIZED, &layout::alone("This link is not valid", &old));
    };
    let by = console.sign_ins.operator_of(&cookie).map(|operator| operator.name).unwrap_or_default();
    tracing::info!(by, "signed in to the console");
    let secure = if is_https(&request) { "; Secure" } else { "" };
    let (seconds, page) = (COOKIE_TTL.as_secs(), layout::entered().into_string());
    let cookie = format!("{COOKIE}={cookie}; Path=/console; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HttpResponse::Ok().insert_header((header::SET_COOKIE, cookie)).content_type(HTML).body(page)
}

/// The operator who sent a request, and the cookie.
pub fn signed_in(request: &HttpRequest, console: &Console) -> Option<(Operator, String)> {
    let sent = request.headers().get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let mut pairs = sent.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, cookie) = pairs.find(|(name, _)| *name == COOKIE)?;
    Some((console.sign_ins.operator_of(cookie)?, cookie.to_owned()))
}

async fn page(request: HttpRequest, console: Data<Console>) -> HttpResponse {
    let Some((operator, cookie)) = signed_in(&request, &console) else { return not_signed_in() };
    if !matches!(*request.method(), actix_web::http::Method::GET | actix_web::http::Method::HEAD) {
        return nothing_here();
    }
    let Some(view) = View::of(&request) else { return nothing_here() };
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepted.starts_with("text/event-stream") {
        return live::stream(console.into_inner(), view, operator, cookie);
    }
    if let View::Sessions(find) = &view {
        match pages::sessions::named(&console, find).await {
            Ok(Some(session)) => {
                let location = format!("/console/session?id={session}");
                return HttpResponse::SeeOther().insert_header((header::LOCATION, location)).finish();
            }
            Ok(None) => {}
            Err(error) => return unreadable(&error),
        }
    }
    match view.page(&console, &operator).await {
        Ok(page) => {
            let notice = console.sign_ins.take_notice(&cookie);
            shown(StatusCode::OK, &layout::whole(&view, &page, &operator, notice.as_ref()))
        }
        Err(error) => unreadable(&error),
    }
}

fn unreadable(error: &StoreError) -> HttpResponse {
    tracing::error!(%error, "a page of the console could not be read from the store");
    let words = html! { p { "The store could not be read. The log says why." } };
    shown(StatusCode::SERVICE_UNAVAILABLE, &layout::alone("Not now", &words))
}

pub fn not_signed_in() -> HttpResponse {
    let words = html! {
        p { "You are not signed in. A sign-in lasts twelve hours, and ends when the node is started again." }
        (how_to_sign_in())
    };
    shown(StatusCode::UNAUTHORIZED, &layout::alone("Sign in", &words))
}

pub fn nothing_here() -> HttpResponse {
    let words = html! { p { "There is no such page. " a href="/console" { "To the console" } } };
    shown(StatusCode::NOT_FOUND, &layout::alone("Nothing here", &words))
}

fn how_to_sign_in() -> Markup {
    html! {
        p { "On the machine of the node, run this. It prints a link that signs you in." }
        pre { code { "tandem console" } }
        p.hint { "Give it the node's data directory with " code { "--data" } " if it is not " code { "./data" } "." }
    }
}

pub fn shown(status: StatusCode, page: &Markup) -> HttpResponse {
    HttpResponse::build(status).content_type(HTML).body(page.clone().into_string())
}
