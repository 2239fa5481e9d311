//! The service's own two routes, as Expo documents them.

use std::{collections::BTreeMap, time::Duration};

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, http::header, rt, web};
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tandem_intake::Sender;

use super::{
    connection::Connection,
    fault::{self, FaultKind, Route},
    state::{self, FakeExpoState, SeenRequest},
};
use crate::push::outcome::{
    TOO_MANY_EXPERIENCES, TOO_MANY_NOTIFICATIONS, TOO_MANY_REQUESTS, UNAUTHORIZED, VALIDATION_ERROR,
};

type Shared = web::Data<Mutex<FakeExpoState>>;

/// Ten times the size of a hundred notifications.
const LARGEST_BODY: usize = 4 * 1024 * 1024;

pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/--/api/v2/push/send", web::post().to(send))
        .route("/--/api/v2/push/getReceipts", web::post().to(receipts));
}

/// An answer's status and body.
type StatusAndBody = (u16, Value);

fn refusal(status: u16, code: &str, message: &str, details: Option<Value>) -> StatusAndBody {
    let mut error = json!({"code": code, "message": message});
    if let Some(details) = details {
        error["details"] = details;
    }
    (status, json!({"errors": [error]}))
}

async fn send(request: HttpRequest, payload: web::Payload, state: Shared) -> HttpResponse {
    let body = match read(&request, payload).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let kind = fault::take(&mut state.lock().faults, Route::Send);
    let before = matches!(
        kind,
        Some(
            FaultKind::RateLimit { .. }
                | FaultKind::ErrorBefore { .. }
                | FaultKind::ResetBefore
                | FaultKind::Unauthorized
                | FaultKind::Endless
                | FaultKind::Redirect { .. }
        )
    );
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut answer = if before { (200, json!({})) } else { accept(&mut state.lock(), &json, bearer(&request)) };
    if let Some(FaultKind::Code { code }) = &kind
        && let Some(first) = answer.1["data"].get_mut(0)
    {
        *first = state::error(code, "");
    }
    respond(&request, &state, json, answer, kind).await
}

async fn receipts(request: HttpRequest, payload: web::Payload, state: Shared) -> HttpResponse {
    let body = match read(&request, payload).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let kind = fault::take(&mut state.lock().faults, Route::Receipts);
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    let answer = match json["ids"].as_array() {
        None => refusal(400, VALIDATION_ERROR, "\"ids\" must be an array", None),
        Some(ids) if ids.len() > 1000 => {
            refusal(400, "PUSH_TOO_MANY_RECEIPTS", "at most 1000 receipts may be asked for", None)
        }
        Some(ids) => {
            let state = state.lock();
            let found = |id: &str| Some((id.to_owned(), state.receipt(id)?));
            let data: serde_json::Map<_, _> = ids.iter().filter_map(Value::as_str).filter_map(found).collect();
            (200, json!({"data": data}))
        }
    };
    respond(&request, &state, json, answer, kind).await
}

async fn read(request: &HttpRequest, payload: web::Payload) -> Result<Bytes, HttpResponse> {
    tandem_intake::read(request, &mut payload.into_inner(), LARGEST_BODY, Sender::Known).await.map_err(|error| {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        HttpResponse::build(status).json(refusal(error.status(), VALIDATION_ERROR, &error.to_string(), None).1)
    })
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// Accepts or refuses a send. Accepted messages reach their devices at once.
fn accept(state: &mut FakeExpoState, body: &Value, bearer: Option<&str>) -> StatusAndBody {
    let messages = match body {
        Value::Array(messages) => messages.as_slice(),
        single @ Value::Object(_) => std::slice::from_ref(single),
        _ => return refusal(400, VALIDATION_ERROR, "the body must be a message or an array of messages", None),
    };
    let mut sends: Vec<(&str, &Value)> = Vec::new();
    for message in messages {
        match recipients(message) {
            Some(tokens) => sends.extend(tokens.into_iter().map(|token| (token, message))),
            None => return refusal(400, VALIDATION_ERROR, "a message is not valid", None),
        }
    }
    if sends.iter().any(|(token, _)| state.setup(token).poison) {
        return refusal(400, VALIDATION_ERROR, "a message is not valid", None);
    }
    if sends.len() > 100 {
        return refusal(400, TOO_MANY_NOTIFICATIONS, "at most 100 notifications per request", None);
    }
    let mut projects: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (token, _) in &sends {
        projects.entry(state.setup(token).project).or_default().push(token);
    }
    if projects.len() > 1 {
        let details = serde_json::to_value(&projects).unwrap_or_default();
        return refusal(400, TOO_MANY_EXPERIENCES, "all recipients must be of one project", Some(details));
    }
    for (project, tokens) in &projects {
        let wanted = state.projects.get(project).and_then(|project| project.access_token.clone());
        match (wanted, bearer) {
            (Some(_), None) => return refusal(401, UNAUTHORIZED, "an access token is needed", None),
            (Some(wanted), Some(given)) if wanted != given => return wrong_bearer(),
            _ => {}
        }
        if !state.within_rate(project, tokens.len().try_into().unwrap_or(u32::MAX)) {
            return refusal(429, TOO_MANY_REQUESTS, "too many notifications in this second", None);
        }
    }
    let tickets: Vec<_> = sends.into_iter().map(|(token, message)| state.accept(token, message)).collect();
    (200, json!({"data": tickets}))
}

fn wrong_bearer() -> StatusAndBody {
    (401, json!({"error": "invalid_token", "error_description": "The bearer token is invalid"}))
}

/// The recipients of a message; `None` if the service would refuse it.
fn recipients(message: &Value) -> Option<Vec<&str>> {
    let optional = |key: &str, fits: fn(&Value) -> bool| message[key].is_null() || fits(&message[key]);
    let is_fine = optional("title", Value::is_string)
        && optional("body", Value::is_string)
        && optional("data", Value::is_object)
        && optional("badge", Value::is_u64)
        && optional("ttl", Value::is_u64)
        && optional("collapseId", |id| id.as_str().is_some_and(|id| id.len() <= 64))
        && optional("priority", |priority| matches!(priority.as_str(), Some("default" | "normal" | "high")));
    match &message["to"] {
        Value::String(token) if is_fine => Some(vec![token]),
        Value::Array(tokens) if is_fine && !tokens.is_empty() => tokens.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// Answers, or fails as a fault demands.
async fn respond(
    request: &HttpRequest,
    state: &Shared,
    body: Value,
    (status, mut answer): StatusAndBody,
    kind: Option<FaultKind>,
) -> HttpResponse {
    let seen = |status: u16| {
        let mut state = state.lock();
        let at_millis = state.now().as_millis().try_into().unwrap_or(u64::MAX);
        state.saw(SeenRequest {
            path: request.path().into(),
            at_millis,
            gzip: request.headers().contains_key(header::CONTENT_ENCODING),
            bearer: bearer(request).is_some(),
            body,
            status,
        });
    };
    match kind {
        Some(FaultKind::Slow { millis }) => rt::time::sleep(Duration::from_millis(millis)).await,
        Some(FaultKind::Hang) => {
            seen(0);
            return std::future::pending().await;
        }
        Some(FaultKind::ResetBefore | FaultKind::ResetAfter) => {
            seen(0);
            Connection::cut(request);
            return HttpResponse::Ok().finish();
        }
        Some(kind) => {
            if let Some(failure) = failure(&kind) {
                seen(failure.status().as_u16());
                return failure;
            }
            spoil(&mut answer, &kind);
        }
        None => {}
    }
    seen(status);
    HttpResponse::build(status_of(status)).json(answer)
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The response of a fault that replaces the answer.
fn failure(kind: &FaultKind) -> Option<HttpResponse> {
    Some(match kind {
        FaultKind::RateLimit { retry_after } => {
            let mut response = HttpResponse::TooManyRequests();
            if let Some(seconds) = retry_after {
                response.insert_header((header::RETRY_AFTER, *seconds));
            }
            response.json(refusal(429, TOO_MANY_REQUESTS, "slow down", None).1)
        }
        FaultKind::ErrorBefore { status } | FaultKind::ErrorAfter { status } => {
            HttpResponse::build(status_of(*status)).body("<html>the gateway is unwell</html>")
        }
        FaultKind::Unreadable => HttpResponse::Ok().body("{\"data\": [{\"status\": \"ok"),
        FaultKind::Unauthorized => HttpResponse::Unauthorized().json(wrong_bearer().1),
        FaultKind::Endless => {
            let chunk = || Ok::<_, actix_web::Error>(Bytes::from_static(&[b' '; 64 * 1024]));
            HttpResponse::Ok().streaming(futures_util::stream::repeat_with(chunk))
        }
        FaultKind::Redirect { to } => {
            HttpResponse::TemporaryRedirect().insert_header((header::LOCATION, to.as_str())).finish()
        }
        _ => return None,
    })
}

/// Changes the answer as a fault demands.
fn spoil(answer: &mut Value, kind: &FaultKind) {
    match kind {
        FaultKind::Short => {
            if let Some(tickets) = answer["data"].as_array_mut() {
                tickets.pop();
            }
        }
        FaultKind::OddTicket => {
            if let Some(first) = answer["data"].get_mut(0) {
                *first = Value::Null;
            }
        }
        FaultKind::TicketsAndErrors => {
            answer["errors"] = json!([{"code": "SOMETHING_ELSE", "message": "something else is wrong"}]);
        }
        _ => {}
    }
}
