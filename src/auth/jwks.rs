//! The issuer's public keys. They are fetched before the first use, in the background when they are old, and for an
//! unknown key id at most once per `jwks_min_refetch`. One fetch runs at a time, however many requests wait for it. If
//! the issuer cannot be reached, the last keys stay valid.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;
use reqwest::{Client, Url};
use serde::Deserialize;
use tandem_actors::{domain::time::Timestamp, ports::Clock};
use tokio::sync::Mutex;

use super::{
    config::{AuthSettings, AuthSettingsError},
    jwk::{IssuerKey, KeyAlgorithm, usable},
    reason::Reason,
};

/// A longer answer is refused as not being a key set.
const LARGEST_ANSWER: usize = 256 * 1024;
/// After a failed first fetch, requests are refused for this long before the next fetch.
const PAUSE_WITHOUT_KEYS: Duration = Duration::from_secs(2);

pub(super) struct Jwks {
    url: Url,
    client: Client,
    clock: Arc<dyn Clock>,
    refresh: Duration,
    min_refetch: Duration,
    keys: RwLock<Option<FetchedKeys>>,
    /// Increases when the set of keys changes.
    edition: AtomicU64,
    /// Locked by the caller that fetches, so that only one fetch runs at a time.
    fetching: Mutex<Attempts>,
    /// Counts fetches that have ended, successful or not. A caller reads it before it looks for a key. After waiting
    /// for `fetching` it compares: a higher count means that another caller has asked the issuer in the meantime.
    ended: AtomicU64,
    refreshing: AtomicBool,
}

struct FetchedKeys {
    keys: Arc<IssuerKeys>,
    at: Timestamp,
}

/// An issuer may use one `kid` for keys of two types.
pub(super) type IssuerKeys = HashMap<(String, KeyAlgorithm), Arc<IssuerKey>>;

/// When each kind of fetch was last attempted.
#[derive(Default)]
struct Attempts {
    first: Option<Timestamp>,
    for_unknown_kid: Option<Timestamp>,
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<serde_json::Value>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0}")]
    Http(String),
    #[error("the issuer answered with status {0}")]
    Status(u16),
    #[error("the answer is larger than {LARGEST_ANSWER} bytes")]
    TooLarge,
    #[error("the answer is not a key set: an object with 'keys' is needed")]
    NotAKeySet,
    #[error("the key set holds no RS256 key of at least 2048 bits and no ES256 key with a 'kid'")]
    NoUsableKey,
}

impl Jwks {
    pub(super) fn from_config(
        config: &AuthSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Arc<Self>>, AuthSettingsError> {
        let Some(text) = &config.jwks_url else { return Ok(None) };
        let url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| AuthSettingsError::JwksUrl { found: text.clone() })?;
        let client = crate::tls::http_client()
            .timeout(config.jwks_timeout)
            .connect_timeout(config.jwks_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tandem/", env!("CARGO_PKG_VERSION")))
            // One request in ten minutes: a kept connection would be dead at its next use.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| AuthSettingsError::Client(error.to_string()))?;
        Ok(Some(Arc::new(Self {
            url,
            client,
            clock,
            refresh: config.jwks_refresh,
            min_refetch: config.jwks_min_refetch,
            keys: RwLock::new(None),
            edition: AtomicU64::new(0),
            fetching: Mutex::new(Attempts::default()),
            ended: AtomicU64::new(0),
            refreshing: AtomicBool::new(false),
        })))
    }

    pub(super) fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    pub(super) async fn warm_up(self: &Arc<Self>) {
        self.fetch_unless_done(self.ended(), Purpose::First).await;
    }

    /// Fetches the keys again and again, so that a withdrawn key ends the tokens that were verified with it, whether or
    /// not anybody calls. Never returns.
    pub(super) async fn keep_fresh(self: &Arc<Self>) {
        loop {
            tokio::time::sleep(self.refresh).await;
            self.refresh_in_background();
        }
    }

    pub(super) async fn key(
        self: &Arc<Self>,
        kid: &str,
        algorithm: KeyAlgorithm,
    ) -> Result<(Arc<IssuerKey>, u64), Reason> {
        let ended = self.ended();
        let purpose = match self.look_up(kid, algorithm) {
            LookUp::Found(key, edition) => return Ok((key, edition)),
            LookUp::OtherAlgorithm => return Err(Reason::AlgorithmNotAllowed),
            LookUp::Unknown => Purpose::UnknownKid,
            LookUp::NoKeys => Purpose::First,
        };
        self.fetch_unless_done(ended, purpose).await;
        match self.look_up(kid, algorithm) {
            LookUp::Found(key, edition) => Ok((key, edition)),
            LookUp::OtherAlgorithm => Err(Reason::AlgorithmNotAllowed),
            LookUp::Unknown => Err(Reason::UnknownKid),
            LookUp::NoKeys => Err(Reason::KeysUnavailable),
        }
    }

    fn ended(&self) -> u64 {
        self.ended.load(Ordering::Acquire)
    }

    fn look_up(self: &Arc<Self>, kid: &str, algorithm: KeyAlgorithm) -> LookUp {
        let (found, at) = {
            let keys = self.keys.read();
            let Some(fetched) = keys.as_ref() else { return LookUp::NoKeys };
            let of = |algorithm| fetched.keys.get(&(kid.to_owned(), algorithm)).cloned();
            let found = match of(algorithm) {
                Some(key) => LookUp::Found(key, self.edition()),
                None if of(algorithm.other()).is_some() => LookUp::OtherAlgorithm,
                None => LookUp::Unknown,
            };
            (found, fetched.at)
        };
        if self.clock.now().since(at) >= self.refresh {
            self.refresh_in_background();
        }
        found
    }

    fn refresh_in_background(self: &Arc<Self>) {
        if !self.refreshing.swap(true, Ordering::AcqRel) {
            let this = self.clone();
            tokio::spawn(async move {
                let _attempts = this.fetching.lock().await;
                if !this.fetch_and_keep().await {
                    this.postpone_refresh();
                }
                this.refreshing.store(false, Ordering::Release);
            });
        }
    }

    /// Sets the age of the keys so that the next background fetch comes after `min_refetch` instead of at once.
    fn postpone_refresh(&self) {
        if let Some(fetched) = self.keys.write().as_mut() {
            let next = self.clock.now().as_millis() + self.min_refetch.as_millis() as i64;
            fetched.at = Timestamp::from_millis(next - self.refresh.as_millis() as i64);
        }
    }

    /// Fetches, unless another fetch has ended since `ended` was read, or the last attempt was too recently. The fetch
    /// continues if the caller is dropped.
    async fn fetch_unless_done(self: &Arc<Self>, ended: u64, purpose: Purpose) {
        let this = self.clone();
        let fetch = tokio::spawn(async move {
            let mut attempts = this.fetching.lock().await;
            if this.ended() != ended {
                return;
            }
            let (last, pause) = match purpose {
                Purpose::First => (&mut attempts.first, PAUSE_WITHOUT_KEYS),
                Purpose::UnknownKid => (&mut attempts.for_unknown_kid, this.min_refetch),
            };
            let now = this.clock.now();
            // An attempt in the future was made before the clock was set back: ignore it.
            if last.is_some_and(|last| last <= now && now.since(last) < pause) {
                return;
            }
            *last = Some(now);
            this.fetch_and_keep().await;
        });
        drop(fetch.await);
    }

    /// Returns false if the fetch failed; the keys that were known stay in force.
    async fn fetch_and_keep(&self) -> bool {
        let answer = self.fetch().await;
        let kept = self.keep(answer);
        self.ended.fetch_add(1, Ordering::AcqRel);
        kept
    }

    fn keep(&self, answer: Result<IssuerKeys, FetchError>) -> bool {
        let fetched = match answer {
            Ok(fetched) => fetched,
            Err(error) => {
                metrics::counter!("tandem_jwks_fetches_total", "outcome" => "failed").increment(1);
                tracing::warn!(url = %self.url, %error, "the issuer's keys could not be fetched");
                return false;
            }
        };
        metrics::counter!("tandem_jwks_fetches_total", "outcome" => "ok").increment(1);
        let mut keys = self.keys.write();
        let changed = keys.as_ref().is_none_or(|known| *known.keys != fetched);
        if changed {
            tracing::info!(url = %self.url, keys = fetched.len(), "the issuer's keys were fetched");
            self.edition.fetch_add(1, Ordering::AcqRel);
        }
        *keys = Some(FetchedKeys { keys: Arc::new(fetched), at: self.clock.now() });
        true
    }

    async fn fetch(&self) -> Result<IssuerKeys, FetchError> {
        let http = |error: reqwest::Error| FetchError::Http(crate::tls::explain(error));
        let mut answer = self.client.get(self.url.clone()).send().await.map_err(http)?;
        if !answer.status().is_success() {
            return Err(FetchError::Status(answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(http)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        read(&body)
    }
}

/// The usable keys of a key set.
pub(super) fn read(body: &[u8]) -> Result<IssuerKeys, FetchError> {
    let set: JwkSet = serde_json::from_slice(body).map_err(|_| FetchError::NotAKeySet)?;
    let keys: IssuerKeys = set.keys.into_iter().filter_map(usable).collect();
    if keys.is_empty() { Err(FetchError::NoUsableKey) } else { Ok(keys) }
}

#[derive(Clone, Copy)]
enum Purpose {
    First,
    UnknownKid,
}

enum LookUp {
    Found(Arc<IssuerKey>, u64),
    /// The issuer publishes this `kid`, but for the other algorithm.
    OtherAlgorithm,
    Unknown,
    NoKeys,
}
