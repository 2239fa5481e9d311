//! The handbook under `/handbook`: the pages of `docs/`, as this version of the server has them.

use std::{collections::HashMap, sync::LazyLock};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ContentType},
    web::{self, ServiceConfig},
};
use maud::{PreEscaped, html};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd};

use super::{error::ApiError, front::Pieces, routes, start_page};

macro_rules! pages {
    ($($name:literal)+) => { [$(($name, include_str!(concat!("../../docs/", $name)))),+] };
}

/// Each page by its path in the folder.
const PAGES: &[(&str, &str)] = &pages! {
    "README.md" "architecture.md" "backup.md" "client.md" "configuration.md" "contributing.md" "deployment.md" "durability.md"
    "fleet.md" "load.md" "postgres.md" "push.md" "realtime.md" "reliability.md" "speed.md"
    "decisions/README.md" "decisions/fleet.md" "decisions/journal-in-front.md" "decisions/one-node.md" "decisions/output-gate.md" "decisions/own-supervisor.md" "decisions/postgres.md" "decisions/routing.md" "decisions/sled-hardened.md"
};

static RENDERED: LazyLock<HashMap<&str, bytes::Bytes>> =
    LazyLock::new(|| PAGES.iter().map(|(name, text)| (*name, render(name, text).into())).collect());

pub(super) fn mount(app: &mut ServiceConfig) {
    app.service(web::redirect("/handbook", "/handbook/README.md"))
        .service(web::redirect("/handbook/", "/handbook/README.md"))
        .service(web::resource("/handbook/{page:.*}").route(web::get().to(serve)).route(web::head().to(serve)));
}

async fn serve(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let Some(page) = RENDERED.get(request.match_info().query("page")) else { return routes::unknown(request).await };
    Ok(HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((header::CONTENT_SECURITY_POLICY, start_page::POLICY.as_str()))
        .body(Pieces::of(page.clone())))
}

fn render(name: &str, text: &str) -> String {
    let mut events: Vec<Event<'_>> = Parser::new_ext(text, Options::ENABLE_TABLES).collect();
    name_headings(&mut events);
    let mut content = String::with_capacity(text.len() * 2);
    pulldown_cmark::html::push_html(&mut content, events.into_iter().map(|event| without_dead_link(name, event)));
    // What scrolls can be reached by keyboard.
    let content = content.replace("<pre>", "<pre tabindex=\"0\">").replace("<table>", "<table tabindex=\"0\">");
    let content = html! {
        p { a href="/" { "Tandem" } " · " a href="/handbook/README.md" { "Handbook" } }
        (PreEscaped(content))
    };
    start_page::document(&format!("{} · Tandem", title(text)), &content).into_string()
}

fn title(text: &str) -> &str {
    text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or("Handbook")
}

/// Gives each heading the name by which links find it.
fn name_headings(events: &mut [Event<'_>]) {
    for place in 0..events.len() {
        if !matches!(events[place], Event::Start(Tag::Heading { .. })) {
            continue;
        }
        let inside = events[place + 1..].iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
        let words: String = inside
            .filter_map(|event| match event {
                Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
                _ => None,
            })
            .collect();
        if let Event::Start(Tag::Heading { id, .. }) = &mut events[place] {
            *id = Some(anchor(&words).into());
        }
    }
}

/// As on the pages of the repository: lower case, hyphens for spaces, no punctuation.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A link to a file of the repository that is no page of the handbook leads to the handbook's first page.
fn without_dead_link<'e>(page: &str, mut event: Event<'e>) -> Event<'e> {
    if let Event::Start(Tag::Link { dest_url, .. }) = &mut event
        && !leads_somewhere(page, dest_url)
    {
        *dest_url = CowStr::Borrowed("/handbook/README.md");
    }
    event
}

fn leads_somewhere(page: &str, link: &str) -> bool {
    let path = link.split('#').next().unwrap_or_default();
    if path.is_empty() || path.contains("://") {
        return true;
    }
    let mut folders: Vec<&str> = page.split('/').collect();
    folders.pop();
    for part in path.split('/') {
        match part {
            ".." if folders.pop().is_none() => return false,
            ".." | "." => {}
            part => folders.push(part),
        }
    }
    let wanted = folders.join("/");
    PAGES.iter().any(|(name, _)| *name == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_of_the_folder_is_served() {
        fn below(folder: &std::path::Path, prefix: &str, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                match entry.path().is_dir() {
                    true => below(&entry.path(), &format!("{name}/"), found),
                    false if name.ends_with(".md") => found.push(name),
                    false => {}
                }
            }
        }
        let mut found = Vec::new();
        below(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs"), "", &mut found);
        found.sort();
        let mut served: Vec<_> = PAGES.iter().map(|(name, _)| (*name).to_owned()).collect();
        served.sort();
        assert_eq!(found, served);
    }

    #[test]
    fn links_between_pages_and_to_headings_work() {
        let page = &RENDERED["README.md"];
        let html = String::from_utf8_lossy(page);
        assert!(html.contains("href=\"deployment.md\"") && html.contains("<table tabindex=\"0\">"), "{html}");
        assert!(String::from_utf8_lossy(&RENDERED["deployment.md"]).contains("id=\"the-console\""));
        assert!(leads_somewhere("decisions/README.md", "../architecture.md#rooms-and-arrows"));
        assert!(!leads_somewhere("configuration.md", "../config.toml"));
    }
}
