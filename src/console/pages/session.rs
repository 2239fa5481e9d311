//! One session: the progress of both partners, and for each event why each of them heard of it or did not.

use std::sync::Arc;

use maud::{Markup, html};
use tandem_actors::{
    PartnerPresence, SessionOverview,
    domain::{
        BlockedReason,
        ids::SessionId,
        routing::Presence,
        stage::StageStatus,
        time::Timestamp,
        view::{PartnerOversight, StageOversight},
    },
    explain::{self, ExplainedEvent, Explanation},
    ports::StoreError,
    supervisor::{ExitStatus, Quarantine},
};

use crate::{
    console::{
        Console,
        explained::{Told, attempted, ended},
        layout::{button, mark},
        pages,
        sign_in::Operator,
        view::{Page, Section},
        words,
    },
    push::{self, ExplainedDelivery, ExplainedPush, Reach},
};

/// Events that are shown, the newest ones.
const SHOWN: usize = 200;

pub async fn page(console: &Console, operator: &Operator, id: &str) -> Result<Page, StoreError> {
    let title = "Session".to_owned();
    let nothing = |words: &str| Page {
        title: title.clone(),
        sections: vec![Section::fixed(
            "none",
            html! { p { (words) } p { a href="/console/sessions" { "Find a session" } } },
        )],
    };
    let Ok(session) = id.parse::<SessionId>() else { return Ok(nothing("This is not the id of a session.")) };
    let overseen = console.node.coordinator.oversee(&session).await?;
    let Explanation { events, unreadable } = explain::explain(&*console.node.store, &session, None)?;
    let Some(overseen) = overseen else {
        if console.node.coordinator.quarantine(&session).is_none() && unreadable.is_empty() {
            return Ok(nothing("There is no such session on this node."));
        }
        return Ok(Page {
            title,
            sections: vec![Section::live("overview", unreadable_session(console, operator, &session, &unreadable))],
        });
    };
    let pushes = push::explain(&*console.node.store, &session, None)?;
    let reach = |partner: &PartnerOversight| console.node.devices.reach(&partner.user);
    let known = Known {
        events: &events,
        pushes: &pushes,
        reach: overseen.state.partners.iter().map(reach).collect::<Result<_, _>>()?,
        obstacle: pages::push::obstacle(console),
        now: console.node.clock.now(),
    };
    let now = known.now;
    Ok(Page {
        title,
        sections: vec![
            Section::live("overview", overview(operator, &overseen, &unreadable, now)),
            Section::live("partners", partners(&overseen, now)),
            Section::live("timeline", timeline(&overseen, &known)),
        ],
    })
}

/// A session whose state cannot be read.
fn unreadable_session(console: &Console, operator: &Operator, session: &SessionId, unreadable: &[String]) -> Markup {
    html! {
        p.id { (session) }
        @if let Some(quarantine) = console.node.coordinator.quarantine(session) {
            (quarantine_box(operator, session, &quarantine, "It can be neither read nor changed."))
        }
        @for problem in unreadable { p.box.bad { "Unreadable: " (problem) } }
    }
}

fn quarantine_box(operator: &Operator, session: &SessionId, quarantine: &Quarantine, meaning: &str) -> Markup {
    // A damaged record stays damaged while the node runs.
    let needs_a_restore = quarantine.last == ExitStatus::LoadFailed && quarantine.cause.is_some();
    html! {
        div.box.bad {
            p { strong { "In quarantine since " (words::date(quarantine.since)) " UTC." } " " (meaning) }
            p { (words::upper(&quarantine.reason())) "." }
            p { (words::upper(quarantine.advice())) "." }
            @if needs_a_restore {
                details #release {
                    summary { "Release it without that" }
                    p { "It will come back here as long as the record cannot be read." }
                    (button(operator, "release", &[("session", session.as_str())], "Release"))
                }
            } @else {
                (button(operator, "release", &[("session", session.as_str())], "Release"))
            }
        }
    }
}

/// The facts about a session's events.
struct Known<'a> {
    events: &'a [ExplainedEvent],
    pushes: &'a [ExplainedPush],
    /// Of each partner.
    reach: Vec<Arc<Reach>>,
    /// Why nothing is sent at the moment.
    obstacle: Option<String>,
    now: Timestamp,
}

fn overview(operator: &Operator, overseen: &SessionOverview, unreadable: &[String], now: Timestamp) -> Markup {
    let state = &overseen.state;
    html! {
        p.id { (state.session) }
        @if let Some(quarantine) = &overseen.quarantine { (quarantine_box(operator, &state.session, quarantine, "Below stands its last good state. It does not change.")) }
        @for problem in unreadable { p.box.bad { "Unreadable: " (problem) } }
        dl.facts.short {
            div { dt { "Status" } dd { (mark(if state.status.is_live() { "good" } else { "calm" }, &state.status.to_string())) } }
            div {
                dt { "Last event" }
                dd { (state.seq) ", " (words::date(state.changed_at)) " UTC, " (words::rounded(now.since(state.changed_at))) " ago" }
            }
            div { dt { "Created" } dd { (words::date(state.created_at)) " UTC" } }
            @if let Some(at) = state.paused_at { div { dt { "Paused" } dd { (words::date(at)) " UTC" } } }
            @if let Some(at) = state.ended_at { div { dt { "Ended" } dd { (words::date(at)) " UTC" } } }
            @if let Some(at) = state.invitation_expires_at { div { dt { "Invitation valid until" } dd { (words::date(at)) " UTC" } } }
            div { dt { "In memory" } dd { (if overseen.awake { "yes" } else { "no, the next request wakes it" }) } }
            @if overseen.outbox_waits { div { dt { "Channel" } dd { "an event is on its way, or watched for its arrival" } } }
        }
    }
}

fn partners(overseen: &SessionOverview, now: Timestamp) -> Markup {
    html! {
        h2 { "Both partners" }
        div.columns {
            @for partner in &overseen.state.partners { (card(overseen, partner, now)) }
            @if overseen.state.partners.len() < 2 {
                div.card { h3 { "Nobody yet" } p.hint { "The invitation has not been accepted." } }
            }
        }
    }
}

fn card(overseen: &SessionOverview, partner: &PartnerOversight, now: Timestamp) -> Markup {
    let presence = overseen.presence.iter().find(|one| one.user == partner.user);
    html! {
        div.card {
            h3 { (words::link_to_person(partner.user.as_str())) " " span.hint { (if partner.is_creator { "creator" } else { "invited" }) } }
            dl.facts {
                dt { "Now" } dd { (present(partner, presence, now)) }
                @if let Some(stage) = partner.stages.last() {
                    dt { "Stage" } dd { (words::stage(stage.stage)) }
                    dt { "Stage status" } dd { (status(stage.status)) }
                }
                dt { "Next stage" } dd { (advance(partner)) }
                @if partner.last_seen > 0 { dt { "Has seen" } dd { "everything up to event " (partner.last_seen) } }
                @if let Some(at) = partner.viewed_at { dt { "Last looked" } dd { (words::date(at)) " UTC" } }
                @if partner.in_app_mode { dt { "Client" } dd { "the product's app" } }
            }
            @let all = partner.stages.iter().flat_map(|stage| &stage.gates);
            details id={ "gates-" (if partner.is_creator { "creator" } else { "invited" }) } {
                summary { "Gates: " (all.clone().filter(|(_, yes)| *yes).count()) " of " (all.count()) " so far" }
                @for stage in partner.stages.iter().rev() { (gates(stage)) }
            }
        }
    }
}

fn present(partner: &PartnerOversight, presence: Option<&PartnerPresence>, now: Timestamp) -> Markup {
    if let Some(at) = partner.left_at {
        return html! { (mark("calm", "withdrew")) " " (words::date(at)) " UTC" };
    }
    let known = presence.map_or(Presence::Unknown, |one| one.presence);
    let kind = match known {
        Presence::Present => "good",
        Presence::Absent => "calm",
        Presence::Unknown => "care",
    };
    html! {
        (mark(kind, words::presence(known)))
        @if let Some(since) = presence.and_then(|one| one.since) {
            " since " (words::time(since)) " UTC, " (words::rounded(now.since(since)))
        }
    }
}

fn status(status: StageStatus) -> Markup {
    match status {
        StageStatus::NotStarted => mark("calm", "not started"),
        StageStatus::InProgress => mark("good", "in progress"),
        StageStatus::GatePending => mark("care", "done, waits for the partner"),
        StageStatus::Completed => mark("calm", "completed"),
    }
}

fn advance(partner: &PartnerOversight) -> &'static str {
    match partner.blocked {
        None => "may advance",
        Some(BlockedReason::GatesNotSatisfied) => "own gates are missing",
        Some(BlockedReason::PartnerNotReady) => "waits for the partner",
        Some(BlockedReason::SessionNotActive) => "not while the session is not active",
        Some(BlockedReason::InvalidStageTransition) => "there is none",
    }
}

fn gates(stage: &StageOversight) -> Markup {
    html! {
        table.gates {
            caption { (words::stage(stage.stage)) }
            @for (gate, yes) in &stage.gates {
                tr {
                    th scope="row" { (gate) }
                    td { @if *yes { (mark("good", "yes")) } @else { (mark("calm", "no")) } }
                }
            }
        }
    }
}

fn timeline(overseen: &SessionOverview, known: &Known<'_>) -> Markup {
    let partners = &overseen.state.partners;
    let events = known.events;
    html! {
        h2 { "Timeline" }
        p.hint { "The newest first, times in UTC. Open an event to see why each partner heard of it, or did not. "
            "A number that is missing is of an event that is told to nobody." }
        @if events.len() > SHOWN { p.hint { "The newest " (SHOWN) " of " (events.len()) " events." } }
        @if events.is_empty() { p { "Nothing was told yet." } }
        div.timeline {
            @for event in events.iter().rev().take(SHOWN) {
                details id={ "e" (event.seq) } {
                    summary {
                        span.seq { (event.seq) }
                        span.when { (words::time(event.at)) }
                        span.name { (event.event) }
                        span.verdicts {
                            @for (place, partner) in partners.iter().enumerate() {
                                @let verdict = told(event, partner, known, place).verdict();
                                span.verdict { span.user { (partner.user) } " " (mark(verdict.kind, &verdict.short)) }
                            }
                        }
                    }
                    div.columns {
                        @for (place, partner) in partners.iter().enumerate() { (why(&told(event, partner, known, place), known)) }
                    }
                }
            }
        }
    }
}

/// `place`: the index of the partner in the list of partners.
fn told<'a>(event: &'a ExplainedEvent, partner: &'a PartnerOversight, known: &'a Known<'a>, place: usize) -> Told<'a> {
    let push = known.pushes.iter().find(|push| push.seq == event.seq && push.user == partner.user);
    Told { event, partner, push, reach: &known.reach[place], obstacle: known.obstacle.as_deref() }
}

fn why(told: &Told<'_>, known: &Known<'_>) -> Markup {
    html! {
        div.card {
            h3 { (told.partner.user) }
            ol.steps { @for sentence in told.sentences() { li { (sentence) } } }
            @if let Some(push) = told.push {
                @for delivery in &push.deliveries { (device(delivery, known)) }
            }
        }
    }
}

/// One device: its attempts, its ticket and its receipt.
fn device(delivery: &ExplainedDelivery, known: &Known<'_>) -> Markup {
    html! {
        h4 { "Device " code { (delivery.device) } }
        @if delivery.possible_duplicate && delivery.attempts_made > 1 { p.hint { "A second attempt was made although the first may have arrived." } }
        @if delivery.attempts_made as usize > delivery.attempts.len() {
            p.hint { (delivery.attempts_made) " attempts, of which these are kept." }
        }
        ol.steps {
            @for attempt in &delivery.attempts {
                li { (words::time(attempt.started_at)) " attempt: " (attempted(attempt.outcome.as_ref())) }
            }
        }
        p {
            @match (&delivery.outcome, delivery.state, delivery.due) {
                (Some(outcome), _, _) => {
                    (if delivery.has_receipt() { "Receipt: " } else { "Ended: " }) (ended(outcome))
                    @if let Some(at) = delivery.ended_at { ", " (words::time(at)) }
                }
                (None, "awaitingReceipt", Some(due)) if due > known.now => { "The receipt is asked for at " (words::time(due)) "." }
                (None, "awaitingReceipt", _) => { "The receipt is being asked for." }
                (None, _, Some(due)) => {
                    @match &known.obstacle {
                        Some(obstacle) => { (obstacle) ". It is tried again as soon as that is over." }
                        None if due > known.now => { "It is tried again at " (words::time(due)) "." }
                        None => "It is tried again now.",
                    }
                }
                (None, _, None) => { "It is being sent." }
            }
        }
    }
}
