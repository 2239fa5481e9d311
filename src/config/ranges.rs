//! The range of every setting that is a number or a duration. `config.toml` states the range beside the setting. A test
//! compares the two and fails for a setting without a range.

use std::time::Duration;

use figment::{Figment, value::Value};

use super::check::InvalidSetting;

/// The smallest and the largest allowed value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Range {
    Number(u64, u64),
    /// As humantime reads them.
    Duration(&'static str, &'static str),
}

use Range::{Duration as Span, Number};

/// In the order of `config.toml`.
pub(super) const RANGES: &[(&str, Range)] = &[
    ("server.workers", Number(0, 512)),
    ("server.shutdown_timeout", Span("0s", "10m")),
    ("server.keep_alive", Span("0s", "1h")),
    ("server.client_request_timeout", Span("100ms", "5m")),
    ("server.slow_request", Span("0s", "1h")),
    ("server.body_limit", Number(1, 16_777_216)),
    ("server.webhook_body_limit", Number(1, 16_777_216)),
    ("server.cors.max_age", Span("0s", "24h")),
    ("server.tls.acme.renew_after", Span("1day", "3650days")),
    ("server.limits.ably_token", Number(0, 1_000_000)),
    ("server.limits.create_session", Number(0, 1_000_000)),
    ("server.limits.push_token", Number(0, 1_000_000)),
    ("server.limits.invitation", Number(0, 1_000_000)),
    ("auth.leeway", Span("0s", "5m")),
    ("auth.jwks_refresh", Span("1s", "24h")),
    ("auth.jwks_min_refetch", Span("1s", "1h")),
    ("auth.jwks_timeout", Span("100ms", "1m")),
    ("auth.remembered_tokens", Number(1, 1_000_000)),
    ("store.cache_mib", Number(1, 65_536)),
    ("store.min_free", Number(0, 1_099_511_627_776)),
    ("fleet.lease", Span("2s", "1m")),
    ("journal.queue", Number(1, 1_000_000)),
    ("journal.queue_bytes", Number(1_048_576, 68_719_476_736)),
    ("journal.group", Number(1, 65_536)),
    ("journal.group_bytes", Number(65_536, 68_719_476_736)),
    ("journal.stall_after", Span("100ms", "1m")),
    ("journal.segment_bytes", Number(65_536, 1_073_741_824)),
    ("journal.max_bytes", Number(1_048_576, 1_099_511_627_776)),
    ("journal.recent_bytes", Number(1_048_576, 68_719_476_736)),
    ("journal.checkpoint_bytes", Number(16_384, 68_719_476_736)),
    ("journal.checkpoint_after", Span("100ms", "1h")),
    ("backup.keep", Number(0, 100_000)),
    ("retention.ended", Span("1s", "3650days")),
    ("retention.answers", Span("1s", "30days")),
    ("retention.erased", Span("1s", "30days")),
    ("sessions.idle_after", Span("1ms", "7days")),
    ("sessions.abandon_after", Span("1s", "3650days")),
    ("sessions.clock_believed_after", Span("0s", "7days")),
    ("sessions.snapshot_every", Number(1, 100_000)),
    ("sessions.live_per_user", Number(1, 100_000)),
    ("sessions.mailbox", Number(1, 100_000)),
    ("sessions.answer_timeout", Span("10ms", "10m")),
    ("sessions.max_crashes", Number(0, 1_000)),
    ("sessions.crash_window", Span("1s", "24h")),
    ("invitations.ttl", Span("1s", "365days")),
    ("invitations.max_resends", Number(0, 1_000)),
    ("invitations.resend_interval", Span("0s", "365days")),
    ("nudge.min_interval", Span("0s", "365days")),
    ("routing.leave_grace", Span("0s", "1h")),
    ("routing.resolve_timeout", Span("1ms", "1m")),
    ("routing.presence_max_age", Span("0s", "1h")),
    ("routing.heartbeat_ttl", Span("10ms", "1h")),
    ("routing.retry_min", Span("1ms", "1h")),
    ("routing.retry_max", Span("1ms", "1h")),
    ("realtime.token_ttl", Span("5s", "24h")),
    ("realtime.token_sessions", Number(1, 1_000)),
    ("realtime.resolved_access", Span("0s", "3650days")),
    ("realtime.embedded.connection_state_ttl", Span("0s", "1h")),
    ("realtime.embedded.max_idle_interval", Span("1s", "5m")),
    ("realtime.embedded.presence_grace", Span("0s", "1h")),
    ("realtime.embedded.continuity", Span("0s", "24h")),
    ("realtime.embedded.history", Span("0s", "365days")),
    ("realtime.embedded.max_inbound_rate", Number(1, 1_000_000)),
    ("realtime.embedded.max_presence_members", Number(1, 100_000)),
    ("realtime.embedded.outbound_queue", Number(1_024, 1_073_741_824)),
    ("realtime.embedded.log_entries", Number(1, 1_000_000)),
    ("realtime.embedded.limits.connections_per_user", Number(1, 1_000_000)),
    ("realtime.embedded.limits.connects_per_user", Number(1, 1_000_000)),
    ("realtime.embedded.limits.attachments", Number(1, 1_000_000)),
    ("realtime.embedded.limits.names_per_channel", Number(1, 1_000)),
    ("realtime.embedded.limits.frame_rate", Number(10, 1_000_000)),
    ("realtime.embedded.limits.inbound_bytes", Number(1_024, 1_099_511_627_776)),
    ("realtime.embedded.limits.stored_bytes_per_user", Number(1_024, 1_099_511_627_776)),
    ("realtime.embedded.limits.stored_bytes", Number(1_024, 1_099_511_627_776)),
    ("realtime.embedded.limits.log_bytes", Number(1_024, 1_099_511_627_776)),
    ("realtime.embedded.limits.presence_bytes", Number(1_024, 1_099_511_627_776)),
    ("realtime.embedded.limits.kept_bytes", Number(1_048_576, 1_099_511_627_776)),
    ("realtime.embedded.limits.outbound_bytes", Number(1_048_576, 1_099_511_627_776)),
    ("realtime.embedded.limits.partial_bytes", Number(1_048_576, 1_099_511_627_776)),
    ("realtime.ably.request_timeout", Span("100ms", "2m")),
    ("realtime.ably.tries", Number(1, 10)),
    ("push.rate", Number(1, 600)),
    ("push.spacing", Span("0s", "1h")),
    ("push.spacing_later", Span("0s", "1h")),
    ("push.user_rate", Number(0, 10_000)),
    ("push.linger", Span("0s", "50ms")),
    ("push.max_in_flight", Number(1, 6)),
    ("push.connect_timeout", Span("10ms", "1m")),
    ("push.request_timeout", Span("10ms", "5m")),
    ("push.ttl", Span("10ms", "28days")),
    ("push.devices_per_user", Number(1, 100)),
    ("push.receipt_schedule", Span("1ms", "24h")),
    ("push.receipt_lost_after", Span("1ms", "24h")),
    ("push.retention", Span("1s", "3650days")),
    ("limits.connections", Number(1, 1_000_000)),
    ("limits.connections_per_address", Number(1, 1_000_000)),
    ("limits.requests", Number(1, 100_000)),
    ("limits.requests_waiting", Number(0, 100_000)),
    ("limits.requests_per_user", Number(1, 100_000)),
    ("limits.requests_per_user_waiting", Number(0, 100_000)),
    ("limits.request_patience", Span("10ms", "1m")),
    ("limits.body_timeout", Span("10ms", "5m")),
    ("limits.least_rate", Number(1, 1_000_000)),
    ("limits.body_bytes", Number(1_048_576, 68_719_476_736)),
    ("limits.answer_bytes", Number(1_048_576, 68_719_476_736)),
    ("limits.unread_bytes", Number(1_048_576, 68_719_476_736)),
    ("telemetry.otlp_one_in", Number(1, 1_000_000)),
];

impl Range {
    /// As error messages and `config.toml` state it.
    pub(super) fn stated(self) -> String {
        match self {
            Number(least, largest) => format!("{least} to {largest}"),
            Span(least, largest) => format!("{least} to {largest}"),
        }
    }

    /// Whether the value is allowed. A value of another type passes here: deserialization refuses it.
    fn holds(self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Array(_, values)) => values.iter().all(|value| self.holds(value)),
            (Number(least, largest), Value::Num(_, number)) => {
                let number =
                    number.to_i128().or_else(|| number.to_u128().and_then(|number| i128::try_from(number).ok()));
                number.is_none_or(|number| (i128::from(least)..=i128::from(largest)).contains(&number))
            }
            (Span(least, largest), Value::String(_, text)) => match humantime::parse_duration(text) {
                Ok(duration) => (parsed(least)..=parsed(largest)).contains(&duration),
                Err(_) => true,
            },
            _ => true,
        }
    }
}

fn parsed(duration: &'static str) -> Duration {
    humantime::parse_duration(duration).unwrap_or_else(|_| unreachable!("{duration} is in the table, and tested"))
}

/// Refuses the first setting whose value is out of its range.
pub(super) fn check(given: &Figment) -> Result<(), InvalidSetting> {
    for (key, range) in RANGES {
        let Ok(value) = given.find_value(key) else { continue };
        if range.holds(&value) {
            continue;
        }
        let found = super::reference::show(&value).unwrap_or_default();
        // The most common cause of a far too long duration: humantime reads M as months.
        let hint = if found.contains('M') { " (M stands for months, m for minutes)" } else { "" };
        let problem = format!("is {found}, but must be {}{hint}", range.stated());
        return Err(InvalidSetting { key: (*key).to_owned(), problem });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use figment::value::Dict;

    use super::*;
    use crate::config::reference::{REFERENCE, TEXT};

    /// Collects the settings that are numbers or durations.
    fn with_range(dict: &Dict, prefix: &str, found: &mut Vec<String>) {
        for (key, value) in dict {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            let is_duration =
                |value: &Value| value.as_str().is_some_and(|text| humantime::parse_duration(text).is_ok());
            match value {
                Value::Dict(_, below) => with_range(below, &path, found),
                Value::Num(..) => found.push(path),
                Value::Array(_, values) if values.first().is_some_and(is_duration) => found.push(path),
                value if is_duration(value) => found.push(path),
                _ => {}
            }
        }
    }

    fn comment_of(key: &str) -> String {
        let (section, name) = key.rsplit_once('.').unwrap();
        let mut within = String::new();
        let mut comment = String::new();
        for line in TEXT.lines() {
            if let Some(header) = line.trim_start_matches('#').strip_prefix('[') {
                within = header.trim_matches(['[', ']']).to_owned();
            } else if let Some(text) = line.strip_prefix("# ") {
                comment.push_str(text);
                comment.push(' ');
                continue;
            } else if within == section && line.trim_start_matches('#').starts_with(&format!("{name} =")) {
                return comment;
            }
            comment.clear();
        }
        panic!("{key} is not in config.toml");
    }

    #[test]
    fn every_number_and_duration_has_a_range_that_config_toml_states() {
        let mut found = Vec::new();
        with_range(&REFERENCE, "", &mut found);
        for key in &found {
            let range = RANGES.iter().find(|(ranged, _)| ranged == key);
            let (_, range) = range.unwrap_or_else(|| panic!("{key} has no range in src/config/ranges.rs"));
            let comment = comment_of(key);
            assert!(
                comment.contains(&range.stated()),
                "config.toml says of {key}: {comment:?}, not {}",
                range.stated()
            );
        }
        for (key, _) in RANGES {
            assert!(found.iter().any(|listed| listed == key), "{key} has a range, but is no setting");
        }
    }

    #[test]
    fn defaults_are_within_their_ranges() {
        let defaults = figment::providers::Serialized::defaults(REFERENCE.clone());
        let wrong = check(&Figment::from(defaults)).err().map(|wrong| format!("{} {}", wrong.key, wrong.problem));
        assert_eq!(wrong, None);
    }
}
