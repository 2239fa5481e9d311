//! How the caller's app reaches the realtime channels.

use serde::{Deserialize, Serialize};
use tandem_actors::domain::{
    Query, Rejection,
    ids::{SessionId, UserId},
    time::Timestamp,
};
use utoipa::{IntoParams, ToSchema};

use crate::{
    http::{
        AppState,
        call::{Call, HandlerResult},
        envelope::{Success, success_of},
        is_https,
        realtime_access::RealtimeDescription,
    },
    realtime::{RealtimeTokens, TokensNotEnded, token::TokenRequest},
    users::UsersError,
};

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RealtimeToken {
    /// For the SDK's `authCallback`: `callback(null, body.data.tokenRequest)`.
    token_request: TokenRequest,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedOut {
    /// False on Ably's cloud: realtime tokens stay valid until they expire.
    signed_out: bool,
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct ConfigQuery {
    /// The session whose channels are requested.
    session_id: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RealtimeConfig {
    #[serde(flatten)]
    endpoint: RealtimeDescription,
    recovery: Recovery,
    /// What to show while the connection is lost.
    show: [Show; 4],
}

/// The SDK's client options for recovery, in milliseconds.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    connection_state_ttl: u32,
    disconnected_retry_timeout: u32,
    suspended_retry_timeout: u32,
}

/// What a user sees some time after the connection was lost.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Show {
    /// The SDK's connection state.
    state: &'static str,
    /// Milliseconds since the connection was lost.
    after_ms: u32,
    /// `nothing`, `toast`, `modal` or `error`.
    show: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'static str>,
}

const RECOVERY: Recovery =
    Recovery { connection_state_ttl: 120_000, disconnected_retry_timeout: 5_000, suspended_retry_timeout: 15_000 };

const SHOW: [Show; 4] = [
    Show { state: "disconnected", after_ms: 0, show: "nothing", text: None },
    Show { state: "disconnected", after_ms: 30_000, show: "toast", text: Some("Reconnecting...") },
    Show {
        state: "suspended",
        after_ms: 120_000,
        show: "modal",
        text: Some("Connection lost. Your progress is saved."),
    },
    Show { state: "failed", after_ms: 0, show: "error", text: Some("Please refresh.") },
];

/// A signed request for a realtime token
///
/// Covers the channels of the caller's active sessions, for one hour.
#[utoipa::path(
    get, path = "/auth/ably-token", tag = "realtime",
    responses((status = 200, body = Success<RealtimeToken>), (status = 429))
)]
pub async fn ably_token(call: Call) -> HandlerResult {
    let (state, user) = (&call.state, &call.user.id);
    state.limits.ably_token.check(user)?;
    let resolved_for = i64::try_from(state.realtime.config.resolved_access.as_millis()).unwrap_or(i64::MAX);
    let since = Timestamp::from_millis(state.clock.now().as_millis().saturating_sub(resolved_for));
    let sessions = state.coordinator.active_sessions(user, since, state.realtime.config.token_sessions).await?;
    Ok(success_of(RealtimeToken { token_request: state.realtime.token_request(user, &sessions) }))
}

/// End the caller's realtime connections
///
/// All of the caller's realtime tokens become invalid, and connections with one end. Realtime tokens that are requested
/// later are valid, and so are API tokens. On Ably's cloud, realtime tokens stay valid until they expire.
#[utoipa::path(
    delete, path = "/auth/ably-token", tag = "realtime",
    responses((status = 200, body = Success<SignedOut>))
)]
pub async fn sign_out(call: Call) -> HandlerResult {
    let tokens = call.state.realtime.provider.end_tokens_of(&call.user.id).await?;
    Ok(success_of(SignedOut { signed_out: tokens == RealtimeTokens::Ended }))
}

/// What a sign-out everywhere did not reach.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignOutError {
    #[error("not signed out: {0}")]
    Nothing(#[from] UsersError),
    #[error("signed out of the API; {0}")]
    ApiAlone(#[from] TokensNotEnded),
}

/// Ends all API tokens of the user that were issued so far, and the realtime tokens.
pub(crate) async fn sign_out_everywhere(state: &AppState, user: &UserId) -> Result<RealtimeTokens, SignOutError> {
    state.users.sign_out(user).await?;
    Ok(state.realtime.provider.end_tokens_of(user).await?)
}

/// Where to connect, and how to recover
#[utoipa::path(
    get, path = "/realtime/config", tag = "realtime", params(ConfigQuery),
    responses((status = 200, body = Success<RealtimeConfig>))
)]
pub async fn config(call: Call) -> HandlerResult {
    let ConfigQuery { session_id } = call.fields()?;
    let session = match session_id {
        Some(id) => {
            let id: SessionId = id.parse().map_err(|_| Rejection::no_such_session())?;
            // Rejects users who are not members.
            call.state.coordinator.query(&id, &call.user.id, Query::Summary).await?;
            Some(id)
        }
        None => None,
    };
    let endpoint = call.state.realtime.describe(
        call.request.connection_info().host(),
        is_https(&call.request),
        &call.user.id,
        session.as_ref(),
    );
    Ok(success_of(RealtimeConfig { endpoint, recovery: RECOVERY, show: SHOW }))
}
