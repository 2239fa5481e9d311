//! The changes made by the console and by commands.

use maud::html;

use crate::console::{
    Console,
    view::{Page, Section},
    words,
};

pub async fn page(console: &Console) -> Page {
    let changes = console.changes.latest().await;
    let content = html! {
        p.hint { "The latest 500. Each is also a line of the log." }
        @if changes.is_empty() {
            p { "Nothing was changed yet." }
        } @else {
            div.wide tabindex="0" role="region" aria-label="Changes" {
                table {
                    thead { tr { th { "When (UTC)" } th { "What" } th { "Outcome" } th { "Of" } th { "Who" } } }
                    tbody {
                        @for change in &changes {
                            tr {
                                td { (words::date(change.at)) }
                                td { (change.what) }
                                td { (change.outcome) }
                                td.id { (change.of) }
                                td { (change.by) }
                            }
                        }
                    }
                }
            }
        }
    };
    Page { title: "Changes".to_owned(), sections: vec![Section::live("changes", content)] }
}
