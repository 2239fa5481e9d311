//! Settings: defaults, a file, the environment, flags; the later wins. Whatever cannot be meant is refused at start, with the place
//! it was read from, the key, what was found and what would be right. `config.toml` at the top level lists them all.

mod auth;
mod check;
mod layers;
mod problem;
mod push;
mod realtime;
mod reference;
mod secret;
mod server;
mod sessions;

use std::path::PathBuf;

use serde::Deserialize;

pub use self::{
    auth::Auth,
    layers::{Flag, Sources},
    problem::SettingsError,
    push::{Priority, Push, Text},
    realtime::{Ably, Embedded, Key, Namespace, Provider, Realtime},
    secret::Secret,
    server::{Cors, Limits, Server, Tls},
    sessions::{Invitations, Journal, Nudge, Routing, Sessions, WhenAbsent},
};
use crate::{store, telemetry};

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the node keeps its store and its generated secrets.
    pub data: PathBuf,
    pub server: Server,
    pub auth: Auth,
    pub store: store::Config,
    pub journal: Journal,
    pub sessions: Sessions,
    pub invitations: Invitations,
    pub nudge: Nudge,
    pub routing: Routing,
    pub realtime: Realtime,
    pub push: Push,
    pub telemetry: telemetry::Config,
}

const DEFAULT_DATA: &str = "./data";

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: DEFAULT_DATA.into(),
            server: Server::default(),
            auth: Auth::default(),
            store: store::Config::default(),
            journal: Journal::default(),
            sessions: Sessions::default(),
            invitations: Invitations::default(),
            nudge: Nudge::default(),
            routing: Routing::default(),
            realtime: Realtime::default(),
            push: Push::default(),
            telemetry: telemetry::Config::default(),
        }
    }
}

impl Settings {
    /// Reads all sources.
    ///
    /// # Errors
    /// The first thing that is wrong, in one line.
    pub fn load(sources: &Sources) -> Result<Self, SettingsError> {
        let layers = sources.layers()?;
        let settings: Self = layers.settings()?;
        settings.check().map_err(|wrong| layers.blame(wrong))?;
        Ok(settings)
    }

    /// Where the store is.
    pub fn store_location(&self) -> store::Location {
        let path = if self.store.path.as_os_str().is_empty() { self.data.join("store") } else { self.store.path.clone() };
        store::Location { engine: self.store.engine, path }
    }

    pub fn store_options(&self) -> store::Options {
        store::Options { cache_mib: self.store.cache_mib, ..store::Options::default() }
    }
}
