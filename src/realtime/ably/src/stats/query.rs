//! Queries for intervals.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use crate::{paging, protocol::ErrorInfo, storage::Direction};

/// The format of a minute's id.
pub const MINUTE: &str = "%Y-%m-%d:%H:%M";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Minute,
    Hour,
    Day,
    Month,
}

impl Unit {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "minute" => Self::Minute,
            "hour" => Self::Hour,
            "day" => Self::Day,
            "month" => Self::Month,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The length of this unit's interval id. It is a prefix of a minute's id, `YYYY-MM-DD:HH:MM`.
    pub fn length(self) -> usize {
        match self {
            Self::Minute => 16,
            Self::Hour => 13,
            Self::Day => 10,
            Self::Month => 7,
        }
    }
}

#[derive(Clone, Debug)]
pub struct StatsQuery {
    pub unit: Unit,
    start: Option<String>,
    end: Option<String>,
    pub direction: Direction,
    pub limit: usize,
    cursor: Option<String>,
}

impl StatsQuery {
    /// # Errors
    /// 40000 for invalid parameters.
    pub fn read(parameter: impl Fn(&str) -> Option<String>) -> Result<Self, ErrorInfo> {
        let unit = match parameter("unit").or_else(|| parameter("by")) {
            None => Unit::Minute,
            Some(text) => {
                Unit::parse(&text).ok_or_else(|| ErrorInfo::bad_request("unit must be minute, hour, day or month"))?
            }
        };
        let bound = |name| parameter(name).map(|text| interval_of(&text, unit)).transpose();
        let (start, end) = (bound("start")?, bound("end")?);
        if start.as_ref().zip(end.as_ref()).is_some_and(|(start, end)| start > end && !start.starts_with(end.as_str()))
        {
            return Err(ErrorInfo::bad_request("start must not be after end"));
        }
        let direction = paging::direction(parameter("direction").as_deref())?;
        let limit = paging::limit(parameter("limit").as_deref())?;
        Ok(Self { unit, start, end, direction, limit, cursor: parameter("cursor") })
    }

    pub fn wants(&self, id: &str) -> bool {
        // A bound may be coarser than the unit. It includes all intervals within.
        let until = |bound: &String| id <= bound.as_str() || id.starts_with(bound.as_str());
        self.start.as_ref().is_none_or(|start| id >= start.as_str())
            && self.end.as_ref().is_none_or(until)
            && self.cursor.as_ref().is_none_or(|cursor| match self.direction {
                Direction::Backward => id < cursor.as_str(),
                Direction::Forward => id > cursor.as_str(),
            })
    }
}

/// The interval of a bound, which is an interval id or milliseconds since 1970.
fn interval_of(text: &str, unit: Unit) -> Result<String, ErrorInfo> {
    let whole = match text.parse::<i64>() {
        Ok(millis) => minute_of(millis).ok_or_else(|| ErrorInfo::bad_request("start and end must be times"))?,
        Err(_) => text.to_owned(),
    };
    // The omitted parts of a shorter id.
    let is_id = ["", ":00", ":00:00", "-01:00:00"]
        .iter()
        .any(|rest| DateTime::strptime(MINUTE, format!("{whole}{rest}")).is_ok());
    if !is_id {
        return Err(ErrorInfo::bad_request(
            "start and end must be milliseconds, or intervals as 2026-01-31:23:59, 2026-01-31:23, 2026-01-31 or 2026-01",
        ));
    }
    Ok(whole.chars().take(unit.length()).collect())
}

pub fn minute_of(millis: i64) -> Option<String> {
    let at = Timestamp::from_millisecond(millis).ok()?;
    Some(at.to_zoned(TimeZone::UTC).strftime(MINUTE).to_string())
}
