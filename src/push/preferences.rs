//! Which notifications a user wants, and when.

use std::fmt;

use jiff::{
    civil::Time,
    tz::{Offset, TimeZone},
};
use serde::{Deserialize, Deserializer, Serialize, de};
use tandem_actors::domain::{EventName, event::PushKind, time::Timestamp};
use utoipa::ToSchema;

/// A user's notification preferences, as the app reads and writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Preferences {
    pub push_enabled: bool,
    /// Kept for a service that sends mail; the coordinator sends none.
    pub email_enabled: bool,
    pub new_invitations: bool,
    pub partner_actions: bool,
    pub follow_up_reminders: bool,
    pub quiet_hours: Option<QuietHours>,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            push_enabled: true,
            email_enabled: true,
            new_invitations: true,
            partner_actions: true,
            follow_up_reminders: true,
            quiet_hours: None,
        }
    }
}

/// Fields that are absent stay as they are; `quietHours: null` ends them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(example = json!({
    "partnerActions": true,
    "quietHours": {"start": "22:00", "end": "07:30", "timeZone": "Europe/Berlin"}
}))]
pub struct PreferencesPatch {
    pub push_enabled: Option<bool>,
    pub email_enabled: Option<bool>,
    pub new_invitations: Option<bool>,
    pub partner_actions: Option<bool>,
    pub follow_up_reminders: Option<bool>,
    #[serde(deserialize_with = "wanted")]
    #[schema(value_type = Option<QuietHours>)]
    pub quiet_hours: Option<Option<QuietHours>>,
}

/// Distinguishes `null` from an absent field. The time zone must exist in a request. Stored preferences stay readable
/// if the time zone database does not know their zone any more.
fn wanted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<QuietHours>>, D::Error> {
    let hours = Option::<QuietHours>::deserialize(deserializer)?;
    match hours.as_ref().and_then(|hours| hours.time_zone.as_deref()).is_none_or(is_time_zone) {
        true => Ok(Some(hours)),
        false => Err(de::Error::custom("timeZone must be an IANA time zone, as Europe/Berlin")),
    }
}

impl Preferences {
    pub fn patch(&mut self, patch: PreferencesPatch) {
        let set = |field: &mut bool, value: Option<bool>| *field = value.unwrap_or(*field);
        set(&mut self.push_enabled, patch.push_enabled);
        set(&mut self.email_enabled, patch.email_enabled);
        set(&mut self.new_invitations, patch.new_invitations);
        set(&mut self.partner_actions, patch.partner_actions);
        set(&mut self.follow_up_reminders, patch.follow_up_reminders);
        if let Some(quiet_hours) = patch.quiet_hours {
            self.quiet_hours = quiet_hours;
        }
    }

    /// Why the user does not want a push for this event; `None` if the user wants it.
    pub fn refuses(&self, event: &str) -> Option<&'static str> {
        // A stored push may have an event that the table does not hold any more.
        let kind = EventName::parse(event).and_then(|name| name.push().kind()).unwrap_or(PushKind::PartnerAction);
        match kind {
            _ if !self.push_enabled => Some("pushes are switched off"),
            PushKind::Invitation if !self.new_invitations => Some("pushes about invitations are switched off"),
            PushKind::FollowUp if !self.follow_up_reminders => Some("follow-up reminders are switched off"),
            PushKind::PartnerAction if !self.partner_actions => {
                Some("pushes about the partner's actions are switched off")
            }
            PushKind::Invitation | PushKind::FollowUp | PushKind::PartnerAction => None,
        }
    }
}

/// Pushes are held back from `start` until `end` of each day; over midnight if `end` is earlier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuietHours {
    /// As `22:00`.
    #[serde(with = "time_of_day")]
    #[schema(value_type = String, pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    start: Time,
    /// As `07:30`.
    #[serde(with = "time_of_day")]
    #[schema(value_type = String, pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    end: Time,
    /// IANA, as `Europe/Berlin`; if absent, that of the device registered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "time-zone", example = "Europe/Berlin")]
    time_zone: Option<Box<str>>,
}

impl QuietHours {
    /// When the quiet hours end, if `now` is in them. With an unknown zone, or if `start` and `end` are equal, there
    /// are no quiet hours: an early push is better than none.
    pub fn until(&self, now: Timestamp, device_zone: Option<&str>) -> Option<Timestamp> {
        let zone = zone(self.time_zone.as_deref().or(device_zone).unwrap_or("UTC"))?;
        let local = jiff::Timestamp::from_millisecond(now.as_millis()).ok()?.to_zoned(zone.clone()).datetime();
        let over_midnight = self.end < self.start;
        let time = local.time();
        let (quiet, ends_tomorrow) = match over_midnight {
            false => (self.start <= time && time < self.end, false),
            true => (time >= self.start || time < self.end, time >= self.start),
        };
        if !quiet {
            return None;
        }
        let day = if ends_tomorrow { local.date().tomorrow().ok()? } else { local.date() };
        let end = day.to_datetime(self.end).to_zoned(zone).ok()?.timestamp();
        Some(Timestamp::from_millis(end.as_millisecond())).filter(|end| *end > now)
    }
}

/// As `22:00–07:30, Europe/Berlin`.
impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = self.time_zone.as_deref().unwrap_or("the device's time zone");
        write!(f, "{}–{}, {zone}", self.start.strftime("%H:%M"), self.end.strftime("%H:%M"))
    }
}

/// Whether this is a time zone: a name of the IANA database, or an offset as phones write it, `GMT+05:30`.
pub fn is_time_zone(name: &str) -> bool {
    zone(name).is_some()
}

const LONGEST_NAME: usize = 64;

fn zone(name: &str) -> Option<TimeZone> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    TimeZone::get(name).ok().or_else(|| offset(name).map(TimeZone::fixed))
}

/// `GMT+05:30`, `UTC-3`, `+0530`: how Android writes a zone without a name.
fn offset(name: &str) -> Option<Offset> {
    let signed = name.strip_prefix("GMT").or_else(|| name.strip_prefix("UTC")).unwrap_or(name);
    let (sign, digits) = match signed.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match (digits.split_once(':'), digits.len()) {
        (Some((hours, minutes)), _) if minutes.len() == 2 => (hours, minutes),
        (None, 4) => digits.split_at_checked(2)?,
        (None, 1 | 2) => (digits, "0"),
        _ => return None,
    };
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i32>().ok())?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let known = hours <= 14 && minutes < 60;
    known.then(|| Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok())?
}

/// A time of day as the app writes it: `22:00`.
mod time_of_day {
    use jiff::civil::Time;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&time.strftime("%H:%M"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_complete = text.len() == "22:00".len() && text.as_bytes()[2] == b':';
        is_complete
            .then(|| Time::strptime("%H:%M", &text).ok())
            .flatten()
            .ok_or_else(|| de::Error::invalid_value(de::Unexpected::Other("another text"), &"a time of day, as 22:00"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn hours(start: &str, end: &str, time_zone: Option<&str>) -> serde_json::Result<QuietHours> {
        let patch = serde_json::json!({ "quietHours": { "start": start, "end": end, "timeZone": time_zone } });
        serde_json::from_value(patch).map(|PreferencesPatch { quiet_hours, .. }| quiet_hours.flatten().unwrap())
    }

    #[test]
    fn quiet_hours_follow_the_users_own_clock() {
        let night = hours("22:00", "07:00", Some("Europe/Vienna")).unwrap();
        let noon = hours("12:00", "13:30", None).unwrap();
        for (quiet, device_zone, now, until) in [
            (&night, None, "2026-01-10T20:59:59Z", None),
            (&night, None, "2026-01-10T21:00:00Z", Some("2026-01-11T06:00:00Z")),
            (&night, None, "2026-01-11T05:59:59Z", Some("2026-01-11T06:00:00Z")),
            (&night, None, "2026-01-11T06:00:00Z", None),
            // The night in which the clocks go forward is an hour shorter.
            (&night, None, "2026-03-28T21:30:00Z", Some("2026-03-29T05:00:00Z")),
            (&night, Some("Asia/Tokyo"), "2026-01-10T21:30:00Z", Some("2026-01-11T06:00:00Z")),
            (&noon, Some("Asia/Tokyo"), "2026-01-10T03:10:00Z", Some("2026-01-10T04:30:00Z")),
            (&noon, None, "2026-01-10T03:10:00Z", None),
            (&noon, None, "2026-01-10T12:10:00Z", Some("2026-01-10T13:30:00Z")),
            (&noon, Some("Not/AZone"), "2026-01-10T12:10:00Z", None),
            (&noon, Some("GMT+05:30"), "2026-01-10T06:40:00Z", Some("2026-01-10T08:00:00Z")),
            (&noon, Some("UTC-3"), "2026-01-10T15:10:00Z", Some("2026-01-10T16:30:00Z")),
        ] {
            assert_eq!(quiet.until(at(now), device_zone), until.map(at), "{quiet:?} {now}");
        }
        let never = hours("08:00", "08:00", None).unwrap();
        assert_eq!(never.until(at("2026-01-10T08:00:00Z"), None), None);
    }

    #[test]
    fn malformed_quiet_hours_are_refused() {
        let (time, zone) = ("a time of day, as 22:00", "timeZone must be an IANA time zone, as Europe/Berlin");
        for (start, end, time_zone, expected) in [
            ("24:00", "07:00", None, time),
            ("22", "07:00", None, time),
            ("22:00", "7:00", None, time),
            ("22:00", "07:00", Some("Vienna"), zone),
            ("22:00", "07:00", Some(""), zone),
        ] {
            let error = hours(start, end, time_zone).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{start} {end} {time_zone:?}: {error}");
        }
    }

    #[test]
    fn stored_quiet_hours_stay_readable_without_their_zone() {
        let stored = r#"{"start":"22:00","end":"07:00","timeZone":"Mars/Olympus"}"#;
        let quiet: QuietHours = serde_json::from_str(stored).unwrap();
        assert_eq!(quiet.until(at("2026-01-10T23:00:00Z"), None), None);
        assert_eq!(serde_json::to_string(&quiet).unwrap(), stored);
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let mut preferences = Preferences::default();
        let patch = |json: &str| serde_json::from_str::<PreferencesPatch>(json).unwrap();
        preferences.patch(patch(
            r#"{"partnerActions":false,"quietHours":{"start":"22:00","end":"07:00","timeZone":"Europe/Vienna"}}"#,
        ));
        assert!(preferences.push_enabled && !preferences.partner_actions && preferences.quiet_hours.is_some());
        preferences.patch(patch("{}"));
        assert!(preferences.quiet_hours.is_some());
        preferences.patch(patch(r#"{"quietHours":null}"#));
        assert_eq!(preferences.quiet_hours, None);
    }

    #[test]
    fn each_kind_of_event_has_its_own_switch() {
        let off = |json: &str| {
            let mut preferences = Preferences::default();
            preferences.patch(serde_json::from_str(json).unwrap());
            preferences
        };
        for (json, event, refused) in [
            ("{}", "partner.signed_compact", false),
            (r#"{"pushEnabled":false}"#, "partner.signed_compact", true),
            (r#"{"partnerActions":false}"#, "agreement.proposed", true),
            (r#"{"partnerActions":false}"#, "invitation.declined", false),
            (r#"{"newInvitations":false}"#, "session.joined", true),
            (r#"{"followUpReminders":false}"#, "agreement.follow_up", true),
            (r#"{"followUpReminders":false}"#, "agreement.proposed", false),
        ] {
            assert_eq!(off(json).refuses(event).is_some(), refused, "{json} {event}");
        }
    }
}
