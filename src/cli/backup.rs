//! `tandem backup`: of the running node, or of the store of a stopped one. A database can be read whether a node uses
//! it or not. But a node on this machine takes the backup itself, so that its metrics and its console know of it.

use std::{path::Path, time::Duration};

use indicatif::ProgressBar;

use super::{CommandResult, Failure, output::print, progress};
use crate::{
    backups::{BackupStatus, TakenBackup},
    config::Settings,
    operator, secrets,
    store::{BackupProgress, Backups, Place, StoreOpenError},
};

/// The time between two requests for the progress.
const ASK_EVERY: Duration = Duration::from_millis(100);

pub fn run(settings: &Settings, to: Option<&Path>, with_secrets: bool) -> CommandResult {
    let own = settings.backup.to.as_deref();
    let to = to
        .or(own)
        .ok_or_else(|| Failure::new("no directory is named: add --to DIR, or set backup.to in config.toml"))?;
    let own = own.map(std::path::absolute).transpose()?;
    let to = std::path::absolute(to)?;
    let keep = match own {
        None => Some(0),
        Some(own) if own == to => Some(settings.backup.keep),
        Some(_) => None,
    };
    let bar = progress::known("backing up", "rows");
    let taken = take(settings, &to, What::Backup { with_secrets, keep }, &bar);
    bar.finish_and_clear();
    let TakenBackup { id, position, rows, damaged, new_bytes, removed, not_removed } = taken?;
    let to = to.display();
    print(format_args!("backup {id} in {to}: {rows} rows at position {position}, {new_bytes} new bytes"))?;
    if damaged > 0 {
        print(format_args!(
            "{damaged} damaged rows are not in the backup, and no older backup is removed: {}",
            settings.store.engine.after_damage()
        ))?;
    }
    for id in removed {
        print(format_args!("removed backup {id}"))?;
    }
    if let Some(problem) = not_removed {
        print(format_args!("older backups could not be removed: {problem}"))?;
    }
    Ok(())
}

/// What is written into a directory.
#[derive(Clone, Copy)]
pub enum What {
    Backup {
        with_secrets: bool,
        /// How many backups are kept there (0: all). `None` if it is not the destination of the node's own backups.
        keep: Option<usize>,
    },
    /// A backup that is read at once, and then removed.
    Snapshot,
}

pub fn take(settings: &Settings, to: &Path, what: What, bar: &ProgressBar) -> Result<TakenBackup, Failure> {
    let (place, options) = (settings.store_place(), settings.store_options());
    match place.inspect_unused(&options) {
        Err(StoreOpenError::Locked { .. }) => actix_web::rt::System::new().block_on(of_node(settings, to, what, bar)),
        Ok(true) => of_store(settings, to, what, bar),
        Ok(false) => Err(Failure::new(format_args!(
            "there is no store at {place}: name the data directory of a node with --data"
        ))),
        Err(error) => Err(error.into()),
    }
}

async fn of_node(settings: &Settings, to: &Path, what: What, bar: &ProgressBar) -> Result<TakenBackup, Failure> {
    let to = to.to_str().ok_or_else(|| Failure::new("the directory's name must be UTF-8"))?;
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("to", to)
        .append_pair("secrets", &matches!(what, What::Backup { with_secrets: true, .. }).to_string())
        .append_pair("snapshot", &matches!(what, What::Snapshot).to_string())
        .finish();
    let begun = operator::call(&settings.data, reqwest::Method::POST, &format!("backup?{query}")).await?;
    let number = serde_json::from_value::<BackupStatus>(begun)?.begun;
    loop {
        let status = operator::call(&settings.data, reqwest::Method::GET, "backup").await?;
        let status: BackupStatus = serde_json::from_value(status)?;
        if let Some(running) = &status.running {
            bar.set_length(running.total);
            bar.set_position(running.rows);
        }
        if let Some(outcome) = outcome(status, number) {
            return outcome.map_err(Failure::new);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// The end of the backup with this number. `None` while it is under way.
fn outcome(status: BackupStatus, number: u64) -> Option<Result<TakenBackup, String>> {
    let BackupStatus { begun, running, last } = status;
    if let Some(ended) = last.filter(|ended| ended.number >= number) {
        let problem = ended.problem.unwrap_or_else(|| "another one was taken meanwhile".into());
        return Some(ended.taken.ok_or(problem));
    }
    let is_under_way = begun >= number && running.is_some();
    (!is_under_way)
        .then(|| Err("the node was restarted meanwhile, and the backup was not taken: begin it again".into()))
}

fn of_store(settings: &Settings, to: &Path, what: What, bar: &ProgressBar) -> Result<TakenBackup, Failure> {
    let options = settings.store_options();
    let (store, backups) = match settings.store_place() {
        // A node on another machine may use it.
        Place::Postgres { address, .. } => (None, Backups::of_database(&address, &options)),
        place @ Place::Directory(_) => {
            let (store, backups) = place.open_with_backups(&options)?;
            (Some(store), backups)
        }
    };
    let show = &mut |BackupProgress { rows, total }| {
        bar.set_length(total);
        bar.set_position(rows);
    };
    let taken = match what {
        What::Snapshot => backups.take_elsewhere(to, &[], show),
        What::Backup { with_secrets, keep } => {
            let secrets = if with_secrets { secrets::files_of(&settings.data) } else { Vec::new() };
            match keep {
                Some(keep) => backups.take(to, &secrets, keep, show),
                None => backups.take_elsewhere(to, &secrets, show),
            }
        }
    };
    if let Some(store) = store {
        store.close();
    }
    Ok(TakenBackup::from(&taken?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> BackupStatus {
        serde_json::from_str(text).expect("a status")
    }

    #[test]
    fn a_backup_of_a_node_ends_also_if_the_node_is_restarted() {
        let running = r#""running":{"to":"/b","rows":1,"total":2}"#;
        let failed = r#""last":{"number":2,"to":"/b","at":"2026-01-31T12:00:00.000Z","problem":"no room"}"#;
        assert!(outcome(status(&format!(r#"{{"begun":3,{running},{failed}}}"#)), 3).is_none());
        let ended = outcome(status(&format!(r#"{{"begun":2,{failed}}}"#)), 2);
        assert_eq!(ended.expect("ended").expect_err("failed"), "no room");
        for of_another_run in
            [r#"{"begun":0}"#.to_owned(), format!(r#"{{"begun":1,{running}}}"#), format!(r#"{{"begun":3,{failed}}}"#)]
        {
            let ended = outcome(status(&of_another_run), 3).expect("it never ends otherwise");
            assert!(ended.expect_err("it is gone").contains("restarted"), "{of_another_run}");
        }
    }
}
