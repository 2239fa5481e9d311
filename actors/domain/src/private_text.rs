//! A partner's text. Its `Debug` shows the length only, so that no log, trace or panic message can hold the text.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A partner's text. It leaves the domain only through the view of a member who may see it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct PrivateText(Box<str>);

impl PrivateText {
    /// Wraps a text, of any length.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself. For views only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} characters>", self.0.chars().count())
    }
}

/// The secret of a session that the order of its strategies is computed from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Salt(PrivateText);

impl Salt {
    /// Wraps a secret. It must be unguessable and never change.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(PrivateText::new(text))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.reveal().as_bytes()
    }
}
