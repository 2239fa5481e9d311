//! Section `push` of the settings.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// The words of one notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// The first line of the notification.
    pub title: String,
    /// The text below the title.
    pub body: String,
}

/// How urgently Apple and Google deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Expo's default: `normal` on Android, `high` on iOS.
    Default,
    /// Delivered when the device is awake anyway.
    Normal,
    /// Wakes the device.
    High,
}

/// Section `[push]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PushSettings {
    /// Where Expo's push service is: scheme, host and port, without a path.
    pub base_url: String,
    /// Expo access token; needed if the project has enhanced push security.
    pub access_token: Option<Secret>,
    /// Notifications per second, counted by recipients, retries included. Expo allows 600 per project.
    pub rate: u32,
    /// Least time between the first notification of a session to a user and the second. Pushes in between are merged.
    #[serde(with = "humantime_serde")]
    pub spacing: Duration,
    /// Least time between each two further ones, until the session has been quiet for ten times as long.
    #[serde(with = "humantime_serde")]
    pub spacing_later: Duration,
    /// Notifications to one user per minute, of all sessions together. 0: unlimited.
    pub user_rate: u32,
    /// How long a batch waits for more recipients before it is sent. At most 50 ms.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// Requests under way at once. Expo asks for at most 6.
    pub max_in_flight: usize,
    /// How long a connection to Expo may take to open.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// For a whole request, answer included.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// A push that could not be sent or delivered for so long is given up.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// How urgent all pushes are.
    pub priority: Priority,
    /// Android notification channel. The app must have created it: otherwise Android shows nothing.
    pub channel_id: Option<String>,
    /// Devices that one user may have; the one registered longest ago makes room.
    pub devices_per_user: usize,
    /// When receipts are asked for, counted from the send.
    #[serde(with = "durations")]
    pub receipt_schedule: Vec<Duration>,
    /// A receipt that is not there by then is lost. Expo keeps receipts for 24 hours.
    #[serde(with = "humantime_serde")]
    pub receipt_lost_after: Duration,
    /// How long the outcome of a push can be explained.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// Texts by locale and event, as `[push.texts.de."partner.signed_compact"]`; the event `default` stands for all
    /// others.
    pub texts: BTreeMap<String, BTreeMap<String, Text>>,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

impl Default for PushSettings {
    fn default() -> Self {
        Self {
            base_url: "https://exp.host".into(),
            access_token: None,
            rate: 500,
            spacing: Duration::from_secs(10),
            spacing_later: Duration::from_secs(MINUTE),
            user_rate: 20,
            linger: Duration::from_millis(50),
            max_in_flight: 6,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            ttl: Duration::from_secs(24 * HOUR),
            priority: Priority::High,
            channel_id: None,
            devices_per_user: 10,
            receipt_schedule: [15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 16 * HOUR]
                .map(Duration::from_secs)
                .into(),
            receipt_lost_after: Duration::from_secs(23 * HOUR),
            retention: Duration::from_secs(30 * 24 * HOUR),
            texts: BTreeMap::new(),
        }
    }
}

/// A list of humantime durations.
mod durations {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer};

    #[derive(Deserialize)]
    struct One(#[serde(with = "humantime_serde")] Duration);

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Duration>, D::Error> {
        Ok(Vec::<One>::deserialize(deserializer)?.into_iter().map(|One(duration)| duration).collect())
    }
}

#[cfg(test)]
mod tests {
    use figment::{
        Figment,
        providers::{Format, Toml},
    };

    use super::*;

    fn read(toml: &str) -> Result<PushSettings, String> {
        let config: PushSettings = Figment::from(Toml::string(toml)).extract().map_err(|error| error.to_string())?;
        config.validate().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn settings_are_read_as_people_write_them() {
        let config = read(
            r#"
            access_token = "canary"
            ttl = "6h"
            receipt_schedule = ["15m", "1h"]
            priority = "normal"
            texts.de."partner.signed_compact" = { title = "Bereit", body = "Du bist dran." }
            "#,
        )
        .unwrap();
        assert_eq!(config.ttl, Duration::from_secs(6 * 3600));
        assert_eq!(config.receipt_schedule, [Duration::from_secs(900), Duration::from_secs(3600)]);
        assert_eq!(config.texts["de"]["partner.signed_compact"].title, "Bereit");
        assert_eq!(config.rate, 500);
        assert!(!format!("{config:?}").contains("canary"));
    }

    #[test]
    fn an_invalid_setting_is_refused_with_what_would_be_right() {
        for (toml, said) in [
            ("receipt_schedule = [\"1h\", \"15m\"]", "the shortest first"),
            ("receipt_schedule = []", "a list of durations"),
            ("base = 1", "unknown field"),
        ] {
            let error = read(toml).unwrap_err();
            assert!(error.contains(said), "{toml}: {error}");
        }
    }
}
