//! Requests to Ably's REST hosts: choice of the host, retries, and the circuit breaker.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use parking_lot::Mutex;
use reqwest::{StatusCode, Url, header};
use tandem_actors::{
    backoff::Backoff,
    domain::time::Timestamp,
    ports::{Clock, RealtimeError},
};

use super::{CloudError, CloudSettings, DEFAULT_REST_URL};
use crate::{
    breaker::{Allowance, Breaker},
    realtime::ApiKey,
    retry_after,
};

const FALLBACKS: [&str; 5] = [
    "https://main.a.fallback.ably-realtime.com",
    "https://main.b.fallback.ably-realtime.com",
    "https://main.c.fallback.ably-realtime.com",
    "https://main.d.fallback.ably-realtime.com",
    "https://main.e.fallback.ably-realtime.com",
];
/// How long a fallback host that worked is tried first.
const STAY_WITH_FALLBACK: Duration = Duration::from_secs(10 * 60);
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;
/// The caller gets a longer `Retry-After`.
const PATIENCE: Duration = Duration::from_secs(10);
const BETWEEN_TRIES: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

pub(super) struct Rest {
    pub http: reqwest::Client,
    authorization: header::HeaderValue,
    hosts: Vec<Url>,
    clock: Arc<dyn Clock>,
    pub breaker: Breaker,
    /// The last host that worked, if it is not the first one.
    preferred: Mutex<Option<(usize, Timestamp)>>,
}

impl Rest {
    pub fn new(config: &CloudSettings, key: &ApiKey, clock: Arc<dyn Clock>) -> Result<Self, CloudError> {
        let host = |setting, text: &str| match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() && url.path() == "/" => Ok(url),
            _ => Err(CloudError::Url { setting }),
        };
        let fallbacks = match &config.fallback_urls {
            Some(urls) => urls.clone(),
            None if config.rest_url.trim_end_matches('/') == DEFAULT_REST_URL => FALLBACKS.map(Into::into).into(),
            None => Vec::new(),
        };
        let mut hosts = vec![host("rest_url", &config.rest_url)?];
        for url in &fallbacks {
            hosts.push(host("fallback_urls", url)?);
        }
        let basic = STANDARD.encode(format!("{}:{}", key.name, key.secret.reveal()));
        let mut authorization = header::HeaderValue::try_from(format!("Basic {basic}")).map_err(|_| CloudError::Key)?;
        authorization.set_sensitive(true);
        let http = crate::tls::http_client()
            .connect_timeout(Duration::from_secs(4))
            .timeout(config.request_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tandem/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            authorization,
            hosts,
            clock,
            breaker: Breaker::new("ably", 10, Duration::from_secs(1), Duration::from_secs(30)),
            preferred: Mutex::new(None),
        })
    }

    /// Tries hosts in turn until one responds, with growing waits.
    pub async fn call(
        &self,
        request: impl Fn(&Url) -> reqwest::RequestBuilder,
        tries: usize,
    ) -> Result<CloudAnswer, RealtimeError> {
        let mut failures = 0;
        let mut host = self.first_host();
        loop {
            let now = self.clock.uptime();
            if let Allowance::NoneFor(wait) = self.breaker.admit(now) {
                let reason = "too many failures in a row".into();
                return Err(RealtimeError::Unavailable { reason, retry_after: Some(wait) });
            }
            let failure = match self.ask(request(&self.hosts[host])).await {
                Ok(answer) => {
                    self.breaker.succeeded();
                    self.remember(host);
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            metrics::counter!("tandem_ably_failures_total", "kind" => failure.kind()).increment(1);
            let at_least = match &failure {
                Failure::Refused { status, reason } => {
                    // The host responded, so the service is up.
                    self.breaker.succeeded();
                    tracing::error!(status = status.as_u16(), reason, "Ably refused a request");
                    return Err(match *status {
                        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RealtimeError::Unavailable {
                            reason: format!("the key is refused: {reason}"),
                            retry_after: Some(Duration::from_secs(30)),
                        },
                        _ => RealtimeError::Refused { reason: reason.clone() },
                    });
                }
                Failure::Throttled { retry_after } => {
                    self.breaker.succeeded();
                    *retry_after
                }
                Failure::Host { retry_after, .. } => {
                    self.breaker.failed(now, Duration::ZERO, &format_args!("{}: {failure}", self.hosts[host]));
                    host = (host + 1) % self.hosts.len();
                    *retry_after
                }
            };
            let at_least = at_least.unwrap_or_default();
            failures += 1;
            if failures as usize >= tries || at_least > PATIENCE {
                let retry_after = Some(at_least).filter(|wait| !wait.is_zero());
                return Err(RealtimeError::Unavailable { reason: failure.to_string(), retry_after });
            }
            tokio::time::sleep(at_least + BETWEEN_TRIES.full_jitter(failures)).await;
        }
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<CloudAnswer, Failure> {
        let request = request
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::ACCEPT, "application/json")
            .header("X-Ably-Version", "2");
        let failed = |error: reqwest::Error| {
            let why = if error.is_timeout() { "no answer in time" } else { "no connection, or it broke" };
            Failure::Host { why: why.into(), retry_after: None }
        };
        let mut response = request.send().await.map_err(failed)?;
        let (status, url) = (response.status(), response.url().clone());
        let retry_after = retry_after::read(response.headers());
        let next = next_page(response.headers(), &url);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(Failure::Host { why: "an endless answer".into(), retry_after });
            }
            body.extend_from_slice(&chunk);
        }
        match status {
            _ if status.is_success() => Ok(CloudAnswer { body, next }),
            StatusCode::TOO_MANY_REQUESTS => Err(Failure::Throttled { retry_after }),
            StatusCode::REQUEST_TIMEOUT => Err(Failure::Host { why: status.to_string(), retry_after }),
            _ if status.is_client_error() => Err(Failure::Refused { status, reason: reason(status, &body) }),
            _ => Err(Failure::Host { why: status.to_string(), retry_after }),
        }
    }

    fn first_host(&self) -> usize {
        let preferred = *self.preferred.lock();
        preferred.filter(|(_, until)| self.clock.now() < *until).map_or(0, |(host, _)| host)
    }

    fn remember(&self, host: usize) {
        let mut preferred = self.preferred.lock();
        match *preferred {
            Some((known, until)) if known == host && self.clock.now() < until => {}
            _ => *preferred = (host != 0).then(|| (host, self.clock.now() + STAY_WITH_FALLBACK)),
        }
    }
}

pub(super) struct CloudAnswer {
    pub body: Vec<u8>,
    /// The next page, by `Link`.
    pub next: Option<Url>,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{why}")]
    Host { why: String, retry_after: Option<Duration> },
    #[error("too many requests")]
    Throttled { retry_after: Option<Duration> },
    #[error("{reason}")]
    Refused { status: StatusCode, reason: String },
}

impl Failure {
    fn kind(&self) -> &'static str {
        match self {
            Failure::Host { .. } => "host",
            Failure::Throttled { .. } => "throttled",
            Failure::Refused { .. } => "refused",
        }
    }
}

/// Ably's error code. Its message may quote what was sent.
fn reason(status: StatusCode, body: &[u8]) -> String {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    match json["error"]["code"].as_u64() {
        Some(code) => format!("{} with code {code}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// The target of `Link: <…>; rel="next"` if it is on the same host: the key must not go anywhere else.
fn next_page(headers: &header::HeaderMap, base: &Url) -> Option<Url> {
    let links = headers.get_all(header::LINK).iter().filter_map(|link| link.to_str().ok());
    let mut links = links.flat_map(|link| link.split(',').map(str::trim));
    let target = links.find_map(|link| {
        let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
        parameters.contains("rel=\"next\"").then_some(target)
    })?;
    base.join(target).ok().filter(|next| next.origin() == base.origin())
}
