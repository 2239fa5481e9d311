//! Section `retention`: how long things are kept.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};
use tandem_actors::session::RetentionSettings;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSection {
    /// A session that has been over for this long is removed. `None`: never.
    #[serde(deserialize_with = "time_or_never")]
    pub ended: Option<Duration>,
    /// How long the same request with the same idempotency key gets the first answer again.
    #[serde(with = "humantime_serde")]
    pub answers: Duration,
    /// After this time, what an erased account held is in no file of the store any more.
    #[serde(with = "humantime_serde")]
    pub erased: Duration,
}

impl Default for RetentionSection {
    fn default() -> Self {
        let RetentionSettings { ended, answers, erased } = RetentionSettings::default();
        Self { ended, answers, erased }
    }
}

impl RetentionSection {
    pub fn settings(&self) -> RetentionSettings {
        let Self { ended, answers, erased } = *self;
        RetentionSettings { ended, answers, erased }
    }
}

fn time_or_never<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    match Cow::<str>::deserialize(deserializer)?.as_ref() {
        "never" => Ok(None),
        time => humantime::parse_duration(time)
            .map(Some)
            .map_err(|error| D::Error::custom(format_args!("{error}; it must be a time, as \"90days\", or \"never\""))),
    }
}
