//! Test apps, by the provisioning API that Ably's SDK test suites use. Each app is isolated and lives in memory.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{request::RestRequest, response::RestResponse};
use crate::{
    auth::{ApiKey, Capability},
    hub::{AppRules, Hub},
    protocol::{ErrorInfo, InboundPresence, PresenceAction, PresenceMessage, data::Payload, lenient},
    random::random_id,
};

/// The largest number of test apps.
const MAX_APPS: usize = 500;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct NewApp {
    #[serde(deserialize_with = "lenient::bounded_list")]
    keys: Option<Vec<NewKey>>,
    #[serde(deserialize_with = "lenient::bounded_list")]
    namespaces: Option<Vec<NewNamespace>>,
    #[serde(deserialize_with = "lenient::bounded_list")]
    channels: Option<Vec<NewChannel>>,
    limits: Option<RequestedLimits>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct NewKey {
    capability: Option<serde_json::Value>,
    revocable_tokens: Option<bool>,
}

#[derive(Deserialize, Default, Clone, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct NewNamespace {
    id: String,
    persisted: bool,
    push_enabled: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct NewChannel {
    name: String,
    #[serde(deserialize_with = "lenient::bounded_list")]
    presence: Option<Vec<InboundPresence>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RequestedLimits {
    presence: Option<RequestedPresenceLimits>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RequestedPresenceLimits {
    max_members: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AppDescription {
    app_id: String,
    account_id: String,
    status: &'static str,
    keys: Vec<KeyDescription>,
    namespaces: Vec<NewNamespace>,
    channels: Vec<ChannelDescription>,
    endpoint: String,
    port: u16,
    tls: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyDescription {
    id: String,
    key_name: String,
    key_secret: String,
    key_str: String,
    /// The secret under the name that some test suites read.
    value: String,
    capability: String,
    revocable_tokens: bool,
    status: u8,
}

#[derive(Serialize)]
struct ChannelDescription {
    name: String,
    presence: Vec<PresenceMessage>,
}

pub fn create(request: &RestRequest<'_>) -> Result<RestResponse, ErrorInfo> {
    if request.endpoint.apps.len() > MAX_APPS {
        return Err(ErrorInfo::rate_exceeded(format!("there are {MAX_APPS} test apps already: delete some")));
    }
    let wanted: NewApp = if request.has_body() { request.body()? } else { NewApp::default() };
    let app_id = random_id(6);
    let account_id = random_id(6);
    let mut secrets = Vec::new();
    let mut keys = Vec::new();
    for key in wanted.keys.unwrap_or_else(|| vec![NewKey::default()]) {
        let capability = match key.capability {
            None | Some(serde_json::Value::Null) => Capability::everything(),
            Some(serde_json::Value::String(text)) => Capability::parse(&text)?,
            Some(value) => Capability::parse(&value.to_string())?,
        };
        let secret = random_id(32);
        let mut made = ApiKey::new(&format!("{app_id}.{}", random_id(6)), &secret, capability);
        made.revocable_tokens = key.revocable_tokens.unwrap_or(false);
        secrets.push(secret);
        keys.push(made);
    }
    let namespaces = wanted.namespaces.unwrap_or_default();
    let asked_members = wanted.limits.and_then(|limits| limits.presence).and_then(|limits| limits.max_members);
    let rules = AppRules {
        persisted: namespaces
            .iter()
            .filter(|namespace| namespace.persisted)
            .map(|namespace| namespace.id.clone())
            .collect(),
        max_presence_members: asked_members
            .unwrap_or(request.endpoint.services.config.max_presence_members)
            .min(10_000),
    };
    let described = keys.iter().zip(&secrets).map(|(key, secret)| KeyDescription {
        id: key.name.rsplit('.').next().unwrap_or_default().to_owned(),
        key_name: key.name.as_ref().to_owned(),
        key_secret: secret.clone(),
        key_str: format!("{}:{secret}", key.name),
        value: secret.clone(),
        capability: key.capability.to_string(),
        revocable_tokens: key.revocable_tokens,
        status: 0,
    });
    let described: Vec<KeyDescription> = described.collect();
    let hub = Arc::new(Hub::test(&app_id, keys, rules, request.endpoint.services.clone()));
    let channels =
        wanted.channels.unwrap_or_default().into_iter().map(|channel| seed(&hub, channel)).collect::<Result<_, _>>()?;
    request.endpoint.apps.insert(app_id.clone(), hub);
    let connection_info = request.http.connection_info();
    let (endpoint, port) = match connection_info.host().rsplit_once(':') {
        Some((host, port)) => (host.to_owned(), port.parse().unwrap_or(80)),
        None => (connection_info.host().to_owned(), 80),
    };
    let app = AppDescription {
        app_id,
        account_id,
        status: "enabled",
        keys: described,
        namespaces,
        channels,
        endpoint,
        port,
        tls: false,
    };
    Ok(request.response(201, &app))
}

/// Adds the presence members of a fixture, all with the same made-up connection id.
fn seed(hub: &Hub, channel: NewChannel) -> Result<ChannelDescription, ErrorInfo> {
    crate::channel::check_name(&channel.name)?;
    let connection_id: Arc<str> = random_id(10).into();
    let timestamp = hub.services.now().as_millis();
    let member = |(index, member): (usize, InboundPresence)| {
        Ok(PresenceMessage {
            action: PresenceAction::Enter,
            id: format!("{connection_id}:0:{index}").into(),
            client_id: member.client_id.unwrap_or_default().into(),
            connection_id: connection_id.clone(),
            timestamp,
            payload: Payload::accept(member.data, member.encoding)?,
            extras: None,
        })
    };
    let members: Vec<PresenceMessage> =
        channel.presence.unwrap_or_default().into_iter().enumerate().map(member).collect::<Result<_, ErrorInfo>>()?;
    if !members.is_empty() {
        hub.seed_presence(&hub.channel(&channel.name), &connection_id, members.clone());
    }
    Ok(ChannelDescription { name: channel.name, presence: members })
}

/// Accepts fixtures for statistics, and returns them.
pub fn take_stats(request: &RestRequest<'_>) -> Result<RestResponse, ErrorInfo> {
    let caller = request.caller()?;
    let fixtures: lenient::OneOrMany<serde_json::Value> = request.body()?;
    if caller.hub.is_main || caller.grant.expires.is_some() {
        return Err(ErrorInfo::invalid_credentials("fixtures are taken for a test app, with one of its own keys"));
    }
    caller.hub.stats.take(&fixtures.list)?;
    Ok(request.response(201, &fixtures.list))
}

pub fn delete(request: &RestRequest<'_>) -> Result<RestResponse, ErrorInfo> {
    let app_id = request.path("app")?;
    let caller = request.caller()?;
    if caller.hub.is_main || *caller.hub.app != *app_id || caller.grant.expires.is_some() {
        return Err(ErrorInfo::invalid_credentials("a test app is deleted with one of its own keys"));
    }
    request.endpoint.apps.remove(&app_id);
    caller.hub.disconnect_all(&ErrorInfo::not_found(format!("no application found with id {app_id}")));
    Ok(RestResponse::empty())
}
