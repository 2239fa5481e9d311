//! One app: its keys, channels and connections. The main app is the application's. Test apps are isolated from it and
//! from each other.

mod connections;
mod credentials;
mod presence;
mod publishing;
mod restored;
mod rights;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use dashmap::DashMap;

use self::restored::RestoredPresence;
use crate::{
    application::{Application, ChannelBinding},
    auth::{ApiKey, nonces::Nonces, revocation::Revocations},
    channel::{Channel, Persistence},
    config::Config,
    connection::ConnectionState,
    limits::{Accounts, Memory},
    log::{Log, LogLimits},
    persist::PersistentRows,
    random::random_id,
    stats::Stats,
    time::{Timestamp, millis},
};

/// Shared by all apps of the server.
pub struct Services {
    pub config: Config,
    pub memory: Memory,
    pub application: Arc<dyn Application>,
    pub rows: PersistentRows,
    pub started_at: Timestamp,
    /// The node is stopping and accepts no new connections.
    pub stopping: AtomicBool,
}

impl Services {
    pub fn now(&self) -> Timestamp {
        self.application.now()
    }

    /// The limits of a channel's log in memory.
    pub fn log_limits(&self) -> LogLimits {
        LogLimits {
            entries: self.config.log_entries,
            bytes: self.config.limits.log_bytes,
            all: self.memory.kept.clone(),
        }
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// The settings of an app.
#[derive(Clone, Debug)]
pub struct AppRules {
    /// Namespaces whose channels are persisted.
    pub persisted: Vec<String>,
    pub max_presence_members: usize,
}

pub struct Hub {
    pub app: Arc<str>,
    pub services: Arc<Services>,
    /// Whether it is the main app: its channels have bindings, and its rows survive a restart.
    pub is_main: bool,
    pub rules: AppRules,
    pub nonces: Nonces,
    pub stats: Stats,
    pub accounts: Accounts,
    keys: HashMap<String, ApiKey>,
    channels: DashMap<Arc<str>, Arc<Channel>>,
    connections: DashMap<Arc<str>, Arc<ConnectionState>>,
    revocations: Revocations,
    restored: RestoredPresence,
}

impl Hub {
    /// The app of the node. Its rows survive a restart.
    pub fn main(app: &str, keys: Vec<ApiKey>, rules: AppRules, services: Arc<Services>) -> Self {
        Self { is_main: true, ..Self::test(app, keys, rules, services) }
    }

    /// A test app, which lives in memory.
    pub fn test(app: &str, keys: Vec<ApiKey>, rules: AppRules, services: Arc<Services>) -> Self {
        let accounts = Accounts::new(&services.config.limits, services.config.history);
        Self {
            app: app.into(),
            services,
            is_main: false,
            rules,
            nonces: Nonces::default(),
            stats: Stats::default(),
            accounts,
            keys: keys.into_iter().map(|key| (key.name.as_ref().to_owned(), key)).collect(),
            channels: DashMap::new(),
            connections: DashMap::new(),
            revocations: Revocations::default(),
            restored: RestoredPresence::default(),
        }
    }

    pub fn find_channel(&self, name: &str) -> Option<Arc<Channel>> {
        self.channels.get(name).map(|channel| channel.value().clone())
    }

    /// The channel of this name, if it is in memory or has restored members.
    pub fn known_channel(&self, name: &str) -> Option<Arc<Channel>> {
        if self.restored.has(name) { Some(self.channel(name)) } else { self.find_channel(name) }
    }

    /// The names of all such channels, in no order.
    pub fn active_channels(&self, wanted: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = self.restored.channels().into_iter().filter(|name| wanted(name)).collect();
        names.extend(self.channels.iter().map(|channel| channel.key().clone()).filter(|name| wanted(name)));
        names
    }

    /// The channel of this name. It is opened if it is not in memory. The name must be valid.
    pub fn channel(&self, name: &str) -> Arc<Channel> {
        if let Some(channel) = self.find_channel(name) {
            return channel;
        }
        let name: Arc<str> = name.into();
        // The entry is locked while the channel is read from the store, so that this happens once.
        self.channels.entry(name.clone()).or_insert_with(|| Arc::new(self.open_channel(name))).value().clone()
    }

    fn open_channel(&self, name: Arc<str>) -> Channel {
        let now = self.services.now();
        let persistence = self.persistence_of(&name);
        let binding = self.binding_of(&name);
        let window = millis(self.services.config.continuity);
        let limit = self.services.log_limits();
        let stored = match persistence == Persistence::Persisted && self.is_main {
            true => self.services.rows.load_log(&self.app, &name, now.as_millis() - window, &limit).unwrap_or_else(
                |error| {
                    tracing::error!(%error, "a channel's log could not be read; it starts empty");
                    None
                },
            ),
            false => None,
        };
        let members = self.restored.take_members(&name);
        Channel::new(name, binding, persistence, stored.unwrap_or_else(|| Log::new(&limit)), members, now)
    }

    fn binding_of(&self, name: &str) -> ChannelBinding {
        if self.is_main { self.services.application.binding(name) } else { ChannelBinding::default() }
    }

    /// Whether the channel's namespace is persisted.
    pub fn persistence_of(&self, name: &str) -> Persistence {
        let namespace = name.split(':').next().unwrap_or(name);
        let is_persisted = self.rules.persisted.iter().any(|persisted| persisted == namespace);
        if is_persisted { Persistence::Persisted } else { Persistence::NotPersisted }
    }

    // ---- maintenance ----

    /// Drops old entries, unused accounts and empty channels. Called every few seconds.
    pub fn prune(&self) {
        let now = self.services.now();
        let config = &self.services.config;
        let channels: Vec<Arc<Channel>> = self.channels.iter().map(|channel| channel.value().clone()).collect();
        for channel in channels {
            // Test apps have no store. Their persisted channels stay in memory.
            let window = if (channel.persistence == Persistence::Persisted) && !self.is_main {
                config.history
            } else {
                config.continuity
            };
            channel.prune(now, window);
        }
        self.accounts.prune();
        self.channels.retain(|_, channel| !channel.is_forgettable(now, config.continuity));
        metrics::gauge!("tandem_realtime_connections", "app" => if self.is_main { "main" } else { "test" })
            .set(self.connections.len() as f64);
    }

    /// A frame id for messages that no connection publishes.
    pub fn frame_id() -> Arc<str> {
        random_id(14).into()
    }
}
