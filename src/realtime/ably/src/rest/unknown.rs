//! Requests for unknown paths. The server shares the root with the application. Ably clients get an error that they
//! can read.

use actix_web::{HttpRequest, HttpResponse, dev::RequestHead, http::header};

use super::response::RestResponse;
use crate::protocol::ErrorInfo;

/// The first segments of the server's paths.
const ROOTS: [&str; 12] = [
    "apps",
    "channels",
    "comet",
    "event-stream",
    "keys",
    "messages",
    "presence",
    "push",
    "revokeTokens",
    "sse",
    "stats",
    "time",
];

/// Whether an unanswered request comes from an Ably client.
pub fn is_from_ably_client(head: &RequestHead) -> bool {
    let path = head.uri.path();
    if path == "/api" || path.starts_with("/api/") {
        return false;
    }
    let root = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let query = head.uri.query().unwrap_or_default();
    let has_key =
        || url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "key" || name == "access_token");
    let is_basic = || {
        let value = head.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic ")))
    };
    ROOTS.contains(&root) || head.headers().contains_key("x-ably-version") || is_basic() || has_key()
}

pub async fn respond(request: HttpRequest) -> HttpResponse {
    RestResponse::error(ErrorInfo::not_found("there is nothing at this path")).respond(&request)
}
