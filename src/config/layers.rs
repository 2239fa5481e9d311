//! The sources of settings, one layer over the other.

use std::{
    fs,
    path::{Path, PathBuf},
};

use figment::{
    Figment, Metadata, Profile, Provider,
    error::Kind,
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};

use super::{DEFAULT_DATA, Settings, check::InvalidSetting, problem::SettingsError, ranges, reference::unknown_key};

const PREFIX: &str = "TANDEM__";

/// A flag that gives a setting.
#[derive(Clone, Debug)]
pub struct Flag {
    /// As it was typed, for errors.
    pub name: &'static str,
    /// The setting that it sets, for example `server.listen`.
    pub key: &'static str,
    /// As it was typed.
    pub value: String,
}

/// Everything that settings are read from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file of `--config`. Absent: `config.toml` in the data directory, if it exists.
    pub file: Option<PathBuf>,
    /// Names and values. Only names that begin with `TANDEM__` are read.
    pub environment: Vec<(String, String)>,
    /// Flags of the command line. They win over everything else.
    pub flags: Vec<Flag>,
}

/// All layers, merged.
pub(super) struct Layers {
    figment: Figment,
}

impl Sources {
    pub(super) fn layers(&self) -> Result<Layers, SettingsError> {
        let mut layers = Layers { figment: Figment::new() };
        if let Some(file) = &self.file {
            layers.add(file_layer(file)?)?;
        } else if let Some(file) = self.file_in_data() {
            let layer = file_layer(&file)?;
            if layer.dict.contains_key("data") {
                let problem = "cannot be set in the data directory's own file; give that file with --config".into();
                return Err(SettingsError::Problem { place: layer.place, key: "data".into(), problem });
            }
            layers.add(layer)?;
        }
        for (name, value) in &self.environment {
            if let Some(path) = name.strip_prefix(PREFIX) {
                let key = path.to_lowercase().replace("__", ".");
                match key.strip_suffix("_file").filter(|_| !NAME_FILES.contains(&key.as_str())) {
                    Some(key) => layers.add_variable(name, key, &content(name, key, value)?)?,
                    None => layers.add_variable(name, &key, value)?,
                }
            }
        }
        for Flag { name, key, value } in &self.flags {
            layers.add(Layer::of(format!("flag {name}"), key, Value::from(value.as_str())))?;
        }
        Ok(layers)
    }

    fn file_in_data(&self) -> Option<PathBuf> {
        Some(self.own_file()).filter(|file| file.exists())
    }

    /// `config.toml` in the data directory.
    pub(crate) fn own_file(&self) -> PathBuf {
        let flag = self.flags.iter().rev().find(|flag| flag.key == "data").map(|flag| flag.value.as_str());
        let variable =
            || self.environment.iter().find(|(name, _)| name == "TANDEM__DATA").map(|(_, value)| value.as_str());
        let data = flag.or_else(variable).unwrap_or(DEFAULT_DATA);
        PathBuf::from(data).join("config.toml")
    }
}

/// Settings that are names of files themselves.
const NAME_FILES: [&str; 1] = ["store.encryption_key_file"];

/// What a file says that `TANDEM__SECTION__KEY_FILE` names, without the end of its last line.
fn content(variable: &str, key: &str, file: &str) -> Result<String, SettingsError> {
    let text = fs::read_to_string(file).map_err(|error| SettingsError::Problem {
        place: format!("environment variable {variable}"),
        key: key.into(),
        problem: format!("cannot be read from {file}: {error}"),
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn file_layer(file: &Path) -> Result<Layer, SettingsError> {
    let text = fs::read_to_string(file)
        .map_err(|error| SettingsError::Unreadable { file: file.to_owned(), reason: error.to_string() })?;
    text_layer(file, &text)
}

fn text_layer(file: &Path, text: &str) -> Result<Layer, SettingsError> {
    let dict = Toml::from_str(text).map_err(|error| {
        // The message has several lines: the position, the line with a mark below, and the problem.
        let lines = error.to_string();
        let mut lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
        let (first, last) = (lines.next().unwrap_or_default(), lines.next_back().unwrap_or_default());
        let at = first.strip_prefix("TOML parse error at ").unwrap_or(first);
        SettingsError::Syntax { file: file.to_owned(), reason: format!("{at}: {last}") }
    })?;
    Ok(Layer { place: file.display().to_string(), file: Some(file.to_owned()), dict })
}

impl Layers {
    /// A file's text, and variables over it.
    #[cfg(any(test, fuzzing))]
    pub fn of_text(text: &str, variables: &[(String, String)]) -> Result<Self, SettingsError> {
        let mut layers = Self { figment: Figment::new() };
        layers.add(text_layer(Path::new("config.toml"), text)?)?;
        for (name, value) in variables {
            layers.add_variable(name, &name.to_lowercase().replace("__", "."), value)?;
        }
        Ok(layers)
    }

    pub fn settings(&self) -> Result<Settings, SettingsError> {
        self.figment.extract().map_err(|error| self.explain(error))
    }

    /// Checks the given numbers and durations. The defaults are within their ranges.
    pub fn check_ranges(&self) -> Result<(), InvalidSetting> {
        ranges::check(&self.figment)
    }

    /// Adds the source of an invalid value.
    pub fn with_source(&self, wrong: InvalidSetting) -> SettingsError {
        let place =
            self.figment.find_metadata(&wrong.key).map_or("settings".into(), |metadata| metadata.name.to_string());
        SettingsError::Problem { place, key: wrong.key, problem: wrong.problem }
    }

    /// The value of a setting and its source, if any source gives it.
    pub fn given(&self, key: &str) -> Option<(Value, Metadata)> {
        let value = self.figment.find_value(key).ok()?;
        let metadata = self.figment.get_metadata(value.tag()).cloned().unwrap_or_default();
        Some((value, metadata))
    }

    fn explain(&self, error: figment::Error) -> SettingsError {
        let place = error.metadata.as_ref().map_or("settings".into(), |metadata| metadata.name.to_string());
        SettingsError::of(error, &self.figment, place)
    }

    fn add(&mut self, layer: Layer) -> Result<(), SettingsError> {
        if let Some(key) = unknown_key(&layer.dict) {
            return Err(SettingsError::unknown(layer.place, key));
        }
        self.figment = std::mem::take(&mut self.figment).merge(layer);
        Ok(())
    }

    /// Adds an environment variable. It is read as JSON or TOML if the setting accepts that, else as a text. So `6h`
    /// and `"6h"` are durations, and a secret may consist of digits.
    fn add_variable(&mut self, name: &str, key: &str, text: &str) -> Result<(), SettingsError> {
        let place = format!("environment variable {name}");
        let mut refused = None;
        for value in parsed(text).into_iter().chain([Value::from(text)]) {
            let mut with = Self { figment: self.figment.clone() };
            with.add(Layer::of(place.clone(), key, value))?;
            match with.figment.extract::<Settings>() {
                // Another variable may give the rest of the table.
                Err(error) if matches!(error.kind, Kind::MissingField(_)) => {
                    *self = with;
                    return Ok(());
                }
                Err(error) if error.metadata.as_ref().is_some_and(|metadata| metadata.name == place) => {
                    refused.get_or_insert(with.explain(error));
                }
                // An error of another source is reported when all layers are merged.
                _ => {
                    *self = with;
                    return Ok(());
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }
}

fn parsed(text: &str) -> Option<Value> {
    let json = || serde_json::from_str::<serde_json::Value>(text).ok().and_then(|json| Value::serialize(json).ok());
    let toml = || Toml::from_str::<Dict>(&format!("value = {text}")).ok()?.remove("value");
    json().or_else(toml)
}

/// Settings from one source.
struct Layer {
    place: String,
    file: Option<PathBuf>,
    dict: Dict,
}

impl Layer {
    fn of(place: String, key: &str, value: Value) -> Self {
        let dict = figment::util::nest(key, value).into_dict().unwrap_or_default();
        Self { place, file: None, dict }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        match &self.file {
            Some(file) => Metadata::from(self.place.clone(), file.as_path()),
            None => Metadata::named(self.place.clone()),
        }
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}
