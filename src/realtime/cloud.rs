//! Ably's cloud by REST, for nodes with `realtime.provider = "ably"`.
//!
//! Publishing is idempotent: the message's id is made of session and `seq`, so a publish whose answer was lost is repeated
//! without a second delivery. Messages of one channel go out in the order in which they were handed over, one request each:
//! ids of several messages in one request would have to be Ably's to choose.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use base64::{Engine, engine::general_purpose::STANDARD};
use dashmap::DashMap;
use futures_util::future::{join_all, try_join_all};
use parking_lot::Mutex;
use reqwest::{StatusCode, Url, header};
use serde::{Deserialize, Serialize};
use tandem_actors::{
    domain::{ids::SessionId, time::Timestamp},
    ports::{BoxFuture, Channel, Clock, Member, Publication, Realtime, RealtimeError},
};
use tokio::sync::oneshot;

use crate::push::{
    breaker::{Breaker, Pass},
    config::Secret,
    install_crypto,
};

const DEFAULT_REST_URL: &str = "https://main.realtime.ably.net";
const FALLBACKS: [&str; 5] = [
    "https://main.a.fallback.ably-realtime.com",
    "https://main.b.fallback.ably-realtime.com",
    "https://main.c.fallback.ably-realtime.com",
    "https://main.d.fallback.ably-realtime.com",
    "https://main.e.fallback.ably-realtime.com",
];
/// A fallback host that worked is asked first for so long.
const STAY_WITH_FALLBACK: Duration = Duration::from_secs(10 * 60);
const PAGE: usize = 1000;
/// Presence pages that are followed; beyond it, somebody is playing with us.
const PAGES: usize = 20;
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// An API key as Ably's dashboard shows it, `appId.keyId:secret`, with the capabilities publish and presence on the channels.
    pub key: Option<Secret>,
    pub rest_url: String,
    /// Asked when `rest_url` does not answer. Absent: Ably's own, if `rest_url` is the default.
    pub fallback_urls: Option<Vec<String>>,
    /// For one request.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// Tries of one publish before the session's outbox takes over.
    pub tries: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            key: None,
            rest_url: DEFAULT_REST_URL.into(),
            fallback_urls: None,
            request_timeout: Duration::from_secs(10),
            tries: 4,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    #[error("realtime.ably.key must be a key as Ably's dashboard shows it: appId.keyId:secret")]
    Key,
    #[error("realtime.ably.{setting} must be an http or https URL without a path, as {DEFAULT_REST_URL}")]
    Url { setting: &'static str },
    #[error("the client for Ably could not be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// An API key in its two parts.
#[derive(Clone, Debug)]
pub struct ApiKey {
    pub name: String,
    pub secret: Secret,
}

impl ApiKey {
    pub fn parse(key: &Secret) -> Result<Self, CloudError> {
        match key.reveal().split_once(':') {
            Some((name, secret)) if name.contains('.') && !secret.is_empty() => {
                Ok(Self { name: name.into(), secret: Secret::new(secret) })
            }
            _ => Err(CloudError::Key),
        }
    }
}

/// The names of the channels, as templates with `{sessionId}` or `{userId}`.
#[derive(Clone, Debug)]
pub struct Templates {
    pub session: String,
    pub user: String,
    /// Channels whose presence sets tell who is in a session.
    pub presence: Vec<String>,
}

impl Templates {
    fn of(&self, channel: &Channel) -> String {
        match channel {
            Channel::Session(session) => self.session.replace("{sessionId}", session.as_str()),
            Channel::User(user) => self.user.replace("{userId}", user.as_str()),
        }
    }

    fn presence(&self, session: &SessionId) -> impl Iterator<Item = String> {
        self.presence.iter().map(|template| template.replace("{sessionId}", session.as_str()))
    }

    /// The session whose presence channel this is, and which of them.
    pub(super) fn parse_presence(&self, channel: &str) -> Option<(SessionId, usize)> {
        self.presence.iter().enumerate().find_map(|(place, template)| {
            let (before, after) = template.split_once("{sessionId}")?;
            Some((channel.strip_prefix(before)?.strip_suffix(after)?.parse().ok()?, place))
        })
    }
}

/// A connection may be in several presence sets of a session, and leave them one by one.
pub(super) fn connection_in(connection: &str, place: usize) -> String {
    if place == 0 { connection.to_owned() } else { format!("{connection}/{place}") }
}

#[derive(Clone)]
pub struct AblyCloud(Arc<Cloud>);

struct Cloud {
    http: reqwest::Client,
    authorization: header::HeaderValue,
    hosts: Vec<Url>,
    tries: usize,
    templates: Templates,
    clock: Arc<dyn Clock>,
    breaker: Breaker,
    /// The host that worked last, if it is not the first.
    preferred: Mutex<Option<(usize, Timestamp)>>,
    /// Each channel's last publish: the next one waits for it.
    turns: DashMap<String, Turn>,
    next_turn: std::sync::atomic::AtomicU64,
}

struct Turn {
    number: u64,
    over: oneshot::Receiver<()>,
}

impl AblyCloud {
    pub fn new(config: &Config, templates: Templates, clock: Arc<dyn Clock>) -> Result<Self, CloudError> {
        install_crypto();
        let key = ApiKey::parse(config.key.as_ref().ok_or(CloudError::Key)?)?;
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
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(4))
            .timeout(config.request_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tandem/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(Arc::new(Cloud {
            http,
            authorization,
            hosts,
            tries: config.tries.max(1),
            templates,
            clock,
            breaker: Breaker::new("ably", 10, Duration::from_secs(1), Duration::from_secs(30)),
            preferred: Mutex::new(None),
            turns: DashMap::new(),
            next_turn: std::sync::atomic::AtomicU64::new(0),
        })))
    }
}

impl Realtime for AblyCloud {
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<Result<(), RealtimeError>> {
        let mut order: Vec<String> = Vec::new();
        let mut channels: HashMap<String, Vec<Publication>> = HashMap::new();
        for publication in batch {
            let name = self.0.templates.of(&publication.channel);
            if !channels.contains_key(&name) {
                order.push(name.clone());
            }
            channels.entry(name).or_default().push(publication);
        }
        // The turns are taken before anything is polled: the order of the calls counts.
        let publishes: Vec<_> = order
            .into_iter()
            .map(|name| {
                let (cloud, turn) = (self.0.clone(), self.0.take_turn(&name));
                let publications = channels.remove(&name).unwrap_or_default();
                async move { cloud.publish_in_turn(name, turn, publications).await }
            })
            .collect();
        Box::pin(async move { join_all(publishes).await.into_iter().collect() })
    }

    fn members(&self, session: &SessionId) -> BoxFuture<Result<Vec<Member>, RealtimeError>> {
        let cloud = self.0.clone();
        let channels: Vec<_> = self.0.templates.presence(session).enumerate().collect();
        Box::pin(async move {
            let sets = channels.iter().map(|(place, channel)| cloud.presence(channel, *place));
            Ok(try_join_all(sets).await?.concat())
        })
    }
}

struct MyTurn {
    number: u64,
    before: Option<oneshot::Receiver<()>>,
    /// Dropped when the turn is over, however it ends.
    _over: oneshot::Sender<()>,
}

impl Cloud {
    fn take_turn(&self, channel: &str) -> MyTurn {
        let (_over, over) = oneshot::channel();
        let number = self.next_turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let before = self.turns.insert(channel.to_owned(), Turn { number, over }).map(|turn| turn.over);
        MyTurn { number, before, _over }
    }

    async fn publish_in_turn(
        &self,
        channel: String,
        turn: MyTurn,
        publications: Vec<Publication>,
    ) -> Result<(), RealtimeError> {
        if let Some(before) = turn.before {
            // Ends with an error when its sender is dropped, which is how turns end.
            let _ = before.await;
        }
        let mut result = Ok(());
        for publication in &publications {
            result = self.publish_one(&channel, publication).await;
            if result.is_err() {
                break;
            }
        }
        self.turns.remove_if(&channel, |_, last| last.number == turn.number);
        result
    }

    async fn publish_one(&self, channel: &str, publication: &Publication) -> Result<(), RealtimeError> {
        #[derive(Serialize)]
        struct Message<'a> {
            id: &'a str,
            name: &'a str,
            data: &'a str,
            encoding: &'a str,
        }
        let not_text = |_| RealtimeError::Refused { reason: "the payload is not text".into() };
        let message = Message {
            id: &publication.id,
            name: publication.name,
            data: std::str::from_utf8(&publication.data).map_err(not_text)?,
            encoding: "json",
        };
        let started = self.clock.now();
        let body =
            serde_json::to_vec(&message).map_err(|error| RealtimeError::Refused { reason: error.to_string() })?;
        let request = |host: &Url| {
            let url = channel_url(host, channel, "messages");
            self.http.post(url).header(header::CONTENT_TYPE, "application/json").body(body.clone())
        };
        self.call(request, self.tries).await?;
        let took = self.clock.now().since(started).as_secs_f64();
        metrics::histogram!("tandem_ably_publish_seconds").record(took);
        Ok(())
    }

    async fn presence(&self, channel: &str, place: usize) -> Result<Vec<Member>, RealtimeError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Present {
            client_id: Option<String>,
            connection_id: Option<String>,
            timestamp: Option<i64>,
        }
        let mut members = Vec::new();
        let mut next: Option<Url> = None;
        for _ in 0..PAGES {
            let request = |host: &Url| {
                let mut first = channel_url(host, channel, "presence");
                first.query_pairs_mut().append_pair("limit", &PAGE.to_string());
                self.http.get(next.clone().unwrap_or(first))
            };
            // Whoever asks waits for two seconds at most: a second try is all there is time for.
            let answer = self.call(request, self.tries.min(2)).await?;
            let page: Vec<Present> = serde_json::from_slice(&answer.body)
                .map_err(|_| RealtimeError::Unavailable { reason: "unreadable presence".into(), retry_after: None })?;
            members.extend(page.into_iter().filter_map(|present| {
                let client = present.client_id?;
                Some(Member {
                    connection: connection_in(present.connection_id.as_deref().unwrap_or(&client), place),
                    user: client.parse().ok()?,
                    at: present.timestamp.map_or_else(|| self.clock.now(), Timestamp::from_millis),
                })
            }));
            next = answer.next;
            if next.is_none() {
                return Ok(members);
            }
        }
        Err(RealtimeError::Unavailable { reason: "the presence set has no end".into(), retry_after: None })
    }

    /// Asks hosts in turn until one answers, waiting longer each time.
    async fn call(
        &self,
        request: impl Fn(&Url) -> reqwest::RequestBuilder,
        tries: usize,
    ) -> Result<Answer, RealtimeError> {
        let mut waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(5))
            .with_max_times(tries - 1)
            .build();
        let mut host = self.first_host();
        loop {
            let now = self.clock.now();
            if let Pass::NobodyUntil(until) = self.breaker.pass(now) {
                let reason = "too many failures in a row".into();
                return Err(RealtimeError::Unavailable { reason, retry_after: Some(until.since(now)) });
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
                    // Somebody answered: it is not the service that fails.
                    self.breaker.succeeded();
                    tracing::error!(status = status.as_u16(), reason, "ably refuses");
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
                    self.breaker.failed(now, Duration::ZERO);
                    host = (host + 1) % self.hosts.len();
                    *retry_after
                }
            };
            let at_least = at_least.unwrap_or_default();
            let patience = Duration::from_secs(10);
            match waits.next() {
                Some(ceiling) if at_least <= patience => {
                    let wait = at_least + ceiling.mul_f64(rand::random_range(0.0..1.0));
                    tokio::time::sleep(wait).await;
                }
                _ => {
                    let retry_after = Some(at_least).filter(|wait| !wait.is_zero());
                    return Err(RealtimeError::Unavailable { reason: failure.to_string(), retry_after });
                }
            }
        }
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
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
        let retry_after = retry_after(response.headers());
        let next = next_page(response.headers(), &url);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(Failure::Host { why: "an endless answer".into(), retry_after });
            }
            body.extend_from_slice(&chunk);
        }
        match status {
            _ if status.is_success() => Ok(Answer { body, next }),
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

struct Answer {
    body: Vec<u8>,
    /// The next page, by `Link`.
    next: Option<Url>,
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

fn channel_url(host: &Url, channel: &str, what: &str) -> Url {
    let mut url = host.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.clear().extend(["channels", channel, what]);
    }
    url
}

/// Ably's code, not its words: they may quote what was sent.
fn reason(status: StatusCode, body: &[u8]) -> String {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    match json["error"]["code"].as_u64() {
        Some(code) => format!("{} with code {code}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

fn retry_after(headers: &header::HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    SystemTime::from(at).duration_since(SystemTime::now()).ok()
}

/// The target of `Link: <…>; rel="next"`, if it is at the same host: the key goes nowhere else.
fn next_page(headers: &header::HeaderMap, base: &Url) -> Option<Url> {
    let links = headers.get_all(header::LINK).iter().filter_map(|link| link.to_str().ok());
    let mut links = links.flat_map(|link| link.split(',').map(str::trim));
    let target = links.find_map(|link| {
        let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
        parameters.contains("rel=\"next\"").then_some(target)
    })?;
    base.join(target).ok().filter(|next| next.origin() == base.origin())
}
