//! One user: sessions, devices and preferences, and what an operator can do for them. It shows no names and no mail
//! addresses.

use maud::{Markup, html};
use tandem_actors::{domain::ids::UserId, domain::time::Timestamp, ports::StoreError};

use super::sessions::of_user;
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

pub async fn page(console: &Console, operator: &Operator, user: &str) -> Result<Page, StoreError> {
    let mut sections = vec![Section::fixed("find", form(user))];
    if user.is_empty() {
        return Ok(Page { title: "People".to_owned(), sections });
    }
    let Ok(user) = user.parse::<UserId>() else {
        sections.push(Section::fixed("none", html! { p { "This is not the id of a user." } }));
        return Ok(Page { title: "People".to_owned(), sections });
    };
    let sessions = console.node.coordinator.sessions_of(&user)?;
    let reach = console.node.devices.reach(&user)?;
    let profile = console.node.users.look_up(&user).await;
    if let Err(error) = &profile {
        tracing::error!(%error, "an account could not be read");
    }
    let now = console.node.clock.now();
    let overview = html! {
        p.id { (user) }
        @match &profile {
            Ok(Some(profile)) => {
                dl.facts {
                    dt { "Known since" } dd { (words::date(profile.created_at)) " UTC" }
                    dt { "Client" } dd { (if profile.app { "the product's app" } else { "not known to be the app" }) }
                    dt { "Takes invitations" } dd { (yes(profile.privacy.allow_session_invites)) }
                    dt { "Shows when active" } dd { (yes(profile.privacy.show_activity_status)) }
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
    sections.push(Section::live("sessions", of_sessions));
    sections.push(Section::live("devices", devices(&reach, now)));
    sections.push(Section::live("preferences", preferences(&reach)));
    sections.push(Section::fixed("deeds", deeds(operator, &user)));
    Ok(Page { title: "People".to_owned(), sections })
}

fn form(user: &str) -> Markup {
    html! {
        form.find method="get" action="/console/people" role="search" {
            label for="wanted" { "Id of a user" }
            div.row {
                input #wanted name="user" value=(user) autocomplete="off" spellcheck="false" required;
                button type="submit" { "Find" }
            }
        }
    }
}

fn yes(yes: bool) -> Markup {
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
                    thead { tr { th { "Device" } th { "Token" } th { "Platform" } th { "Registered (UTC)" } th { "State" } } }
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
            td { code { (device.token.shortened()) } }
            td { (platform) }
            td { (words::date(device.registered_at)) }
            td { (state(device.state, now)) }
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
            dt { "Pushes" } dd { (yes(preferences.push_enabled)) }
            dt { "New invitations" } dd { (yes(preferences.new_invitations)) }
            dt { "Partner's actions" } dd { (yes(preferences.partner_actions)) }
            dt { "Follow-up reminders" } dd { (yes(preferences.follow_up_reminders)) }
            dt { "Quiet hours" }
            dd { @match &preferences.quiet_hours { Some(hours) => (hours), None => "none" } }
        }
    }
}

fn deeds(operator: &Operator, user: &UserId) -> Markup {
    let about = [("user", user.as_str())];
    html! {
        h2 { "For this user" }
        (button(operator, "test-push", &about, "Send a test push"))
        (button(operator, "sign-out", &about, "Sign out everywhere"))
        p.hint { "Signing out ends all realtime tokens and the connections that hold one, and the API takes no token that was issued before. "
            "A user who can still sign in with the issuer gets a newer one. Only the issuer can end that." }
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
