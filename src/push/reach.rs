//! The devices and preferences of one user.

use serde::{Deserialize, Serialize};
use tandem_actors::domain::time::Timestamp;
use utoipa::ToSchema;

use super::{
    preferences::{Preferences, is_time_zone},
    tokens::{DeviceId, PushToken},
};

/// The operating system of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Pushes go through APNs.
    Ios,
    /// Pushes go through FCM.
    Android,
}

/// A device to push to, as the app registers it at login.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RegisterPushToken)]
#[schema(example = json!({
    "pushToken": "ExponentPushToken[xxxxxxxxxxxxxxxxxxxxxx]",
    "platform": "ios", "locale": "de-DE", "timeZone": "Europe/Berlin"
}))]
pub struct Registration {
    /// `ExponentPushToken[…]`, `ExpoPushToken[…]`, or the 8-4-4-4-12 form.
    #[serde(rename = "pushToken")]
    #[schema(schema_with = super::tokens::form)]
    pub token: PushToken,
    /// `ios` or `android`
    pub platform: Platform,
    /// BCP 47, chooses the language of texts.
    pub locale: Option<String>,
    /// IANA, or a plain offset as `GMT+05:30`, for quiet hours. One that is not known is left out.
    pub time_zone: Option<String>,
}

impl Registration {
    /// The device's time zone, if this node knows it. A device with an unknown zone still gets pushes.
    pub fn known_time_zone(&self) -> Option<&str> {
        self.time_zone.as_deref().filter(|name| is_time_zone(name))
    }
}

/// A device of one user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Belongs to one user at a time.
    pub token: PushToken,
    /// Not known of devices from old records.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// As in [`Registration::locale`].
    #[serde(default)]
    pub locale: Option<String>,
    /// A zone that this node knew at the registration.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// The last registration. Older verdicts of Expo's do not count.
    pub registered_at: Timestamp,
    /// Expo's verdicts change it.
    #[serde(default)]
    pub state: DeviceState,
}

/// Whether pushes go to the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceState {
    /// They do.
    #[default]
    Active,
    /// Expo says that the app is not installed any more.
    Retired {
        /// When Expo said so.
        at: Timestamp,
    },
    /// Expo says the same of suspiciously many devices. The device is not used until then; the next verdict is
    /// believed.
    Quarantined {
        /// The end of the quarantine.
        until: Timestamp,
    },
}

impl Device {
    /// An active device of which nothing else is known.
    pub fn new(token: PushToken, registered_at: Timestamp) -> Self {
        Self { token, platform: None, locale: None, time_zone: None, registered_at, state: DeviceState::Active }
    }

    /// What logs and answers show in place of the token.
    pub fn id(&self) -> DeviceId {
        self.token.device_id()
    }

    /// Whether pushes go to it at this time.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        match self.state {
            DeviceState::Active => true,
            DeviceState::Retired { .. } => false,
            DeviceState::Quarantined { until } => now >= until,
        }
    }
}

/// A user's devices, the last registered one at the end, and the preferences.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    #[serde(default)]
    pub devices: Vec<Device>,
    #[serde(default)]
    pub preferences: Preferences,
}

impl Reach {
    pub fn usable(&self, now: Timestamp) -> impl Iterator<Item = &Device> {
        self.devices.iter().filter(move |device| device.is_usable(now))
    }

    pub fn find(&self, id: &DeviceId) -> Option<&Device> {
        self.devices.iter().find(|device| device.id() == *id)
    }

    /// Until when the user's quiet hours last, if they do.
    pub fn quiet_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.preferences.quiet_hours.as_ref()?.until(now, self.time_zone())
    }

    /// The zone of the last registered device that has one.
    pub fn time_zone(&self) -> Option<&str> {
        self.devices.iter().rev().find_map(|device| device.time_zone.as_deref())
    }
}
