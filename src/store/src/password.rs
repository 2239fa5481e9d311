//! The password of a database.

use std::{fmt, sync::Arc};

use serde::Deserialize;

/// Its `Debug` never shows it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Password(Arc<str>);

impl Password {
    /// The password itself, for the database only.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it is empty or white space.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
