//! What a user wants to be told, and when not to be disturbed.

use serde::{Deserialize, Serialize};
use tandem_actors::domain::time::Timestamp;

/// A user's notification preferences, as the app reads and writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Preferences {
    pub push_enabled: bool,
    pub new_invitations: bool,
    pub partner_actions: bool,
    pub follow_up_reminders: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
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

/// A change of some preferences; an absent field stays as it is, `quietHours: null` ends the quiet hours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreferencesPatch {
    pub push_enabled: Option<bool>,
    pub new_invitations: Option<bool>,
    pub partner_actions: Option<bool>,
    pub follow_up_reminders: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    pub quiet_hours: Option<Option<QuietHours>>,
}

/// Tells `null` from absent.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<QuietHours>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Preferences {
    pub fn patch(&mut self, patch: PreferencesPatch) {
        let set = |field: &mut bool, value: Option<bool>| *field = value.unwrap_or(*field);
        set(&mut self.push_enabled, patch.push_enabled);
        set(&mut self.new_invitations, patch.new_invitations);
        set(&mut self.partner_actions, patch.partner_actions);
        set(&mut self.follow_up_reminders, patch.follow_up_reminders);
        if let Some(quiet_hours) = patch.quiet_hours {
            self.quiet_hours = quiet_hours;
        }
    }

    /// Why the user does not want to be told of this event; `None` if they do.
    pub fn refuses(&self, event: &str) -> Option<&'static str> {
        match Kind::of(event) {
            _ if !self.push_enabled => Some("pushes are switched off"),
            Kind::Invitation if !self.new_invitations => Some("pushes about invitations are switched off"),
            Kind::FollowUp if !self.follow_up_reminders => Some("follow-up reminders are switched off"),
            Kind::Partner if !self.partner_actions => Some("pushes about the partner's actions are switched off"),
            _ => None,
        }
    }
}

enum Kind {
    Invitation,
    FollowUp,
    Partner,
}

impl Kind {
    fn of(event: &str) -> Self {
        if event.starts_with("invitation.") || event == "session.joined" {
            Kind::Invitation
        } else if event.contains("follow_up") || event.starts_with("reminder.") {
            Kind::FollowUp
        } else {
            Kind::Partner
        }
    }
}

/// From `start` until `end` of each day in an IANA zone; over midnight if `end` is earlier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct QuietHours {
    start: jiff::civil::Time,
    end: jiff::civil::Time,
    /// Absent: the zone of the device registered last.
    zone: Option<Box<str>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    start: String,
    end: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuietHours {
    #[error("quietHours.start and quietHours.end must be times of day, as 22:00")]
    Time,
    #[error("quietHours.timeZone must be an IANA time zone, as Europe/Vienna")]
    Zone,
}

impl QuietHours {
    pub fn parse(start: &str, end: &str, zone: Option<&str>) -> Result<Self, InvalidQuietHours> {
        let time = |text: &str| {
            let whole = text.len() == 5 && text.as_bytes()[2] == b':';
            whole.then(|| jiff::civil::Time::strptime("%H:%M", text).ok()).flatten().ok_or(InvalidQuietHours::Time)
        };
        if zone.is_some_and(|zone| !is_time_zone(zone)) {
            return Err(InvalidQuietHours::Zone);
        }
        Ok(Self { start: time(start)?, end: time(end)?, zone: zone.map(Into::into) })
    }

    /// Start, end and zone, as they were given.
    pub fn written(&self) -> (String, String, Option<String>) {
        let time = |time: jiff::civil::Time| format!("{:02}:{:02}", time.hour(), time.minute());
        (time(self.start), time(self.end), self.zone.as_deref().map(str::to_owned))
    }

    /// When the quiet time that `now` lies in ends; `None` if `now` is not quiet. A zone that is not known any more, or a
    /// window without length, is never quiet: better told too early than never.
    pub fn until(&self, now: Timestamp, device_zone: Option<&str>) -> Option<Timestamp> {
        let zone = jiff::tz::TimeZone::get(self.zone.as_deref().or(device_zone).unwrap_or("UTC")).ok()?;
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

/// Whether this is a name of the IANA time zone database.
pub fn is_time_zone(name: &str) -> bool {
    name.len() <= 64 && jiff::tz::TimeZone::get(name).is_ok()
}

impl TryFrom<Written> for QuietHours {
    type Error = InvalidQuietHours;
    fn try_from(written: Written) -> Result<Self, InvalidQuietHours> {
        Self::parse(&written.start, &written.end, written.time_zone.as_deref())
    }
}

impl From<QuietHours> for Written {
    fn from(hours: QuietHours) -> Written {
        let text = |time: jiff::civil::Time| time.strftime("%H:%M").to_string();
        Written { start: text(hours.start), end: text(hours.end), time_zone: hours.zone.map(Into::into) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn quiet_hours_end_when_the_users_own_clock_says_so() {
        let night = QuietHours::parse("22:00", "07:00", Some("Europe/Vienna")).unwrap();
        let noon = QuietHours::parse("12:00", "13:30", None).unwrap();
        for (hours, device_zone, now, until) in [
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
        ] {
            assert_eq!(hours.until(at(now), device_zone), until.map(at), "{hours:?} {now}");
        }
        let never = QuietHours::parse("08:00", "08:00", None).unwrap();
        assert_eq!(never.until(at("2026-01-10T08:00:00Z"), None), None);
    }

    #[test]
    fn quiet_hours_that_mean_nothing_are_refused() {
        for (start, end, zone, error) in [
            ("24:00", "07:00", None, InvalidQuietHours::Time),
            ("22", "07:00", None, InvalidQuietHours::Time),
            ("22:00", "7:00", None, InvalidQuietHours::Time),
            ("22:00", "07:00", Some("Vienna"), InvalidQuietHours::Zone),
            ("22:00", "07:00", Some(""), InvalidQuietHours::Zone),
        ] {
            assert_eq!(QuietHours::parse(start, end, zone), Err(error), "{start} {end} {zone:?}");
        }
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
            (r#"{"followUpReminders":false}"#, "agreement.follow_up_due", true),
            (r#"{"followUpReminders":false}"#, "agreement.proposed", false),
        ] {
            assert_eq!(off(json).refuses(event).is_some(), refused, "{json} {event}");
        }
    }
}
