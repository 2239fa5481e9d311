//! The list of all settings, read from `config.toml`. A test proves that it lists exactly the fields of the types.

use std::sync::LazyLock;

use figment::{
    providers::{Format, Toml},
    value::{Dict, Value},
};

/// `config.toml`, with the settings that are unset by default enabled.
pub(super) static REFERENCE: LazyLock<Dict> =
    LazyLock::new(|| Toml::from_str(&enabled(TEXT)).expect("config.toml is TOML, with its examples enabled: tested"));

pub(super) const TEXT: &str = include_str!("../../config.toml");

/// A line that begins with `#`, without a space, is a setting.
pub(super) fn enabled(text: &str) -> String {
    text.lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if setting.starts_with(|first: char| !first.is_whitespace()) => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect()
}

/// The line of `config.toml` that explains its examples, and what it says where the defaults are comments, too.
const EXPLAINED: [&str; 2] = [
    "# A line that begins with #, without a space, is a setting that is unset by default, with an example.",
    "# A line that begins with #, without a space, is a setting with its default, or with an example if it is unset by default. To set \
     it,\n# remove the #, also from the line in brackets above it.",
];

/// `config.toml` with every setting as a comment: a file to begin with. Later versions of Tandem may change defaults; a
/// default that is written in a node's file would stay as it was.
pub(crate) fn template() -> String {
    let lines = TEXT.lines().map(|line| {
        let stays = line.is_empty() || line.starts_with('#') || (line.starts_with('[') && !line.starts_with("[["));
        // A value may go on in further lines, which are indented.
        if stays { format!("{line}\n") } else { format!("#{}\n", line.trim_start()) }
    });
    lines.collect::<String>().replace(EXPLAINED[0], EXPLAINED[1])
}

/// Tables whose keys the operator chooses.
const FREE: [&str; 1] = ["push.texts"];

/// The first unknown key in `dict`.
pub(super) fn unknown_key(dict: &Dict) -> Option<String> {
    unknown_below(dict, &REFERENCE, "")
}

fn unknown_below(dict: &Dict, known: &Dict, prefix: &str) -> Option<String> {
    dict.iter().find_map(|(key, value)| {
        let path = join(prefix, key);
        match (value, known.get(key)) {
            (_, None) => Some(path),
            _ if FREE.contains(&path.as_str()) => None,
            (Value::Dict(_, below), Some(Value::Dict(_, known))) => unknown_below(below, known, &path),
            (Value::Array(_, rows), Some(Value::Array(_, known))) => {
                let known = known.iter().find_map(Value::as_dict)?;
                rows.iter().filter_map(Value::as_dict).find_map(|row| unknown_below(row, known, &path))
            }
            _ => None,
        }
    })
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

/// All settings that hold a value, in alphabetical order. A list of tables is one setting.
pub(super) fn leaves() -> Vec<String> {
    fn below(dict: &Dict, prefix: &str, keys: &mut Vec<String>) {
        for (key, value) in dict {
            let path = join(prefix, key);
            match value.as_dict() {
                Some(table) if !FREE.contains(&path.as_str()) => below(table, &path, keys),
                _ => keys.push(path),
            }
        }
    }
    let mut keys = Vec::new();
    below(&REFERENCE, "", &mut keys);
    keys
}

/// The default of a setting. `None`: unset by default.
pub(super) fn default(key: &str) -> Option<Value> {
    static DEFAULTS: LazyLock<Value> =
        LazyLock::new(|| Value::from(Toml::from_str::<Dict>(TEXT).expect("config.toml is TOML: tested")));
    DEFAULTS.find_ref(key).cloned()
}

/// All settings, and their sections.
fn all_keys() -> Vec<String> {
    fn below(dict: &Dict, prefix: &str, keys: &mut Vec<String>) {
        for (key, value) in dict {
            let path = join(prefix, key);
            if FREE.contains(&path.as_str()) {
                keys.push(path);
                continue;
            }
            let rows = value.as_array().and_then(|rows| rows.iter().find_map(Value::as_dict));
            if let Some(table) = value.as_dict().or(rows) {
                below(table, &path, keys);
            }
            keys.push(path);
        }
    }
    let mut keys = Vec::new();
    below(&REFERENCE, "", &mut keys);
    keys
}

/// Settings with a similar name, the most similar first.
pub(super) fn nearest(key: &str) -> Vec<String> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let likeness = |known: &str| {
        let whole = strsim::jaro_winkler(key, known);
        whole.max(strsim::jaro_winkler(&last(key), &last(known))) + whole / 10.0
    };
    let mut near: Vec<(f64, String)> = all_keys()
        .into_iter()
        .filter(|known| !key.starts_with(&format!("{known}.")))
        .map(|known| (likeness(&known), known))
        .filter(|(likeness, _)| *likeness > 0.97)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let best = near.first().map_or(0.0, |(likeness, _)| *likeness);
    near.into_iter().take(3).filter(|(likeness, _)| *likeness > best - 0.05).map(|(_, known)| known).collect()
}

/// The settings in the section of `key`.
pub(super) fn siblings(key: &str) -> Vec<String> {
    let section = key.rsplit_once('.').map_or("", |(section, _)| section);
    let direct = |known: &String| known.rsplit_once('.').map_or("", |(section, _)| section) == section;
    all_keys().into_iter().filter(direct).collect()
}

/// An example of this setting's value, as TOML.
pub(super) fn example(key: &str) -> Option<String> {
    let mut parts = key.split('.');
    let mut value = REFERENCE.get(parts.next()?)?;
    for part in parts {
        value = match value {
            Value::Dict(_, dict) => dict.get(part)?,
            Value::Array(_, rows) if part.parse::<usize>().is_ok() => rows.first()?,
            _ => return None,
        };
    }
    show(value)
}

/// A value as TOML. `None` for tables.
pub(super) fn show(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(format!("{text:?}")),
        Value::Array(_, values) => {
            values.iter().map(show).collect::<Option<Vec<_>>>().map(|values| format!("[{}]", values.join(", ")))
        }
        Value::Bool(_, value) => Some(value.to_string()),
        Value::Num(_, number) => number
            .to_i128()
            .map(|number| number.to_string())
            .or_else(|| number.to_u128().map(|number| number.to_string()))
            .or_else(|| number.to_f64().map(|number| number.to_string())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use figment::{Figment, error::Kind, value::Map};

    use super::*;
    use crate::{config::Settings, http::TlsSettings};

    fn settings(dict: Dict) -> Result<Settings, Box<figment::Error>> {
        Figment::from(figment::providers::Serialized::defaults(dict)).extract().map_err(Box::new)
    }

    #[test]
    fn config_toml_is_the_defaults() {
        let listed = settings(Toml::from_str(TEXT).expect("TOML")).expect("settings");
        assert_eq!(format!("{listed:#?}"), format!("{:#?}", Settings::default()));
    }

    #[test]
    fn a_node_of_the_template_runs_with_defaults_until_a_line_is_uncommented() {
        let template = template();
        assert!(template.contains(EXPLAINED[1]), "{template}");
        let plain = settings(Toml::from_str(&template).expect("TOML")).expect("settings");
        assert_eq!(format!("{plain:#?}"), format!("{:#?}", Settings::default()));
        assert_eq!(Toml::from_str::<Dict>(&enabled(&template)).expect("TOML"), *REFERENCE);
    }

    #[test]
    fn config_toml_with_its_examples_is_accepted() {
        let mut settings = settings(REFERENCE.clone()).expect("settings");
        // A certificate is read from files or comes from an authority: each is accepted without the other.
        let tls = settings.server.tls.clone().expect("it is listed");
        settings.server.tls = Some(TlsSettings { certificate: None, key: None, ..tls.clone() });
        settings.check().expect("valid settings");
        settings.server.tls = Some(TlsSettings { acme: None, ..tls });
        settings.check().expect("valid settings");
        assert!(settings.server.tls.is_some() && settings.push.texts.contains_key("de"));
    }

    /// An unknown key makes serde list the fields there are: so every table is asked.
    #[test]
    fn config_toml_names_every_setting() {
        let mut asked = 0;
        ask(&REFERENCE, &mut Vec::new(), &mut asked);
        assert!(asked >= 18, "only {asked} tables were asked");
    }

    fn ask(table: &Dict, path: &mut Vec<String>, asked: &mut usize) {
        let mut whole = REFERENCE.clone();
        let at = path.iter().fold(&mut whole, |dict, key| below_mut(dict.get_mut(key).expect("a table")));
        at.insert("no_such_key".into(), Value::from(true));
        match settings(whole).map_err(|error| error.kind) {
            Err(Kind::UnknownField(_, fields)) => {
                *asked += 1;
                let fields: Vec<_> = fields.iter().map(|field| field.to_string()).collect();
                let mut listed: Vec<_> = table.keys().cloned().collect();
                listed.sort_by_key(|key| fields.iter().position(|field| field == key));
                assert_eq!(listed, fields, "in [{}]", path.join("."));
            }
            outcome => {
                assert!(path.starts_with(&["push".into(), "texts".into()]), "{path:?} takes any key: {outcome:?}");
            }
        }
        for (key, value) in table {
            if let Some(table) = value.as_dict().or_else(|| value.as_array()?.first()?.as_dict()) {
                path.push(key.clone());
                ask(table, path, asked);
                path.pop();
            }
        }
    }

    fn below_mut(value: &mut Value) -> &mut Map<String, Value> {
        match value {
            Value::Dict(_, dict) => dict,
            Value::Array(_, rows) => below_mut(rows.first_mut().expect("a row")),
            _ => panic!("no table"),
        }
    }
}
