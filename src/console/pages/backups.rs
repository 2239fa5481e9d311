//! The node's backups, and the button that takes one.

use std::sync::Arc;

use actix_web::web;
use maud::{Markup, html};

use crate::{
    backups::BackupService,
    console::{
        Console, layout,
        sign_in::Operator,
        view::{Look, Page, Section},
        words,
    },
    store::Listed,
};

/// Backups that are listed, the newest first.
const LISTED: usize = 100;

pub async fn page(console: &Console, operator: &Operator, look: Look) -> Page {
    let Some(backups) = &console.node.backups else {
        return alone(&html! { p { "This node has no store to back up." } });
    };
    let Some(destination) = backups.destination() else {
        return alone(&html! {
            p { "No directory is configured. Set " code { "backup.to" } ", or run " code { "tandem backup --to DIR" } "." }
        });
    };
    let button = html! {
        p { "Backups go to " code { (destination.to.display()) } ". "
            @match destination.keep { 0 => { "All are kept." } keep => { "The last " (keep) " are kept." } } }
        form method="post" action="/console/back-up" {
            (layout::form_key(operator))
            button type="submit" { "Back up now" }
        }
    };
    let mut sections = vec![Section::fixed("back-up", button), Section::live("backup", state(backups))];
    if look == Look::Whole {
        sections.push(Section::fixed("list", list(backups.clone()).await));
    }
    Page { title: "Backups".to_owned(), sections }
}

fn alone(words: &Markup) -> Page {
    Page { title: "Backups".to_owned(), sections: vec![Section::fixed("back-up", words.clone())] }
}

fn state(backups: &BackupService) -> Markup {
    html! {
        @if let Some(running) = &backups.status().running {
            p { "A backup is being taken: " (running.rows) " of " (running.total) " rows." }
        }
        @if let Some(last) = &backups.last_own() {
            @if let Some(problem) = &last.problem {
                p { "The last one failed at " (last.at) ": " (problem) }
            } @else if let Some(taken) = &last.taken {
                p { "The last one was complete at " (last.at) ": " (taken.rows) " rows, " (words::bytes(taken.new_bytes as f64)) " new." }
                @if taken.damaged > 0 {
                    p { (taken.damaged) " damaged rows are not in it, and no older backup is removed. "
                        "Stop the node and run " code { "tandem store verify" } "." }
                }
                @if let Some(problem) = &taken.not_removed {
                    p { "Older backups could not be removed: " (problem) }
                }
            }
        }
    }
}

/// Reads the description of each backup, off the workers.
async fn list(backups: Arc<BackupService>) -> Markup {
    let listed = match web::block(move || backups.list()).await {
        Ok(Ok(listed)) => listed,
        Ok(Err(error)) => return html! { p { (error) } },
        Err(error) => return html! { p { (error) } },
    };
    html! {
        h2 { "Backups " span.hint { (listed.len()) } }
        @if listed.is_empty() { p.hint { "None yet." } } @else {
            div.wide tabindex="0" role="region" aria-label="Backups" {
                table {
                    thead { tr { th { "Complete at" } th { "Name" } th { "Position" } th { "Rows" } th { "" } } }
                    tbody { @for backup in listed.iter().rev().take(LISTED) { (row(backup)) } }
                }
            }
        }
    }
}

fn row<E: std::fmt::Display>(backup: &Result<Listed, E>) -> Markup {
    html! {
        tr {
            @match backup {
                Ok(Listed { manifest, continues }) => {
                    td { (manifest.created_at) }
                    td.id { (manifest.id) }
                    td.number { (manifest.position) }
                    td.number { (manifest.rows) }
                    td { @if *continues { "and any moment since the one before" } }
                }
                Err(error) => { td colspan="5" { (error) } }
            }
        }
    }
}
