//! The node's numbers over the last hour, in memory.

use std::{collections::VecDeque, time::Instant};

use parking_lot::Mutex;

use super::meters::Meters;

/// An hour, at one point every ten seconds.
const KEPT: usize = 360;

/// The numbers of one moment. A rate counts from the previous moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Sessions in memory.
    pub awake: f64,
    /// Successful commands per second.
    pub commands: f64,
    /// Milliseconds of one flush, on average.
    pub flush: f64,
    /// Commits and requests that wait.
    pub waiting: f64,
    pub connections: f64,
    pub realtime: f64,
    /// Pushes per minute.
    pub delivered: f64,
    pub not_delivered: f64,
    pub store_bytes: f64,
}

#[derive(Default)]
pub struct History(Mutex<KeptPoints>);

#[derive(Default)]
struct KeptPoints {
    points: VecDeque<Point>,
    last: Option<(Instant, Meters)>,
    store_bytes: u64,
}

impl History {
    pub fn note(&self, metrics: String, store_bytes: u64) {
        let meters = Meters::read(&metrics);
        let mut kept = self.0.lock();
        let point = point(&meters, kept.last.as_ref(), store_bytes);
        if kept.points.len() >= KEPT {
            kept.points.pop_front();
        }
        kept.points.push_back(point);
        kept.last = Some((Instant::now(), meters));
        kept.store_bytes = store_bytes;
    }

    /// All points, the oldest first, and the numbers of this moment at the end.
    pub fn with_now(&self, meters: &Meters) -> Vec<Point> {
        let kept = self.0.lock();
        let now = point(meters, kept.last.as_ref(), kept.store_bytes);
        kept.points.iter().copied().chain([now]).collect()
    }
}

fn point(meters: &Meters, before: Option<&(Instant, Meters)>, store_bytes: u64) -> Point {
    // A rate over less than a second says nothing.
    let seconds = before.map_or(1.0, |(at, _)| at.elapsed().as_secs_f64().max(1.0));
    let since = |of: &dyn Fn(&Meters) -> f64| before.map_or(0.0, |(_, before)| (of(meters) - of(before)).max(0.0));
    let flushes = since(&|meters| meters.sum("tandem_journal_sync_seconds_count"));
    let flushing = since(&|meters| meters.sum("tandem_journal_sync_seconds_sum"));
    let delivered = |meters: &Meters| meters.with(OUTCOMES, "outcome", "delivered");
    let ended = |meters: &Meters| meters.sum(OUTCOMES);
    Point {
        awake: meters.sum("tandem_sessions_resident"),
        commands: since(&commands) / seconds,
        flush: if flushes > 0.0 { flushing / flushes * 1000.0 } else { 0.0 },
        waiting: meters.sum("tandem_journal_waiting")
            + meters.with("tandem_http_requests_admitted", "state", "waiting"),
        connections: meters.sum("tandem_connections"),
        realtime: meters.sum("tandem_realtime_connections"),
        delivered: since(&delivered) * 60.0 / seconds,
        not_delivered: since(&|meters| ended(meters) - delivered(meters)) * 60.0 / seconds,
        store_bytes: store_bytes as f64,
    }
}

const OUTCOMES: &str = "tandem_push_outcomes_total";

/// Requests of clients that changed something.
fn commands(meters: &Meters) -> f64 {
    meters.sum_where("tandem_http_requests_total", |sample| {
        let changes = sample.label("method").is_some_and(|method| method != "GET" && method != "other");
        changes && sample.label("status").is_some_and(|status| status.starts_with('2'))
    })
}
