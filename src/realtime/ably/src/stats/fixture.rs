//! Fixtures of SDK suites: nested numbers that become flat, with sums over their parts. A sum in the fixture counts
//! only if its parts are absent.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Entries;

const ALL: &str = "all";

/// The flat form of a fixture.
pub fn flattened(fixture: &Value) -> Entries {
    let mut entries = Entries::new();
    for side in ["inbound", "outbound"] {
        for (transport, kinds) in parts(&fixture[side]) {
            for (kind, counts) in parts(kinds) {
                for (what, number) in numbers(counts) {
                    add_messages(&mut entries, side, transport, kind, what, number);
                }
            }
        }
    }
    for (kind, counts) in parts(&fixture["persisted"]) {
        add(&mut entries, &[&format!("messages.persisted.{kind}"), "messages.persisted.all"], counts);
    }
    for (kind, counts) in parts(&fixture["connections"]) {
        add(&mut entries, &[&format!("connections.{kind}"), "connections.all", "connections"], counts);
    }
    add(&mut entries, &["channels"], &fixture["channels"]);
    for (field, kind) in [("apiRequests", "other"), ("tokenRequests", "tokenRequests")] {
        add(&mut entries, &[&format!("apiRequests.{kind}"), "apiRequests.all"], &fixture[field]);
    }
    entries
}

/// Adds to a number and to its sums.
pub fn add_messages(entries: &mut Entries, side: &str, transport: &str, kind: &str, what: &str, number: f64) {
    let paths = [
        format!("messages.{side}.{transport}.{kind}.{what}"),
        format!("messages.{side}.{transport}.all.{what}"),
        format!("messages.{side}.all.{kind}.{what}"),
        format!("messages.{side}.all.all.{what}"),
        format!("messages.all.{kind}.{what}"),
        format!("messages.all.all.{what}"),
    ];
    // Some paths are equal for a number that is itself a sum.
    for path in BTreeSet::from(paths) {
        *entries.entry(path).or_default() += number;
    }
}

fn add(entries: &mut Entries, places: &[&str], counts: &Value) {
    for (what, number) in numbers(counts) {
        for place in BTreeSet::from_iter(places) {
            *entries.entry(format!("{place}.{what}")).or_default() += number;
        }
    }
}

/// The parts of an object. Its sum only if there are no other parts.
fn parts(value: &Value) -> Vec<(&str, &Value)> {
    let fields = value.as_object().into_iter().flatten();
    let mut parts: Vec<(&str, &Value)> = fields.map(|(name, value)| (name.as_str(), value)).collect();
    if parts.len() > 1 {
        parts.retain(|(name, _)| *name != ALL);
    }
    parts
}

fn numbers(value: &Value) -> impl Iterator<Item = (&str, f64)> {
    let fields = value.as_object().into_iter().flatten();
    fields.filter_map(|(name, number)| Some((name.as_str(), number.as_f64()?)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sums_follow_from_their_parts() {
        let entries = flattened(&json!({
            "inbound": {"realtime": {"messages": {"count": 5}, "presence": {"count": 2}}, "rest": {"messages": {"count": 1}}},
            "outbound": {"realtime": {"all": {"count": 7}}},
            "connections": {"tls": {"peak": 20, "opened": 10}, "plain": {"peak": 3}, "all": {"peak": 99}},
            "persisted": {"messages": {"count": 1}, "presence": {"count": 1}},
            "channels": {"peak": 50},
            "apiRequests": {"succeeded": 50},
            "tokenRequests": {"succeeded": 60},
        }));
        for (path, number) in [
            ("messages.inbound.realtime.all.count", 7.0),
            ("messages.inbound.all.messages.count", 6.0),
            ("messages.inbound.all.all.count", 8.0),
            ("messages.outbound.realtime.all.count", 7.0),
            ("messages.outbound.all.all.count", 7.0),
            ("messages.all.messages.count", 6.0),
            ("messages.all.all.count", 15.0),
            ("messages.persisted.all.count", 2.0),
            ("connections.tls.peak", 20.0),
            ("connections.all.peak", 23.0),
            ("connections.all.opened", 10.0),
            ("connections.peak", 23.0),
            ("channels.peak", 50.0),
            ("apiRequests.all.succeeded", 110.0),
        ] {
            assert_eq!(entries.get(path), Some(&number), "{path} in {entries:#?}");
        }
    }
}
