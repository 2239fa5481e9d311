//! One session: where both partners stand, and for each event why each of them heard of it, or did not.

use maud::{Markup, html};
use tandem_actors::{
    Overseen, PartnerPresence,
    domain::{
        BlockedReason,
        ids::SessionId,
        routing::Presence,
        stage::StageStatus,
        time::Timestamp,
        view::{PartnerOversight, StageOversight},
    },
    explain::{self, Explained, Explanation},
    ports::StoreError,
};

use crate::{
    console::{
        Console,
        explained::{Told, attempted, ended},
        layout::{button, mark},
        sign_in::Operator,
        view::{Page, Section},
        words,
    },
    push::{self, ExplainedDelivery, ExplainedPush},
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
    let now = console.node.clock.now();
    Ok(Page {
        title,
        sections: vec![
            Section::live("overview", overview(operator, &overseen, &unreadable, now)),
            Section::live("partners", partners(&overseen, now)),
            Section::live("timeline", timeline(&overseen, &events, &pushes)),
        ],
    })
}

/// A session whose state cannot be read.
fn unreadable_session(console: &Console, operator: &Operator, session: &SessionId, unreadable: &[String]) -> Markup {
    html! {
        p.id { (session) }
        @if let Some(quarantine) = console.node.coordinator.quarantine(session) {
            (quarantine_box(operator, session, &quarantine))
        }
        @for problem in unreadable { p.box.bad { "Unreadable: " (problem) } }
    }
}

fn quarantine_box(
    operator: &Operator,
    session: &SessionId,
    quarantine: &tandem_actors::supervisor::Quarantine,
) -> Markup {
    html! {
        div.box.bad {
            p { strong { "In quarantine since " (words::date(quarantine.since)) "." } " It can be read, not changed." }
            p { (quarantine.reason()) "." }
            p { (quarantine.advice()) "." }
            (button(operator, "release", &[("session", session.as_str())], "Release"))
        }
    }
}

fn overview(operator: &Operator, overseen: &Overseen, unreadable: &[String], now: Timestamp) -> Markup {
    let state = &overseen.state;
    html! {
        p.id { (state.session) }
        @if let Some(quarantine) = &overseen.quarantine { (quarantine_box(operator, &state.session, quarantine)) }
        @for problem in unreadable { p.box.bad { "Unreadable: " (problem) } }
        dl.facts {
            dt { "Status" }
            dd { (mark(if state.status.is_live() { "good" } else { "calm" }, &state.status.to_string())) }
            dt { "Last event" }
            dd { (state.seq) ", " (words::date(state.changed_at)) " UTC, " (words::about(now.since(state.changed_at))) " ago" }
            dt { "Created" }
            dd { (words::date(state.created_at)) " UTC" }
            @if let Some(at) = state.paused_at { dt { "Paused" } dd { (words::date(at)) " UTC" } }
            @if let Some(at) = state.ended_at { dt { "Ended" } dd { (words::date(at)) " UTC" } }
            @if let Some(at) = state.invitation_expires_at { dt { "Invitation valid until" } dd { (words::date(at)) " UTC" } }
            dt { "In memory" }
            dd { (if overseen.awake { "yes" } else { "no, the next request wakes it" }) }
            dt { "To publish" }
            dd { (if overseen.outbox_waits { "something is on its way, or watched for its arrival" } else { "nothing" }) }
        }
    }
}

fn partners(overseen: &Overseen, now: Timestamp) -> Markup {
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

fn card(overseen: &Overseen, partner: &PartnerOversight, now: Timestamp) -> Markup {
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
                dt { "Seen up to event" } dd { (partner.last_seen) }
                @if let Some(at) = partner.viewed_at { dt { "Last looked" } dd { (words::date(at)) " UTC" } }
                dt { "Client" } dd { (if partner.in_app_mode { "the product's app" } else { "not known to be the app" }) }
            }
            h4 { "Gates" }
            @for stage in partner.stages.iter().rev() { (gates(stage)) }
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
            " since " (words::time(since)) " UTC, " (words::about(now.since(since)))
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

fn timeline(overseen: &Overseen, events: &[Explained], pushes: &[ExplainedPush]) -> Markup {
    let partners = &overseen.state.partners;
    html! {
        h2 { "Timeline" }
        p.hint { "The newest first, times in UTC. Open an event to see why each partner heard of it, or did not." }
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
                            @for partner in partners {
                                @let verdict = told(event, partner, pushes).verdict();
                                span.verdict { span.user { (partner.user) } " " (mark(verdict.kind, &verdict.short)) }
                            }
                        }
                    }
                    div.columns {
                        @for partner in partners { (why(&told(event, partner, pushes))) }
                    }
                }
            }
        }
    }
}

fn told<'a>(event: &'a Explained, partner: &'a PartnerOversight, pushes: &'a [ExplainedPush]) -> Told<'a> {
    let push = pushes.iter().find(|push| push.seq == event.seq && push.user == partner.user);
    Told { event, partner, push }
}

fn why(told: &Told<'_>) -> Markup {
    html! {
        div.card {
            h3 { (told.partner.user) }
            ol.steps { @for sentence in told.sentences() { li { (sentence) } } }
            @if let Some(push) = told.push {
                @for delivery in &push.deliveries { (device(delivery)) }
            }
        }
    }
}

/// One device: its attempts, its ticket and its receipt.
fn device(delivery: &ExplainedDelivery) -> Markup {
    html! {
        h4 { "Device " code { (delivery.device) } }
        @if delivery.possible_duplicate { p.hint { "A second attempt was made although the first may have arrived." } }
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
                    "Receipt: " (ended(outcome))
                    @if let Some(at) = delivery.ended_at { ", " (words::time(at)) }
                }
                (None, "awaitingReceipt", Some(due)) => { "The receipt is asked for at " (words::time(due)) "." }
                (None, _, Some(due)) => { "It is tried again at " (words::time(due)) "." }
                (None, _, None) => { "It is being sent." }
            }
        }
    }
}
