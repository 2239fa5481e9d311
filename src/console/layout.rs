//! The frame of all pages.

use maud::{Markup, PreEscaped, html};

use super::{
    sign_in::{Notice, Operator},
    view::{Page, Section, View},
};
use crate::http::whole_page;

/// The pages in the navigation.
const PLACES: [(&str, &str); 8] = [
    ("/console", "Now"),
    ("/console/sessions", "Sessions"),
    ("/console/people", "People"),
    ("/console/realtime", "Realtime"),
    ("/console/push", "Push"),
    ("/console/backups", "Backups"),
    ("/console/settings", "Settings"),
    ("/console/changes", "Changes"),
];

/// A page for somebody who is signed in.
pub fn whole(view: &View, page: &Page, operator: &Operator, notice: Option<&Notice>) -> Markup {
    let body = html! {
        header.top {
            a.brand href="/console" { "Tandem" }
            nav aria-label="Pages" {
                @for (path, name) in PLACES {
                    a href=(path) aria-current=[(view.place() == path).then_some("page")] { (name) }
                }
            }
            form.leave method="post" action="/console/leave" {
                (form_key(operator))
                span.who { (operator.name) }
                button.quiet type="submit" { "Sign out" }
            }
        }
        main #main {
            div.title {
                h1 { (page.title) }
                p #live hidden { "Live" }
            }
            @if let Some(notice) = notice { p.notice.failure[notice.is_failure] role="status" { (notice.words) } }
            @for section in &page.sections { (part(section)) }
        }
    };
    document(&format!("{} · Tandem", page.title), Script::Included, &body)
}

/// A section, as part of the page or of an update.
pub fn part(section: &Section) -> Markup {
    html! { section id=(section.id) { (section.content) } }
}

/// A page for somebody who is not signed in, or for whom there is nothing.
pub fn alone(title: &str, content: &Markup) -> Markup {
    let body = html! { main.alone { p { a.brand href="/" { "Tandem" } } h1 { (title) } (content) } };
    document(&format!("{title} · Tandem"), Script::None, &body)
}

/// Whether a page has the script of the console.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Included,
    None,
}

fn document(title: &str, script: Script, content: &Markup) -> Markup {
    let has_script = script == Script::Included;
    let head = html! {
        meta name="robots" content="noindex";
        link rel="icon" href="/console/icon.svg" type="image/svg+xml";
        link rel="stylesheet" href="/console/style.css";
        @if has_script { script src="/console/script.js" defer {} }
    };
    let body = html! {
        @if has_script { a.skip href="#main" { "Skip to the content" } }
        (content)
    };
    whole_page(title, &head, &body)
}

/// The hidden field with the key that proves that the console has made the form.
pub fn form_key(operator: &Operator) -> Markup {
    html! { input type="hidden" name="key" value=(operator.form_key); }
}

/// A button that changes something, with the object of the change.
pub fn button(operator: &Operator, action: &str, about: &[(&str, &str)], label: &str) -> Markup {
    html! {
        form.act method="post" action={ "/console/" (action) } {
            (form_key(operator))
            @for (name, value) in about { input type="hidden" name=(name) value=(value); }
            button type="submit" { (label) }
        }
    }
}

/// A word with a colour: `good`, `bad`, `care` or `calm`.
pub fn mark(kind: &'static str, word: &str) -> Markup {
    html! { span class={ "mark " (kind) } { (word) } }
}

/// The page after a sign-in, which leads on. It is not a redirect, because a browser does not send a strict cookie with
/// a redirect from another site.
pub fn entered() -> Markup {
    let body = html! {
        main.alone {
            h1 { "Signed in" }
            p { a href="/console" { "To the console" } }
        }
    };
    let whole = document("Signed in · Tandem", Script::None, &body).into_string();
    PreEscaped(whole.replacen("<head>", "<head><meta http-equiv=\"refresh\" content=\"0;url=/console\">", 1))
}
