//! Ably's cloud by REST, for nodes with `realtime.provider = "ably"`.
//!
//! Publishing is idempotent. Session and `seq` make the message's id, so a publish whose response was lost can be
//! repeated without a second delivery. Messages of one channel are sent in order, one in each request, because Ably
//! chooses the ids of several messages in a request.

mod rest;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use futures_util::future::{join_all, try_join_all};
use reqwest::{Url, header};
use serde::{Deserialize, Serialize};
use tandem_actors::{
    domain::{ids::SessionId, time::Timestamp},
    ports::{BoxFuture, Clock, PresenceMember, Publication, Realtime, RealtimeError},
};
use tokio::sync::oneshot;

use self::rest::Rest;
use super::{ApiKey, channels::ChannelNames};
use crate::secret::Secret;

const DEFAULT_REST_URL: &str = "https://main.realtime.ably.net";
const PAGE: usize = 1000;
/// The largest number of presence pages. More pages mean that the host misbehaves.
const PAGES: usize = 20;

/// Section `[realtime.ably]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CloudSettings {
    /// An API key as Ably's dashboard shows it, `appId.keyId:secret`, with the capabilities publish and presence on the
    /// channels.
    pub key: Option<Secret>,
    /// The base address of Ably's REST API.
    pub rest_url: String,
    /// Fallback hosts for when `rest_url` does not respond. Absent: Ably's own, if `rest_url` is the default.
    pub fallback_urls: Option<Vec<String>>,
    /// The time limit of one request.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// The number of tries of one publish before the session's outbox retries it.
    pub tries: usize,
}

impl Default for CloudSettings {
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

/// Why Ably's cloud cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it means, and names its fields")]
pub enum CloudError {
    #[error("realtime.ably.key must be a key as Ably's dashboard shows it: appId.keyId:secret")]
    Key,
    #[error("realtime.ably.{setting} must be an http or https URL without a path, as {DEFAULT_REST_URL}")]
    Url { setting: &'static str },
    #[error("the client for Ably could not be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// The name of a connection in one of a session's presence sets. A connection may be in several sets and leave them
/// one by one.
pub(super) fn connection_in(connection: &str, number: usize) -> String {
    if number == 0 { connection.to_owned() } else { format!("{connection}/{number}") }
}

/// Ably's cloud as a realtime provider. Cheap to clone.
#[derive(Clone)]
pub struct AblyCloud(Arc<Cloud>);

struct Cloud {
    rest: Rest,
    tries: usize,
    names: ChannelNames,
    clock: Arc<dyn Clock>,
    /// The last publish of each channel. The next one waits for it.
    turns: DashMap<String, LastTurn>,
    next_turn: AtomicU64,
}

struct LastTurn {
    number: u64,
    over: oneshot::Receiver<()>,
}

impl AblyCloud {
    /// The circuit breaker of its REST hosts.
    pub fn breaker(&self) -> &crate::breaker::Breaker {
        &self.0.rest.breaker
    }

    /// Makes the HTTP client. It calls nobody yet.
    pub fn new(config: &CloudSettings, names: ChannelNames, clock: Arc<dyn Clock>) -> Result<Self, CloudError> {
        let key = config.key.as_ref().and_then(|key| ApiKey::parse(key.reveal()).ok()).ok_or(CloudError::Key)?;
        Ok(Self(Arc::new(Cloud {
            rest: Rest::new(config, &key, clock.clone())?,
            tries: config.tries.max(1),
            names,
            clock,
            turns: DashMap::new(),
            next_turn: AtomicU64::new(0),
        })))
    }
}

impl Realtime for AblyCloud {
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<Result<(), RealtimeError>> {
        let mut order: Vec<String> = Vec::new();
        let mut channels: HashMap<String, Vec<Publication>> = HashMap::new();
        for publication in batch {
            let name = self.0.names.of(&publication.channel);
            if !channels.contains_key(&name) {
                order.push(name.clone());
            }
            channels.entry(name).or_default().push(publication);
        }
        // Turns are taken before any future is polled, in the order of the calls.
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

    fn members(&self, session: &SessionId) -> BoxFuture<Result<Vec<PresenceMember>, RealtimeError>> {
        let cloud = self.0.clone();
        let channels: Vec<_> = self.0.names.presence(session).enumerate().collect();
        Box::pin(async move {
            let sets = channels.iter().map(|(number, channel)| cloud.presence(channel, *number));
            Ok(try_join_all(sets).await?.concat())
        })
    }
}

struct HeldTurn {
    number: u64,
    before: Option<oneshot::Receiver<()>>,
    /// Dropped when the turn ends, also after an error.
    _over: oneshot::Sender<()>,
}

impl Cloud {
    fn take_turn(&self, channel: &str) -> HeldTurn {
        let (until_dropped, over) = oneshot::channel();
        let number = self.next_turn.fetch_add(1, Ordering::Relaxed);
        let before = self.turns.insert(channel.to_owned(), LastTurn { number, over }).map(|turn| turn.over);
        HeldTurn { number, before, _over: until_dropped }
    }

    async fn publish_in_turn(
        &self,
        channel: String,
        turn: HeldTurn,
        publications: Vec<Publication>,
    ) -> Result<(), RealtimeError> {
        if let Some(before) = turn.before {
            // It ends with an error when the sender is dropped, which is how turns end.
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
        struct CloudMessage<'a> {
            id: &'a str,
            name: &'a str,
            data: &'a str,
            encoding: &'a str,
        }
        let not_text = |_| RealtimeError::Refused { reason: "the payload is not text".into() };
        let message = CloudMessage {
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
            self.rest.http.post(url).header(header::CONTENT_TYPE, "application/json").body(body.clone())
        };
        self.rest.call(request, self.tries).await?;
        let took = self.clock.now().since(started).as_secs_f64();
        metrics::histogram!("tandem_ably_publish_seconds").record(took);
        Ok(())
    }

    async fn presence(&self, channel: &str, number: usize) -> Result<Vec<PresenceMember>, RealtimeError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct PresentMember {
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
                self.rest.http.get(next.clone().unwrap_or(first))
            };
            // The caller waits for two seconds at most, which is enough for two tries.
            let answer = self.rest.call(request, self.tries.min(2)).await?;
            let page: Vec<PresentMember> = serde_json::from_slice(&answer.body)
                .map_err(|_| RealtimeError::Unavailable { reason: "unreadable presence".into(), retry_after: None })?;
            members.extend(page.into_iter().filter_map(|present| {
                let client = present.client_id?;
                Some(PresenceMember {
                    connection: connection_in(present.connection_id.as_deref().unwrap_or(&client), number),
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
}

fn channel_url(host: &Url, channel: &str, what: &str) -> Url {
    let mut url = host.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.clear().extend(["channels", channel, what]);
    }
    url
}
