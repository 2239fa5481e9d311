//! The caller's own account.

use serde::Serialize;
use tandem_actors::domain::{
    command::{Rename, RenameRequest},
    time::Timestamp,
    words::Words,
};
use utoipa::ToSchema;

use crate::{
    http::{
        body::Json,
        call::{Answered, Call, Posted},
        envelope::{Success, success_of},
        error::ApiError,
    },
    users::User,
};

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    user: UserView,
    /// How many sessions of the caller's are going on.
    active_sessions: usize,
    push_notifications_enabled: bool,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    id: String,
    email: Option<String>,
    name: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        let reveal = |words: &Option<Words>| words.as_ref().map(|words| words.reveal().to_owned());
        Self {
            id: user.id.as_str().to_owned(),
            email: reveal(&user.email),
            name: reveal(&user.name),
            created_at: user.created_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct Erased {
    /// Always `true`.
    deleted: bool,
}

/// Who the caller is
#[utoipa::path(get, path = "/auth/me", tag = "account", responses((status = 200, body = Success<Account>)))]
pub async fn me(call: Call) -> Answered {
    account(&call, &call.user).await
}

/// Change the caller's name
#[utoipa::path(
    patch, path = "/auth/me", tag = "account", request_body = RenameRequest,
    responses((status = 200, body = Success<Account>))
)]
pub async fn rename(call: Posted<RenameRequest>) -> Answered {
    let (call, Json(body)) = call.split();
    let rename = Rename::try_from(body)?;
    let user = match &rename.name {
        Some(name) => call.state.users.rename(&call.user.id, name.clone()).await?,
        None => None,
    };
    call.state.coordinator.rename(call.user.id.clone(), rename).await?;
    account(&call, user.as_ref().unwrap_or(&call.user)).await
}

/// Erase the account
///
/// Ends the caller's sessions, and removes what the caller wrote, devices and profile. Repeating it does no harm.
#[utoipa::path(delete, path = "/auth/me", tag = "account", responses((status = 200, body = Success<Erased>)))]
pub async fn erase(call: Call) -> Answered {
    let (state, user) = (&call.state, &call.user.id);
    // The profile goes last: until then, a request that was interrupted can be repeated with the same effect.
    state.coordinator.erase(user.clone()).await?;
    state.push.erase(user.clone()).await?;
    state.users.erase(user).await?;
    Ok(success_of(Erased { deleted: true }))
}

async fn account(call: &Call, user: &User) -> Answered {
    let active_sessions = call.state.coordinator.active_sessions(user.id.clone()).await.map_err(ApiError::from)?.len();
    let push_notifications_enabled = call.state.push.push_enabled(&user.id);
    Ok(success_of(Account { user: user.into(), active_sessions, push_notifications_enabled }))
}
