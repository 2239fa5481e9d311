//! Checks of push settings that a range cannot express.

use std::fmt;

use super::{config::PushSettings, message, texts::Texts};

/// An invalid setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("push.{key} is {found}; it must be {expected}")]
pub struct PushSettingsError {
    pub key: String,
    pub found: String,
    pub expected: String,
}

impl PushSettings {
    /// Checks what a range cannot express. Ranges and addresses are checked where settings are read.
    ///
    /// # Errors
    /// Names the setting and what would be right.
    pub fn validate(&self) -> Result<(), PushSettingsError> {
        let wrong = |key: &str, found: &dyn fmt::Debug, expected: &str| {
            Err(PushSettingsError { key: key.into(), found: format!("{found:?}"), expected: expected.into() })
        };
        if self.receipt_schedule.is_empty() || !self.receipt_schedule.is_sorted() {
            return wrong("receipt_schedule", &self.receipt_schedule, "a list of durations, the shortest first");
        }
        let texts = Texts::new(&self.texts);
        for (locale, event, text) in texts.all() {
            if message::worst_case_size(text) > message::BUDGET {
                let key = format!("texts.{locale}.{event:?}");
                return wrong(&key, &message::worst_case_size(text), "at most 4096 bytes with its envelope");
            }
        }
        Ok(())
    }
}
