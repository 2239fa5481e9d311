//! The settings that a node runs with, each with its origin. `tandem config show` prints them.

use std::fmt;

use figment::{
    Source,
    value::{Dict, Value},
};
use url::Url;

use super::{
    Settings, SettingsError, Sources,
    layers::Layers,
    problem::is_secret,
    reference::{leaves, show},
};

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EffectiveSetting {
    /// As `server.listen`.
    pub key: String,
    /// As TOML. `None` if it is unset. Secrets are replaced.
    pub value: Option<String>,
    pub origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File(String),
    /// A flag or an environment variable, as `flag --listen`.
    Given(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Given(place) => f.write_str(place),
        }
    }
}

/// A line of TOML, with the origin as a comment.
impl fmt::Display for EffectiveSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, origin } = self;
        match value {
            Some(value) => write!(f, "{key} = {value}  # {origin}"),
            None => write!(f, "# {key}: unset"),
        }
    }
}

const NOT_SHOWN: &str = "\"[redacted]\"";

/// All settings, in alphabetical order.
///
/// # Errors
/// As [`Settings::load`].
pub(crate) fn effective(sources: &Sources) -> Result<Vec<EffectiveSetting>, SettingsError> {
    Settings::load(sources)?;
    let layers = sources.layers()?;
    Ok(leaves().into_iter().map(|key| effective_setting(&layers, sources, key)).collect())
}

fn effective_setting(layers: &Layers, sources: &Sources, key: String) -> EffectiveSetting {
    let (value, origin) = match layers.given(&key) {
        Some((value, metadata)) => {
            let place = metadata.name.to_string();
            let from_file = matches!(metadata.source, Some(Source::File(_)));
            (Some(value), if from_file { Origin::File(place) } else { Origin::Given(place) })
        }
        None => (super::reference::default(&key), Origin::Default),
    };
    // The logger's own variable wins over the setting.
    let filter = sources.environment.iter().find(|(name, value)| name == "RUST_LOG" && !value.is_empty());
    let (value, origin) = match filter {
        Some((name, text)) if key == "telemetry.filter" => {
            (Some(Value::from(text.as_str())), Origin::Given(format!("environment variable {name}")))
        }
        _ => (value, origin),
    };
    let value = value.as_ref().map(|value| if is_secret(&key) { NOT_SHOWN.into() } else { without_password(value) });
    EffectiveSetting { key, value, origin }
}

/// The value as TOML, tables in one line. A password in an address is replaced.
fn without_password(value: &Value) -> String {
    match value {
        Value::Dict(_, dict) => table(dict),
        Value::Array(_, rows) => format!("[{}]", rows.iter().map(without_password).collect::<Vec<_>>().join(", ")),
        Value::String(tag, text) => match Url::parse(text) {
            Ok(mut url) if url.password().is_some() => {
                // It fails only for an address that cannot have a password.
                let _replaced = url.set_password(Some("redacted"));
                show(&Value::String(*tag, url.into())).unwrap_or_default()
            }
            _ => show(value).unwrap_or_default(),
        },
        other => show(other).unwrap_or_default(),
    }
}

fn table(dict: &Dict) -> String {
    let pairs: Vec<_> = dict.iter().map(|(key, value)| format!("{key:?} = {}", without_password(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}
