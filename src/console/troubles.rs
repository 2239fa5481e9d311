//! The problems of the node, in words, with advice.

use maud::{Markup, html};
use tandem_actors::ports::StoreError;

use super::{
    Console,
    meters::Meters,
    pages::push::{ABLY, all_breakers, trouble},
    words,
};

pub struct Trouble {
    /// `bad`: partners notice it. `care`: they may soon.
    pub kind: &'static str,
    pub what: String,
    pub advice: &'static str,
    /// The page that shows more.
    pub page: Option<&'static str>,
}

/// All present problems, the worst first.
pub async fn troubles(console: &Console, meters: &Meters) -> Result<Vec<Trouble>, StoreError> {
    let mut all: Vec<Trouble> = of_the_store(console).collect();
    let quarantined = console.node.coordinator.quarantined().len();
    if quarantined > 0 {
        all.push(Trouble {
            kind: "bad",
            what: format!("{} in quarantine: nothing in it changes", words::count(quarantined, "session")),
            advice: "Look at its reason. Release it when the cause is gone.",
            page: Some("/console/sessions"),
        });
    }
    let last = console.node.backups.as_ref().and_then(|backups| backups.last_own());
    if let Some(problem) = last.and_then(|last| last.problem) {
        all.push(Trouble {
            kind: "care",
            what: format!("The last backup failed: {}", problem.trim_end_matches('.')),
            advice: "It is tried again when it is due.",
            page: Some("/console/backups"),
        });
    }
    for (name, report) in all_breakers(console).into_iter().filter(|(_, report)| report.is_open) {
        let trouble = trouble(report.name, &name);
        let what = if name == ABLY { trouble } else { format!("{trouble}; {}", pushes_wait(console).await?) };
        all.push(Trouble {
            kind: "bad",
            what,
            advice: "It is tried again by itself. The page of pushes has the cause; after a repair, reset the breaker there.",
            page: Some("/console/push"),
        });
    }
    all.extend(LIMITS.iter().filter_map(|limit| limit.trouble(meters)));
    all.sort_by_key(|trouble| trouble.kind != "bad");
    Ok(all)
}

async fn pushes_wait(console: &Console) -> Result<String, StoreError> {
    let overview = console.pushes().await?;
    let number = overview.jobs_in_all + overview.retries_in_all;
    Ok(format!("{} {}", words::count(number, "push"), if number == 1 { "waits" } else { "wait" }))
}

fn of_the_store(console: &Console) -> impl Iterator<Item = Trouble> {
    console.node.readiness.checks().into_iter().filter_map(|check| {
        let advice = match check.name {
            "room" => "Make room on the disk, or lower store.min_free. It goes on by itself.",
            "store" => "Look at the log and at the disk, then start the node again.",
            "writes" => "Look at the disk. It goes on by itself when the disk answers.",
            "journal" => "The disk is too slow for the load. Clients are told to wait.",
            _ => "",
        };
        let kind = if check.ok { "care" } else { "bad" };
        Some(Trouble { kind, what: words::upper(&check.problem?), advice, page: None })
    })
}

/// A number that should not be above a limit.
struct Limit {
    metric: &'static str,
    above: f64,
    kind: &'static str,
    /// The text; the number replaces `{}`.
    what: &'static str,
    is_duration: bool,
    advice: &'static str,
    page: Option<&'static str>,
}

const LIMITS: &[Limit] = &[
    Limit {
        metric: "tandem_push_oldest_waiting_seconds",
        above: 300.0,
        kind: "bad",
        what: "The oldest push has been due for {}",
        is_duration: true,
        advice: "Look at the breakers, and at the log.",
        page: Some("/console/push"),
    },
    Limit {
        metric: "tandem_push_receipts_overdue_seconds",
        above: 1800.0,
        kind: "care",
        what: "The oldest receipt has been due for {}",
        is_duration: true,
        advice: "Expo does not answer questions for receipts. They are asked for again for 23 hours.",
        page: Some("/console/push"),
    },
    Limit {
        metric: "tandem_store_damaged_rows_total",
        above: 0.0,
        kind: "bad",
        what: "Damaged rows were read: {}",
        is_duration: false,
        advice: "The log names each. Check the disk, and run tandem store verify on a stopped node.",
        page: None,
    },
    Limit {
        metric: "tandem_push_devices_quarantined_total",
        above: 0.0,
        kind: "care",
        what: "Expo called suspiciously many devices unregistered; kept for an hour: {}",
        is_duration: false,
        advice: "Look whether the project's credentials at Expo are right.",
        page: Some("/console/push"),
    },
    Limit {
        metric: "tandem_http_requests_shed_total",
        above: 0.0,
        kind: "care",
        what: "Requests refused because there were too many: {}",
        is_duration: false,
        advice: "Clients come again by themselves. If it goes on, look at limits.requests.",
        page: None,
    },
    Limit {
        metric: "tandem_log_lost_lines_total",
        above: 0.0,
        kind: "care",
        what: "Lines of the log that nobody could be given: {}",
        is_duration: false,
        advice: "Whatever reads the node's stderr is too slow or stuck.",
        page: None,
    },
];

impl Limit {
    fn trouble(&self, meters: &Meters) -> Option<Trouble> {
        let value = meters.sum(self.metric);
        let shown = match self.is_duration {
            true => words::rounded(std::time::Duration::from_secs_f64(value.max(0.0))),
            false => words::number(value),
        };
        let trouble =
            Trouble { kind: self.kind, what: self.what.replace("{}", &shown), advice: self.advice, page: self.page };
        (value > self.above).then_some(trouble)
    }
}

/// The list as a part of a page.
pub fn shown(troubles: &[Trouble]) -> Markup {
    html! {
        @if troubles.is_empty() {
            p.well { "All is well." }
        } @else {
            ul.troubles {
                @for trouble in troubles {
                    li class=(trouble.kind) {
                        strong { (trouble.what) "." } " " (trouble.advice)
                        @if let Some(page) = trouble.page { " " a href=(page) { "Show" } }
                    }
                }
            }
        }
    }
}
