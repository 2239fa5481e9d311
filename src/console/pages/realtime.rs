//! The realtime endpoint: channels, connections, and tools to look at a token and to publish a test.

use maud::{Markup, html};

use crate::{
    console::{
        Console,
        layout::{form_key, mark},
        sign_in::Operator,
        view::{Page, Section},
        words,
    },
    realtime::embedded::{CredentialsOverview, Overview},
};

/// Channels and connections that are shown.
const SHOWN: usize = 100;

/// A test message, as it is filled in.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct TestMessage {
    pub channel: String,
    pub name: String,
    pub data: String,
}

impl Default for TestMessage {
    fn default() -> Self {
        Self { channel: "test".to_owned(), name: "test".to_owned(), data: "{}".to_owned() }
    }
}

pub fn page(console: &Console, operator: &Operator, message: &TestMessage) -> Page {
    let title = "Realtime".to_owned();
    let Some(embedded) = console.node.realtime.provider.embedded() else {
        let words = html! {
            p { "Ably's cloud carries the events of this node. Its dashboard shows channels and connections." }
            p { a href="/console/push" { "The state of its breaker" } }
        };
        return Page { title, sections: vec![Section::fixed("cloud", words)] };
    };
    let overview = embedded.endpoint.overview(SHOWN);
    Page {
        title,
        sections: vec![
            Section::live("channels", channels(&overview)),
            Section::live("connections", connections(&overview)),
            Section::fixed("rights", rights(operator, None)),
            Section::fixed("publish", publish(operator, message)),
        ],
    }
}

/// The page that shows what a pasted token allows.
pub fn with_rights(operator: &Operator, rights_of: &Result<CredentialsOverview, String>) -> Page {
    let back = html! { p { a href="/console/realtime" { "Channels and connections" } } };
    let sections = vec![Section::fixed("rights", rights(operator, Some(rights_of))), Section::fixed("back", back)];
    Page { title: "Realtime".to_owned(), sections }
}

fn channels(overview: &Overview) -> Markup {
    html! {
        h2 { "Channels" }
        @if overview.channels.is_empty() {
            p.hint { "None is in use." }
        } @else {
            @if overview.channels_in_all > overview.channels.len() {
                p.hint { "The first " (overview.channels.len()) " of " (overview.channels_in_all) "." }
            }
            div.wide tabindex="0" role="region" aria-label="Channels" {
                table {
                    thead { tr { th { "Channel" } th { "Connections" } th { "Subscribers" } th { "Publishers" } th { "Present" } } }
                    tbody {
                        @for channel in &overview.channels {
                            tr {
                                td.id { (channel.name) }
                                td { (channel.connections) } td { (channel.subscribers) }
                                td { (channel.publishers) } td { (channel.members) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn connections(overview: &Overview) -> Markup {
    html! {
        h2 { "Connections" }
        @if overview.connections.is_empty() {
            p.hint { "None." }
        } @else {
            @if overview.connections_in_all > overview.connections.len() {
                p.hint { (overview.connections.len()) " of " (overview.connections_in_all) ", those with the longest queues first." }
            }
            div.wide tabindex="0" role="region" aria-label="Connections" {
                table {
                    thead { tr { th { "Connection" } th { "Client" } th { "Key" } th { "Transport" } th { "Age" } th { "Queue" } } }
                    tbody {
                        @for connection in &overview.connections {
                            tr {
                                td { code { (connection.id) } }
                                td.id { @match &connection.client_id { Some(id) => (words::link_to_person(id)), None => "any" } }
                                td { code { (connection.key) } }
                                td { @match connection.transport { Some(transport) => (transport), None => (mark("care", "gone, may come back")) } }
                                td { (words::rounded(connection.age)) }
                                td { (words::bytes(connection.waiting as f64)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn rights(operator: &Operator, of: Option<&Result<CredentialsOverview, String>>) -> Markup {
    html! {
        h2 { "Rights of a token" }
        @match of {
            Some(Ok(rights)) => {
                dl.facts {
                    dt { "Valid" } dd { (mark("good", "yes")) ", a " (rights.kind) }
                    dt { "Key" } dd { code { (rights.key) } }
                    dt { "Client" } dd { @match rights.client_id.as_deref() { Some("*") => "any", Some(id) => (words::link_to_person(id)), None => "none" } }
                    @if let Some(at) = rights.expires { dt { "Expires" } dd { (words::date(tandem_actors::domain::time::Timestamp::from_millis(at.as_millis()))) " UTC" } }
                    dt { "Allows" } dd { code { (rights.capability) } }
                }
                p.hint { "On a session's channels, a member's rights also follow the session as it is now." }
            }
            Some(Err(problem)) => { p.box.bad { (problem) } }
            None => {}
        }
        form.form method="post" action="/console/rights" {
            (form_key(operator))
            div {
                label for="token" { "A token or JWT for realtime, or the key of the realtime service. It is checked and not kept." }
                input #token type="password" name="token" autocomplete="off" required;
            }
            button type="submit" { "Look" }
        }
    }
}

fn publish(operator: &Operator, message: &TestMessage) -> Markup {
    html! {
        h2 { "Publish a test message" }
        p.hint { "Channels of sessions and users are the coordinator's and take none." }
        form.form method="post" action="/console/publish" {
            (form_key(operator))
            div { label for="channel" { "Channel" } input #channel name="channel" value=(message.channel) autocomplete="off" required; }
            div { label for="name" { "Name of the message" } input #name name="name" value=(message.name) autocomplete="off" required; }
            div { label for="data" { "Data, as JSON" } textarea #data name="data" { (message.data) } }
            button type="submit" { "Publish" }
        }
    }
}
