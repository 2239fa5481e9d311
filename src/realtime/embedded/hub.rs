//! One app: its keys, channels and connections. The default app is the coordinator's; test apps are apart from it and from each other.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use dashmap::DashMap;
use tandem_actors::{
    domain::{ids::UserId, time::Timestamp},
    ports::{Clock, PresenceChange, PresenceSink, PresenceSource},
};

use super::{
    auth::{
        ClientId, Credentials, Grant, Key, jwt,
        nonces::Nonces,
        revocation::{Revocation, Revocations},
        token,
    },
    channel::{Channel, Repeats, Role},
    config::Config,
    log::{Body, Entry, Log},
    outbox::Outbox,
    peer::{Peer, Tenure},
    persist::{PeerRow, Rows},
    presence::Members,
    protocol::{Action, ErrorInfo, Message, Outbound, PresenceMessage},
};
use crate::realtime::channels::ChannelNames;

/// What all apps of the endpoint share.
pub struct Services {
    pub config: Config,
    pub names: ChannelNames,
    pub clock: Arc<dyn Clock>,
    pub rows: Rows,
    pub sink: OnceLock<Arc<dyn PresenceSink>>,
    pub started_at: Timestamp,
    /// No new connections: the node is going down.
    pub stopping: AtomicBool,
}

impl Services {
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// What an app allows itself.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Namespaces whose channels are persisted.
    pub persisted: Vec<String>,
    pub max_presence_members: usize,
}

pub struct Hub {
    pub app: Arc<str>,
    pub services: Arc<Services>,
    /// The coordinator's app: its sessions' channels are known, its rows survive a restart.
    pub is_main: bool,
    pub rules: Rules,
    pub nonces: Nonces,
    keys: HashMap<String, Key>,
    channels: DashMap<Arc<str>, Arc<Channel>>,
    peers: DashMap<Arc<str>, Arc<Peer>>,
    revocations: Revocations,
}

impl Hub {
    pub fn new(app: &str, keys: Vec<Key>, rules: Rules, services: Arc<Services>, is_main: bool) -> Self {
        Self {
            app: app.into(),
            services,
            is_main,
            rules,
            nonces: Nonces::default(),
            keys: keys.into_iter().map(|key| (key.name.as_ref().to_owned(), key)).collect(),
            channels: DashMap::new(),
            peers: DashMap::new(),
            revocations: Revocations::default(),
        }
    }

    // ---- credentials ----

    pub fn key(&self, name: &str) -> Option<&Key> {
        self.keys.get(name)
    }

    /// # Errors
    /// 40101 for a wrong key; 40141–40144 for a token that is not good (any more).
    pub fn authenticate(&self, credentials: &Credentials) -> Result<Grant, ErrorInfo> {
        let now = self.services.now();
        let grant = match credentials {
            Credentials::Key { name, secret } => {
                let key = self.keys.get(name).filter(|key| key.has_secret(secret));
                let key =
                    key.ok_or_else(|| ErrorInfo::invalid_credentials("the key is unknown or its secret is wrong"))?;
                return Ok(Grant {
                    proof: super::auth::Proof::Key,
                    key_name: key.name.clone(),
                    capability: key.capability.clone(),
                    client_id: ClientId::Any,
                    issued: 0,
                    expires: None,
                    revocation_key: None,
                });
            }
            Credentials::Token(text) if jwt::looks_like(text) => {
                let name = jwt::key_name(text)?;
                let key = self
                    .key(&name)
                    .ok_or_else(|| ErrorInfo::invalid_credentials("the JWT's kid is not a key of this app"))?;
                jwt::verify(text, key)?
            }
            Credentials::Token(text) => token::verify(text, |name| self.key(name))?,
        };
        self.check_current(&grant, now)?;
        Ok(grant)
    }

    /// # Errors
    /// 40142 expired, 40141 revoked.
    pub fn check_current(&self, grant: &Grant, now: Timestamp) -> Result<(), ErrorInfo> {
        if grant.expires.is_some_and(|expires| expires <= now.as_millis()) {
            return Err(ErrorInfo::token_expired("the token has expired"));
        }
        self.revocations.check(grant, now)
    }

    /// Takes a revocation in, and returns the connections that it concerns.
    pub fn revoke(&self, revocation: Revocation) -> Vec<Arc<Peer>> {
        if self.is_main {
            self.services.rows.keep_revocation(&self.app, &revocation);
        }
        let concerned = self
            .peers
            .iter()
            .filter(|peer| revocation.concerns(&peer.grant()))
            .map(|peer| peer.value().clone())
            .collect();
        self.revocations.add(revocation);
        concerned
    }

    pub fn restore_revocation(&self, revocation: Revocation) {
        self.revocations.add(revocation);
    }

    // ---- channels ----

    pub fn find_channel(&self, name: &str) -> Option<Arc<Channel>> {
        self.channels.get(name).map(|channel| channel.value().clone())
    }

    /// The channel of this name, which comes to be if it is not there. The name is valid.
    pub fn channel(&self, name: &str) -> Arc<Channel> {
        if let Some(channel) = self.find_channel(name) {
            return channel;
        }
        let name: Arc<str> = name.into();
        // The entry is locked while the channel is read from the store, so that it is read once.
        self.channels.entry(name.clone()).or_insert_with(|| Arc::new(self.open_channel(name))).value().clone()
    }

    fn open_channel(&self, name: Arc<str>) -> Channel {
        let now = self.services.now();
        let persisted = self.is_persisted(&name);
        let role = match self.is_main {
            true => Role {
                session: self.services.names.parse_session(&name),
                presence: self.services.names.parse_presence(&name),
            },
            false => Role::default(),
        };
        let window = i64::try_from(self.services.config.continuity.as_millis()).unwrap_or(i64::MAX);
        let stored = match persisted && self.is_main {
            true => self.services.rows.load_log(&self.app, &name, now.as_millis() - window).unwrap_or_else(|error| {
                tracing::error!(%error, "a channel's log could not be read; it begins anew");
                None
            }),
            false => None,
        };
        Channel::new(name, role, persisted, stored.unwrap_or_default(), Members::default(), now)
    }

    /// Whether the channel's namespace is persisted.
    pub fn is_persisted(&self, name: &str) -> bool {
        let namespace = name.split(':').next().unwrap_or(name);
        self.rules.persisted.iter().any(|persisted| persisted == namespace)
    }

    /// Whether a name that a client publishes on a channel belongs to the coordinator.
    pub fn reserves(&self, channel: &Channel, event: Option<&str>) -> bool {
        channel.role.session.is_some() && event.is_some_and(|name| super::bridge::EVENT_NAMES.contains(&name))
    }

    /// Publishes and calls `done` when it is as durable as the channel is. Returns before that, with what was (or had been) published; none
    /// if it was refused.
    pub fn publish(
        &self,
        channel: &Channel,
        frame_id: Arc<str>,
        connection: Option<&Arc<str>>,
        messages: Vec<Message>,
        repeats: Repeats,
        done: impl FnOnce(Result<Arc<Entry>, ErrorInfo>) + Send + 'static,
    ) -> Option<Arc<Entry>> {
        let stores = self.stores(channel);
        if stores && !self.services.rows.has_room() {
            done(Err(ErrorInfo::unavailable("the node is busy or stopping; try again")));
            return None;
        }
        let mut done = Some(done);
        let entry = channel.publish(frame_id, connection, messages, repeats, self.services.now(), |entry, log| {
            if stores && let Some(done) = done.take() {
                let published = entry.clone();
                self.services.rows.keep(&self.app, entry, log, move |result| done(result.map(|()| published)));
            }
        });
        if let Some(done) = done {
            done(Ok(entry.clone()));
        }
        Some(entry)
    }

    fn stores(&self, channel: &Channel) -> bool {
        channel.persisted && self.is_main
    }

    fn keep(&self, channel: &Channel, entry: &Arc<Entry>, log: &Log) {
        if self.stores(channel) {
            self.services.rows.keep(&self.app, entry, log, |_| ());
        }
    }

    // ---- presence ----

    /// # Errors
    /// 91003 if the set is full.
    pub fn take_presence(
        &self,
        channel: &Channel,
        peer: &Peer,
        frame_id: Arc<str>,
        events: Vec<PresenceMessage>,
    ) -> Result<Option<Arc<Entry>>, ErrorInfo> {
        let most = self.rules.max_presence_members;
        let now = self.services.now();
        let entry = channel
            .take_presence(frame_id, &peer.id, events, most, now, |entry, log| self.keep(channel, entry, log))?;
        match channel.has_members_of(&peer.id) {
            true => peer.note_entered(&channel.name),
            false => peer.forget_entered(&channel.name),
        }
        self.report(channel, entry.as_deref());
        Ok(entry)
    }

    /// Makes the connection's members leave one channel.
    pub fn leave(&self, channel: &Channel, peer: &Peer) {
        let entry = channel.leave_all(&peer.id, self.services.now(), |entry, log| self.keep(channel, entry, log));
        peer.forget_entered(&channel.name);
        self.report(channel, entry.as_deref());
    }

    /// Makes the connection's members leave all channels.
    pub fn leave_everywhere(&self, peer: &Peer) {
        for name in peer.take_entered() {
            if let Some(channel) = self.find_channel(&name) {
                self.leave(&channel, peer);
            }
        }
    }

    /// Tells the coordinator who came and went.
    fn report(&self, channel: &Channel, entry: Option<&Entry>) {
        let (Some((session, number)), Some(Entry { body: Body::Presence(events), at, .. }), Some(sink)) =
            (&channel.role.presence, entry, self.services.sink.get())
        else {
            return;
        };
        for event in events {
            if let Some(change) = presence_change(event, *number, event.is_present(), *at) {
                sink.presence(session, change);
            }
        }
    }

    /// Puts a fixture's members into a channel's presence set.
    pub fn seed_presence(&self, channel: &Channel, connection: &Arc<str>, members: Vec<PresenceMessage>) {
        let now = self.services.now();
        let seeded =
            channel.take_presence(format!("{connection}:0").into(), connection, members, usize::MAX, now, |_, _| ());
        debug_assert!(seeded.is_ok(), "there is no limit");
    }

    // ---- connections ----

    pub fn peer(&self, id: &str) -> Option<Arc<Peer>> {
        self.peers.get(id).map(|peer| peer.value().clone())
    }

    pub fn peers(&self) -> Vec<Arc<Peer>> {
        self.peers.iter().map(|peer| peer.value().clone()).collect()
    }

    /// Gives a socket a new connection.
    pub fn connect(&self, outbox: &Arc<Outbox>, grant: Arc<Grant>, client_id: ClientId) -> (Arc<Peer>, Tenure, String) {
        let id: Arc<str> = super::random_id(10).into();
        let peer =
            Arc::new(Peer::new(id.clone(), &super::random_id(16), grant.clone(), client_id.clone(), Repeats::Known));
        self.peers.insert(id, peer.clone());
        let (tenure, key) = self.occupy(&peer, outbox, grant, client_id);
        (peer, tenure, key)
    }

    /// Gives a socket the connection that it had.
    ///
    /// # Errors
    /// 80018 if the key makes no sense, 80008 if there is nothing left to resume. A new connection is due then.
    pub fn resume(
        &self,
        key: &str,
        outbox: &Arc<Outbox>,
        grant: &Arc<Grant>,
        client_id: &ClientId,
    ) -> Result<(Arc<Peer>, Tenure, String), ErrorInfo> {
        let malformed =
            || ErrorInfo::connection_id_invalid("unable to recover connection: the connection key is not valid");
        let expired = || ErrorInfo::connection_expired("unable to recover connection: the connection has expired");
        let (id, secret) = key.split_once('!').ok_or_else(malformed)?;
        if id.len() != 10 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) || secret.is_empty() {
            return Err(malformed());
        }
        let peer = self.peer(id).or_else(|| self.adopt(id, grant, client_id)).ok_or_else(expired)?;
        if !peer.accepts(secret) {
            return Err(expired());
        }
        if peer.client_id() != *client_id {
            return Err(malformed());
        }
        let (tenure, key) = self.occupy(&peer, outbox, grant.clone(), client_id.clone());
        Ok((peer, tenure, key))
    }

    fn occupy(
        &self,
        peer: &Arc<Peer>,
        outbox: &Arc<Outbox>,
        grant: Arc<Grant>,
        client_id: ClientId,
    ) -> (Tenure, String) {
        let secret = super::random_id(16);
        self.keep_peer(peer, &secret, &grant, &client_id, None);
        let tenure = peer.occupy(outbox.clone(), &secret, grant, client_id);
        (tenure, format!("{}!{secret}", peer.id))
    }

    /// A connection of before the restart, as long as it would not have expired.
    fn adopt(&self, id: &str, grant: &Arc<Grant>, client_id: &ClientId) -> Option<Arc<Peer>> {
        if !self.is_main {
            return None;
        }
        let row = self
            .services
            .rows
            .peer(&self.app, id)
            .inspect_err(|error| tracing::error!(%error, "a connection could not be read"))
            .ok()??;
        let lost_at = row.dropped_at.map_or(self.services.started_at, Timestamp::from_millis);
        let in_time = self.services.now().since(lost_at) <= self.services.config.connection_state_ttl;
        if !in_time || row.client_id != PeerRow::client_id_of(client_id) {
            return None;
        }
        let peer = Arc::new(Peer::new(id.into(), &row.secret, grant.clone(), client_id.clone(), Repeats::MayBeStored));
        Some(self.peers.entry(peer.id.clone()).or_insert(peer).value().clone())
    }

    fn keep_peer(&self, peer: &Peer, secret: &str, grant: &Grant, client_id: &ClientId, dropped_at: Option<i64>) {
        if self.is_main {
            let row = PeerRow {
                secret: secret.to_owned(),
                key_name: grant.key_name.as_ref().to_owned(),
                client_id: PeerRow::client_id_of(client_id),
                dropped_at,
            };
            self.services.rows.keep_peer(&self.app, &peer.id, &row);
        }
    }

    /// The socket is lost: members leave after the grace, the connection is forgotten after its time.
    pub fn dropped(self: &Arc<Self>, peer: Arc<Peer>, tenure: Tenure) {
        if !peer.vacate(tenure) || self.services.is_stopping() {
            return;
        }
        let hub = self.clone();
        let grace = self.services.config.presence_grace;
        let rest = self.services.config.connection_state_ttl.saturating_sub(grace);
        actix_web::rt::spawn(async move {
            tokio::time::sleep(grace).await;
            if !peer.is_vacant_since(tenure) {
                return;
            }
            hub.leave_everywhere(&peer);
            tokio::time::sleep(rest).await;
            if peer.is_vacant_since(tenure) {
                hub.forget(&peer);
            }
        });
    }

    /// The client said goodbye, or its time is over.
    pub fn forget(&self, peer: &Peer) {
        self.leave_everywhere(peer);
        self.peers.remove(&peer.id);
        if self.is_main {
            self.services.rows.forget_peer(&self.app, &peer.id);
        }
    }

    /// Ends every connection's socket with an error.
    pub fn disconnect_all(&self, error: &ErrorInfo) {
        for peer in self.peers() {
            if let Some(outbox) = peer.transport() {
                outbox.end(Some(&Outbound { error: Some(error), ..Outbound::new(Action::Disconnected) }));
            }
        }
    }

    // ---- housekeeping ----

    /// Forgets what has become old. Called every few seconds.
    pub fn tidy(&self) {
        let now = self.services.now();
        let config = &self.services.config;
        let channels: Vec<Arc<Channel>> = self.channels.iter().map(|channel| channel.value().clone()).collect();
        for channel in channels {
            // Test apps have no store: what they persist stays in memory.
            let window = if channel.persisted && !self.is_main { config.history } else { config.continuity };
            channel.prune(now, window, config.log_entries);
        }
        self.channels.retain(|_, channel| !channel.is_forgettable(now, config.continuity));
        metrics::gauge!("tandem_realtime_connections", "app" => if self.is_main { "main" } else { "test" })
            .set(self.peers.len() as f64);
    }

    /// Deletes the rows of connections that did not come back after the restart. Called once their time is over.
    pub fn forget_absent(&self) {
        match self.services.rows.peers(&self.app) {
            Ok(stored) => {
                let absent = stored.iter().filter(|id| self.peer(id).is_none());
                absent.for_each(|id| self.services.rows.forget_peer(&self.app, id));
            }
            Err(error) => tracing::error!(%error, "stored connections could not be read"),
        }
    }

    /// Deletes stored entries that are older than the history. Called every few minutes.
    pub fn expire(&self) {
        let history = i64::try_from(self.services.config.history.as_millis()).unwrap_or(i64::MAX);
        let horizon = self.services.now().as_millis() - history;
        if !self.is_main {
            return;
        }
        let result = self.services.rows.channels(&self.app).and_then(|channels| {
            channels
                .into_iter()
                .try_for_each(|(channel, head)| self.services.rows.expire_log(&self.app, &channel, head, horizon))
        });
        if let Err(error) = result {
            tracing::error!(%error, "old realtime rows could not be deleted");
        }
    }

    /// A frame id for what no connection publishes.
    pub fn frame_id() -> Arc<str> {
        super::random_id(14).into()
    }
}

/// A presence event as the coordinator hears of it. Members of several presence channels are told apart by the channel's number.
pub fn presence_change(event: &PresenceMessage, number: usize, present: bool, at: i64) -> Option<PresenceChange> {
    let user: UserId = event.client_id.parse().ok()?;
    Some(PresenceChange {
        user,
        connection: connection_name(&event.connection_id, number),
        present,
        // Clients number their own presence messages by connection; what the server says for them has another id.
        vanished: !present && !event.id.starts_with(&*event.connection_id),
        at: Timestamp::from_millis(at),
        source: PresenceSource::Embedded,
    })
}

pub fn connection_name(connection: &str, number: usize) -> String {
    format!("{connection}/{number}")
}
