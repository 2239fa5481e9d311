//! Finds a session, and lists those that an operator may look for.

use futures_util::future::try_join_all;
use maud::{Markup, html};
use tandem_actors::{
    Overseen, Refusal,
    domain::ids::{SessionId, UserId},
    explain,
    ports::StoreError,
    records::Membership,
};

use crate::console::{
    Console,
    layout::mark,
    view::{Found, Page, Section},
    words,
};

/// Sessions in memory that are listed.
const AWAKE: usize = 20;

pub async fn page(console: &Console, find: &str) -> Result<Page, StoreError> {
    let mut sections = vec![Section::fixed("find", form(find))];
    if !find.is_empty() {
        sections.push(Section::live("found", found(console, find)?));
    }
    sections.push(Section::live("quarantine", quarantined(console)));
    sections.push(Section::live("awake", awake(console).await?));
    Ok(Page { title: "Sessions".to_owned(), sections })
}

/// The session that a text names by its own id or by its invitation's, if there is one.
///
/// # Errors
/// If the store fails.
pub async fn named(console: &Console, find: &str) -> Result<Option<SessionId>, StoreError> {
    let coordinator = &console.node.coordinator;
    for reading in Found::readings(find) {
        match reading {
            Found::Session(session) => {
                let is_there = coordinator.quarantine(&session).is_some()
                    || coordinator.oversee(&session).await?.is_some()
                    || !explain::explain(&*console.node.store, &session, None)?.unreadable.is_empty();
                if is_there {
                    return Ok(Some(session));
                }
            }
            Found::Invitation(invitation) => match coordinator.session_of_invitation(&invitation) {
                Ok(session) => return Ok(Some(session)),
                Err(Refusal::Rejected(_)) => {}
                Err(refusal) => return Err(StoreError::new(refusal)),
            },
        }
    }
    Ok(None)
}

fn form(find: &str) -> Markup {
    html! {
        form.find method="get" action="/console/sessions" role="search" {
            label for="wanted" { "Id of a session, of its invitation, or of a user" }
            div.row {
                input #wanted name="find" value=(find) autocomplete="off" spellcheck="false" required;
                button type="submit" { "Find" }
            }
        }
    }
}

fn found(console: &Console, find: &str) -> Result<Markup, StoreError> {
    let user: Option<UserId> = find.parse().ok();
    let sessions = user.as_ref().map(|user| console.node.coordinator.sessions_of(user)).transpose()?;
    let sessions = sessions.unwrap_or_default();
    Ok(html! {
        h2 { "Found" }
        @if sessions.is_empty() {
            p { "No session and no member of one has this id." }
        } @else {
            p { (words::count(sessions.len(), "session")) " of " (words::link_to_person(find)) }
            (of_user(&sessions))
        }
    })
}

/// The sessions of one user.
pub fn of_user(sessions: &[(SessionId, Membership)]) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label="Sessions of this user" {
            table {
                thead { tr { th { "Session" } th { "Status" } th { "With" } } }
                tbody {
                    @for (session, membership) in sessions {
                        tr {
                            td { (words::link_to_session(session.as_str())) }
                            td { (membership.status) }
                            td {
                                @match &membership.partner {
                                    Some(partner) => (words::link_to_person(partner.as_str())),
                                    None => "nobody yet",
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn quarantined(console: &Console) -> Markup {
    let all = console.node.coordinator.quarantined();
    html! {
        h2 { "In quarantine" }
        @if all.is_empty() {
            p.hint { "None." }
        } @else {
            ul.troubles {
                @for (session, quarantine) in &all {
                    li.bad {
                        (words::link_to_session(session.as_str())) " since " (words::date(quarantine.since)) ": "
                        (quarantine.reason())
                    }
                }
            }
        }
    }
}

async fn awake(console: &Console) -> Result<Markup, StoreError> {
    let coordinator = &console.node.coordinator;
    let awake = coordinator.awake(AWAKE);
    // All at once: one that does not answer makes the page wait once, and not once for each.
    let overseen = try_join_all(awake.iter().map(|session| coordinator.oversee(session))).await?;
    let mut sessions: Vec<Overseen> = overseen.into_iter().flatten().collect();
    sessions.sort_by_key(|overseen| std::cmp::Reverse(overseen.state.changed_at));
    let all = console.node.coordinator.resident();
    Ok(html! {
        h2 { "In memory" }
        @if sessions.is_empty() {
            p.hint { "None. A session is in memory while somebody uses it." }
        } @else {
            @if all > sessions.len() { p.hint { "Some of " (all) "." } }
            div.wide tabindex="0" role="region" aria-label="Sessions in memory" {
                table {
                    thead { tr { th { "Session" } th { "Status" } th { "Stages" } th { "Partners" } th { "Last change (UTC)" } } }
                    tbody { @for overseen in &sessions { (row(overseen)) } }
                }
            }
        }
    })
}

fn row(overseen: &Overseen) -> Markup {
    let state = &overseen.state;
    let stages = state.partners.iter().filter_map(|partner| Some(partner.stages.last()?.stage.number().to_string()));
    html! {
        tr {
            td { (words::link_to_session(state.session.as_str())) }
            td { (mark(if state.status.is_live() { "good" } else { "calm" }, &state.status.to_string())) }
            td { (stages.collect::<Vec<_>>().join(" and ")) }
            td {
                @for (index, partner) in state.partners.iter().enumerate() {
                    @if index > 0 { ", " }
                    (words::link_to_person(partner.user.as_str()))
                }
            }
            td { (words::date(state.changed_at)) }
        }
    }
}
