//! Backups of the running node, one at a time.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tandem_actors::domain::time::Timestamp;
use utoipa::ToSchema;

use crate::store::{BackupError, BackupProgress, Backups, SecretFile, Taken};

/// Takes the backups of a node.
pub struct BackupService {
    backups: Backups,
    secrets: Vec<SecretFile>,
    state: Mutex<BackupStatus>,
}

/// The backup under way, and how the last one ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// How many backups this node has begun since its start.
    pub begun: u64,
    /// Absent while no backup is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<RunningBackup>,
    /// The last one that ended; absent if there was none since the start.
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
    /// Rows there were when it began.
    pub total: u64,
}

/// How a backup ended.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndedBackup {
    /// Its place among those that this node has begun.
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
    /// Rows that are not in it, because they are damaged.
    pub damaged: u64,
    /// Bytes that were not in the directory before.
    pub new_bytes: u64,
    /// Older backups that were removed.
    pub removed: Vec<String>,
}

impl From<&Taken> for TakenBackup {
    fn from(taken: &Taken) -> Self {
        let Taken { manifest, new_bytes, removed } = taken;
        Self {
            id: manifest.id.clone(),
            position: manifest.position,
            rows: manifest.rows,
            damaged: manifest.damaged,
            new_bytes: *new_bytes,
            removed: removed.clone(),
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
    pub fn new(backups: Backups, secrets: Vec<SecretFile>) -> Arc<Self> {
        Arc::new(Self { backups, secrets, state: Mutex::default() })
    }

    pub fn status(&self) -> BackupStatus {
        self.state.lock().clone()
    }

    /// Begins a backup on a thread of its own. Keeps the last `keep` ones (0: all).
    pub fn begin(self: &Arc<Self>, to: &Path, with_secrets: bool, keep: usize) -> Result<BackupStatus, NotBegun> {
        let status = {
            let mut state = self.state.lock();
            if state.running.is_some() {
                return Err(NotBegun::Busy);
            }
            state.begun += 1;
            state.running = Some(RunningBackup { to: to.to_owned(), rows: 0, total: 0 });
            state.clone()
        };
        let (service, to) = (self.clone(), to.to_owned());
        let spawned = std::thread::Builder::new().name("backup".into()).spawn(move || {
            let started = Instant::now();
            let outcome = service.take(&to, with_secrets, keep);
            service.end(&to, &outcome, started.elapsed());
        });
        spawned.map(|_| status).map_err(|error| {
            self.state.lock().running = None;
            NotBegun::Thread(error)
        })
    }

    fn take(&self, to: &Path, with_secrets: bool, keep: usize) -> Result<Taken, BackupError> {
        let secrets = if with_secrets { self.secrets.as_slice() } else { &[] };
        self.backups.take(to, secrets, keep, &mut |BackupProgress { rows, total }| {
            if let Some(running) = &mut self.state.lock().running {
                (running.rows, running.total) = (rows, total);
            }
        })
    }

    fn end(&self, to: &Path, outcome: &Result<Taken, BackupError>, took: Duration) {
        let at = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond());
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
        state.running = None;
        state.last = Some(EndedBackup {
            number: state.begun,
            to: to.to_owned(),
            at,
            taken: outcome.as_ref().ok().map(TakenBackup::from),
            problem: outcome.as_ref().err().map(ToString::to_string),
        });
    }
}
