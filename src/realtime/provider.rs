//! The realtime provider of this node: the embedded endpoint, or Ably's cloud. Session actors see one port and cannot tell
//! which.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use actix_web::web::ServiceConfig;
use tandem_actors::{
    journal::Journal,
    ports::{Clock, PresenceSink, Realtime, Store},
};

use super::{
    config::{Config, ProviderKind},
    embedded::{Embedded, auth::Key},
};
use crate::http::{StartPage, start_page};

#[derive(Clone)]
pub enum Provider {
    Embedded(Arc<Embedded>),
}

impl Provider {
    /// `generated` is the key that the node made for itself; it counts where none is configured.
    ///
    /// # Errors
    /// In one line: which setting is wrong, and what would be right.
    pub fn new(
        config: &Config,
        generated: Key,
        address: SocketAddr,
        clock: Arc<dyn Clock>,
        store: Arc<dyn Store>,
        journal: Journal,
    ) -> Result<Self, String> {
        let names = config.names();
        names.validate().map_err(|error| error.to_string())?;
        match config.provider {
            ProviderKind::Embedded => {
                Embedded::check_listen(&config.embedded, address.ip()).map_err(|error| error.to_string())?;
                let mut keys = config.embedded.read_keys().map_err(|error| error.to_string())?;
                if keys.is_empty() {
                    keys.push(generated);
                }
                let endpoint = Embedded::new(config.embedded.clone(), names, keys, clock, store, journal);
                Ok(Self::Embedded(endpoint))
            }
            ProviderKind::Ably => Err("realtime.provider = \"ably\" is not there".into()),
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
        }
    }

    pub fn port(&self) -> Arc<dyn Realtime> {
        match self {
            Self::Embedded(endpoint) => endpoint.clone(),
        }
    }

    pub fn report_to(&self, sink: Arc<dyn PresenceSink>) {
        match self {
            Self::Embedded(endpoint) => endpoint.set_sink(sink),
        }
    }

    /// The start page, and the embedded endpoint where there is one.
    pub fn mount(&self, app: &mut ServiceConfig) {
        match self {
            Self::Embedded(endpoint) => endpoint.configure(app),
        }
    }

    pub fn set_start_page(&self, token_hint: String) {
        let provider = self.name();
        let page = move |_: &actix_web::HttpRequest| start_page(&StartPage { provider, token_hint: &token_hint });
        match self {
            Self::Embedded(endpoint) => endpoint.set_start_page(Arc::new(page)),
        }
    }

    /// Says goodbye to connections, spread over the grace.
    pub async fn stop(&self, grace: Duration) {
        match self {
            Self::Embedded(endpoint) => endpoint.stop(grace).await,
        }
    }
}
