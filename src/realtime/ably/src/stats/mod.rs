//! Statistics of test apps: fixtures of SDK suites and later publishes, by minute, with sums for hours, days and
//! months. The main app has none; the node's metrics are at `/metrics`.
//!
//! Source: Ably's "Metadata stats" documentation, the flat form (`entries`) of protocol version 2 and later.

mod fixture;
mod query;

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

pub use self::query::StatsQuery;
use self::{
    fixture::{add_messages, flattened},
    query::{MINUTE, Unit, minute_of},
};
use crate::{protocol::ErrorInfo, storage::Direction};

const SCHEMA: &str = "https://schemas.ably.com/json/app-stats-0.0.5.json";
/// The largest number of minutes.
const MAX_MINUTES: usize = 10_000;

/// Numbers by path, as `messages.inbound.realtime.messages.count`.
type Entries = BTreeMap<String, f64>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Interval {
    interval_id: String,
    unit: &'static str,
    schema: &'static str,
    app_id: String,
    entries: Entries,
    /// The last counted minute of an interval that is not over.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_progress: Option<String>,
}

impl Interval {
    pub fn id(&self) -> &str {
        &self.interval_id
    }
}

/// An app's numbers by minute.
#[derive(Default)]
pub struct Stats(Mutex<BTreeMap<String, Entries>>);

impl Stats {
    /// Accepts fixtures: objects with an `intervalId` and nested numbers. A fixture replaces the numbers of its
    /// minute, so a suite may send it again.
    ///
    /// # Errors
    /// 40000 if an interval id is not a minute.
    pub fn take(&self, fixtures: &[Value]) -> Result<(), ErrorInfo> {
        let minute = |fixture: &Value| {
            let id = fixture["intervalId"].as_str().unwrap_or_default().to_owned();
            let is_minute = id.len() == Unit::Minute.length() && DateTime::strptime(MINUTE, &id).is_ok();
            is_minute
                .then_some(id)
                .ok_or_else(|| ErrorInfo::bad_request("each needs an intervalId as 2026-01-31:23:59"))
        };
        let minutes: Vec<String> = fixtures.iter().map(minute).collect::<Result<_, _>>()?;
        for (minute, fixture) in minutes.into_iter().zip(fixtures) {
            self.put(minute, |entries| *entries = flattened(fixture));
        }
        Ok(())
    }

    /// Counts messages that were published over a connection (`realtime`) or by REST.
    pub fn published(&self, transport: &str, messages: usize, bytes: usize, now: i64) {
        let Some(minute) = minute_of(now) else { return };
        let mut entries = Entries::new();
        add_messages(&mut entries, "inbound", transport, "messages", "count", messages as f64);
        add_messages(&mut entries, "inbound", transport, "messages", "data", bytes as f64);
        self.put(minute, |known| merge(known, &entries));
    }

    fn put(&self, minute: String, change: impl FnOnce(&mut Entries)) {
        let mut minutes = self.0.lock();
        change(minutes.entry(minute).or_default());
        while minutes.len() > MAX_MINUTES {
            minutes.pop_first();
        }
    }

    /// A page, and whether another follows.
    pub fn page(&self, app: &str, query: &StatsQuery, now: i64) -> (Vec<Interval>, bool) {
        let mut intervals: BTreeMap<String, Entries> = BTreeMap::new();
        for (minute, entries) in self.0.lock().iter() {
            let id = &minute[..query.unit.length()];
            if query.wants(id) {
                merge(intervals.entry(id.to_owned()).or_default(), entries);
            }
        }
        let current = minute_of(now).unwrap_or_default();
        let mut page: Vec<Interval> = intervals
            .into_iter()
            .map(|(interval_id, entries)| Interval {
                in_progress: current.starts_with(&interval_id).then(|| current.clone()),
                interval_id,
                unit: query.unit.name(),
                schema: SCHEMA,
                app_id: app.to_owned(),
                entries,
            })
            .collect();
        if query.direction == Direction::Backward {
            page.reverse();
        }
        let more = page.len() > query.limit;
        page.truncate(query.limit);
        (page, more)
    }
}

/// Adds the numbers. Of peaks it keeps the highest.
fn merge(into: &mut Entries, other: &Entries) {
    for (path, number) in other {
        let known = into.entry(path.clone()).or_default();
        *known = if path.ends_with(".peak") { known.max(*number) } else { *known + number };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(parameters: &[(&str, &str)]) -> Result<StatsQuery, u32> {
        let parameter = |name: &str| parameters.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
        StatsQuery::read(parameter).map_err(|error| error.code)
    }

    fn stats() -> Stats {
        let stats = Stats::default();
        let fixture = |minute: &str, count: u32, peak: u32| {
            json!({
                "intervalId": minute,
                "inbound": {"realtime": {"messages": {"count": count, "data": count * 100}}},
                "connections": {"tls": {"peak": peak, "opened": 1}, "plain": {"peak": 1, "opened": 2}}
            })
        };
        let fixtures =
            [fixture("2025-02-03:15:03", 50, 7), fixture("2025-02-03:15:04", 60, 9), fixture("2025-02-03:16:00", 1, 1)];
        stats.take(&fixtures).unwrap();
        stats
    }

    fn page(parameters: &[(&str, &str)]) -> (Vec<String>, bool) {
        let (intervals, more) = stats().page("app", &query(parameters).unwrap(), 0);
        (intervals.iter().map(|interval| interval.id().to_owned()).collect(), more)
    }

    #[test]
    fn minutes_come_newest_first_within_bounds_and_page_by_page() {
        assert_eq!(page(&[]).0, ["2025-02-03:16:00", "2025-02-03:15:04", "2025-02-03:15:03"]);
        assert_eq!(page(&[("end", "2025-02-03:15:03")]).0, ["2025-02-03:15:03"]);
        assert_eq!(
            page(&[("start", "1738595040000"), ("direction", "forwards"), ("limit", "1")]),
            (vec!["2025-02-03:15:04".to_owned()], true)
        );
        assert_eq!(page(&[("cursor", "2025-02-03:15:04")]).0, ["2025-02-03:15:03"]);
    }

    #[test]
    fn fixtures_are_taken_all_or_none() {
        let stats = Stats::default();
        for wrong in ["éééééééé", "2025-02-03:15", "2025-02-30:15:00", ""] {
            let fixtures = [json!({"intervalId": "2025-02-03:15:03"}), json!({"intervalId": wrong})];
            assert_eq!(stats.take(&fixtures).unwrap_err().code, 40000, "{wrong}");
        }
        assert!(stats.page("app", &query(&[("unit", "month")]).unwrap(), 0).0.is_empty());
    }

    #[test]
    fn hours_add_up_and_have_the_highest_peak() {
        let (hours, _) = stats().page("app", &query(&[("unit", "hour"), ("end", "2025-02-03:15")]).unwrap(), 0);
        assert_eq!(hours.len(), 1);
        let entries = &hours[0].entries;
        assert_eq!(entries["messages.inbound.all.messages.count"], 110.0);
        assert_eq!(entries["messages.all.all.data"], 11_000.0);
        assert_eq!((entries["connections.tls.peak"], entries["connections.all.peak"]), (9.0, 10.0));
        assert_eq!((entries["connections.opened"], entries["connections.all.opened"]), (6.0, 6.0));
        assert_eq!(page(&[("unit", "month")]).0, ["2025-02"]);
    }

    #[test]
    fn bounds_must_be_times() {
        for parameters in [
            &[("start", "yesterday")][..],
            &[("unit", "year")],
            &[("limit", "0")],
            &[("start", "2025-02-04"), ("end", "2025-02-03")],
        ] {
            assert_eq!(query(parameters).map(|_| ()), Err(40000), "{parameters:?}");
        }
        assert!(query(&[("start", "2025-02-03:15:03"), ("end", "2025-02-03")]).is_ok(), "that day");
        for bound in ["2025-02-03:15:03", "2025-02-03:15", "2025-02-03", "2025-02", "0"] {
            assert!(query(&[("end", bound)]).is_ok(), "{bound}");
        }
    }
}
