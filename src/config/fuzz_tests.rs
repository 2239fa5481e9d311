//! What the fuzz targets (`tests/fuzz`) do with a configuration. The tests do it with the corpus.

use super::{Settings, layers::Layers};

/// Stands for a secret. No error shows it.
const CANARY: &str = "canary";
const SECRETS: [&str; 4] = ["hs256_secret", "service_token", "access_token", "password"];

/// A file's lines. A line `NAME__NAME=value` in capitals stands for an environment variable, without its prefix. An
/// error is one line, and shows no secret.
///
/// # Panics
/// If that does not hold.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut file = String::new();
    let mut variables = Vec::new();
    for line in text.lines() {
        match line
            .split_once('=')
            .filter(|(name, _)| name.contains("__") && name.starts_with(|c: char| c.is_ascii_uppercase()))
        {
            Some((name, value)) => variables.push((name.to_owned(), value.to_owned())),
            None => file.extend([line, "\n"]),
        }
    }
    let Err(error) = Layers::of_text(&file, &variables).and_then(|layers| Settings::of(&layers)) else { return };
    let error = error.to_string();
    assert!(!error.contains('\n'), "{error}");
    let is_about_a_secret = SECRETS.iter().any(|name| error.contains(&format!("{name} is")));
    assert!(!(is_about_a_secret && error.contains(CANARY)), "{error}");
}

#[cfg(test)]
mod tests {
    use tandem_corpus::replay;

    #[test]
    fn the_corpus_of_configurations_passes() {
        replay("config", super::config);
    }
}
