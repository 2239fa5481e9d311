//! The node's backups, and the button that takes one.

use maud::{Markup, html};
use tandem_actors::{domain::time::Timestamp, ports::StoreError};

use crate::{
    backups::BackupService,
    console::{
        Console, layout,
        sign_in::Operator,
        view::{Page, Section},
        words,
    },
    store::BackupListing,
};

/// Backups that are listed, the newest first.
const LISTED: usize = 100;

/// A backup in the list, or why it cannot be read.
pub type ListedBackup = Result<BackupRow, String>;

pub struct BackupRow {
    created_at: Timestamp,
    id: String,
    position: u64,
    rows: u64,
    continues: bool,
}

/// The description of each backup in the node's own directory, the newest first. It reads files.
pub fn read(backups: &BackupService) -> Vec<ListedBackup> {
    let row = |BackupListing { manifest, continues }: BackupListing| BackupRow {
        created_at: manifest.created_at,
        id: manifest.id,
        position: manifest.position,
        rows: manifest.rows,
        continues,
    };
    match backups.list() {
        Ok(listed) => listed.into_iter().rev().map(|one| one.map(row).map_err(|error| error.to_string())).collect(),
        Err(error) => vec![Err(error.to_string())],
    }
}

pub async fn page(console: &Console, operator: &Operator) -> Result<Page, StoreError> {
    let Some(backups) = &console.node.backups else {
        return Ok(alone(&html! { p { "This node has no store to back up." } }));
    };
    let Some(destination) = backups.destination() else {
        return Ok(alone(&html! {
            p { "No directory is configured. Set " code { "backup.to" } ", or run " code { "tandem backup --to DIR" } "." }
        }));
    };
    let button = html! {
        p { "Backups go to " code { (destination.to.display()) } ". "
            @match destination.keep { 0 => { "All are kept." } keep => { "The last " (keep) " are kept." } } }
        form method="post" action="/console/back-up" {
            (layout::form_key(operator))
            button type="submit" { "Back up now" }
        }
    };
    let sections = vec![
        Section::fixed("back-up", button),
        Section::live("backup", state(backups)),
        Section::live("list", list(&console.backups(backups).await?)),
    ];
    Ok(Page { title: "Backups".to_owned(), sections })
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
                p.box.bad { "The last one failed at " (words::date(last.at)) " UTC: " (problem) }
            } @else if let Some(taken) = &last.taken {
                p { "The last one was complete at " (words::date(last.at)) " UTC: " (taken.rows) " rows, " (words::bytes(taken.new_bytes as f64)) " new." }
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

fn list(listed: &[ListedBackup]) -> Markup {
    html! {
        h2 { "Backups " span.hint { (listed.len()) } }
        @if listed.is_empty() { p.hint { "None yet." } } @else {
            div.wide tabindex="0" role="region" aria-label="Backups" {
                table {
                    thead { tr { th { "Complete at (UTC)" } th { "Name" } th { "Position" } th { "Rows" } th { "Restores to" } } }
                    tbody { @for backup in listed.iter().take(LISTED) { (row(backup)) } }
                }
            }
        }
    }
}

fn row(backup: &ListedBackup) -> Markup {
    html! {
        tr {
            @match backup {
                Ok(row) => {
                    td { (words::date(row.created_at)) }
                    td.id { (row.id) }
                    td.number { (row.position) }
                    td.number { (row.rows) }
                    td { @if row.continues { "any moment since the one before" } @else { "this moment" } }
                }
                Err(problem) => { td colspan="5" { (problem) } }
            }
        }
    }
}
