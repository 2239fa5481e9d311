//! What HTTP asks of the other rooms of the shell.

use actix_web::http::header::HeaderMap;
use bytes::Bytes;
use serde::Serialize;
use tandem_actors::{
    domain::ids::{SessionId, UserId},
    ports::BoxFuture,
};
use utoipa::ToSchema;

use super::coordinator::Refusal;
use crate::{
    push::{Preferences, PreferencesPatch, PushToken, Registration},
    realtime::token::TokenRequest,
};

type Answer<T> = BoxFuture<Result<T, Refusal>>;

/// Users' devices and what they want to be told. What is answered is durable.
pub trait PushAccounts: Send + Sync + 'static {
    fn register(&self, user: UserId, device: Registration) -> Answer<()>;

    /// One device, or all of the user's.
    fn remove(&self, user: UserId, token: Option<PushToken>) -> Answer<()>;

    fn preferences(&self, user: UserId) -> Answer<Preferences>;

    fn change_preferences(&self, user: UserId, patch: PreferencesPatch) -> Answer<Preferences>;

    /// Whether the user has a device that can be pushed to and wants pushes.
    fn push_enabled(&self, user: &UserId) -> bool;

    /// All rows of the user.
    fn erase(&self, user: UserId) -> Answer<()>;
}

/// How clients reach the realtime provider.
pub trait RealtimeAccess: Send + Sync + 'static {
    /// A signed request for a token over `sessions` (newest first; the provider's room caps their number).
    fn token_request(&self, user: &UserId, sessions: &[SessionId]) -> TokenRequest;

    /// Ends all tokens that the user has, and the connections that hold one.
    fn end_tokens(&self, user: UserId) -> Answer<()>;

    /// Where the client connects, as seen from `host` (the request's `Host`), and the channels of `session`.
    fn describe(&self, host: &str, secure: bool, user: &UserId, session: Option<&SessionId>) -> RealtimeDescription;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RealtimeDescription {
    /// `embedded` or `ably`.
    pub provider: &'static str,
    /// What the SDK's client options need beyond `authCallback`; absent ones are left at the SDK's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    pub tls: bool,
    pub channels: Channels,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Channels {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<String>,
    pub user: String,
}

/// A webhook's own answer to a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookOutcome {
    /// How many items were taken.
    Accepted(usize),
    /// The signature is missing or wrong.
    Unsigned,
    /// Not a delivery that can be read; what would be right.
    Malformed(String),
    /// The provider is not configured: there is no such address.
    Off,
}

/// Ably's webhook.
pub trait Webhooks: Send + Sync + 'static {
    /// What can be said before the body is read; none if that is worth reading.
    fn refuses(&self, headers: &HeaderMap) -> Option<WebhookOutcome>;

    /// Signed over the raw body, in `X-Ably-Key` and `X-Ably-Signature`.
    fn ably(&self, headers: &HeaderMap, body: &Bytes) -> WebhookOutcome;
}

/// One thing that the node needs to serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Whether the node can do its work: store writable, journal alive, not stopping.
pub trait Readiness: Send + Sync + 'static {
    fn checks(&self) -> Vec<Check>;
}
