//! Settings come from defaults, a file, the environment and flags; later sources win. An invalid setting is refused at
//! start. The error names its source, the key, the value, and what would be right. `config.toml` at the top level lists
//! all settings.

mod app;
mod backup;
mod check;
mod console;
mod effective;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz_tests;
mod layers;
mod problem;
mod ranges;
mod reference;
mod retention;
mod rooms;
mod sessions;

use std::path::PathBuf;

use serde::Deserialize;

pub(crate) use self::backup::BackupSettings;
pub use self::layers::{Flag, Sources};
use self::{
    app::AppSection,
    console::ConsoleSettings,
    layers::Layers,
    retention::RetentionSection,
    sessions::{InvitationsSettings, JournalSettings, NudgeSettings, RoutingSettings, SessionsSettings},
};
pub(crate) use self::{
    effective::{EffectiveSetting, Origin, effective},
    problem::SettingsError,
    reference::template,
};
use crate::{auth, fleet, http, limits, push, realtime, store, telemetry};

/// All settings of a node, each with its default if no source names it.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "a field is the section of its name, which config.toml explains")]
pub struct Settings {
    /// Where the node keeps its store and its generated secrets.
    pub data: PathBuf,
    /// A flag for one start, not a setting: makes an empty store where this data directory had one before.
    #[serde(skip)]
    pub start_afresh: bool,
    pub server: http::ServerSettings,
    pub auth: auth::AuthSettings,
    pub store: store::StoreSettings,
    pub fleet: fleet::FleetSettings,
    pub journal: JournalSettings,
    pub backup: BackupSettings,
    pub retention: RetentionSection,
    pub sessions: SessionsSettings,
    pub invitations: InvitationsSettings,
    pub app: AppSection,
    pub console: ConsoleSettings,
    pub nudge: NudgeSettings,
    pub routing: RoutingSettings,
    pub realtime: realtime::RealtimeSettings,
    pub push: push::PushSettings,
    pub limits: limits::LimitSettings,
    pub telemetry: telemetry::TelemetrySettings,
}

const DEFAULT_DATA: &str = "./data";

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: DEFAULT_DATA.into(),
            start_afresh: false,
            server: http::ServerSettings::default(),
            auth: auth::AuthSettings::default(),
            store: store::StoreSettings::default(),
            fleet: fleet::FleetSettings::default(),
            journal: JournalSettings::default(),
            backup: BackupSettings::default(),
            retention: RetentionSection::default(),
            sessions: SessionsSettings::default(),
            invitations: InvitationsSettings::default(),
            app: AppSection::default(),
            console: ConsoleSettings::default(),
            nudge: NudgeSettings::default(),
            routing: RoutingSettings::default(),
            realtime: realtime::RealtimeSettings::default(),
            push: push::PushSettings::default(),
            limits: limits::LimitSettings::default(),
            telemetry: telemetry::TelemetrySettings::default(),
        }
    }
}

impl Settings {
    /// Reads all sources.
    ///
    /// # Errors
    /// The first invalid setting, in one line.
    pub fn load(sources: &Sources) -> Result<Self, SettingsError> {
        Self::of(&sources.layers()?)
    }

    fn of(layers: &Layers) -> Result<Self, SettingsError> {
        let settings: Self = layers.settings()?;
        layers.check_ranges().and_then(|()| settings.check()).map_err(|wrong| layers.with_source(wrong))?;
        Ok(settings)
    }
}
