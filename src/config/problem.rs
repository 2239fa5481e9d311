//! The error for an invalid setting, in one line: the source, the key, the value, and what would be right.

use std::path::PathBuf;

use figment::{
    Figment,
    error::{Actual, Kind},
    value::Value,
};

use super::reference;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("{}: cannot be read: {reason}: --config must name a file", .file.display())]
    Unreadable { file: PathBuf, reason: String },

    #[error("{}: is not TOML: {reason}", .file.display())]
    Syntax { file: PathBuf, reason: String },

    #[error("{place}: there is no setting {key}; {hint}")]
    Unknown { place: String, key: String, hint: String },

    #[error("{place}: {key} is {found}, but must be {expected}")]
    Wrong { place: String, key: String, found: String, expected: String },

    #[error("{place}: {key} {problem}")]
    Problem { place: String, key: String, problem: String },
}

fn hint(key: &str) -> String {
    match reference::nearest(key).as_slice() {
        [] => format!("there are {}", reference::siblings(key).join(", ")),
        [one] => format!("did you mean {one}?"),
        many => format!("did you mean one of {}?", many.join(", ")),
    }
}

/// Whether the value is secret. `server.limits.ably_token` is a number of requests, not a token.
pub(super) fn is_secret(key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or_default();
    let holds_secret = ["secret", "token", "password"].iter().any(|word| name.ends_with(word));
    (holds_secret && !key.starts_with("server.limits."))
        || key == "realtime.ably.key"
        || key.starts_with("realtime.embedded.keys")
}

impl SettingsError {
    pub(super) fn unknown(place: String, key: String) -> Self {
        let hint = hint(&key);
        Self::Unknown { place, key, hint }
    }

    /// `place` is the source of the value.
    pub(super) fn of(error: figment::Error, figment: &Figment, place: String) -> Self {
        let key = error.path.join(".");
        let wrong = |found: String, expected: String| {
            let found = if is_secret(&key) { "a value that is not shown here".into() } else { found };
            Self::Wrong { place: place.clone(), key: key.clone(), found, expected }
        };
        let value =
            || found_at(figment, &key).and_then(|value| reference::show(&value)).unwrap_or_else(|| "a table".into());
        match error.kind {
            Kind::UnknownField(field, _) => {
                let key = if key.is_empty() { field } else { format!("{key}.{field}") };
                Self::unknown(place, key)
            }
            Kind::MissingField(field) => {
                Self::Problem { place, key, problem: format!("has no {field}, which it must have") }
            }
            Kind::UnknownVariant(found, known) => {
                let known: Vec<_> = known.iter().map(|name| format!("{name:?}")).collect();
                wrong(format!("{found:?}"), known.join(" or "))
            }
            Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
                wrong(show(&found), with_example(&key, &expected))
            }
            Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) | Kind::InvalidLength(..) => {
                wrong(value(), with_example(&key, "within its range"))
            }
            kind => {
                let found =
                    if is_secret(&key) || key == "store.url" { String::new() } else { format!("is {}: ", value()) };
                let example = example(&key).map(|example| format!("; right would be {example}")).unwrap_or_default();
                Self::Problem { place, key, problem: format!("{found}{kind}{example}") }
            }
        }
    }
}

/// Unlike [`Figment::find_value`], also reaches into lists: `server.trusted_proxies.0`.
fn found_at(figment: &Figment, key: &str) -> Option<Value> {
    if let Ok(value) = figment.find_value(key) {
        return Some(value);
    }
    let (list, index) = key.rsplit_once('.')?;
    let index: usize = index.parse().ok()?;
    found_at(figment, list)?.into_array()?.into_iter().nth(index)
}

fn with_example(key: &str, expected: &str) -> String {
    let expected = match expected {
        "u16" | "u32" | "u64" | "usize" => "a whole number",
        "a string" | "string" => "a text in quotes",
        "a boolean" | "bool" => "true or false",
        table if table.starts_with("struct ") => "a table",
        other => other,
    };
    example(key).map_or(expected.into(), |example| format!("{expected}, as {example}"))
}

/// An example of a value. Secrets have none.
fn example(key: &str) -> Option<String> {
    reference::example(key).filter(|_| !is_secret(key))
}

fn show(found: &Actual) -> String {
    match found {
        Actual::Str(text) => format!("{text:?}"),
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(number) => number.to_string(),
        Actual::Signed(number) => number.to_string(),
        Actual::Float(number) => number.to_string(),
        Actual::Seq => "a list".into(),
        Actual::Map => "a table".into(),
        other => other.to_string(),
    }
}
