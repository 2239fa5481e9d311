//! The realtime provider of this node: the embedded endpoint, or Ably's cloud. Session actors see one port and cannot tell
//! which.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use actix_web::{
    HttpResponse,
    web::{self, ServiceConfig},
};
use tandem_ably::StartPage;
use tandem_actors::{
    domain::ids::UserId,
    journal::Journal,
    ports::{Clock, PresenceSink, Realtime, Store},
};

use super::{
    cloud::AblyCloud,
    config::{Config, ProviderKind},
    embedded::{Embedded, Scope},
};

/// The file by which a process hands over to the next one.
const HANDOVER: &str = "realtime.handover";

#[derive(Clone)]
pub enum Provider {
    Embedded(Embedded),
    Ably { cloud: AblyCloud, start_page: Arc<OnceLock<StartPage>> },
}

impl Provider {
    /// # Errors
    /// In one line: which setting is wrong, and what would be right.
    pub fn new(
        config: &Config,
        address: SocketAddr,
        clock: Arc<dyn Clock>,
        store: Arc<dyn Store>,
        journal: Journal,
    ) -> Result<Self, String> {
        let names = config.names();
        names.validate().map_err(|error| error.to_string())?;
        let setting = |error| format!("realtime.embedded.{error}");
        match config.provider {
            ProviderKind::Embedded => {
                Embedded::check_listen(&config.embedded, address.ip()).map_err(setting)?;
                let keys = config.embedded.read_keys().map_err(setting)?;
                let scope = Scope { client_publish: config.client_publish, resolved_for: config.resolved_access };
                let endpoint = Embedded::new(config.embedded.clone(), names, scope, keys, clock, store, journal);
                Ok(Self::Embedded(endpoint))
            }
            ProviderKind::Ably => {
                let cloud = AblyCloud::new(&config.ably, names, clock).map_err(|error| error.to_string())?;
                Ok(Self::Ably { cloud, start_page: Arc::default() })
            }
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Ably { .. } => "ably",
        }
    }

    pub fn port(&self) -> Arc<dyn Realtime> {
        match self {
            Self::Embedded(embedded) => Arc::new(embedded.clone()),
            Self::Ably { cloud, .. } => Arc::new(cloud.clone()),
        }
    }

    /// Ends all tokens that a user has, and the connections that hold one. What is answered is durable.
    ///
    /// # Errors
    /// Why it may not be durable.
    pub async fn end_tokens_of(&self, user: &UserId) -> Result<(), String> {
        match self {
            Self::Embedded(embedded) => embedded.end_tokens_of(user).await.map_err(|error| error.message.into_owned()),
            // Ably's cloud lets them run out: its keys do not revoke tokens unless they are made so.
            Self::Ably { .. } => Ok(()),
        }
    }

    pub fn report_to(&self, sink: Arc<dyn PresenceSink>) {
        match self {
            Self::Embedded(embedded) => embedded.report_to(sink),
            // Reports by webhook.
            Self::Ably { .. } => {}
        }
    }

    /// The start page, and the embedded endpoint where there is one.
    pub fn mount(&self, app: &mut ServiceConfig) {
        match self {
            Self::Embedded(embedded) => embedded.endpoint.configure(app),
            Self::Ably { start_page, .. } => {
                let start_page = start_page.clone();
                let page = move || {
                    let page = start_page.get().map_or_else(|| HttpResponse::Ok().finish(), |page| page());
                    std::future::ready(page)
                };
                app.route("/", web::get().to(page.clone())).route("/", web::head().to(page));
            }
        }
    }

    /// Sets what a browser sees at the root. Called once.
    pub fn set_start_page(&self, page: StartPage) {
        match self {
            Self::Embedded(embedded) => embedded.endpoint.set_start_page(page),
            // A second call changes nothing.
            Self::Ably { start_page, .. } => drop(start_page.set(page)),
        }
    }

    /// Takes up what an earlier process has left in the data directory. Called before the first connection.
    pub fn take_over(&self, data: &Path) {
        if let Self::Embedded(embedded) = self {
            embedded.endpoint.take_over(&data.join(HANDOVER));
        }
    }

    /// Leaves in the data directory what the next process is to take up. Called when nobody publishes any more.
    pub fn hand_over(&self, data: &Path) {
        if let Self::Embedded(embedded) = self {
            embedded.endpoint.hand_over(&data.join(HANDOVER));
        }
    }

    /// Says goodbye to connections, spread over the grace.
    pub async fn stop(&self, grace: Duration) {
        match self {
            Self::Embedded(embedded) => embedded.endpoint.stop(grace).await,
            Self::Ably { .. } => {}
        }
    }
}
