//! A server that the unmodified Ably SDK connects to.
//!
//! # What it serves
//! - WebSocket and REST in JSON and MessagePack, protocol version 6 (the SDKs of older versions from 1.2 on work too).
//! - Keys, tokens (`requestToken`), JWTs (HS256), capabilities, revocation, in-band AUTH, AUTH asked for before a token expires.
//! - Channels: modes, `rewind`, parameters in names, filtered channels, publish with and without attachment, echo, extras, opaque
//!   encodings, binary data across formats, ids chosen by clients (a repetition is delivered once), continuity by channel serial.
//! - Presence: enter, update, leave, on behalf of others, paged sync, grace for lost sockets, history.
//! - Resume and recover of connections for `connection_state_ttl`, also across a restart of the node (main app).
//! - History with paging, batch publish and presence, channel status and enumeration, unenveloped publish.
//! - Rights that follow the application: a token is no promise for longer than what gave it.
//! - Persistence of the channels of configured namespaces, their presence sets included; all others cost no disk, but for what a graceful
//!   stop hands over to the next start.
//! - Test apps (`sandbox`), each apart from the others, in memory only.
//!
//! # What it does not serve
//! - LiveObjects, annotations, updating and deleting messages, push administration: refused with 40300.
//! - Delta compression: ATTACHED comes with an error 40300, and messages come whole.
//! - Comet transports, metachannels (`[meta]…`: 40010), encrypted or embedded JWTs.
//! - Statistics: `GET /stats` is an empty list (test apps have some).
//!
//! # How it is built
//! The server stands alone. [`Application`] is what it asks of the application that it serves, and [`storage::Storage`] is where it keeps
//! rows. [`protocol`] knows the wire and nothing else; [`auth`] decides who may do what; [`hub`] is an app with its channels and connections;
//! [`channel`] has a log, subscribers and members behind one lock; [`connection`] is a connection that outlives its sockets; [`socket`] is the actor
//! of one socket; [`outbox`] lies between a channel and a socket, so that a slow reader slows nobody.

mod application;
mod auth;
mod channel;
mod config;
mod connection;
mod handover_file;
mod history;
mod hub;
mod in_process;
mod limits;
mod log;
mod maintenance;
mod outbox;
mod persist;
mod presence;
mod protocol;
mod publication;
mod rate;
mod replies;
mod rest;
mod sandbox;
mod socket;
mod stats;
pub mod storage;
mod time;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::HttpResponse;
use dashmap::DashMap;
use rand::Rng;

#[cfg(fuzzing)]
pub use self::protocol::exercise::exercise;
pub use self::{
    application::{Application, ChannelBinding, EventRef, PresenceChange, Rights},
    auth::{APP_NONCE_PREFIX, Capability, Key, hmac_sha256},
    config::{Config, InvalidConfig, KeyConfig, Namespace},
    limits::LimitsConfig,
    protocol::{ErrorInfo, Format, PresenceMessage},
    rest::PendingWrite,
    time::Timestamp,
};

use self::{
    auth::{Credentials, jwt},
    hub::{AppRules, Hub, Services},
    persist::Rows,
    storage::Storage,
};

/// Answers `GET /` without an upgrade.
pub type StartPage = Arc<dyn Fn() -> HttpResponse + Send + Sync>;

/// The time between two clients that are sent away and will come back, as long as there is enough of it.
const RETURN_INTERVAL: Duration = Duration::from_millis(10);

/// The endpoint. One for the node, shared by all workers.
pub struct Endpoint {
    services: Arc<Services>,
    main: Arc<Hub>,
    apps: DashMap<String, Arc<Hub>>,
    start_page: OnceLock<StartPage>,
    has_maintenance: AtomicBool,
}

impl Endpoint {
    /// `keys` are those of the main app, whose id is the first key's name before the dot.
    pub fn new(
        config: Config,
        keys: Vec<Key>,
        application: Arc<dyn Application>,
        storage: Arc<dyn Storage>,
    ) -> Arc<Endpoint> {
        let app = keys.first().map_or("tandem", |key| Key::app_id(&key.name)).to_owned();
        let rules = AppRules {
            persisted: config
                .namespaces
                .iter()
                .filter(|namespace| namespace.persisted)
                .map(|namespace| namespace.id.clone())
                .collect(),
            max_presence_members: config.max_presence_members,
        };
        let services = Arc::new(Services {
            memory: limits::Memory::new(&config.limits),
            config,
            started_at: application.now(),
            application,
            rows: Rows::new(storage),
            stopping: AtomicBool::new(false),
        });
        let main = Arc::new(Hub::new(&app, keys, rules, services.clone(), true));
        main.restore_revocations();
        main.restore_members();
        let apps = DashMap::from_iter([(app, main.clone())]);
        Arc::new(Endpoint {
            services,
            main,
            apps,
            start_page: OnceLock::new(),
            has_maintenance: AtomicBool::new(false),
        })
    }

    /// What `GET /` shows to a browser. Set once.
    pub fn set_start_page(&self, page: StartPage) {
        if self.start_page.set(page).is_err() {
            tracing::warn!("the start page was set a second time; the first one stays");
        }
    }

    /// Mounts the WebSocket and all of REST at the root.
    pub fn configure(self: &Arc<Self>, cfg: &mut actix_web::web::ServiceConfig) {
        rest::mount(self, cfg);
        self.start_maintenance();
    }

    /// Says goodbye to every connection, spread over the grace, and takes no new ones.
    pub async fn stop(&self, grace: Duration) {
        self.services.stopping.store(true, Ordering::Release);
        let error = ErrorInfo::disconnected("the server is restarting; the connection can be resumed");
        let connections: Vec<_> = self.hubs().iter().flat_map(|hub| hub.connections()).collect();
        let connected: Vec<_> = connections.iter().filter_map(|connection| connection.transport()).collect();
        // A few at a time, so that they do not all come back in the same moment.
        let steps = 20.min(connected.len()).max(1);
        let spread = (grace / 2).min(RETURN_INTERVAL * u32::try_from(connected.len()).unwrap_or(u32::MAX));
        let pause = spread / u32::try_from(steps).unwrap_or(1);
        for group in connected.chunks(connected.len().div_ceil(steps).max(1)) {
            for outbox in group {
                let goodbye = protocol::Outbound {
                    error: Some(&error),
                    ..protocol::Outbound::new(protocol::Action::Disconnected)
                };
                outbox.end(Some(&goodbye));
            }
            tokio::time::sleep(pause).await;
        }
        // Those that came in between.
        self.hubs().iter().for_each(|hub| hub.disconnect_all(&error));
    }

    fn hubs(&self) -> Vec<Arc<Hub>> {
        self.apps.iter().map(|hub| hub.value().clone()).collect()
    }

    /// The app that the credentials belong to.
    fn hub_of(&self, credentials: &Credentials) -> Result<Arc<Hub>, ErrorInfo> {
        let app = match credentials {
            Credentials::Key { name, .. } => {
                let app = Key::app_id(name);
                // What cannot even be the id of an app is no key at all; as Ably's service answers it.
                if !self.apps.contains_key(app) && !looks_like_app(app) {
                    return Err(ErrorInfo::invalid_credentials("the key is unknown"));
                }
                app.to_owned()
            }
            Credentials::Token(text) if jwt::looks_like(text) => Key::app_id(&jwt::key_name(text)?).to_owned(),
            Credentials::Token(text) if !text.contains('.') => {
                return Err(ErrorInfo::invalid_credentials("the token is not one that this server has issued"));
            }
            Credentials::Token(text) => Key::app_id(text).to_owned(),
        };
        self.app(&app)
    }

    fn app(&self, app: &str) -> Result<Arc<Hub>, ErrorInfo> {
        let hub = self.apps.get(app).map(|hub| hub.value().clone());
        hub.ok_or_else(|| ErrorInfo::not_found(format!("no application found with id {app}")))
    }
}

/// Whether a text has the form of the app ids that Ably gives: six letters, digits, `-` or `_`.
fn looks_like_app(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// An unguessable id of letters and digits.
fn random_id(length: usize) -> String {
    rand::rng().sample_iter(rand::distr::Alphanumeric).take(length).map(char::from).collect()
}
