//! `tandem restore`: a data directory from a backup, or the store in a database.

use std::path::{Path, PathBuf};

use tandem_actors::domain::time::Timestamp;

use super::{CommandResult, Failure, output::print, progress};
use crate::{
    config::Settings,
    store::{self, Address, BackupListing, Engine, RestorePoint, RestoreProgress, RestoreReport},
};

/// What is restored, and where.
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// The directory that `tandem backup` has written
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The data directory to make; it must be empty or not there. Or postgres://USER@HOST/DATABASE, which must have no
    /// store; then the secrets go to the directory of --data, if it has none
    #[arg(long, value_name = "DATA", required_unless_present = "list")]
    to: Option<PathBuf>,
    /// This backup [default: the newest]
    #[arg(long, value_name = "ID")]
    backup: Option<String>,
    /// The state at this time, as 2026-01-31T12:00:00Z; a database has none between two backups
    #[arg(long, value_name = "TIME", conflicts_with_all = ["backup", "position"], value_parser = moment)]
    at: Option<Timestamp>,
    /// The state after this group of the journal
    #[arg(long, value_name = "GROUP", conflicts_with = "backup")]
    position: Option<u64>,
    /// The engine of the store in a new data directory: sled or redb [default: that of the backup; of a database, sled]
    #[arg(long, value_name = "ENGINE", value_parser = engine)]
    engine: Option<Engine>,
    /// Only say what can be restored
    #[arg(long, conflicts_with_all = ["to", "backup", "at", "position", "engine"])]
    list: bool,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let parsed = Timestamp::parse(text);
    parsed.map_err(|_| "it must be RFC 3339, as 2026-01-31T12:00:00Z".into())
}

fn engine(text: &str) -> Result<Engine, String> {
    let mut known = Engine::ALL.into_iter();
    known.find(|engine| engine.name() == text).ok_or_else(|| "it must be sled or redb".into())
}

pub fn run(settings: &Settings, asked: Restore) -> CommandResult {
    let Some(to) = &asked.to else { return list(&asked) };
    let database = database(to, asked.engine)?;
    let choice = match (asked.backup, asked.position, asked.at) {
        (Some(id), ..) => RestorePoint::Backup(id),
        (_, Some(position), _) => RestorePoint::Position(position),
        (.., Some(at)) => RestorePoint::At(at),
        _ => RestorePoint::Newest,
    };
    let bar = progress::known("verifying", "rows");
    let mut show = |RestoreProgress { is_verifying, rows, total }: RestoreProgress| {
        bar.set_message(if is_verifying { "verifying" } else { "restoring" });
        bar.set_length(total);
        bar.set_position(rows);
    };
    let restored = store::plan(&asked.from, &choice, &mut show).and_then(|plan| {
        let options = settings.store_options();
        let (store, report) = match &database {
            None => plan.restore(to, asked.engine, &options, &mut show).map(|(at, report)| (at.to_string(), report))?,
            Some(address) => {
                let report = plan.restore_into_database(address, &settings.data, &options, &mut show)?;
                (address.to_string(), report)
            }
        };
        Ok((plan, store, report))
    });
    bar.finish_and_clear();
    let (plan, store, RestoreReport { rows, erased_later, secrets, kept }) = restored?;
    print(format_args!("restored {store}: {rows} rows at position {}, of backup {}", plan.position, plan.manifest.id))?;
    if erased_later > 0 {
        print(format_args!("{erased_later} accounts were erased after that: the node erases them again at its start"))?;
    }
    if plan.manifest.damaged > 0 {
        print(format_args!("{}: an older backup may have them", left_out(plan.manifest.damaged)))?;
    }
    tell_secrets(if database.is_some() { &settings.data } else { to }, &secrets, &kept)?;
    if database.is_some() && secrets.iter().any(|name| name == "config.toml") {
        print("config.toml is that of the node that was backed up: see to its store.engine and store.url")?;
    }
    Ok(())
}

/// The address of a database in `--to`. `None` for a data directory.
fn database(to: &Path, engine: Option<Engine>) -> Result<Option<Address>, Failure> {
    let refused = |problem: String| Failure { code: 2, ..Failure::new(problem) };
    let Some(text) = to.to_str().filter(|text| text.contains("://")) else { return Ok(None) };
    let address = text.parse::<Address>();
    let address = address.map_err(|error| refused(format!("--to: the address of a database {error}")))?;
    match engine {
        None => Ok(Some(address)),
        Some(_) => Err(refused("--engine is for a data directory, and --to names a database".into())),
    }
}

fn tell_secrets(data: &Path, restored: &[String], kept: &[String]) -> CommandResult {
    let data = data.display();
    if restored.is_empty() && kept.is_empty() {
        print(format_args!(
            "the backup holds no secrets: put those of the node into {data}, or it makes new ones, and old tokens end"
        ))?;
    }
    for (done, names) in [("restored", restored), ("kept, as there already,", kept)] {
        if !names.is_empty() {
            print(format_args!("{done} {} in {data}", names.join(", ")))?;
        }
    }
    Ok(())
}

/// The note about rows that were damaged when the backup was taken.
pub fn left_out(damaged: u64) -> String {
    format!("{damaged} rows were damaged in the store, and are left out")
}

fn list(asked: &Restore) -> CommandResult {
    let listed = store::list(&asked.from)?;
    if listed.is_empty() {
        return Err(Failure::new(format_args!("there is no backup in {}", asked.from.display())));
    }
    for backup in listed {
        match backup {
            Ok(BackupListing { manifest, continues }) => print(format_args!(
                "{}  {}  position {}  {} rows  {}{}{}",
                manifest.id,
                manifest.created_at,
                manifest.position,
                manifest.rows,
                if manifest.secrets.is_empty() { "without secrets" } else { "with secrets" },
                if manifest.damaged > 0 { format!("  {}", left_out(manifest.damaged)) } else { String::new() },
                if continues { "  any position since the one above" } else { "" }
            ))?,
            Err(error) => print(format_args!("BAD  {error}"))?,
        }
    }
    Ok(())
}
