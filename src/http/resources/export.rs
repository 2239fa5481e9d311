//! The caller's data for export. It is made of answers that the caller could request one by one, so it can show nothing
//! else. It is divided into pages of a few sessions each. What is exported does not count as seen. An export is
//! complete or refused: a session that cannot answer at the moment is a 503, not a gap.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tandem_actors::{
    ListFilter, Reader, Refusal,
    domain::{
        Query,
        ids::{Seq, SessionId},
        time::Timestamp,
        view::Condition,
    },
};
use utoipa::{IntoParams, ToSchema};

use super::account::Account;
use crate::{
    http::{
        call::{Call, HandlerResult},
        envelope::{Success, success_of},
        error::ApiError,
        origin,
    },
    push::{Device, Platform, Preferences},
    users::PrivacyPreferences,
};

const SESSIONS_ON_A_PAGE: usize = 10;
const EVENTS_AT_A_TIME: usize = 100;
const GOOD_FOR: std::time::Duration = std::time::Duration::from_secs(60 * 60);

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportPlace {
    /// Needs the caller's bearer token.
    export_url: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    #[param(pattern = r"^[0-9]{1,13}\.c[a-z0-9]{8,63}$")]
    cursor: Option<String>,
}

/// One page. The account and the preferences are on each.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Export {
    #[schema(value_type = String, format = DateTime)]
    exported_at: Timestamp,
    account: Account,
    notification_preferences: Preferences,
    privacy_preferences: PrivacyPreferences,
    devices: Vec<ExportedDevice>,
    /// The newest change first.
    sessions: Vec<ExportedSession>,
    /// For the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    has_more: bool,
}

/// A device that gets the caller's pushes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportedDevice {
    /// The beginning of its push token.
    token: String,
    /// `ios` or `android`; null if the app has not told it.
    #[schema(value_type = Option<String>)]
    platform: Option<Platform>,
    locale: Option<String>,
    time_zone: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    registered_at: Timestamp,
}

impl From<&Device> for ExportedDevice {
    fn from(device: &Device) -> Self {
        Self {
            token: device.token.shortened(),
            platform: device.platform,
            locale: device.locale.clone(),
            time_zone: device.time_zone.clone(),
            registered_at: device.registered_at,
        }
    }
}

/// What the caller may see of a session: the answers of the routes with the same names. Null where consent is missing,
/// or where a session in quarantine cannot be read.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportedSession {
    id: SessionId,
    /// `quarantined`: parts may be missing that can be exported once an operator has released the session.
    #[schema(value_type = String)]
    condition: Condition,
    #[schema(value_type = Option<Object>)]
    state: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    empathy_draft: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    partner_empathy: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    needs: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    needs_comparison: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    strategies: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    agreements: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    consent_history: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    tending: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    tending_history: Option<Box<RawValue>>,
    /// All of them.
    #[schema(value_type = Option<Object>)]
    events: Option<Events>,
}

/// The events of a session, or of a part of it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Events {
    events: Vec<Box<RawValue>>,
    seq: Seq,
    has_more: bool,
}

/// Request an export of the caller's data
///
/// Returns the address of the export. It needs the caller's token.
#[utoipa::path(post, path = "/me/export", tag = "account", responses((status = 200, body = Success<ExportPlace>)))]
pub async fn ask(call: Call) -> HandlerResult {
    let export_url = format!("{}/api/v1/me/export", origin(&call.request));
    Ok(success_of(ExportPlace { export_url, expires_at: call.state.clock.now() + GOOD_FOR }))
}

/// The caller's data
#[utoipa::path(
    get, path = "/me/export", tag = "account", params(ExportQuery),
    responses((status = 200, body = Success<Export>))
)]
pub async fn fetch(call: Call) -> HandlerResult {
    let ExportQuery { cursor } = call.fields()?;
    let (state, user) = (&call.state, &call.user.id);
    let filter = ListFilter { status: None, cursor, limit: SESSIONS_ON_A_PAGE };
    let page = state.coordinator.list(user, filter).await?;
    let Page { items, cursor, has_more } = serde_json::from_slice(&page).map_err(unreadable)?;
    let reach = state.devices.reach(user).map_err(Refusal::from)?;
    let mut sessions = Vec::with_capacity(items.len());
    for Item { id } in items {
        sessions.push(session(&call, id).await?);
    }
    Ok(success_of(Export {
        exported_at: state.clock.now(),
        account: Account::of(&call, &call.user).await?,
        notification_preferences: state.devices.preferences(user).map_err(Refusal::from)?,
        privacy_preferences: call.user.privacy,
        devices: reach.devices.iter().map(ExportedDevice::from).collect(),
        sessions,
        cursor,
        has_more,
    }))
}

/// All that the node holds of the caller
///
/// Profile, preferences, devices with the beginnings of their tokens, and each session with the caller's own words,
/// and those of the partner that the caller may see. In pages, as `GET /me/export`.
#[utoipa::path(
    get, path = "/auth/me/export", tag = "account", params(ExportQuery),
    responses((status = 200, body = Success<Export>))
)]
pub async fn own(call: Call) -> HandlerResult {
    fetch(call).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<Item>,
    #[serde(default)]
    cursor: Option<String>,
    has_more: bool,
}

#[derive(Deserialize)]
struct Item {
    id: SessionId,
}

async fn session(call: &Call, id: SessionId) -> Result<ExportedSession, ApiError> {
    let is_quarantined = call.state.coordinator.quarantine(&id).is_some();
    let read = Reading { call, session: &id, is_quarantined };
    Ok(ExportedSession {
        condition: if is_quarantined { Condition::Quarantined } else { Condition::Ok },
        state: read.shown(Query::State).await?,
        empathy_draft: read.shown(Query::EmpathyDraft).await?,
        partner_empathy: read.shown(Query::EmpathyPartner).await?,
        needs: read.shown(Query::Needs).await?,
        needs_comparison: read.shown(Query::NeedsComparison).await?,
        strategies: read.shown(Query::Strategies).await?,
        agreements: read.shown(Query::Agreements).await?,
        consent_history: read.shown(Query::ConsentHistory).await?,
        tending: read.shown(Query::Tending).await?,
        tending_history: read.shown(Query::TendingHistory).await?,
        events: read.events().await?,
        id,
    })
}

/// A session while it is exported.
struct Reading<'a> {
    call: &'a Call,
    session: &'a SessionId,
    /// Whether the export names it as quarantined. A session that goes into quarantine meanwhile fails the export.
    is_quarantined: bool,
}

impl Reading<'_> {
    async fn shown(&self, query: Query) -> Result<Option<Box<RawValue>>, ApiError> {
        let Self { call, session, .. } = self;
        self.answered(call.state.coordinator.query_for(Reader::Export, session, &call.user.id, query).await)
    }

    /// All events, read part by part, so that the session can do other work in between.
    async fn events(&self) -> Result<Option<Events>, ApiError> {
        let Self { call, session, .. } = self;
        let mut all = Events { events: Vec::new(), seq: 0, has_more: true };
        while all.has_more {
            let (coordinator, viewer) = (&call.state.coordinator, &call.user.id);
            let part = coordinator.events_for(Reader::Export, session, viewer, all.seq, EVENTS_AT_A_TIME).await;
            let Some(part) = self.answered::<Events>(part)? else { return Ok(None) };
            all.events.extend(part.events);
            (all.seq, all.has_more) = (part.seq, part.has_more);
        }
        Ok(Some(all))
    }

    /// The answer, or `None` if consent is missing, or if the session is in quarantine and this cannot be read.
    fn answered<T: DeserializeOwned>(&self, answer: Result<bytes::Bytes, Refusal>) -> Result<Option<T>, ApiError> {
        match answer {
            Ok(answer) => serde_json::from_slice(&answer).map(Some).map_err(unreadable),
            Err(Refusal::Rejected(_)) => Ok(None),
            Err(_) if self.is_quarantined => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

fn unreadable(error: serde_json::Error) -> ApiError {
    Refusal::Internal(format!("an answer cannot be read: {error}")).into()
}
