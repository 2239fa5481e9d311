//! The page at `/`: name and version of the server, its condition, and links. It holds no secret.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ContentType},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::{openapi, origin, readiness::Check};

pub struct StartPage<'a> {
    /// `embedded` or `ably`.
    pub provider: &'a str,
    /// How a user of this node gets a token.
    pub token_hint: &'a str,
    /// Whether there is a console.
    pub console: bool,
    /// If this is the node of a demo.
    pub demo: Option<&'a DemoPlaces>,
    pub checks: Vec<Check>,
}

/// Where the parts of a demo are.
pub struct DemoPlaces {
    /// The address of the page with two phones.
    pub phones: String,
    /// How a shell on this machine calls `tandem` for this node.
    pub tandem: String,
}

/// The node's icon, as SVG.
pub const ICON: &str = include_str!("icon.svg");

const STYLE: &str = include_str!("start_page.css");

/// The pages of this style load nothing but it, and run no script.
pub(super) static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// The shell lines on the page carry the address under which the client opened it.
pub fn start_page(page: &StartPage<'_>, request: &HttpRequest) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY.as_str()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(document("Tandem", &content(page, &origin(request))).into_string())
}

/// What browsers ask for on their own.
pub(super) async fn icon() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("image/svg+xml")
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .body(ICON)
}

/// For a browser at an address that is no page.
pub(super) fn nothing_here() -> HttpResponse {
    let words = html! {
        h1 { "Nothing here" }
        p { "This node has no page at this address." }
        p { a href="/" { "To the start page" } }
    };
    HttpResponse::NotFound()
        .content_type(ContentType::html())
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY.as_str()))
        .insert_header((header::VARY, "accept"))
        .body(document("Nothing here · Tandem", &words).into_string())
}

/// A page with the style that [`POLICY`] allows.
pub(super) fn document(title: &str, content: &Markup) -> Markup {
    whole_page(title, &html! { style { (PreEscaped(STYLE)) } }, &html! { main { (content) } })
}

/// What every page of the node has around its content. `head` is what its head has besides.
pub(crate) fn whole_page(title: &str, head: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                (head)
            }
            body { (body) }
        }
    }
}

fn content(page: &StartPage<'_>, origin: &str) -> Markup {
    html! {
        h1 { "Tandem" }
        p { "This server coordinates the sessions of two partners. Version " (crate::version::VERSION)
            ", realtime provider " code { (page.provider) } "." }
        (condition(&page.checks))
        (places(page))
        h2 { "A token, and a first call" }
        p { (page.token_hint) }
        pre tabindex="0" {
            "TOKEN=$(" (page.demo.map_or("tandem", |demo| &demo.tandem)) " token --user alex --name Alex)\n"
            "curl -H \"Authorization: Bearer $TOKEN\" \\\n  " (origin) "/api/v1/auth/me"
        }
    }
}

/// The condition of the node: a word if all checks pass, otherwise their problems.
fn condition(checks: &[Check]) -> Markup {
    let problems: Vec<&Check> = checks.iter().filter(|check| check.problem.is_some()).collect();
    html! {
        @if problems.is_empty() {
            p.well { "This node is well." }
        } @else {
            @for check in problems {
                p.ill { (if check.ok { "This node works, but: " } else { "This node is not well: " }) (check.problem.as_deref().unwrap_or("")) "." }
            }
        }
    }
}

fn places(page: &StartPage<'_>) -> Markup {
    html! {
        dl {
            @if let Some(demo) = page.demo {
                dt { a href=(demo.phones) { "Two phones" } }
                dd { "Play both partners in this browser" }
            }
            @if page.console {
                @let about = "For the operator: the condition of the node, and why an event reached a partner or did not";
                @match page.demo {
                    Some(demo) => {
                        dt { a href={ (demo.phones) "console" } { "Console" } }
                        dd { (about) }
                    }
                    None => {
                        dt { a href="/console" { "Console" } }
                        dd { (about) ". " code { "tandem console" } " prints a link that signs in" }
                    }
                }
            }
            dt { a href="/docs/" { "API" } }
            dd { "All operations, to read and to try; for programs as "
                a href=(openapi::ADDRESS) { "OpenAPI" } }
            dt { a href="/handbook/README.md" { "Handbook" } }
            dd { "How to run the server, how to connect an app, what it promises" }
            dt { a href="/health" { "Health" } ", " a href="/ready" { "readiness" } ", " a href="/metrics" { "metrics" } }
            dd { "The node's condition, for programs" }
        }
    }
}
