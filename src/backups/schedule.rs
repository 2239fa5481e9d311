//! The schedule of backups: `24h` is the time since the last backup, `03:30` is a time of each day in UTC.

use std::{fmt, str::FromStr, time::Duration};

use jiff::{civil, tz::TimeZone};
use serde::{Deserialize, Deserializer, de::Error as _};
use tandem_actors::domain::time::Timestamp;

/// The shortest time between two backups.
const SHORTEST: Duration = Duration::from_secs(1);

/// When a backup is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// This long after the last backup.
    Every(Duration),
    /// At this time of each day, in UTC.
    Daily(civil::Time),
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = civil::Time::strptime("%H:%M", text) {
            return Ok(Self::Daily(time));
        }
        match humantime::parse_duration(text) {
            Ok(every) if every >= SHORTEST => Ok(Self::Every(every)),
            _ => Err("must be a duration of at least 1s, as \"24h\", or a time of the day in UTC, as \"03:30\"".into()),
        }
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(every) => write!(f, "every {}", humantime::format_duration(*every)),
            Self::Daily(time) => write!(f, "each day at {} UTC", time.strftime("%H:%M")),
        }
    }
}

impl Schedule {
    /// When the next backup is due, which may be in the past. `last` is the time of the last attempt.
    pub fn next(self, last: Option<Timestamp>, now: Timestamp) -> Timestamp {
        match self {
            Self::Every(every) => last.map_or(now, |last| last + every),
            Self::Daily(time) => daily(time, last.unwrap_or(now)).unwrap_or(now + Duration::from_secs(24 * 60 * 60)),
        }
    }
}

/// The first such time of day after `after`.
fn daily(time: civil::Time, after: Timestamp) -> Option<Timestamp> {
    let after = jiff::Timestamp::from_millisecond(after.as_millis()).ok()?;
    let today = after.to_zoned(TimeZone::UTC).date();
    [today, today.tomorrow().ok()?].into_iter().find_map(|day| {
        let at = day.to_datetime(time).to_zoned(TimeZone::UTC).ok()?.timestamp();
        (at > after).then(|| Timestamp::from_millis(at.as_millisecond()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    #[test]
    fn a_schedule_is_a_duration_or_a_time_of_the_day() {
        let noon = at("2026-01-31T12:00:00Z");
        let every: Schedule = "24h".parse().expect("a duration");
        assert_eq!(every.next(Some(noon), noon), at("2026-02-01T12:00:00Z"));
        assert_eq!(every.next(None, noon), noon, "there is none yet");
        let daily: Schedule = "03:30".parse().expect("a time");
        assert_eq!(daily.next(None, noon), at("2026-02-01T03:30:00Z"));
        assert_eq!(daily.next(Some(at("2026-01-30T03:30:00Z")), noon), at("2026-01-31T03:30:00Z"), "it was missed");
        assert_eq!(daily.next(Some(at("2026-01-31T03:29:59Z")), noon), at("2026-01-31T03:30:00Z"));
        for wrong in ["0s", "25:00", "soon", "", "10ms"] {
            assert!(wrong.parse::<Schedule>().is_err_and(|problem| problem.contains("03:30")), "{wrong}");
        }
    }
}
