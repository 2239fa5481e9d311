//! The HTTP client of Expo's push service. It reports the answer, or that the outcome is unknown. It decides nothing
//! and retries nothing.

use std::{io::Write, sync::Arc, time::Duration};

use reqwest::{StatusCode, header};
use serde::Serialize;
use tandem_actors::ports::BoxFuture;

use super::{answer::Transport, config::PushSettings, outcome::Cause};
use crate::{retry_after, secret::Secret};

/// Larger bodies are compressed.
const COMPRESS_ABOVE: usize = 1024;
/// The longest answer that is read.
const LONGEST_ANSWER: usize = 1024 * 1024;
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushRequest {
    /// A send of messages.
    Send,
    /// A question for receipts.
    Receipts,
}

impl PushRequest {
    fn path(self) -> &'static str {
        match self {
            Self::Send => "/--/api/v2/push/send",
            Self::Receipts => "/--/api/v2/push/getReceipts",
        }
    }
}

/// The way to the push service: HTTP, or a stand-in of a simulation.
pub trait PushService: Send + Sync + 'static {
    /// Posts a JSON body.
    fn post(&self, request: PushRequest, body: Vec<u8>) -> BoxFuture<Transport>;
}

pub struct Expo(Arc<dyn PushService>);

/// The push service by HTTP.
pub struct HttpService {
    http: reqwest::Client,
    base: String,
    access_token: Option<Secret>,
}

#[derive(Debug, thiserror::Error)]
#[error("the push service's client could not be made: {0}")]
pub struct ClientError(#[from] reqwest::Error);

impl HttpService {
    pub fn new(config: &PushSettings) -> Result<Self, ClientError> {
        let http = crate::tls::http_client()
            .connect_timeout(config.connect_timeout)
            .timeout(config.request_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(config.max_in_flight)
            .user_agent(concat!("tandem/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let base = config.base_url.trim_end_matches('/').to_owned();
        Ok(Self { http, base, access_token: config.access_token.clone() })
    }
}

impl Expo {
    pub fn by(service: Arc<dyn PushService>) -> Self {
        Self(service)
    }

    /// Sends messages, at most 100.
    pub async fn send(&self, messages: &impl Serialize) -> Transport {
        self.post(PushRequest::Send, messages).await
    }

    /// Asks for receipts, at most 1000.
    pub async fn receipts(&self, tickets: &[&str]) -> Transport {
        #[derive(Serialize)]
        struct Ids<'a> {
            ids: &'a [&'a str],
        }
        self.post(PushRequest::Receipts, &Ids { ids: tickets }).await
    }

    /// A request without consequences, to see whether the service answers.
    pub async fn probe(&self) -> Transport {
        self.receipts(&["00000000-0000-0000-0000-000000000000"]).await
    }

    async fn post(&self, request: PushRequest, body: &impl Serialize) -> Transport {
        match serde_json::to_vec(body) {
            Ok(body) => self.0.post(request, body).await,
            Err(_) => Transport::NotSent(Cause::Unreadable),
        }
    }
}

impl PushService for HttpService {
    fn post(&self, request: PushRequest, body: Vec<u8>) -> BoxFuture<Transport> {
        let Some(body) = pack(body) else {
            return Box::pin(std::future::ready(Transport::NotSent(Cause::Unreadable)));
        };
        let mut request = self
            .http
            .post(format!("{}{}", self.base, request.path()))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json");
        if let PackedBody { gzip: true, .. } = body {
            request = request.header(header::CONTENT_ENCODING, "gzip");
        }
        if let Some(token) = &self.access_token {
            request = request.bearer_auth(token.reveal());
        }
        let sent = request.body(body.bytes).send();
        Box::pin(async move {
            match sent.await {
                Ok(response) => read(response).await,
                Err(error) if error.is_connect() || error.is_builder() => Transport::NotSent(Cause::NoConnection),
                Err(error) => Transport::Broken(broken(&error)),
            }
        })
    }
}

struct PackedBody {
    bytes: Vec<u8>,
    gzip: bool,
}

fn pack(bytes: Vec<u8>) -> Option<PackedBody> {
    if bytes.len() <= COMPRESS_ABOVE {
        return Some(PackedBody { bytes, gzip: false });
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bytes).ok()?;
    Some(PackedBody { bytes: gzip.finish().ok()?, gzip: true })
}

fn broken(error: &reqwest::Error) -> Cause {
    if error.is_timeout() { Cause::Timeout } else { Cause::Reset }
}

async fn read(mut response: reqwest::Response) -> Transport {
    let status = response.status();
    let retry_after = retry_after::read(response.headers()).map(|wait| wait.min(LONGEST_RETRY_AFTER));
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > LONGEST_ANSWER => {
                return Transport::Broken(Cause::Unreadable);
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Transport::Answered { status: status.as_u16(), retry_after, body },
            // A refusal counts even if its body breaks off.
            Err(_) if is_refusal(status) => return Transport::Answered { status: status.as_u16(), retry_after, body },
            Err(error) => return Transport::Broken(broken(&error)),
        }
    }
}

fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error()
}
