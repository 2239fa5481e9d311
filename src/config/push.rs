//! Section `push`.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::Secret;

/// The words of one notification.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    pub title: String,
    pub body: String,
}

/// How urgently Apple and Google deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    Default,
    Normal,
    High,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Push {
    /// Where Expo's push service is: scheme, host and port, without a path.
    pub base_url: String,
    /// Expo access token; needed if the project has enhanced push security.
    pub access_token: Option<Secret>,
    /// Notifications per second, counted by recipients, retries included. Expo allows 600 per project.
    pub rate: u32,
    /// How long a batch waits for more recipients before it is sent. At most 50 ms.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// Requests under way at once. Expo asks for at most 6.
    pub max_in_flight: usize,
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// For a whole request, answer included.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// A push that could not be sent or delivered for so long is given up.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    pub priority: Priority,
    /// Android notification channel. The app must have created it: otherwise Android shows nothing.
    pub channel_id: Option<String>,
    /// Devices that one user may have; the one registered longest ago makes room.
    pub devices_per_user: usize,
    /// When receipts are asked for, counted from the send.
    #[serde(deserialize_with = "durations")]
    pub receipt_schedule: Vec<Duration>,
    /// A receipt that is not there by then is lost. Expo keeps receipts for 24 hours.
    #[serde(with = "humantime_serde")]
    pub receipt_lost_after: Duration,
    /// How long it can be explained what became of a push.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// Texts by locale and event; the event `default` stands for all others.
    pub texts: BTreeMap<String, BTreeMap<String, Text>>,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

impl Default for Push {
    fn default() -> Self {
        Self {
            base_url: "https://exp.host".into(),
            access_token: None,
            rate: 500,
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

fn durations<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Duration>, D::Error> {
    #[derive(Deserialize)]
    struct One(#[serde(with = "humantime_serde")] Duration);
    Ok(Vec::<One>::deserialize(deserializer)?.into_iter().map(|One(duration)| duration).collect())
}
