//! Sessions: create, list, read, follow.

use serde::{Deserialize, Serialize};
use tandem_actors::{
    Badge, HeartbeatAnswer, ListFilter, Refusal, SessionsPage,
    domain::{
        Command, CreateSession, Query, Rejection,
        command::{CreateSessionRequest, ViewedRequest, fields},
        ids::Seq,
        stage::SessionStatus,
        view::{
            Deleted, EventsPage, ExistingSession, MessagesPage, Nudged, SessionCreated, SessionEnvelope, SessionState,
            ShareTabViewed, Viewed,
        },
    },
};
use utoipa::{IntoParams, ToSchema};

use crate::http::{
    body::Json,
    call::{Call, HandlerResult, JsonCall, answer, show},
    envelope::{Success, success_of},
    error::ApiError,
    idempotency,
    paging::page_length,
};

const PAGE: usize = 20;
const LARGEST_PAGE: usize = 50;
const EVENTS: usize = 100;
const MOST_EVENTS: usize = 500;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Names of statuses, separated by commas.
    #[param(
        value_type = Option<String>, example = "ACTIVE,PAUSED",
        pattern = "^(CREATED|INVITED|ACTIVE|PAUSED|WAITING|RESOLVED|ABANDONED|ARCHIVED)\
            (,(CREATED|INVITED|ACTIVE|PAUSED|WAITING|RESOLVED|ABANDONED|ARCHIVED))*$"
    )]
    status: Option<String>,
    #[param(pattern = r"^[0-9]{1,13}\.c[a-z0-9]{8,63}$")]
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 50, default = 20)]
    limit: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// The last `seq` that the caller has.
    #[param(value_type = Option<u64>)]
    after: Option<Seq>,
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MessagesQuery {
    /// Messages on the page.
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub struct Count {
    count: u32,
}

#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(example = json!({ "status": "active" }))]
pub struct PresenceRequest {
    /// `active` or `away`.
    #[schema(value_type = String, required, pattern = "^(active|away)$")]
    status: Option<String>,
}

/// Begin a session and invite the partner
///
/// A live session with the same person is a conflict. The app gets that session instead.
#[utoipa::path(
    post, path = "/sessions", tag = "sessions", request_body = CreateSessionRequest,
    responses(
        (status = 200, body = Success<ExistingSession>), (status = 201, body = Success<SessionCreated>),
        (status = 404), (status = 429)
    )
)]
pub async fn create(call: JsonCall<CreateSessionRequest>) -> HandlerResult {
    call.state.limits.create_session.check(&call.user.id)?;
    let (call, Json(body)) = call.split();
    let create = CreateSession::try_from(body)?;
    Ok(answer(&call.state.coordinator.create(call.caller(), create, call.key).await?))
}

/// The caller's sessions
#[utoipa::path(
    get, path = "/sessions", tag = "sessions", params(ListQuery),
    responses((status = 200, body = Success<SessionsPage>))
)]
pub async fn list(call: Call) -> HandlerResult {
    let ListQuery { status, cursor, limit } = call.fields()?;
    let status = status.map(|names| names.split(',').map(|name| session_status(name.trim())).collect()).transpose()?;
    let filter = ListFilter { status, cursor, limit: page_length(limit, PAGE, LARGEST_PAGE)? };
    Ok(show(&call.state.coordinator.list(&call.user.id, filter).await?))
}

/// How many sessions hold something unseen
#[utoipa::path(
    get, path = "/sessions/unread-count", tag = "sessions",
    responses((status = 200, body = Success<Count>))
)]
pub async fn unread_count(call: Call) -> HandlerResult {
    let count = call.state.coordinator.unread_count(&call.user.id).await.map_err(Refusal::from)?;
    Ok(success_of(Count { count }))
}

/// The number on the app's icon
///
/// Counts sessions that are going on or wait for the partner.
#[utoipa::path(
    get, path = "/notifications/badge-count", tag = "sessions",
    responses((status = 200, body = Success<Badge>))
)]
pub async fn badge_count(call: Call) -> HandlerResult {
    Ok(success_of(call.state.coordinator.badge(&call.user.id).await.map_err(Refusal::from)?))
}

/// One session
#[utoipa::path(
    get, path = "/sessions/{id}", tag = "sessions",
    responses((status = 200, body = Success<SessionEnvelope>))
)]
pub async fn detail(call: Call) -> HandlerResult {
    call.query(Query::Detail).await
}

/// Leave a session
///
/// A session that is going on ends for both; the caller no longer sees it.
#[utoipa::path(
    delete, path = "/sessions/{id}", tag = "sessions",
    responses((status = 200, body = Success<Deleted>))
)]
pub async fn withdraw(call: Call) -> HandlerResult {
    call.execute(Command::Withdraw).await
}

/// The whole state, for a client that reconnects
#[utoipa::path(
    get, path = "/sessions/{id}/state", tag = "sessions",
    responses((status = 200, body = Success<SessionState>))
)]
pub async fn state(call: Call) -> HandlerResult {
    call.query(Query::State).await
}

/// The events after a `seq`
///
/// Those that the caller may see, in order of `seq`.
#[utoipa::path(
    get, path = "/sessions/{id}/events", tag = "sessions", params(EventsQuery),
    responses((status = 200, body = Success<EventsPage>))
)]
pub async fn events(call: Call) -> HandlerResult {
    let session = call.session()?;
    let EventsQuery { after, limit } = call.reject_unless_member(call.fields()).await?;
    let limit = call.reject_unless_member(page_length(limit, EVENTS, MOST_EVENTS)).await?;
    let after = call.reject_unless_member(at_most("after", after, i64::MAX as u64)).await?;
    Ok(show(&call.state.coordinator.events(&session, &call.user.id, after.unwrap_or(0), limit).await?))
}

/// Report what the caller has seen
#[utoipa::path(
    post, path = "/sessions/{id}/viewed", tag = "sessions", request_body = ViewedRequest,
    responses((status = 200, body = Success<Viewed>))
)]
pub async fn viewed(call: JsonCall<ViewedRequest>) -> HandlerResult {
    call.execute_body().await
}

/// Report that the app's share tab was opened
#[utoipa::path(
    post, path = "/sessions/{id}/share-tab-viewed", tag = "sessions",
    responses((status = 200, body = Success<ShareTabViewed>))
)]
pub async fn share_tab_viewed(call: Call) -> HandlerResult {
    call.execute(Command::SawShareTab).await
}

/// The chat of a session
///
/// Another service holds the chat. The page is always empty; the app requests it before it shows anything.
#[utoipa::path(
    get, path = "/sessions/{id}/messages", tag = "sessions", params(MessagesQuery),
    responses((status = 200, body = Success<MessagesPage>))
)]
pub async fn messages(call: Call) -> HandlerResult {
    let MessagesQuery { limit } = call.reject_unless_member(call.fields()).await?;
    let limit = call.reject_unless_member(at_most("limit", limit, i32::MAX as u32)).await?;
    call.query(Query::Messages { limit }).await
}

/// A heartbeat, for clients without a realtime connection
#[utoipa::path(
    post, path = "/sessions/{id}/presence", tag = "sessions", request_body = PresenceRequest,
    responses((status = 200, body = Success<HeartbeatAnswer>))
)]
pub async fn presence(call: JsonCall<PresenceRequest>) -> HandlerResult {
    let session = call.session()?;
    let (call, Json(body)) = call.split();
    let active = fields::name("status", body.status, &[("active", true), ("away", false)]);
    let active = call.reject_unless_member(active).await?;
    let user = &call.user.id;
    if call.key.is_some() {
        // A stored answer is for members only, like a fresh one.
        call.state.coordinator.query(&session, user, Query::Summary).await?;
    }
    let beat = async { Ok(call.state.coordinator.heartbeat(&session, user, active).await?) };
    Ok(answer(&idempotency::once(&call.state, user, call.key, beat).await?))
}

/// Nudge the partner
///
/// Only once in a while, with a fixed text.
#[utoipa::path(
    post, path = "/sessions/{id}/nudge", tag = "sessions",
    responses((status = 200, body = Success<Nudged>), (status = 429))
)]
pub async fn nudge(call: Call) -> HandlerResult {
    call.execute(Command::Nudge).await
}

/// Refuses numbers above the largest one that the OpenAPI description allows.
fn at_most<N: PartialOrd + std::fmt::Display>(field: &str, number: Option<N>, most: N) -> Result<Option<N>, ApiError> {
    match number {
        Some(number) if number > most => Err(Rejection::invalid(field, number, format_args!("{most} at most")).into()),
        number => Ok(number),
    }
}

fn session_status(name: &str) -> Result<SessionStatus, ApiError> {
    let known = serde_json::from_value(serde_json::Value::String(name.to_owned()));
    known
        .map_err(|_| Rejection::invalid("status", "another name", "names of session statuses, as ACTIVE,PAUSED").into())
}
