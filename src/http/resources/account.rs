//! The caller's own account.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tandem_actors::{
    Erasure, Refusal,
    domain::{
        Caller, Rejection,
        ids::{SessionId, UserId},
        private_text::PrivateText,
        time::Timestamp,
    },
    keys,
    ports::{Change, Direction},
};
use utoipa::ToSchema;

use crate::{
    http::{
        AppState,
        body::Json,
        call::{Call, HandlerResult, JsonCall},
        envelope::{Success, success_of},
        error::ApiError,
    },
    push,
    users::{Names, NamesRequest, PrivacyPatch, PrivacyPreferences, User},
};

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    user: UserView,
    /// How many of the caller's sessions are live.
    active_sessions: usize,
    push_notifications_enabled: bool,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    id: String,
    /// Empty if no token has named it.
    email: String,
    /// The name that partners see.
    name: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    biometric_enabled: bool,
    /// Always null. Another service holds moods.
    last_mood_intensity: Option<u8>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        let reveal = |words: &Option<PrivateText>| words.as_ref().map(|words| words.reveal().to_owned());
        Self {
            id: user.id.as_str().to_owned(),
            email: reveal(&user.email).unwrap_or_default(),
            name: reveal(&user.name),
            first_name: reveal(&user.first_name),
            last_name: reveal(&user.last_name),
            biometric_enabled: user.biometric_enrolled_at.is_some(),
            last_mood_intensity: None,
            created_at: user.created_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct Erased {
    /// Always `true`.
    deleted: bool,
    /// Always `true`.
    success: bool,
    summary: ErasureSummary,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErasureSummary {
    /// Live sessions that ended.
    sessions_abandoned: usize,
    /// Partners who were notified of the end of their session.
    partners_notified: usize,
    /// Sessions that lost the caller's texts, stored answers, and the profile.
    data_records_deleted: usize,
}

#[derive(Serialize, ToSchema)]
pub struct PrivacyView {
    preferences: PrivacyPreferences,
}

/// One of the two fields.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(example = json!({ "biometricEnabled": true }))]
pub struct BiometricRequest {
    biometric_enabled: Option<bool>,
    enabled: Option<bool>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Biometric {
    biometric_enabled: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    biometric_enrolled_at: Option<Timestamp>,
}

/// The caller's account
#[utoipa::path(get, path = "/auth/me", tag = "account", responses((status = 200, body = Success<Account>)))]
pub async fn me(call: Call) -> HandlerResult {
    account(&call, &call.user).await
}

/// Change the caller's names
#[utoipa::path(
    patch, path = "/auth/me", tag = "account", request_body = NamesRequest,
    responses((status = 200, body = Success<Account>))
)]
pub async fn rename(call: JsonCall<NamesRequest>) -> HandlerResult {
    let (call, Json(body)) = call.split();
    let names = Names::try_from(body)?;
    let user = changed(&call, |user| names.change(user)).await?;
    call.state.coordinator.rename(Caller::nameless(user.id.clone()), user.as_rename()).await?;
    account(&call, &user).await
}

/// Erase the account
///
/// Ends the caller's sessions, and deletes the caller's texts, devices and profile. It can be repeated.
#[utoipa::path(delete, path = "/auth/me", tag = "account", responses((status = 200, body = Success<Erased>)))]
pub async fn erase(call: Call) -> HandlerResult {
    let erasure = erase_account(&call.state, &call.user.id).await?;
    let summary = ErasureSummary {
        sessions_abandoned: erasure.sessions_abandoned,
        partners_notified: erasure.partners_notified,
        data_records_deleted: erasure.records + 1,
    };
    Ok(success_of(Erased { deleted: true, success: true, summary }))
}

/// Erases everything of a user. The profile is erased last, so that what was interrupted can be repeated with the same
/// effect.
pub(crate) async fn erase_account(state: &AppState, user: &UserId) -> Result<Erasure, ApiError> {
    let sessions = state.coordinator.sessions_ever(user)?;
    let erasure = erase_from_sessions(state, user, &sessions).await?;
    state.devices.erase(user.clone()).await?;
    // On Ably's cloud they stay valid until they expire, and so does an erased account's.
    state.realtime.provider.end_tokens_of(user).await?;
    state.realtime.provider.forget(user, &sessions).await?;
    state.users.erase(user).await?;
    Ok(erasure)
}

/// Erases the accounts that were erased after the state that a restore has brought back. Returns how many.
pub(crate) async fn erase_again(state: &AppState) -> Result<usize, ApiError> {
    let mut erased = 0;
    loop {
        let next = state.store.scan(&keys::all_to_erase(), None, Direction::Forward, 1).map_err(Refusal::from)?;
        let Some((key, _)) = next.into_iter().next() else { return Ok(erased) };
        if let Some(user) = keys::user_to_erase(&key) {
            erase_account(state, &user).await?;
            erased += 1;
        }
        state.journal.write(vec![Change::Delete(key)]).await?;
    }
}

/// Removes the user from every session, and deletes the user's pushes.
async fn erase_from_sessions(state: &AppState, user: &UserId, sessions: &[SessionId]) -> Result<Erasure, ApiError> {
    let coordinator = &state.coordinator;
    let erasure = coordinator.erasure_of(user).map_err(Refusal::from)?;
    coordinator.erase(Caller::nameless(user.clone())).await?;
    coordinator.forget_nicknames(user).await?;
    push::forget(&*state.store, &state.journal, user, sessions).await?;
    Ok(erasure)
}

/// Enable or disable unlocking by fingerprint or face
#[utoipa::path(
    patch, path = "/auth/biometric", tag = "account", request_body = BiometricRequest,
    responses((status = 200, body = Success<Biometric>))
)]
pub async fn biometric(call: JsonCall<BiometricRequest>) -> HandlerResult {
    let (call, Json(body)) = call.split();
    let wanted = body.biometric_enabled.or(body.enabled);
    let enabled = wanted.ok_or_else(|| Rejection::invalid("biometricEnabled", "nothing", "true or false"))?;
    let now = call.state.clock.now();
    let enroll = |user: &mut User| {
        user.biometric_enrolled_at = enabled.then(|| user.biometric_enrolled_at.unwrap_or(now));
    };
    let biometric_enrolled_at = changed(&call, enroll).await?.biometric_enrolled_at;
    Ok(success_of(Biometric { biometric_enabled: biometric_enrolled_at.is_some(), biometric_enrolled_at }))
}

/// The caller's privacy preferences
#[utoipa::path(
    get, path = "/auth/me/privacy-preferences", tag = "account",
    responses((status = 200, body = Success<PrivacyView>))
)]
pub async fn privacy(call: Call) -> HandlerResult {
    Ok(success_of(PrivacyView { preferences: call.user.privacy }))
}

/// Change the caller's privacy preferences
#[utoipa::path(
    patch, path = "/auth/me/privacy-preferences", tag = "account", request_body = PrivacyPatch,
    responses((status = 200, body = Success<PrivacyView>))
)]
pub async fn change_privacy(call: JsonCall<PrivacyPatch>) -> HandlerResult {
    let (call, Json(patch)) = call.split();
    let preferences = changed(&call, |user| user.privacy.patch(patch)).await?.privacy;
    if patch.show_activity_status.is_some() {
        // Also without a change: an earlier request may have been interrupted before this step.
        let caller = Caller::nameless(call.user.id.clone());
        call.state.coordinator.show_activity(caller, preferences.show_activity_status).await?;
    }
    Ok(success_of(PrivacyView { preferences }))
}

/// Changes the caller, and returns the caller afterwards.
async fn changed(call: &Call, edit: impl FnOnce(&mut User)) -> Result<Arc<User>, ApiError> {
    let user = call.state.users.change(&call.user.id, edit).await?;
    Ok(user.unwrap_or_else(|| call.user.clone()))
}

async fn account(call: &Call, user: &User) -> HandlerResult {
    Ok(success_of(Account::of(call, user).await?))
}

impl Account {
    pub(super) async fn of(call: &Call, user: &User) -> Result<Self, ApiError> {
        let active_sessions = call.state.coordinator.live_sessions(&user.id).await.map_err(Refusal::from)?;
        let push_notifications_enabled = call.state.devices.pushes_enabled(&user.id).unwrap_or_else(|error| {
            tracing::error!(%error, "devices cannot be read");
            false
        });
        Ok(Self { user: user.into(), active_sessions, push_notifications_enabled })
    }
}
