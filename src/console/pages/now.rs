//! The present condition of the node.

use maud::{Markup, html};
use tandem_actors::{domain::time::Timestamp, ports::StoreError};

use crate::console::{
    Console,
    chart::chart,
    history::Point,
    meters::Meters,
    troubles::{self, troubles},
    view::{Page, Section},
    words,
};
use crate::store::NodeSeen;

pub async fn page(console: &Console) -> Result<Page, StoreError> {
    let meters = Meters::read(&(console.node.metrics)());
    let points = console.history.with_now(&meters);
    let mut sections = vec![
        Section::live("troubles", troubles::shown(&troubles(console, &meters).await?)),
        Section::live("tiles", tiles(&points)),
        Section::live("pushes", pushes(&meters)),
        Section::live("queues", queues(&meters)),
    ];
    if let Some(nodes) = console.fleet().await {
        sections.push(Section::live("fleet", fleet(nodes.as_ref().map(|nodes| &***nodes))));
    }
    Ok(Page { title: "Now".to_owned(), sections })
}

fn fleet(nodes: Result<&[NodeSeen], &StoreError>) -> Markup {
    html! {
        h2 { "Fleet" }
        @match nodes {
            Ok(nodes) => table {
                tr { th { "Node" } th { "Role" } th { "Since" } th { "Version" } th { "Address" } }
                @for node in nodes {
                    tr {
                        th scope="row" { (node.name) }
                        td { (if node.epoch.is_some() { "owns the database" } else { "stands by" }) }
                        td { (node.since) }
                        td { (node.version) }
                        td { (node.address) }
                    }
                }
            },
            Err(_) => p.box.bad { "The database does not say which nodes there are." },
        }
    }
}

struct Tile {
    label: &'static str,
    of: fn(&Point) -> f64,
    shown: fn(f64) -> String,
}

const TILES: [Tile; 8] = [
    Tile { label: "Sessions awake", of: |point| point.awake, shown: words::number },
    Tile { label: "Commands a second", of: |point| point.commands, shown: words::number },
    Tile { label: "Flush to disk", of: |point| point.flush, shown: flush },
    Tile { label: "Waiting for the node", of: |point| point.waiting, shown: words::number },
    Tile { label: "Connections", of: |point| point.connections, shown: words::number },
    Tile { label: "Realtime connections", of: |point| point.realtime, shown: words::number },
    Tile { label: "Pushes delivered a minute", of: |point| point.delivered, shown: words::number },
    Tile { label: "Store", of: |point| point.store_bytes, shown: words::bytes },
];

/// A duration in milliseconds, if anything was written.
fn flush(millis: f64) -> String {
    if millis > 0.0 { format!("{} ms", words::number(millis)) } else { "idle".to_owned() }
}

fn tiles(points: &[Point]) -> Markup {
    html! {
        h2.unseen { "Numbers" }
        ul.tiles {
            @for tile in &TILES {
                @let values: Vec<f64> = points.iter().map(tile.of).collect();
                @let now = (tile.shown)(values.last().copied().unwrap_or_default());
                @let most = (tile.shown)(values.iter().copied().fold(0.0, f64::max));
                li {
                    span.label { (tile.label) }
                    span.value { (now) }
                    (chart(&values, &format!("{} over the last hour, at most {most}", tile.label)))
                    span.hint { "at most " (most) " in the last hour" }
                }
            }
        }
    }
}

fn pushes(meters: &Meters) -> Markup {
    let outcomes = meters.by("tandem_push_outcomes_total", "outcome");
    let decisions = meters.by("tandem_push_decisions_total", "decision");
    html! {
        h2 { "Pushes since the start" }
        @if outcomes.is_empty() && decisions.is_empty() {
            p.hint { "None yet." }
        } @else {
            div.columns {
                @if !decisions.is_empty() { (counts("Not sent at once", &decisions)) }
                @if !outcomes.is_empty() { (counts("Sent, and how it ended", &outcomes)) }
            }
        }
    }
}

fn counts(title: &str, counts: &[(String, f64)]) -> Markup {
    html! {
        table {
            caption { (title) }
            @for (name, number) in counts {
                tr { th scope="row" { (name.replace('_', " ")) } td.number { (words::number(*number)) } }
            }
        }
    }
}

fn queues(meters: &Meters) -> Markup {
    let waiting = |state| meters.with("tandem_http_requests_admitted", "state", state);
    let age = |metric| match meters.sum(metric) {
        seconds if seconds > 0.0 => words::rounded(std::time::Duration::from_secs_f64(seconds)),
        _ => "none".to_owned(),
    };
    html! {
        h2 { "Queues" }
        table.narrow {
            tr { th scope="row" { "Commits that wait for the disk" } td.number { (words::number(meters.sum("tandem_journal_waiting"))) } }
            tr { th scope="row" { "Requests under way" } td.number { (words::number(waiting("running"))) } }
            tr { th scope="row" { "Requests that wait for their turn" } td.number { (words::number(waiting("waiting"))) } }
            tr { th scope="row" { "Requests to Expo under way" } td.number { (words::number(meters.sum("tandem_push_in_flight"))) } }
            tr { th scope="row" { "The oldest push has been due for" } td.number { (age("tandem_push_oldest_waiting_seconds")) } }
            tr { th scope="row" { "Sessions in quarantine" } td.number { (words::number(meters.sum("tandem_sessions_quarantined"))) } }
            tr { th scope="row" { "Last backup" } td.number { (last_backup(meters)) } }
            tr { th scope="row" { "Free on the store's disk" } td.number { (words::bytes(meters.sum("tandem_store_free_bytes"))) } }
        }
    }
}

fn last_backup(meters: &Meters) -> String {
    let at = meters.sum("tandem_backup_last_success_timestamp_seconds");
    if at > 0.0 {
        format!("{} UTC", words::date_text(Timestamp::from_millis((at * 1_000.0) as i64)))
    } else {
        "none".to_owned()
    }
}
