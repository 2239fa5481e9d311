//! Backups of the running node, one at a time.

mod schedule;

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tandem_actors::domain::time::Timestamp;
use utoipa::ToSchema;

pub use self::schedule::Schedule;
use crate::store::{self, BackupError, BackupListing, BackupProgress, BackupReport, Backups, SecretFile};

/// Whether the secrets and the settings of the data directory are part of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    Included,
    LeftOut,
}

/// Whose backup it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// The node's own, in its destination.
    Node,
    /// One that a command has asked for, in the directory that it names.
    Caller,
}

/// How often the schedule reads the clock, which may jump.
const LOOK: Duration = Duration::from_secs(1);
/// The longest wait of the schedule after a failure.
const TRY_AGAIN: Duration = Duration::from_secs(10 * 60);

/// The destination of the node's own backups.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The directory.
    pub to: PathBuf,
    /// How many backups are kept there. 0: all.
    pub keep: usize,
}

/// Takes the backups of a node.
pub struct BackupService {
    backups: Backups,
    secrets: Vec<SecretFile>,
    destination: Option<Destination>,
    state: Mutex<BackupState>,
}

#[derive(Default)]
struct BackupState {
    status: BackupStatus,
    /// The last of the node's own backups that has ended.
    last_own: Option<EndedBackup>,
    /// The latest backups that have ended, the oldest first.
    ended: VecDeque<EndedBackup>,
}

/// How many ended backups are kept, for clients that poll.
const KEPT_ENDS: usize = 16;

/// The backup under way, and how the last one ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// How many backups this node has begun since its start.
    pub begun: u64,
    /// The backup under way. Absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<RunningBackup>,
    /// The last backup that has ended. Absent if there was none since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<EndedBackup>,
}

/// A backup under way.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunningBackup {
    /// The directory.
    #[schema(value_type = String)]
    pub to: PathBuf,
    /// Rows that were read.
    pub rows: u64,
    /// The number of rows when it began.
    pub total: u64,
}

/// How a backup ended.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndedBackup {
    /// Its number among the backups of this node since the start.
    pub number: u64,
    /// The directory.
    #[schema(value_type = String)]
    pub to: PathBuf,
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Absent if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<TakenBackup>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A backup that was taken.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TakenBackup {
    /// Its name.
    pub id: String,
    /// The last group of the journal in it.
    pub position: u64,
    /// Rows in it.
    pub rows: u64,
    /// Rows that were left out because they are damaged.
    pub damaged: u64,
    /// Bytes of new files in the directory.
    pub new_bytes: u64,
    /// Older backups that were removed.
    pub removed: Vec<String>,
    /// Why older backups could not be removed. Absent if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_removed: Option<String>,
}

impl From<&BackupReport> for TakenBackup {
    fn from(taken: &BackupReport) -> Self {
        let BackupReport { manifest, new_bytes, removed, not_removed } = taken;
        Self {
            id: manifest.id.clone(),
            position: manifest.position,
            rows: manifest.rows,
            damaged: manifest.damaged,
            new_bytes: *new_bytes,
            removed: removed.clone(),
            not_removed: not_removed.clone(),
        }
    }
}

/// One backup is taken at a time.
#[derive(Debug, thiserror::Error)]
pub enum NotBegun {
    #[error("a backup is being taken; wait until it is done")]
    Busy,
    #[error("there is no thread for it: {0}")]
    Thread(#[from] std::io::Error),
}

impl BackupService {
    pub fn new(backups: Backups, secrets: Vec<SecretFile>, destination: Option<Destination>) -> Arc<Self> {
        let service = Self { backups, secrets, destination, state: Mutex::default() };
        if let Some(at) = service.last_in_destination() {
            metrics::gauge!("tandem_backup_last_success_timestamp_seconds").set(at.as_millis() as f64 / 1_000.0);
        }
        Arc::new(service)
    }

    /// The destination of the node's own backups, if it is configured.
    pub fn destination(&self) -> Option<&Destination> {
        self.destination.as_ref()
    }

    /// The end of the node's last own backup. Its own backups are those in its destination, or all if it has none.
    pub fn last_own(&self) -> Option<EndedBackup> {
        self.state.lock().last_own.clone()
    }

    /// The end of the backup with this number. `None` if it is under way, or too long ago.
    pub fn ended(&self, number: u64) -> Option<EndedBackup> {
        self.state.lock().ended.iter().find(|ended| ended.number == number).cloned()
    }

    /// The backups in the node's own directory, the oldest first.
    pub fn list(&self) -> Result<Vec<Result<BackupListing, BackupError>>, BackupError> {
        self.destination.as_ref().map_or_else(|| Ok(Vec::new()), |destination| store::list(&destination.to))
    }

    fn last_in_destination(&self) -> Option<Timestamp> {
        let listed = self.list().inspect_err(|error| tracing::warn!(%error, "the backups cannot be listed")).ok()?;
        listed.into_iter().rev().find_map(Result::ok).map(|listed| listed.manifest.created_at)
    }

    /// Begins a backup into the node's own directory, and returns its number. None if no directory is configured.
    pub fn begin_own(self: &Arc<Self>) -> Result<Option<u64>, NotBegun> {
        let Some(Destination { to, .. }) = &self.destination else { return Ok(None) };
        self.begin(to, Secrets::Included).map(|status| Some(status.begun))
    }

    /// Takes backups by the schedule, as long as the service exists.
    pub async fn keep_schedule(self: Arc<Self>, schedule: Schedule) {
        // The first daily backup is at the next time of the schedule.
        let begun = matches!(schedule, Schedule::Daily(_)).then(now);
        let mut tried = self.last_in_destination().or(begun);
        let weak = Arc::downgrade(&self);
        drop(self);
        while let Some(service) = weak.upgrade() {
            let (now, status) = (now(), service.status());
            let failed = service.last_own().filter(|last| last.problem.is_some());
            let due = schedule.next(tried, now);
            let due = failed.map_or(due, |failed| due.min(failed.at + TRY_AGAIN));
            if due <= now && status.running.is_none() {
                tried = Some(now);
                if let Err(error) = service.begin_own() {
                    tracing::warn!(%error, "a backup that is due was not begun");
                }
            }
            drop(service);
            tokio::time::sleep(LOOK).await;
        }
    }

    pub fn status(&self) -> BackupStatus {
        self.state.lock().status.clone()
    }

    /// How many backups are kept in this directory (0: all). `None` if it is not the destination of the node's own
    /// backups.
    fn keep_in(&self, to: &Path) -> Option<usize> {
        self.destination.as_ref().map_or(Some(0), |own| (own.to == to).then_some(own.keep))
    }

    /// Begins a backup on a thread of its own.
    pub fn begin(self: &Arc<Self>, to: &Path, secrets: Secrets) -> Result<BackupStatus, NotBegun> {
        let keep = self.keep_in(to);
        let whose = if keep.is_some() { Whose::Node } else { Whose::Caller };
        self.start(to, whose, move |service, to| service.take(to, secrets, keep))
    }

    /// Begins a backup into an empty directory that is only temporary.
    pub fn begin_snapshot(self: &Arc<Self>, to: &Path) -> Result<BackupStatus, NotBegun> {
        self.start(to, Whose::Caller, |service, to| service.take(to, Secrets::LeftOut, None))
    }

    fn start(
        self: &Arc<Self>,
        to: &Path,
        whose: Whose,
        work: impl FnOnce(&Self, &Path) -> Result<BackupReport, BackupError> + Send + 'static,
    ) -> Result<BackupStatus, NotBegun> {
        let status = {
            let status = &mut self.state.lock().status;
            if status.running.is_some() {
                return Err(NotBegun::Busy);
            }
            status.begun += 1;
            status.running = Some(RunningBackup { to: to.to_owned(), rows: 0, total: 0 });
            status.clone()
        };
        let (service, to) = (self.clone(), to.to_owned());
        let spawned = std::thread::Builder::new().name("backup".into()).spawn(move || {
            let started = Instant::now();
            // The panic hook has logged it. The error ends this backup, so that another one can begin.
            let outcome = catch_unwind(AssertUnwindSafe(|| work(&service, &to).map_err(|error| error.to_string())))
                .unwrap_or_else(|_| Err("backup: it failed by an error of this program, which the log shows".into()));
            service.end(&to, whose, &outcome, started.elapsed());
        });
        spawned.map(|_| status).map_err(|error| {
            self.state.lock().status.running = None;
            NotBegun::Thread(error)
        })
    }

    fn take(&self, to: &Path, secrets: Secrets, keep: Option<usize>) -> Result<BackupReport, BackupError> {
        let secrets = match secrets {
            Secrets::Included => self.secrets.as_slice(),
            Secrets::LeftOut => &[],
        };
        let note = &mut |progress| self.note(progress);
        match keep {
            Some(keep) => self.backups.take(to, secrets, keep, note),
            None => self.backups.take_elsewhere(to, secrets, note),
        }
    }

    fn note(&self, BackupProgress { rows, total }: BackupProgress) {
        if let Some(running) = &mut self.state.lock().status.running {
            (running.rows, running.total) = (rows, total);
        }
    }

    fn end(&self, to: &Path, whose: Whose, outcome: &Result<BackupReport, String>, took: Duration) {
        let at = now();
        let kind = if outcome.is_ok() { "taken" } else { "failed" };
        metrics::counter!("tandem_backups_total", "outcome" => kind).increment(1);
        metrics::histogram!("tandem_backup_seconds").record(took);
        if outcome.is_ok() && whose == Whose::Node {
            metrics::gauge!("tandem_backup_last_success_timestamp_seconds").set(at.as_millis() as f64 / 1_000.0);
        }
        if outcome.as_ref().is_ok_and(|taken| taken.not_removed.is_some()) {
            metrics::counter!("tandem_backup_removals_failed_total").increment(1);
        }
        match outcome {
            Ok(taken) => tracing::info!(
                id = taken.manifest.id,
                to = %to.display(),
                rows = taken.manifest.rows,
                damaged = taken.manifest.damaged,
                new_bytes = taken.new_bytes,
                removed = taken.removed.len(),
                millis = took.as_millis() as u64,
                "a backup was taken"
            ),
            Err(error) => tracing::error!(%error, to = %to.display(), "no backup was taken"),
        }
        let mut state = self.state.lock();
        let ended = EndedBackup {
            number: state.status.begun,
            to: to.to_owned(),
            at,
            taken: outcome.as_ref().ok().map(TakenBackup::from),
            problem: outcome.as_ref().err().cloned(),
        };
        if whose == Whose::Node {
            state.last_own = Some(ended.clone());
        }
        if state.ended.len() == KEPT_ENDS {
            state.ended.pop_front();
        }
        state.ended.push_back(ended.clone());
        state.status.running = None;
        state.status.last = Some(ended);
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Engine, Location, Options};

    fn ended(service: &BackupService) -> EndedBackup {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            assert!(Instant::now() < deadline, "the backup does not end");
            match service.status() {
                BackupStatus { running: None, last: Some(last), .. } => return last,
                _ => std::thread::yield_now(),
            }
        }
    }

    #[test]
    fn a_backup_elsewhere_or_a_panic_does_not_stand_in_the_way_of_the_nodes_own() {
        let place = tempfile::tempdir().expect("a directory");
        let location = Location { engine: Engine::Redb, path: place.path().join("store") };
        let (_store, backups) = store::open_with_backups(&location, &Options::default()).expect("a store");
        let (own, other) = (place.path().join("own"), place.path().join("other"));
        let destination = Destination { to: own.clone(), keep: 2 };
        let service = BackupService::new(backups, Vec::new(), Some(destination));

        service.start(&own, Whose::Node, |_, _| panic!("a mistake")).expect("begun");
        let failed = ended(&service).problem.expect("it failed");
        assert!(failed.contains("error of this program"), "{failed}");
        service.begin(&other, Secrets::LeftOut).expect("begun");
        assert!(ended(&service).taken.is_some());
        service.begin_snapshot(&place.path().join("export")).expect("begun");
        assert!(ended(&service).taken.is_some());
        assert_eq!(service.last_own().expect("one").problem, Some(failed), "only the node's own ones mend it");
        let noted = || std::fs::read_to_string(location.path.join("archived")).ok();
        assert_eq!(noted(), None, "the journal keeps nothing for another directory");
        let number = service.begin_own().expect("begun").expect("a directory is configured");
        let taken = ended(&service).taken.expect("taken");
        assert_eq!(service.ended(number).and_then(|ended| ended.taken).expect("taken").id, taken.id);
        assert_eq!(service.ended(1).and_then(|ended| ended.taken.map(|taken| taken.id)), None, "each has its own end");
        assert_eq!(service.last_own().and_then(|last| last.taken).expect("taken").id, taken.id);
        assert_eq!(noted(), Some(format!("{}\n", taken.position)));
    }
}
