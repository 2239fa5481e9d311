//! What happens to every request before its route: the connection learns that a request is under way, requests through
//! a proxy are counted by the client's address, and a large answer is sent in pieces, so that a slow client holds one
//! piece and not a copy.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix_web::{
    Error, ResponseError,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
};
use bytes::Bytes;
use tandem_intake::{Budget, Handle, Phase, Share, UnderWay};

use super::{error::ApiError, rate_limits::from_proxies};
use crate::{
    connections::{ForwardedRequest, SocketPlace},
    limits::NodeLimits,
    network::Network,
    store::Member,
};

/// Smaller answers are written at once.
const LARGE: u64 = 32 * 1024;
/// Bytes that are copied to a socket's buffer at a time.
const PIECE: usize = 16 * 1024;
/// The longest path. A percent-encoded channel name fits.
const LONGEST_PATH: usize = 8 * 1024;

/// Shared by all workers.
pub struct Front {
    pub limits: Arc<NodeLimits>,
    pub trusted_proxies: Vec<Network>,
    /// In a fleet: whether the database is this node's.
    pub member: Option<Arc<Member>>,
}

impl Front {
    /// Passes a request on, and counts its answer until it is sent.
    pub fn pass<S>(
        self: &Arc<Self>,
        request: ServiceRequest,
        service: &S,
    ) -> impl Future<Output = Result<ServiceResponse<BoxBody>, Error>> + use<S>
    where
        S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error>,
    {
        let under_way = request.conn_data::<Handle>().map(Handle::begin);
        let outcome = match self.admit(&request) {
            Ok(counted) => Ok((service.call(request), counted)),
            Err(refusal) => Err(request.into_response(refusal.error_response())),
        };
        let answers = self.limits.answers.clone();
        let member = self.member.clone();
        async move {
            match outcome {
                Ok((answering, counted)) => {
                    // A client that pipelines requests must not keep the worker from other clients.
                    tokio::task::coop::consume_budget().await;
                    let response = answering.await?;
                    // The lease may be over since the request came: what was read may be old.
                    if let Some(member) = &member
                        && !holds(member)
                        && !is_about_the_node(response.request().path())
                    {
                        return Ok(ServiceResponse::new(response.into_parts().0, no_lease().error_response()));
                    }
                    if counted.socket.is_some()
                        && let Some(connection) = response.request().conn_data::<Handle>()
                    {
                        connection.enter(Phase::Socket);
                    }
                    let watch = Watch { _under_way: under_way, _counted: counted, member };
                    Ok(watched(response, watch, &answers))
                }
                Err(refused) => Ok(refused),
            }
        }
    }

    fn admit(&self, request: &ServiceRequest) -> Result<Counted, ApiError> {
        if request.path().len() > LONGEST_PATH {
            return Err(ApiError::path_too_long(LONGEST_PATH));
        }
        if self.member.as_ref().is_some_and(|member| !holds(member)) && !is_about_the_node(request.path()) {
            return Err(no_lease());
        }
        let socket = match stays_open(request) {
            true => Some(self.limits.connections.admit_socket().ok_or_else(too_many_sockets)?),
            false => None,
        };
        Ok(Counted { _forwarded: self.forwarded(request)?, socket })
    }

    /// Counts the request by its client's address, if it comes through a proxy.
    fn forwarded(&self, request: &ServiceRequest) -> Result<Option<ForwardedRequest>, ApiError> {
        let Some(peer) = request.conn_data::<Handle>().map(Handle::address) else { return Ok(None) };
        if !self.trusted_proxies.iter().any(|network| network.contains(peer)) {
            return Ok(None);
        }
        let claims = request.headers().get_all(header::X_FORWARDED_FOR).filter_map(|value| value.to_str().ok());
        let client = from_proxies(peer, claims, &self.trusted_proxies);
        if client == peer {
            return Ok(None);
        }
        let forwarded = self.limits.connections.admit_forwarded(client);
        forwarded.map(Some).map_err(|_| ApiError::rate_limited(std::time::Duration::from_secs(1)))
    }
}

fn holds(member: &Member) -> bool {
    member.held.holds()
}

/// Routes about this node. A node of a fleet answers them also while it does not own the database.
fn is_about_the_node(path: &str) -> bool {
    matches!(path, "/health" | "/ready" | "/metrics")
}

fn no_lease() -> ApiError {
    let problem = "this node cannot tell at the moment whether it still owns the database";
    ApiError::unavailable(problem, std::time::Duration::from_secs(1))
}

/// Whether the connection stays open, as a WebSocket or for server-sent events.
fn stays_open(request: &ServiceRequest) -> bool {
    request.headers().contains_key(header::UPGRADE) || matches!(request.path(), "/sse" | "/event-stream")
}

fn too_many_sockets() -> ApiError {
    ApiError::unavailable("the node serves as many open connections as it can", std::time::Duration::from_secs(1))
}

/// What a request is counted as.
struct Counted {
    _forwarded: Option<ForwardedRequest>,
    socket: Option<SocketPlace>,
}

/// Guards that live as long as the answer.
struct Watch {
    _under_way: Option<UnderWay>,
    _counted: Counted,
    member: Option<Arc<Member>>,
}

fn watched(response: ServiceResponse<BoxBody>, watch: Watch, answers: &Arc<Budget>) -> ServiceResponse<BoxBody> {
    let size = match response.response().body().size() {
        BodySize::None => return response,
        BodySize::Sized(size) if size < LARGE => return response,
        BodySize::Sized(size) => usize::try_from(size).unwrap_or(usize::MAX),
        BodySize::Stream => 0,
    };
    let mut share = answers.share();
    let (request, response) = response.into_parts();
    let (response, body) = response.into_parts();
    let body = match body.try_into_bytes() {
        // Bytes that only this client holds.
        Ok(bytes) if !share.grow(size) => {
            drop(bytes);
            let wait = std::time::Duration::from_secs(1);
            let refusal = ApiError::unavailable("too many large answers are being read at the moment", wait);
            return ServiceResponse::new(request, refusal.error_response());
        }
        Ok(bytes) => BoxBody::new(Pieces { whole: bytes, _share: Some(share), _watch: Some(watch) }),
        Err(streamed) => BoxBody::new(Streamed { body: streamed, watch }),
    };
    ServiceResponse::new(request, response.set_body(body))
}

/// A body that is sent in pieces.
pub struct Pieces {
    whole: Bytes,
    _share: Option<Share>,
    _watch: Option<Watch>,
}

impl Pieces {
    /// A body whose bytes are shared, so that they are not counted for one client.
    pub fn of(whole: Bytes) -> Self {
        Self { whole, _share: None, _watch: None }
    }
}

impl MessageBody for Pieces {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.whole.len() as u64)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let whole = &mut self.get_mut().whole;
        let piece = whole.split_to(whole.len().min(PIECE));
        Poll::Ready((!piece.is_empty()).then_some(Ok(piece)))
    }
}

/// A body of unknown length: of a WebSocket, or in pieces.
struct Streamed {
    body: BoxBody,
    watch: Watch,
}

impl MessageBody for Streamed {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        if this.watch.member.as_ref().is_some_and(|member| !holds(member)) {
            return Poll::Ready(Some(Err("the lease of the database is over".into())));
        }
        Pin::new(&mut this.body).poll_next(cx)
    }
}

impl ApiError {
    fn path_too_long(limit: usize) -> Self {
        Self::invalid(format!("the path must not be longer than {limit} bytes")).with_status(StatusCode::URI_TOO_LONG)
    }
}
