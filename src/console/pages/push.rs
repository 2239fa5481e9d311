//! Pushes: what waits, which breakers are open, and which devices are lost.

use maud::{Markup, html};
use tandem_actors::ports::StoreError;

use crate::{
    breaker::BreakerReport,
    console::{
        Console,
        layout::{button, mark},
        sign_in::Operator,
        view::{Page, Section},
        words,
    },
    push::{DevicesOverview, LostDevice, WaitingPush},
};

/// Lost devices that are shown.
const SHOWN: usize = 100;

pub async fn page(console: &Console, operator: &Operator) -> Result<Page, StoreError> {
    let overview = console.pushes().await?;
    let devices = console.devices().await?;
    Ok(Page {
        title: "Push".to_owned(),
        sections: vec![
            Section::live("breakers", breakers(operator, &all_breakers(console))),
            Section::live("jobs", waiting("Waits to be sent", overview.jobs_in_all, &overview.jobs, "Nothing.")),
            Section::live(
                "retries",
                waiting("Waits to be tried again", overview.retries_in_all, &overview.retries, "Nothing."),
            ),
            Section::live(
                "receipts",
                waiting("Waits for a receipt", overview.receipts_in_all, &overview.receipts, "Nothing."),
            ),
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

/// Those of Expo, and that of Ably's cloud.
pub fn all_breakers(console: &Console) -> Vec<(String, BreakerReport)> {
    let now = console.node.clock.uptime();
    let cloud = console.node.realtime.provider.breaker().map(|breaker| (ABLY.to_owned(), breaker.report(now)));
    console.pusher.breakers().into_iter().chain(cloud).collect()
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
                                    (mark("bad", "open"))
                                    @match report.opens_in {
                                        Some(wait) => { ", tries again in " (words::about(wait)) }
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

fn waiting(title: &str, in_all: usize, shown: &[WaitingPush], none: &str) -> Markup {
    let most = crate::push::MOST_COUNTED;
    html! {
        h2 { (title) " " span.hint { (in_all) @if in_all >= most { " or more" } } }
        @if shown.is_empty() {
            p.hint { (none) }
        } @else {
            @if in_all > shown.len() { p.hint { "Those that are due first." } }
            div.wide tabindex="0" role="region" aria-label=(title) {
                table {
                    thead { tr { th { "Session" } th { "Event" } th { "To" } th { "Since (UTC)" } th { "Due (UTC)" } th { "Why" } } }
                    tbody {
                        @for push in shown {
                            tr {
                                td { (words::link_to_session(push.session.as_str())) }
                                td { (push.seq) }
                                td { (words::link_to_person(push.user.as_str())) }
                                td { (words::date(push.since)) }
                                td { @if let Some(due) = push.due { (words::date(due)) } }
                                td { (push.why) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn lost(devices: &DevicesOverview) -> Markup {
    html! {
        h2 { "Devices" }
        p { (words::count(devices.devices, "device")) " of " (words::count(devices.users, "user")) "."
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
