//! `GET /` with an upgrade: opens a WebSocket. Refusals are sent as frames, because SDKs cannot read HTTP responses
//! there.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix_web::{HttpRequest, HttpResponse, guard::GuardContext, http::header, web};
use actix_web_actors::ws;
use tandem_intake::Handle;

use super::{
    Shared,
    request::{header as header_of, query},
};
use crate::{
    auth::Credentials,
    endpoint::Endpoint,
    limits::{FrameLimiter, ReadingPace},
    protocol::{Action, ErrorInfo, Format, MAX_FRAME_SIZE},
    socket::{AuthenticatedClient, Socket},
};

pub fn is_upgrade(context: &GuardContext<'_>) -> bool {
    let upgrade = context.head().headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}

pub async fn open(
    endpoint: Shared,
    request: HttpRequest,
    stream: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    let params = query(&request);
    let parameter = |wanted: &str| params.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let format = if parameter("format") == Some("msgpack") { Format::Msgpack } else { Format::Json };
    let handle = Handle::of(&request).cloned();
    let partial = &endpoint.services.memory.partial;
    let (actor, pace) = match admit(&endpoint, header_of(&request, "authorization"), &params, format, handle) {
        Ok(admitted) => {
            let pace = admitted.pace.clone();
            (Socket::Waiting(Box::new(admitted)), pace)
        }
        Err(error) => {
            // For a rate limit the client must retry, and it retries after DISCONNECTED only.
            let action = if error.code == 42910 { Action::Disconnected } else { Action::Error };
            let pace = Rc::new(ReadingPace::new(&endpoint.services.config.limits, None, None));
            (Socket::Refused { action, error, format }, pace)
        }
    };
    // The limiter has refused larger frames by their header. The codec never sees them.
    let codec = actix_http::ws::Codec::new().max_size(MAX_FRAME_SIZE);
    let frame_limiter = FrameLimiter::new(stream, pace, MAX_FRAME_SIZE, partial);
    ws::WsResponseBuilder::new(actor, &request, frame_limiter).codec(codec).start()
}

/// Authenticates a client, and takes a slot for it.
pub(super) fn admit(
    endpoint: &Arc<Endpoint>,
    authorization: Option<&str>,
    params: &[(String, String)],
    format: Format,
    handle: Option<Handle>,
) -> Result<AuthenticatedClient, ErrorInfo> {
    let parameter = |wanted: &str| params.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let credentials = Credentials::find(authorization, params)?;
    let hub = endpoint.hub_of(&credentials)?;
    let grant = hub.authenticate(&credentials)?;
    let client_id = grant.client_id.claim(parameter("clientId").or_else(|| parameter("client_id")))?;
    let account = hub.accounts.of(&grant, &client_id);
    let slot = account.as_ref().map(|account| account.take_slot(&hub.services.config.limits)).transpose()?;
    let pace = Rc::new(ReadingPace::new(&hub.services.config.limits, account, handle));
    let resume = parameter("resume").or_else(|| parameter("recover")).filter(|key| !key.is_empty());
    Ok(AuthenticatedClient {
        hub,
        grant: Arc::new(grant),
        client_id,
        format,
        echo: parameter("echo") != Some("false"),
        heartbeats: parameter("heartbeats") == Some("true"),
        remain_present_for: parameter("remainPresentFor").and_then(|ms| ms.parse().ok()).map(Duration::from_millis),
        resume: resume.map(str::to_owned),
        pace,
        slot,
    })
}
