//! The server as a whole: its apps, how it starts, and how it stops.

mod handover_file;
mod in_process;
mod maintenance;
mod overview;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::{HttpRequest, HttpResponse};
use dashmap::DashMap;

use crate::{
    application::Application,
    auth::{ApiKey, Credentials, jwt},
    config::Config,
    hub::{AppRules, Hub, Services},
    limits::Memory,
    persist::PersistentRows,
    protocol::{Action, ErrorInfo, Outbound},
    storage::Storage,
};

pub use self::overview::{ChannelOverview, ConnectionOverview, CredentialsOverview, Overview};

/// Hears when a write is durable.
pub type PendingWrite = tokio::sync::oneshot::Receiver<Result<(), ErrorInfo>>;

/// Answers `GET /` without an upgrade.
pub type StartPage = Arc<dyn Fn(&HttpRequest) -> HttpResponse + Send + Sync>;

/// The pause between two clients that are disconnected at a stop, if the grace allows it.
const RETURN_INTERVAL: Duration = Duration::from_millis(10);

/// The server. One for the node, shared by all workers.
pub struct Endpoint {
    pub(crate) services: Arc<Services>,
    main: Arc<Hub>,
    pub(crate) apps: DashMap<String, Arc<Hub>>,
    pub(crate) start_page: OnceLock<StartPage>,
    has_maintenance: AtomicBool,
}

impl Endpoint {
    /// `keys` are those of the main app, whose id is the first key's name before the dot.
    ///
    /// # Errors
    /// If a thread cannot start.
    pub fn new(
        config: Config,
        keys: Vec<ApiKey>,
        application: Arc<dyn Application>,
        storage: Arc<dyn Storage>,
    ) -> std::io::Result<Arc<Endpoint>> {
        let app = keys.first().map_or("tandem", |key| ApiKey::app_id(&key.name)).to_owned();
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
            memory: Memory::new(&config.limits),
            config,
            started_at: application.now(),
            application,
            rows: PersistentRows::new(storage)?,
            stopping: AtomicBool::new(false),
        });
        let main = Arc::new(Hub::main(&app, keys, rules, services.clone()));
        main.restore_revocations();
        main.restore_members();
        let apps = DashMap::from_iter([(app, main.clone())]);
        Ok(Arc::new(Endpoint {
            services,
            main,
            apps,
            start_page: OnceLock::new(),
            has_maintenance: AtomicBool::new(false),
        }))
    }

    /// What `GET /` shows to a browser. Set once.
    pub fn set_start_page(&self, page: StartPage) {
        if self.start_page.set(page).is_err() {
            tracing::warn!("the start page was set a second time; the first one stays");
        }
    }

    /// Says goodbye to every connection, spread over the grace, and takes no new ones.
    pub async fn stop(&self, grace: Duration) {
        self.services.stopping.store(true, Ordering::Release);
        let error = ErrorInfo::disconnected("the server is restarting; the connection can be resumed");
        let connections: Vec<_> = self.hubs().iter().flat_map(|hub| hub.connections()).collect();
        let connected: Vec<_> = connections.iter().filter_map(|connection| connection.transport()).collect();
        // A few at a time, so that they do not all reconnect at the same moment.
        let steps = 20.min(connected.len()).max(1);
        let spread = (grace / 2).min(RETURN_INTERVAL * u32::try_from(connected.len()).unwrap_or(u32::MAX));
        let pause = spread / u32::try_from(steps).unwrap_or(1);
        for group in connected.chunks(connected.len().div_ceil(steps).max(1)) {
            for outbox in group {
                let goodbye = Outbound { error: Some(&error), ..Outbound::new(Action::Disconnected) };
                outbox.end(Some(&goodbye));
            }
            tokio::time::sleep(pause).await;
        }
        // Connections that were made meanwhile.
        self.hubs().iter().for_each(|hub| hub.disconnect_all(&error));
    }

    fn hubs(&self) -> Vec<Arc<Hub>> {
        self.apps.iter().map(|hub| hub.value().clone()).collect()
    }

    /// The app that the credentials belong to.
    pub(crate) fn hub_of(&self, credentials: &Credentials) -> Result<Arc<Hub>, ErrorInfo> {
        let app = match credentials {
            Credentials::Key { name, .. } => {
                let app = ApiKey::app_id(name);
                // A text that cannot be the id of an app gets the same answer as from Ably's service.
                if !self.apps.contains_key(app) && !looks_like_app(app) {
                    return Err(ErrorInfo::invalid_credentials("the key is unknown"));
                }
                app.to_owned()
            }
            Credentials::Token(text) if jwt::looks_like(text) => ApiKey::app_id(&jwt::key_name(text)?).to_owned(),
            Credentials::Token(text) if !text.contains('.') => {
                return Err(ErrorInfo::invalid_credentials("the token is not one that this server has issued"));
            }
            Credentials::Token(text) => ApiKey::app_id(text).to_owned(),
        };
        self.app(&app)
    }

    pub(crate) fn app(&self, app: &str) -> Result<Arc<Hub>, ErrorInfo> {
        let hub = self.apps.get(app).map(|hub| hub.value().clone());
        hub.ok_or_else(|| ErrorInfo::not_found(format!("no application found with id {app}")))
    }
}

/// Whether a text has the form of the app ids that Ably gives: six letters, digits, `-` or `_`.
fn looks_like_app(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
