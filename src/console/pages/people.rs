//! One user: sessions, devices and preferences, and what an operator can do for them. It shows no names and no mail
//! addresses.

use maud::{Markup, html};
use tandem_actors::{domain::ids::UserId, domain::time::Timestamp, ports::StoreError};

use super::sessions::{limits, of_user};
use crate::{
    console::{
        Console,
        layout::{button, form_key, mark},
        sign_in::Operator,
        view::{Page, Section},
        words,
    },
    push::{Device, DeviceState, Platform, Reach},
};

/// People who are listed.
const LISTED: usize = 100;

pub async fn page(console: &Console, operator: &Operator, user: &str) -> Result<Page, StoreError> {
    let mut sections = vec![Section::fixed("find", form(user))];
    let title = "People".to_owned();
    let wanted = user;
    let Ok(user) = wanted.parse::<UserId>() else {
        sections.push(Section::live("people", people(console, wanted).await?));
        return Ok(Page { title, sections });
    };
    let sessions = console.node.coordinator.sessions_of(&user)?;
    let reach = console.node.devices.reach(&user)?;
    let profile = console.node.users.look_up(&user).await;
    if let Err(error) = &profile {
        tracing::error!(%error, "an account could not be read");
    }
    let signed_out_at = console.node.users.signed_out_at(&user).await.unwrap_or_default();
    let now = console.node.clock.now();
    let is_unknown = matches!(profile, Ok(None)) && sessions.is_empty();
    let overview = html! {
        p.id { (user) }
        @if let Some(at) = signed_out_at { p { (mark("care", "signed out everywhere")) " " (words::date(at)) " UTC: tokens from before are not accepted." } }
        @match &profile {
            Ok(Some(profile)) => {
                dl.facts {
                    dt { "Known since" } dd { (words::date(profile.created_at)) " UTC" }
                    @if profile.app { dt { "Client" } dd { "the product's app" } }
                    dt { "Takes invitations" } dd { (yes_or_no(profile.privacy.allow_session_invites)) }
                    dt { "Shows when active" } dd { (yes_or_no(profile.privacy.show_activity_status)) }
                }
            }
            Err(_) => { p.box.bad { "The account cannot be read. The log says why." } }
            Ok(None) => { p.box { "This node has no account of this user: they never signed in, or were erased." } }
        }
    };
    let of_sessions = html! {
        h2 { "Sessions" }
        @if sessions.is_empty() { p.hint { "None." } } @else { (of_user(&sessions)) }
    };
    sections.push(Section::live("overview", overview));
    if is_unknown {
        sections.push(Section::live("people", people(console, wanted).await?));
        sections.push(Section::fixed("deeds", sign_out(operator, &user)));
        return Ok(Page { title, sections });
    }
    sections.push(Section::live("sessions", of_sessions));
    sections.push(Section::live("devices", devices(&reach, now)));
    sections.push(Section::live("preferences", preferences(&reach)));
    sections.push(Section::fixed("deeds", deeds(operator, &user)));
    Ok(Page { title, sections })
}

/// The users with an account whose id contains a text.
async fn people(console: &Console, part: &str) -> Result<Markup, StoreError> {
    let directory = console.directory().await?;
    let found: Vec<_> = directory.people_with(part).collect();
    Ok(html! {
        h2 { @if part.is_empty() { "Accounts" } @else { "Ids with “" (part) "”" } " " span.hint { (found.len()) } }
        @if found.is_empty() {
            p.hint { "None. An account begins with the first request of a signed-in user." }
        } @else {
            @if found.len() > LISTED { p.hint { "The first " (LISTED) ". Look for a part of an id to see others." } }
            div.wide tabindex="0" role="region" aria-label="People" {
                table {
                    thead { tr { th { "User" } th { "Sessions" } } }
                    tbody { @for (user, sessions) in found.iter().take(LISTED) { tr { td { (words::link_to_person(user.as_str())) } td { (sessions) } } } }
                }
            }
        }
        (limits(&directory))
    })
}

fn form(user: &str) -> Markup {
    html! {
        form.find method="get" action="/console/people" role="search" {
            label for="wanted" { "Id of a user, or a part of it" }
            div.row {
                input #wanted name="user" value=(user) autocomplete="off" spellcheck="false";
                button type="submit" { "Find" }
            }
        }
    }
}

fn yes_or_no(yes: bool) -> Markup {
    if yes { mark("good", "yes") } else { mark("calm", "no") }
}

fn devices(reach: &Reach, now: Timestamp) -> Markup {
    html! {
        h2 { "Devices" }
        @if reach.devices.is_empty() {
            p.hint { "None. A partner without a device hears of events in the app only." }
        } @else {
            div.wide tabindex="0" role="region" aria-label="Devices" {
                table {
                    thead { tr { th { "Device" } th { "State" } th { "Token" } th { "Platform" } th { "Registered (UTC)" } } }
                    tbody { @for device in reach.devices.iter().rev() { (row(device, now)) } }
                }
            }
        }
    }
}

fn row(device: &Device, now: Timestamp) -> Markup {
    let platform = match device.platform {
        Some(Platform::Ios) => "iOS",
        Some(Platform::Android) => "Android",
        None => "not known",
    };
    html! {
        tr {
            td { code { (device.id().as_str()) } }
            td { (state(device.state, now)) }
            td { code { (device.token.shortened()) } }
            td { (platform) }
            td { (words::date(device.registered_at)) }
        }
    }
}

fn state(state: DeviceState, now: Timestamp) -> Markup {
    match state {
        DeviceState::Retired { at } => {
            html! { (mark("bad", "retired")) " " (words::date(at)) " UTC: Expo says the app is not installed any more" }
        }
        DeviceState::Quarantined { until } if until > now => html! {
            (mark("care", "quarantined")) " until " (words::date(until)) " UTC: too many devices were unregistered at once"
        },
        DeviceState::Active | DeviceState::Quarantined { .. } => mark("good", "in use"),
    }
}

fn preferences(reach: &Reach) -> Markup {
    let preferences = &reach.preferences;
    html! {
        h2 { "Preferences" }
        dl.facts {
            dt { "Pushes" } dd { (yes_or_no(preferences.push_enabled)) }
            dt { "New invitations" } dd { (yes_or_no(preferences.new_invitations)) }
            dt { "Partner's actions" } dd { (yes_or_no(preferences.partner_actions)) }
            dt { "Follow-up reminders" } dd { (yes_or_no(preferences.follow_up_reminders)) }
            dt { "Quiet hours" }
            dd { @match &preferences.quiet_hours { Some(hours) => (hours), None => "none" } }
        }
    }
}

fn sign_out(operator: &Operator, user: &UserId) -> Markup {
    html! {
        h2 { "Sign out everywhere" }
        p { "Ends all realtime tokens and the connections that hold one, and the API takes no token that was issued before. "
            "A user who can still sign in with the issuer gets a newer one. Only the issuer can end that." }
        form.form method="post" action="/console/sign-out" {
            (form_key(operator))
            input type="hidden" name="user" value=(user);
            label.check { input type="checkbox" name="sure" value="yes" required; " Yes, on all devices" }
            button.harm type="submit" { "Sign out everywhere" }
        }
    }
}

fn deeds(operator: &Operator, user: &UserId) -> Markup {
    let about = [("user", user.as_str())];
    html! {
        h2 { "Test push" }
        p.hint { "Goes to each device in use. Expo says at once whether it takes it. Its receipt is not followed: look at the phone." }
        (button(operator, "test-push", &about, "Send a test push"))
        (sign_out(operator, user))
        h2 { "Erase" }
        p { "Ends their sessions, and deletes their texts, devices and account. It cannot be taken back." }
        form.form method="post" action="/console/erase" {
            (form_key(operator))
            input type="hidden" name="user" value=(user);
            div {
                label for="confirm" { "To erase, type the user's id" }
                input #confirm name="confirm" autocomplete="off" spellcheck="false" required;
            }
            button.harm type="submit" { "Erase" }
        }
    }
}
