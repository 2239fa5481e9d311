//! Section `retention`: how long things are kept.

use std::time::Duration;

use serde::Deserialize;
use tandem_actors::session::RetentionSettings;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSection {
    /// After this time, what an erased account held is in no file of the store any more.
    #[serde(with = "humantime_serde")]
    pub erased: Duration,
}

impl Default for RetentionSection {
    fn default() -> Self {
        let RetentionSettings { erased } = RetentionSettings::default();
        Self { erased }
    }
}

impl RetentionSection {
    pub fn settings(&self) -> RetentionSettings {
        let Self { erased } = *self;
        RetentionSettings { erased }
    }
}
