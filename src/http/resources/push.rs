//! The caller's devices and notification preferences.

use actix_web::{HttpResponse, web};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tandem_actors::{Refusal, domain::Code};
use utoipa::ToSchema;

use crate::{
    http::{
        body::Json,
        call::{Call, HandlerResult, JsonCall, answer},
        envelope::{Success, success_of},
        error::ApiError,
        idempotency,
    },
    push::{Preferences, PreferencesPatch, PushToken, Registration},
};

/// The device to remove. Without a token, all of the caller's devices.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, rename_all = "camelCase")]
#[schema(example = json!({ "pushToken": "ExponentPushToken[xxxxxxxxxxxxxxxxxxxxxx]" }))]
pub struct RemovePushToken {
    #[schema(value_type = Option<String>, max_length = 255,
        pattern = r#"^(Expo(nent)?PushToken\[[!#-Z^-~]+\]|[A-Za-z0-9]{8}(-[A-Za-z0-9]{4}){3}-[A-Za-z0-9]{12})$"#)]
    push_token: Option<PushToken>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    registered: bool,
    /// Whether the given time zone is known. If not, quiet hours use their own zone, or UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone_known: Option<bool>,
}

/// What the app's own service answers.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestPush {
    sent: bool,
    delay_seconds: u32,
    reason: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct PreferencesView {
    preferences: Preferences,
}

/// Register a device for pushes
///
/// A token of another user moves to the caller.
#[utoipa::path(
    post, path = "/auth/push-token", tag = "push", request_body = Registration,
    responses((status = 200, body = Success<Registered>), (status = 429))
)]
pub async fn register(call: JsonCall<Registration>) -> HandlerResult {
    let Call { state, user, body: Json(device), key, .. } = call;
    state.limits.push_token.check(&user.id)?;
    let time_zone_known = device.time_zone.as_ref().map(|_| device.known_time_zone().is_some());
    let work = async {
        state.devices.register(user.id.clone(), device).await?;
        let registered = Registered { registered: true, time_zone_known };
        serde_json::to_vec(&registered).map(Bytes::from).map_err(|_| ApiError::internal())
    };
    Ok(answer(&idempotency::once(&state, &user.id, key, work).await?))
}

/// Remove a device
///
/// At sign-out. Without a token, all of the caller's devices are removed.
#[utoipa::path(
    delete, path = "/auth/push-token", tag = "push", request_body = RemovePushToken,
    responses((status = 200, body = Success<Registered>), (status = 429))
)]
pub async fn remove(call: JsonCall<RemovePushToken>) -> HandlerResult {
    call.state.limits.push_token.check(&call.user.id)?;
    let (devices, user) = (&call.state.devices, call.user.id.clone());
    match call.body.0.push_token {
        Some(token) => devices.remove(user, token).await.map(drop)?,
        None => devices.remove_all(user).await?,
    }
    Ok(success_of(Registered { registered: false, time_zone_known: None }))
}

/// Request a test push
///
/// For developers of the app. This node sends none and always answers 403.
#[utoipa::path(
    post, path = "/auth/test-push-notification", tag = "push",
    responses((status = 200, body = Success<TestPush>), (status = 403))
)]
pub async fn test(_: Call) -> Result<web::Json<Success<TestPush>>, ApiError> {
    let message = "this node sends no test pushes; register a device and let a partner act";
    Err(ApiError::new(Code::Forbidden, message))
}

/// The caller's notification preferences
#[utoipa::path(
    get, path = "/auth/me/notification-preferences", tag = "push",
    responses((status = 200, body = Success<PreferencesView>))
)]
pub async fn preferences(call: Call) -> HandlerResult {
    Ok(view(call.state.devices.preferences(&call.user.id).map_err(Refusal::from)?))
}

/// Change the caller's notification preferences
#[utoipa::path(
    patch, path = "/auth/me/notification-preferences", tag = "push", request_body = PreferencesPatch,
    responses((status = 200, body = Success<PreferencesView>))
)]
pub async fn change_preferences(call: JsonCall<PreferencesPatch>) -> HandlerResult {
    Ok(view(call.state.devices.patch_preferences(call.user.id.clone(), call.body.0).await?))
}

fn view(preferences: Preferences) -> HttpResponse {
    success_of(PreferencesView { preferences })
}
