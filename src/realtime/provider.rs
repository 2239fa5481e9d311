//! The realtime provider of this node: the embedded endpoint or Ably's cloud. Session actors use one port for both.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, ServiceConfig},
};
use tandem_ably::{ErrorInfo, StartPage};
use tandem_actors::{
    domain::ids::{SessionId, UserId},
    journal::Journal,
    ports::{Clock, PresenceSink, Realtime, Store},
};

use crate::{breaker::Breaker, store::Envelope};

use super::{
    cloud::AblyCloud,
    config::{ProviderKind, RealtimeSettings},
    embedded::{EmbeddedEndpoint, Scope},
};

/// The file for the handover to the next process.
const HANDOVER: &str = "realtime.handover";

/// What becomes of a user's realtime tokens when the user signs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RealtimeTokens {
    Ended,
    ValidUntilExpiry,
}

/// The end of a user's realtime tokens may not be durable.
#[derive(Debug, thiserror::Error)]
#[error("realtime tokens may still be valid: {}", .0.message)]
pub struct TokensNotEnded(#[source] pub(crate) ErrorInfo);

/// The history of channels may still be there.
#[derive(Debug, thiserror::Error)]
#[error("the history of the realtime channels may still be there: {}", .0.message)]
pub struct HistoryNotDeleted(#[source] pub(crate) ErrorInfo);

#[derive(Clone)]
pub enum Provider {
    Embedded(EmbeddedEndpoint),
    Ably { cloud: AblyCloud, start_page: Arc<OnceLock<StartPage>> },
}

impl Provider {
    /// # Errors
    /// One line that names the wrong setting and what would be right, or what failed.
    pub fn new(
        config: &RealtimeSettings,
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
                EmbeddedEndpoint::check_listen(&config.embedded, address.ip()).map_err(setting)?;
                let keys = config.embedded.read_keys().map_err(setting)?;
                let scope =
                    Scope { client_publish: config.client_publish.into(), resolved_for: config.resolved_access };
                let endpoint =
                    EmbeddedEndpoint::new(config.embedded.clone(), names, scope, keys, clock, store, journal);
                endpoint.map(Self::Embedded).map_err(|error| format!("the realtime endpoint cannot start: {error}"))
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

    /// Ends all tokens of a user, and the connections that hold one. The answer comes when that is durable.
    ///
    /// # Errors
    /// If it may not be durable.
    pub async fn end_tokens_of(&self, user: &UserId) -> Result<RealtimeTokens, TokensNotEnded> {
        match self {
            Self::Embedded(embedded) => {
                embedded.end_tokens_of(user).await.map_err(TokensNotEnded)?;
                Ok(RealtimeTokens::Ended)
            }
            // Tokens of Ably's cloud expire by themselves: keys do not revoke tokens by default.
            Self::Ably { .. } => Ok(RealtimeTokens::ValidUntilExpiry),
        }
    }

    /// Deletes what this node keeps of the channels of an erased account.
    ///
    /// # Errors
    /// If it may not be durable.
    pub async fn forget(&self, user: &UserId, sessions: &[SessionId]) -> Result<(), HistoryNotDeleted> {
        match self {
            Self::Embedded(embedded) => embedded.forget(user, sessions).await.map_err(HistoryNotDeleted),
            // Ably's cloud keeps its history for as long as the app's settings there say.
            Self::Ably { .. } => Ok(()),
        }
    }

    /// The embedded endpoint, if the node has one.
    pub fn embedded(&self) -> Option<&EmbeddedEndpoint> {
        match self {
            Self::Embedded(embedded) => Some(embedded),
            Self::Ably { .. } => None,
        }
    }

    /// The circuit breaker of Ably's cloud, if that is the provider.
    pub fn breaker(&self) -> Option<&Breaker> {
        match self {
            Self::Embedded(_) => None,
            Self::Ably { cloud, .. } => Some(cloud.breaker()),
        }
    }

    pub fn report_to(&self, sink: Arc<dyn PresenceSink>) {
        match self {
            Self::Embedded(embedded) => embedded.report_to(sink),
            // Ably's cloud reports by webhook.
            Self::Ably { .. } => {}
        }
    }

    /// Mounts the start page, and the embedded endpoint if there is one.
    pub fn mount(&self, app: &mut ServiceConfig) {
        match self {
            Self::Embedded(embedded) => embedded.endpoint.configure(app),
            Self::Ably { start_page, .. } => {
                let start_page = start_page.clone();
                let page = move |request: HttpRequest| {
                    let page = start_page.get().map_or_else(|| HttpResponse::Ok().finish(), |page| page(&request));
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

    /// Restores what an earlier process left in the data directory. Called before the first connection.
    pub fn take_over(&self, data: &Path, envelope: &Envelope) {
        if let Self::Embedded(embedded) = self {
            embedded.endpoint.take_over(&data.join(HANDOVER), |file| envelope.decrypt(HANDOVER, file));
        }
    }

    /// Writes the state for the next process to the data directory. Called after the last publish.
    pub fn hand_over(&self, data: &Path, envelope: &Envelope) {
        if let Self::Embedded(embedded) = self {
            embedded.endpoint.hand_over(&data.join(HANDOVER), |content| envelope.encrypt(HANDOVER, content));
        }
    }

    /// Disconnects all clients, spread over the grace.
    pub async fn stop(&self, grace: Duration) {
        match self {
            Self::Embedded(embedded) => embedded.endpoint.stop(grace).await,
            Self::Ably { .. } => {}
        }
    }
}
