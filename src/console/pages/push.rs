//! Waiting pushes, circuit breakers, and lost devices.

use maud::{Markup, html};
use tandem_actors::{domain::time::Timestamp, ports::StoreError};

use crate::{
    breaker::BreakerReport,
    console::{
        Console,
        explained::attempted,
        layout::{button, mark},
        sign_in::Operator,
        view::{Page, Section},
        words,
    },
    push::{DevicesOverview, LostDevice, WaitingPush, Why},
};

/// Lost devices that are shown.
const SHOWN: usize = 100;

pub async fn page(console: &Console, operator: &Operator) -> Result<Page, StoreError> {
    let overview = console.pushes().await?;
    let devices = console.devices().await?;
    let now = console.node.clock.now();
    let obstacle = obstacle(console);
    let list = |title, in_all, shown| waiting(title, in_all, shown, now, obstacle.as_deref());
    Ok(Page {
        title: "Push".to_owned(),
        sections: vec![
            Section::live("breakers", breakers(operator, &all_breakers(console))),
            Section::live("jobs", list("Waits to be sent", overview.jobs_in_all, &overview.jobs)),
            Section::live("retries", list("Waits to be tried again", overview.retries_in_all, &overview.retries)),
            Section::live("receipts", list("Waits for a receipt", overview.receipts_in_all, &overview.receipts)),
            Section::live("devices", lost(&devices)),
            Section::live("unreadable", unreadable(overview.unreadable, devices.unreadable)),
        ],
    })
}

fn unreadable(pushes: usize, users: usize) -> Markup {
    html! {
        @if pushes > 0 {
            p.box.bad { (words::count(pushes, "push")) " that wait cannot be read, and are not shown. "
                "Stop the node, and " code { "tandem store verify" } " names what is damaged." }
        }
        @if users > 0 { p.box.bad { "The devices of " (words::count(users, "user")) " cannot be read." } }
    }
}

/// The circuit breakers of Expo, and that of Ably's cloud.
pub fn all_breakers(console: &Console) -> Vec<(String, BreakerReport)> {
    let now = console.node.clock.uptime();
    let cloud = console.node.realtime.provider.breaker().map(|breaker| (ABLY.to_owned(), breaker.report(now)));
    console.pusher.breakers().into_iter().chain(cloud).collect()
}

/// The consequences of an open breaker. `label` is its name in metrics, `name` says what it is for.
pub fn trouble(label: &str, name: &str) -> String {
    match label {
        "service" => "Expo does not answer".to_owned(),
        "access" => "Expo does not let this node in".to_owned(),
        "project" => format!("Expo refuses the {name}"),
        _ => format!("{name} does not answer"),
    }
}

/// Why nothing is sent to Expo at the moment: its open breakers.
pub fn obstacle(console: &Console) -> Option<String> {
    let open = console.pusher.breakers().into_iter().filter(|(_, report)| report.is_open);
    let troubles: Vec<_> = open.map(|(name, report)| trouble(report.name, &name)).collect();
    (!troubles.is_empty()).then(|| troubles.join("; "))
}

/// The name of the breaker of Ably's cloud.
pub const ABLY: &str = "Ably's cloud";

fn breakers(operator: &Operator, all: &[(String, BreakerReport)]) -> Markup {
    html! {
        h2 { "Breakers" }
        p.hint { "A breaker opens after failures in a row, and tries again by itself. It only delays." }
        div.wide tabindex="0" role="region" aria-label="Breakers" {
            table {
                thead { tr { th { "Of" } th { "State" } th { "Cause" } th { span.unseen { "Reset" } } } }
                tbody {
                    @for (name, report) in all {
                        tr {
                            td { (name) }
                            td {
                                @if report.is_open {
                                    (mark("bad", "open")) " " (trouble(report.name, name))
                                    @match report.next_trial_in {
                                        Some(wait) => { ", tries again in " (words::rounded(wait)) }
                                        None => ", tries again at the next push",
                                    }
                                    @if report.failed_trials > 0 { ", failed trials: " (report.failed_trials) }
                                } @else { (mark("good", "closed")) }
                            }
                            td { (report.cause.as_deref().unwrap_or("")) }
                            td { @if report.is_open { (button(operator, "reset-breaker", &[("breaker", name)], "Reset")) } }
                        }
                    }
                }
            }
        }
    }
}

fn waiting(title: &str, in_all: usize, shown: &[WaitingPush], now: Timestamp, obstacle: Option<&str>) -> Markup {
    let most = crate::push::MOST_COUNTED;
    html! {
        h2 { (title) " " span.hint { (in_all) @if in_all >= most { " or more" } } }
        @if shown.is_empty() {
            p.hint { "Nothing." }
        } @else {
            @if in_all > shown.len() { p.hint { "Those that are due first." } }
            div.wide tabindex="0" role="region" aria-label=(title) {
                table {
                    thead { tr { th { "To" } th { "Event" } th { "Why" } th { "Due (UTC)" } th { "Since (UTC)" } th { "Session" } } }
                    tbody {
                        @for push in shown {
                            tr {
                                td { (words::link_to_person(push.user.as_str())) }
                                td { (words::link_to_event(push.session.as_str(), push.seq)) }
                                td { (why(&push.why, obstacle)) }
                                td { @match push.due { Some(due) if due > now => (words::date(due)), _ => "now" } }
                                td { (words::date(push.since)) }
                                td { (words::link_to_session(push.session.as_str())) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn why(why: &Why, obstacle: Option<&str>) -> String {
    match why {
        Why::Turn => obstacle.unwrap_or("its turn has not come").to_owned(),
        Why::Held(why) => format!("held: {why}"),
        Why::Retry { attempts, last } => {
            let last = last.as_ref().map_or_else(String::new, |last| format!(", the last: {}", attempted(Some(last))));
            format!("{}{last}", words::count(*attempts as usize, "attempt"))
        }
        Why::Receipt { asked: 0 } => "not asked for yet".to_owned(),
        Why::Receipt { asked } => format!("asked for {asked} times, not there yet"),
    }
}

fn lost(devices: &DevicesOverview) -> Markup {
    let dead = devices.retired.len();
    html! {
        h2 { "Devices" }
        p { (words::count(devices.devices, "device")) " of " (words::count(devices.users, "user"))
            @if dead > 0 { ", " (dead) " of them dead" } "."
            @if devices.is_partial { " There are more users, which were not looked at." } }
        h3 { "Quarantined" }
        @if devices.quarantined.is_empty() {
            p.hint { "None. Devices come here when Expo calls suspiciously many unregistered within an hour." }
        } @else {
            p.box { "Expo called suspiciously many devices unregistered. These are kept and not used until the time named; "
                "the next answer about each is believed. Look whether the project's credentials at Expo are right." }
            (rows("Quarantined devices", "Until (UTC)", &devices.quarantined))
        }
        h3 { "Dead" }
        @if devices.retired.is_empty() {
            p.hint { "None. Devices come here when Expo says that the app is not installed any more." }
        } @else {
            (rows("Dead devices", "Since (UTC)", &devices.retired))
        }
    }
}

fn rows(label: &str, when: &str, devices: &[LostDevice]) -> Markup {
    html! {
        @if devices.len() > SHOWN { p.hint { (SHOWN) " of " (devices.len()) "." } }
        div.wide tabindex="0" role="region" aria-label=(label) {
            table {
                thead { tr { th { "User" } th { "Token" } th { "Registered (UTC)" } th { (when) } } }
                tbody {
                    @for device in devices.iter().take(SHOWN) {
                        tr {
                            td { (words::link_to_person(device.user.as_str())) }
                            td { code { (device.token) } }
                            td { (words::date(device.registered_at)) }
                            td { (words::date(device.at)) }
                        }
                    }
                }
            }
        }
    }
}
