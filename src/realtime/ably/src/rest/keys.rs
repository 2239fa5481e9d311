//! Routes of keys: token requests and revocations.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{request::RestRequest, response::RestResponse, summary::Summary};
use crate::{
    auth::{
        ApiKey, Credentials,
        revocation::{Revocation, Target},
        token_request::{Sender, TokenRequest},
    },
    connection::ConnectionState,
    hub::Hub,
    protocol::{Action, ErrorInfo, Outbound},
};

/// The delay of a revocation that leaves clients time to renew their tokens.
const REAUTH_MARGIN_MS: i64 = 30_000;
/// The largest number of targets of a revocation request.
const MAX_TARGETS: usize = 100;

pub fn request_token(request: &RestRequest<'_>) -> Result<RestResponse, ErrorInfo> {
    let token_request: TokenRequest = if request.has_body() { request.body()? } else { TokenRequest::default() };
    redeem(request, &token_request)
}

/// The token request as query parameters, for clients that cannot send a body.
pub fn token_of_query(request: &RestRequest<'_>) -> Result<RestResponse, ErrorInfo> {
    let map: Map<String, Value> =
        request.params.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let token_request = serde_json::from_value(Value::Object(map))
        .map_err(|_| ErrorInfo::bad_request("the parameters are not a token request"))?;
    redeem(request, &token_request)
}

fn redeem(request: &RestRequest<'_>, token_request: &TokenRequest) -> Result<RestResponse, ErrorInfo> {
    let name = request.path("key")?;
    let hub = request.endpoint.app(ApiKey::app_id(&name))?;
    let key = hub.key(&name).ok_or_else(|| ErrorInfo::not_found(format!("no key found with name {name}")))?;
    let sender = match request.credentials() {
        Ok(Credentials::Key { name: shown, secret }) => {
            // A signed token request counts, no matter who carries it.
            let own = shown == name && key.has_secret(&secret);
            if !own && token_request.mac.is_none() {
                return Err(ErrorInfo::invalid_credentials("the key in the request is not the key of the path"));
            }
            if own { Sender::KeyHolder } else { Sender::Anybody }
        }
        _ => Sender::Anybody,
    };
    let details = token_request.redeem(key, sender, &hub.nonces, request.endpoint.services.now())?;
    hub.check_request(key, token_request, &details)?;
    Ok(request.response(201, &details))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RevocationRequest {
    pub targets: Vec<String>,
    #[serde(default)]
    issued_before: Option<i64>,
    #[serde(default)]
    allow_reauth_margin: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Revoked {
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_before: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    applies_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorInfo>,
}

pub fn revoke_tokens(request: &RestRequest<'_>) -> Result<RestResponse, ErrorInfo> {
    let name = request.path("key")?;
    let caller = request.caller()?;
    if caller.grant.expires.is_some() || *caller.grant.key_name != *name {
        return Err(ErrorInfo::key_required("tokens are revoked with the key that issued them"));
    }
    let revocable = caller.hub.key(&name).is_some_and(|key| key.revocable_tokens);
    if !revocable {
        return Err(ErrorInfo::not_permitted(
            "the tokens of this key cannot be revoked: it does not have revocable_tokens",
        ));
    }
    let revocation_request: RevocationRequest = request.body()?;
    if revocation_request.targets.len() > MAX_TARGETS {
        return Err(ErrorInfo::bad_request(format!("at most {MAX_TARGETS} targets can be revoked at once")));
    }
    let now = request.endpoint.services.now().as_millis();
    // Includes tokens that were issued in this millisecond.
    let issued_before = revocation_request.issued_before.unwrap_or(now + 1);
    if issued_before > now + 1 {
        return Err(ErrorInfo::bad_request("issuedBefore must not be in the future"));
    }
    let applies_at = if revocation_request.allow_reauth_margin { now + REAUTH_MARGIN_MS + 1 } else { now };
    let mut pending_writes = Vec::new();
    let mut revoke = |specifier: &String| match Target::parse(specifier) {
        Err(error) => Revoked { target: specifier.clone(), issued_before: None, applies_at: None, error: Some(error) },
        Ok(target) => {
            let revocation = Revocation { key_name: name.clone(), target, issued_before, applies_at };
            let (tell, pending_write) = tokio::sync::oneshot::channel();
            let revoked = caller.hub.revoke(revocation, move |result| drop(tell.send(result)));
            pending_writes.push(pending_write);
            enforce(&caller.hub, revoked, applies_at - now);
            Revoked {
                target: specifier.clone(),
                issued_before: Some(issued_before.min(now)),
                applies_at: Some(applies_at),
                error: None,
            }
        }
    };
    let results: Vec<Revoked> = revocation_request.targets.iter().map(&mut revoke).collect();
    let summary = Summary::new(results, |result| result.error.is_some());
    Ok(request.response(200, &summary).once_durable(pending_writes))
}

/// Ends the connections of revoked tokens, at once or after the delay. After the delay, it looks for such connections
/// again.
fn enforce(hub: &Arc<Hub>, revoked: Vec<Arc<ConnectionState>>, delay_ms: i64) {
    if delay_ms <= 0 {
        revoked.iter().for_each(|connection| hub.end_revoked(connection));
        return;
    }
    for outbox in revoked.iter().filter_map(|connection| connection.transport()) {
        outbox.send(&Outbound::new(Action::Auth));
    }
    let hub = Arc::downgrade(hub);
    let delay = std::time::Duration::from_millis(delay_ms.unsigned_abs());
    actix_web::rt::spawn(async move {
        tokio::time::sleep(delay).await;
        let Some(hub) = hub.upgrade() else { return };
        let now = hub.services.now();
        hub.connections()
            .iter()
            .filter(|connection| hub.check_current(&connection.grant(), now).is_err())
            .for_each(|connection| hub.end_revoked(connection));
    });
}
