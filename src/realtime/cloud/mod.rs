//! Ably's cloud by REST, for nodes with `realtime.provider = "ably"`.
//!
//! Publishing is idempotent: the message's id is made of session and `seq`, so a publish whose answer was lost is repeated
//! without a second delivery. Messages of one channel go out in the order in which they were handed over, one request each:
//! ids of several messages in one request would have to be Ably's to choose.

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
/// Presence pages that are followed; beyond it, somebody is playing with us.
const PAGES: usize = 20;

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

/// A connection may be in several presence sets of a session, and leave them one by one.
pub(super) fn connection_in(connection: &str, place: usize) -> String {
    if place == 0 { connection.to_owned() } else { format!("{connection}/{place}") }
}

#[derive(Clone)]
pub struct AblyCloud(Arc<Cloud>);

struct Cloud {
    rest: Rest,
    tries: usize,
    names: ChannelNames,
    clock: Arc<dyn Clock>,
    /// Each channel's last publish: the next one waits for it.
    turns: DashMap<String, Turn>,
    next_turn: AtomicU64,
}

struct Turn {
    number: u64,
    over: oneshot::Receiver<()>,
}

impl AblyCloud {
    pub fn new(config: &Config, names: ChannelNames, clock: Arc<dyn Clock>) -> Result<Self, CloudError> {
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

    fn members(&self, session: &SessionId) -> BoxFuture<Result<Vec<PresenceMember>, RealtimeError>> {
        let cloud = self.0.clone();
        let channels: Vec<_> = self.0.names.presence(session).enumerate().collect();
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
        let number = self.next_turn.fetch_add(1, Ordering::Relaxed);
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
            self.rest.http.post(url).header(header::CONTENT_TYPE, "application/json").body(body.clone())
        };
        self.rest.call(request, self.tries).await?;
        let took = self.clock.now().since(started).as_secs_f64();
        metrics::histogram!("tandem_ably_publish_seconds").record(took);
        Ok(())
    }

    async fn presence(&self, channel: &str, place: usize) -> Result<Vec<PresenceMember>, RealtimeError> {
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
                self.rest.http.get(next.clone().unwrap_or(first))
            };
            // Whoever asks waits for two seconds at most: a second try is all there is time for.
            let answer = self.rest.call(request, self.tries.min(2)).await?;
            let page: Vec<Present> = serde_json::from_slice(&answer.body)
                .map_err(|_| RealtimeError::Unavailable { reason: "unreadable presence".into(), retry_after: None })?;
            members.extend(page.into_iter().filter_map(|present| {
                let client = present.client_id?;
                Some(PresenceMember {
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
}

fn channel_url(host: &Url, channel: &str, what: &str) -> Url {
    let mut url = host.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.clear().extend(["channels", channel, what]);
    }
    url
}
