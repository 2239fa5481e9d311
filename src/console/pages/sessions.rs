//! Finds a session, and lists sessions.

use maud::{Markup, html};
use tandem_actors::{
    Refusal,
    domain::ids::{SessionId, UserId},
    explain,
    ports::StoreError,
    records::Membership,
};

use crate::console::{
    Console,
    directory::{Directory, KnownSession, MOST},
    layout::mark,
    view::{FoundSession, Page, Section},
    words,
};

/// Sessions that are listed.
const LISTED: usize = 50;

pub async fn page(console: &Console, find: &str) -> Result<Page, StoreError> {
    let mut sections = vec![Section::fixed("find", form(find))];
    if !find.is_empty() {
        sections.push(Section::live("found", found(console, find).await?));
    }
    sections.push(Section::live("quarantine", quarantined(console)));
    sections.push(Section::live("latest", latest(console).await?));
    Ok(Page { title: "Sessions".to_owned(), sections })
}

/// The session with this id, or with the invitation of this id.
///
/// # Errors
/// If the store fails.
pub async fn named(console: &Console, find: &str) -> Result<Option<SessionId>, StoreError> {
    let coordinator = &console.node.coordinator;
    for reading in FoundSession::readings(find) {
        match reading {
            FoundSession::Session(session) => {
                let is_there = coordinator.quarantine(&session).is_some()
                    || coordinator.oversee(&session).await?.is_some()
                    || !explain::explain(&*console.node.store, &session, None)?.unreadable.is_empty();
                if is_there {
                    return Ok(Some(session));
                }
            }
            FoundSession::Invitation(invitation) => match coordinator.session_of_invitation(&invitation) {
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
            label for="wanted" { "Id of a session, of its invitation or of a user, or a part of it" }
            div.row {
                input #wanted name="find" value=(find) autocomplete="off" spellcheck="false" required;
                button type="submit" { "Find" }
            }
        }
    }
}

async fn found(console: &Console, find: &str) -> Result<Markup, StoreError> {
    // A user's own list is complete. The directory has a limit, and also knows parts of an id.
    let user: Option<UserId> = find.parse().ok();
    let of_the_user = user.as_ref().map(|user| console.node.coordinator.sessions_of(user)).transpose()?;
    let of_the_user = of_the_user.unwrap_or_default();
    let directory = console.directory().await?;
    let is_another = |known: &&KnownSession| of_the_user.iter().all(|(session, _)| *session != known.session);
    let others: Vec<_> = directory.sessions_with(find).filter(is_another).collect();
    let people: Vec<_> = directory.people_with(find).take(LISTED).collect();
    Ok(html! {
        h2 { "Found" }
        @if !of_the_user.is_empty() {
            p { (words::count(of_the_user.len(), "session")) " of " (words::link_to_person(find)) }
            (of_user(&of_the_user))
        }
        @if !others.is_empty() { (table(console, "Sessions that were found", &others)?) }
        @if !people.is_empty() {
            p { "People: " @for (index, (user, _)) in people.iter().enumerate() { @if index > 0 { ", " } (words::link_to_person(user.as_str())) } }
        }
        @if of_the_user.is_empty() && others.is_empty() && people.is_empty() {
            p { "No id of a session or of a user contains this. An erased user is in no list." }
        }
        (limits(&directory))
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

async fn latest(console: &Console) -> Result<Markup, StoreError> {
    let directory = console.directory().await?;
    let sessions: Vec<_> = directory.sessions.iter().take(LISTED).collect();
    Ok(html! {
        h2 { "Latest " span.hint { (directory.sessions.len()) " in all, " (console.node.coordinator.resident()) " in memory" } }
        @if sessions.is_empty() {
            p.hint { "None. A session begins when a user invites somebody." }
        } @else {
            @if directory.sessions.len() > sessions.len() { p.hint { "The " (sessions.len()) " that changed last." } }
            (table(console, "Latest sessions", &sessions)?)
        }
        (limits(&directory))
    })
}

/// The note that the directory has a limit.
pub fn limits(directory: &Directory) -> Markup {
    html! {
        @if directory.is_partial {
            p.hint { "This node has more than the " (MOST) " rows that this page looks at. A whole id finds what is not here." }
        }
    }
}

fn table(console: &Console, label: &str, sessions: &[&KnownSession]) -> Result<Markup, StoreError> {
    let shown = sessions.iter().take(LISTED);
    let rows: Vec<_> = shown.map(|known| row(console, known)).collect::<Result<_, _>>()?;
    Ok(html! {
        @if sessions.len() > rows.len() { p.hint { (rows.len()) " of " (sessions.len()) "." } }
        div.wide tabindex="0" role="region" aria-label=(label) {
            table {
                thead { tr { th { "Session" } th { "Status" } th { "Partners" } th { "Last change (UTC)" } } }
                tbody { @for row in rows { (row) } }
            }
        }
    })
}

fn row(console: &Console, known: &KnownSession) -> Result<Markup, StoreError> {
    let memberships = known.memberships(&*console.node.store)?;
    let status = memberships.first().map(|membership| membership.status);
    Ok(html! {
        tr {
            td { (words::link_to_session(known.session.as_str())) }
            td { @if let Some(status) = status { (mark(if status.is_live() { "good" } else { "calm" }, &status.to_string())) } }
            td {
                @for (index, partner) in known.partners.iter().enumerate() {
                    @if index > 0 { ", " }
                    (words::link_to_person(partner.as_str()))
                }
            }
            td { (words::date(known.changed_at)) }
        }
    })
}
