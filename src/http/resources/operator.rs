//! For the operator of the node. Without the operator's token these routes answer as if they did not exist.

use std::{path::PathBuf, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Data, Query},
};
use serde::{Deserialize, Serialize};
use tandem_actors::{
    Refusal,
    domain::{
        Code, Rejection,
        ids::{Seq, SessionId},
        time::Timestamp,
    },
    explain::{ExplainedEvent, Explanation, explain},
    supervisor::Quarantine,
};
use utoipa::{IntoParams, ToSchema};

use crate::{
    backups::{BackupService, BackupStatus, Secrets},
    http::{
        AppState,
        call::{bearer, path},
        envelope::{Success, success_of},
        error::ApiError,
        operator_changes::OperatorChange,
    },
    push::{self, ExplainedPush},
    store::StoreOpenError,
};

/// Characters of the name of who asks.
const LONGEST_NAME: usize = 60;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhyQuery {
    /// One event; all if absent.
    #[param(value_type = Option<u64>)]
    seq: Option<Seq>,
}

/// How each event of a session was routed, and what became of its pushes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionExplanation {
    session_id: SessionId,
    quarantine: Option<QuarantineView>,
    /// Records that cannot be read, each with its problem.
    unreadable: Vec<String>,
    #[schema(value_type = Vec<Object>)]
    events: Vec<ExplainedEvent>,
    #[schema(value_type = Vec<Object>)]
    pushes: Vec<ExplainedPush>,
}

#[derive(Serialize, ToSchema)]
pub struct QuarantineView {
    reason: String,
    /// The damaged record, if there is one.
    cause: Option<String>,
    /// What the operator can do.
    advice: &'static str,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

#[derive(Serialize, ToSchema)]
pub struct QuarantineList {
    sessions: Vec<QuarantinedSession>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuarantinedSession {
    session_id: SessionId,
    #[serde(flatten)]
    quarantine: QuarantineView,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseOutcome {
    session_id: SessionId,
    /// False if the session was not in quarantine, or is in quarantine again.
    released: bool,
    quarantine: Option<QuarantineView>,
    /// Why the released session does not answer yet.
    problem: Option<String>,
}

impl From<&Quarantine> for QuarantineView {
    fn from(quarantine: &Quarantine) -> Self {
        Self {
            reason: quarantine.reason(),
            cause: quarantine.cause.clone(),
            advice: quarantine.advice(),
            since: quarantine.since,
        }
    }
}

/// How each event was routed to each partner, and why
#[utoipa::path(
    get, path = "/operator/sessions/{id}/why", tag = "operator", security(("operator" = [])), params(WhyQuery),
    responses((status = 200, body = Success<SessionExplanation>))
)]
pub async fn why(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (state, session_id) = operator_on_session(&request)?;
    let read = Query::<WhyQuery>::from_query(request.query_string());
    let WhyQuery { seq } =
        read.map_err(|_| Rejection::invalid("seq", "something else", "an event's number"))?.into_inner();
    let Explanation { events, unreadable } = explain(&*state.store, &session_id, seq).map_err(Refusal::from)?;
    let pushes = push::explain(&*state.store, &session_id, seq).map_err(Refusal::from)?;
    let quarantine = state.coordinator.quarantine(&session_id).as_deref().map(QuarantineView::from);
    if events.is_empty() && pushes.is_empty() && unreadable.is_empty() && quarantine.is_none() {
        return Err(ApiError::new(Code::NotFound, "there is no record of such a session or event"));
    }
    Ok(success_of(SessionExplanation { session_id, quarantine, unreadable, events, pushes }))
}

/// All sessions in quarantine, and why
#[utoipa::path(
    get, path = "/operator/quarantine", tag = "operator", security(("operator" = [])),
    responses((status = 200, body = Success<QuarantineList>))
)]
pub async fn quarantined(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let state = operator_only(&request)?;
    let sessions = state
        .coordinator
        .quarantined()
        .into_iter()
        .map(|(session_id, quarantine)| QuarantinedSession { session_id, quarantine: (&*quarantine).into() });
    Ok(success_of(QuarantineList { sessions: sessions.collect() }))
}

/// Free a session from quarantine
///
/// The session is tried at once: `released` is false if it is in quarantine again.
#[utoipa::path(
    post, path = "/operator/sessions/{id}/release", tag = "operator", security(("operator" = [])),
    responses((status = 200, body = Success<ReleaseOutcome>))
)]
pub async fn release(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (state, session_id) = operator_on_session(&request)?;
    let outcome = state.coordinator.try_release(&session_id).await;
    let quarantine = state.coordinator.quarantine(&session_id).as_deref().map(QuarantineView::from);
    let released = matches!(outcome, Ok(true)) && quarantine.is_none();
    let problem = outcome.err().map(|refusal| refusal.to_string()).filter(|_| quarantine.is_none());
    Ok(success_of(ReleaseOutcome { session_id, released, quarantine, problem }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BackUpQuery {
    /// The directory of backups, an absolute path on the node's machine.
    #[param(value_type = String)]
    to: PathBuf,
    /// Whether the secrets and the settings of the data directory are part of it; true if absent.
    secrets: Option<bool>,
    /// Whether the directory is a temporary one, so that the next other backup goes on as if there were none; false if
    /// absent.
    snapshot: Option<bool>,
}

/// Begin a backup
///
/// It is taken in the background. `GET` says how far it is and how it ended.
#[utoipa::path(
    post, path = "/operator/backup", tag = "operator", security(("operator" = [])), params(BackUpQuery),
    responses((status = 202, body = Success<BackupStatus>))
)]
pub async fn back_up(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let state = operator_only(&request)?;
    let read = Query::<BackUpQuery>::from_query(request.query_string());
    let BackUpQuery { to, secrets, snapshot } =
        read.map_err(|_| ApiError::invalid("the query string must hold `to`, a directory"))?.into_inner();
    if !to.is_absolute() {
        return Err(Rejection::invalid("to", "a relative path", "an absolute path on the node's machine").into());
    }
    let backups = backups(&state)?;
    let begun = match snapshot {
        Some(true) => backups.begin_snapshot(&to),
        _ if secrets.unwrap_or(true) => backups.begin(&to, Secrets::Included),
        _ => backups.begin(&to, Secrets::LeftOut),
    };
    let status = begun.map_err(|error| ApiError::new(Code::Conflict, error.to_string()))?;
    Ok(HttpResponse::Accepted().json(Success { success: true, data: status }))
}

/// The backup under way, and how the last one ended
#[utoipa::path(
    get, path = "/operator/backup", tag = "operator", security(("operator" = [])),
    responses((status = 200, body = Success<BackupStatus>))
)]
pub async fn backup(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let state = operator_only(&request)?;
    Ok(success_of(backups(&state)?.status()))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct RekeyQuery {
    /// The file of the new key, an absolute path on the node's machine. The node must be able to read it.
    #[param(value_type = String)]
    key_file: PathBuf,
    /// Who asks, for the log and the list of changes; `operator` if absent.
    by: Option<String>,
}

/// A change of the store's key.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RekeyOutcome {
    /// The file that `store.encryption_key_file` must name before the next start.
    #[schema(value_type = String)]
    key_file: PathBuf,
    /// When the store had its new key.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// Give the encrypted store another key
///
/// The key is in force when this answers. Everything is encrypted again in the background; until then the metric
/// `tandem_store_encryption_pending` is 1.
#[utoipa::path(
    post, path = "/operator/store/rekey", tag = "operator", security(("operator" = [])), params(RekeyQuery),
    responses((status = 200, body = Success<RekeyOutcome>))
)]
pub async fn rekey(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let state = operator_only(&request)?;
    let read = Query::<RekeyQuery>::from_query(request.query_string());
    let RekeyQuery { key_file, by } =
        read.map_err(|_| ApiError::invalid("the query string must hold `keyFile`, a file"))?.into_inner();
    if !key_file.is_absolute() {
        return Err(Rejection::invalid("keyFile", "a relative path", "an absolute path on the node's machine").into());
    }
    let by = by.map_or_else(|| "operator".to_owned(), |by| by.chars().take(LONGEST_NAME).collect());
    let rekeying = state.rekeying.clone().ok_or_else(ApiError::no_such_route)?;
    let file = key_file.clone();
    let rekeyed = web::block(move || rekeying.rekey(&file)).await.map_err(|_| ApiError::internal())?;
    if let Err(error) = rekeyed {
        tracing::warn!(by, %error, "the store keeps its key");
        return Err(not_rekeyed(&error));
    }
    let at = state.clock.now();
    tracing::info!(
        by,
        file = %key_file.display(),
        "the store has another key, and everything is encrypted again; store.encryption_key_file must name this file before \
         the next start"
    );
    let outcome = format!("the key is the one in {}", key_file.display());
    state.operator_changes.tell(OperatorChange { at, by, what: "change the store's key", outcome });
    Ok(success_of(RekeyOutcome { key_file, at }))
}

fn not_rekeyed(error: &StoreOpenError) -> ApiError {
    let code = match error {
        StoreOpenError::Key { .. } => Code::ValidationError,
        StoreOpenError::KeySame { .. } | StoreOpenError::NotEncrypted { .. } | StoreOpenError::KeysUsedUp { .. } => {
            Code::Conflict
        }
        _ => Code::ServiceUnavailable,
    };
    ApiError::new(code, error.to_string())
}

fn backups(state: &AppState) -> Result<&Arc<BackupService>, ApiError> {
    state.backups.as_ref().ok_or_else(ApiError::no_such_route)
}

fn operator_only(request: &HttpRequest) -> Result<Data<AppState>, ApiError> {
    let state = AppState::of(request)?;
    let shown = bearer(request).unwrap_or_default();
    if !state.operator_token.as_ref().is_some_and(|token| token.matches(shown)) {
        return Err(ApiError::no_such_route());
    }
    Ok(state)
}

fn operator_on_session(request: &HttpRequest) -> Result<(Data<AppState>, SessionId), ApiError> {
    let state = operator_only(request)?;
    let session = path(request, "id").ok_or_else(|| ApiError::new(Code::NotFound, "there is no such session"))?;
    Ok((state, session))
}
