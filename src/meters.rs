//! Describes each metric: `/metrics` shows the text as HELP. A promise test fails for a metric that is not described
//! here.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};

#[derive(Clone, Copy)]
enum MetricKind {
    /// One series, which is 0 from the start: an increase from nothing to 1 would be invisible to Prometheus.
    Counter,
    /// A counter with a series for each value of its labels.
    Labelled,
    Gauge,
    Histogram,
}

use MetricKind::{Counter, Gauge, Histogram, Labelled};

const METERS: &[(&str, MetricKind, &str)] = &[
    ("tandem_ably_failures_total", Labelled, "Requests to Ably's cloud that failed, by kind"),
    ("tandem_ably_publish_seconds", Histogram, "Time of a publish to Ably's cloud, retries included"),
    ("tandem_auth_refused_total", Labelled, "Requests refused for their token, by reason"),
    ("tandem_backup_last_success_timestamp_seconds", Gauge, "When the last backup was complete, in seconds since 1970"),
    (
        "tandem_backup_removals_failed_total",
        Counter,
        "Backups that were taken, after which older ones could not be removed",
    ),
    ("tandem_backup_seconds", Histogram, "Time that a backup took"),
    ("tandem_backups_total", Labelled, "Backups, by outcome"),
    ("tandem_breaker_open", Gauge, "1 while a circuit breaker lets nothing through, by breaker"),
    (
        "tandem_certificate_expiry_timestamp_seconds",
        Gauge,
        "Until when the certificate that the node shows is valid, in seconds since 1970",
    ),
    ("tandem_connections", Gauge, "Connections from outside that are open"),
    ("tandem_connections_ended_total", Labelled, "Connections ended because they kept the node waiting, by reason"),
    ("tandem_connections_refused_total", Labelled, "Connections not served, by reason"),
    ("tandem_erasure_age_seconds", Gauge, "Age of the oldest erasure whose words may still be in the store's files"),
    ("tandem_erasures_total", Counter, "Erased accounts whose words have left the store's files"),
    ("tandem_fleet_owner", Gauge, "1 while this node of a fleet owns the database, 0 while it stands by"),
    ("tandem_fleet_passed_total", Labelled, "Connections to a node that stands by, by outcome"),
    ("tandem_http_answer_bytes", Gauge, "Bytes of large answers under way"),
    ("tandem_http_bodies_refused_total", Labelled, "Request bodies not read, by reason"),
    ("tandem_http_body_bytes", Gauge, "Bytes of request bodies under way"),
    ("tandem_http_requests_limit", Gauge, "Requests that may run at a time at present; fewer while they take long"),
    ("tandem_http_requests_admitted", Gauge, "Requests that are worked on, and that wait for their turn, by state"),
    ("tandem_http_requests_shed_total", Labelled, "Requests refused because the node, or their user, has too many"),
    ("tandem_http_requests_total", Labelled, "Requests answered, by route, method and status"),
    ("tandem_http_request_seconds", Histogram, "Time from the head of a request to its answer, by route and method"),
    ("tandem_http_unread_bytes", Gauge, "Bytes that wait for clients that do not read their answers"),
    ("tandem_journal_checkpoint_age_seconds", Gauge, "Age of the oldest commit that the engine does not have yet"),
    ("tandem_journal_commits_total", Counter, "Commits made durable"),
    ("tandem_journal_flushes_total", Counter, "Flushes to the disk; each makes a group of commits durable"),
    ("tandem_journal_group_commits", Histogram, "Commits in one flush"),
    (
        "tandem_journal_pause_seconds",
        Histogram,
        "Pauses before groups of the journal, which the engine gets to catch up",
    ),
    ("tandem_journal_recent_bytes", Gauge, "Bytes in memory of rows that the engine does not have yet"),
    ("tandem_journal_segment_bytes", Gauge, "Bytes of the journal's files"),
    ("tandem_journal_sync_seconds", Histogram, "Time of writing and syncing one group"),
    ("tandem_journal_waiting", Gauge, "Commits that wait for the disk"),
    ("tandem_jwks_fetches_total", Labelled, "Fetches of the issuer's keys, by outcome"),
    ("tandem_log_lost_lines_total", Counter, "Log lines that were dropped because stderr was blocked"),
    ("tandem_postgres_reconnects_total", Counter, "New connections for writing to PostgreSQL, after one was lost"),
    ("tandem_publish_failures_total", Counter, "Publications that failed and are tried again"),
    ("tandem_push_attempts_total", Labelled, "Notifications handed to the push service, retries included"),
    ("tandem_push_decisions_total", Labelled, "Pushes by what was decided: sent, held, merged, dropped, expired"),
    (
        "tandem_push_devices_quarantined_total",
        Counter,
        "Devices kept although the service calls them unregistered, because too many were at once",
    ),
    ("tandem_push_devices_retired_total", Counter, "Devices retired because the service calls them unregistered"),
    ("tandem_push_in_flight", Gauge, "Requests to the push service under way"),
    (
        "tandem_push_oldest_waiting_seconds",
        Gauge,
        "Age of the oldest push that is not sent yet and that quiet hours do not hold",
    ),
    ("tandem_push_outcomes_total", Labelled, "Deliveries that ended, by outcome"),
    ("tandem_push_possible_duplicates_total", Counter, "Notifications repeated although the first may have arrived"),
    ("tandem_push_receipt_lag_seconds", Histogram, "Time from a send to its receipt"),
    ("tandem_push_receipts_overdue_seconds", Gauge, "How long the oldest receipt has been due"),
    ("tandem_realtime_bytes", Gauge, "Bytes of the realtime endpoint in memory, by kind"),
    ("tandem_realtime_connections", Gauge, "Realtime connections with a socket"),
    ("tandem_realtime_deliveries_total", Counter, "Realtime messages handed to a subscriber"),
    ("tandem_realtime_messages_total", Counter, "Realtime messages accepted from clients and from the coordinator"),
    (
        "tandem_realtime_refused_total",
        Labelled,
        "Realtime connections and messages refused by a user's limits, by reason",
    ),
    ("tandem_realtime_silent_connections_total", Counter, "Realtime connections ended because the client was silent"),
    (
        "tandem_realtime_slow_connections_total",
        Counter,
        "Realtime connections ended because the client read too slowly",
    ),
    ("tandem_realtime_slowed_total", Counter, "Waits of realtime connections that spent more than they earn"),
    ("tandem_session_exits_total", Labelled, "Session actors that ended, by how"),
    ("tandem_session_mailbox_full_total", Counter, "Messages refused because too many waited for one session"),
    ("tandem_session_slots", Gauge, "Sessions known to the supervisor: awake, starting or in quarantine"),
    ("tandem_sessions_quarantined", Gauge, "Sessions that failed too often and wait for an operator"),
    (
        "tandem_sessions_removed_total",
        Counter,
        "Sessions removed completely, because they were over for longer than retention.ended",
    ),
    ("tandem_sessions_resident", Gauge, "Session actors in memory"),
    ("tandem_store_checkpoint_seconds", Histogram, "Time of bringing what is new into the engine"),
    ("tandem_store_damaged_rows_total", Counter, "Rows with a wrong checksum"),
    (
        "tandem_store_encryption_pending",
        Gauge,
        "1 while an encrypted store still holds something that its present key does not seal",
    ),
    ("tandem_store_engine_bytes", Gauge, "Bytes that the engine's database takes on the disk"),
    ("tandem_store_flush_seconds", Histogram, "Time of one flush of the engine"),
    ("tandem_store_free_bytes", Gauge, "Bytes free on the disk of the store"),
    ("tandem_store_live_bytes", Gauge, "Bytes of all rows, estimated; known when the database is larger than 64 MiB"),
    ("tandem_store_min_free_bytes", Gauge, "Bytes free below which the node takes no writes"),
    (
        "tandem_store_rewrites_total",
        Counter,
        "Times that the database was rewritten without what is not needed any more",
    ),
    (
        "tandem_store_write_stalled_seconds",
        Gauge,
        "How long the write under way has been waiting for the disk or the database",
    ),
    ("tandem_traces_lost_spans_total", Counter, "Spans that the collector did not take, or that had no room"),
];

/// Describes all metrics. Call it after the recorder is installed.
pub fn describe() {
    for (name, kind, help) in METERS {
        match (kind, name.ends_with("_seconds")) {
            (Counter, _) => {
                describe_counter!(*name, *help);
                counter!(*name).increment(0);
            }
            (Labelled, _) => describe_counter!(*name, *help),
            (Gauge, false) => describe_gauge!(*name, *help),
            (Gauge, true) => describe_gauge!(*name, Unit::Seconds, *help),
            (Histogram, false) => describe_histogram!(*name, *help),
            (Histogram, true) => describe_histogram!(*name, Unit::Seconds, *help),
        }
    }
}
