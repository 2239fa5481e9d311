//! The bodies of push registration and notification preferences.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    Ios,
    Android,
}

/// A device to push to.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegisterPushToken {
    /// `ExponentPushToken[…]`, `ExpoPushToken[…]`, or the 8-4-4-4-12 form.
    pub push_token: String,
    pub platform: Platform,
    /// BCP 47, chooses the language of texts.
    pub locale: Option<String>,
    /// IANA, for quiet hours.
    pub time_zone: Option<String>,
}

impl std::fmt::Debug for RegisterPushToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegisterPushToken").field("platform", &self.platform).finish_non_exhaustive()
    }
}

/// Which device to forget; without a token: all of the caller's.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct RemovePushToken {
    pub push_token: Option<String>,
}

/// What a user wants to be told by push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Preferences {
    pub push_enabled: bool,
    pub new_invitations: bool,
    pub partner_actions: bool,
    pub follow_up_reminders: bool,
    pub quiet_hours: Option<QuietHours>,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            push_enabled: true,
            new_invitations: true,
            partner_actions: true,
            follow_up_reminders: true,
            quiet_hours: None,
        }
    }
}

/// Pushes are held back between two times of day; the window may pass midnight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuietHours {
    /// As `22:00`.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    pub start: String,
    /// As `07:30`.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    pub end: String,
    /// IANA, as `Europe/Berlin`; the device's if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// Fields that are absent stay as they are; `quietHours: null` ends them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct PreferencesPatch {
    pub push_enabled: Option<bool>,
    pub new_invitations: Option<bool>,
    pub partner_actions: Option<bool>,
    pub follow_up_reminders: Option<bool>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<QuietHours>)]
    pub quiet_hours: Option<Option<QuietHours>>,
}

/// Tells `null` from absence.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<QuietHours>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl PreferencesPatch {
    pub fn apply(self, preferences: Preferences) -> Preferences {
        Preferences {
            push_enabled: self.push_enabled.unwrap_or(preferences.push_enabled),
            new_invitations: self.new_invitations.unwrap_or(preferences.new_invitations),
            partner_actions: self.partner_actions.unwrap_or(preferences.partner_actions),
            follow_up_reminders: self.follow_up_reminders.unwrap_or(preferences.follow_up_reminders),
            quiet_hours: self.quiet_hours.unwrap_or(preferences.quiet_hours),
        }
    }
}
