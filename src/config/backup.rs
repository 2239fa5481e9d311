//! Section `backup`: where the node's backups are, and when they are taken.

use std::path::PathBuf;

use serde::Deserialize;

use crate::backups::Schedule;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackupSettings {
    /// The directory of backups.
    pub to: Option<PathBuf>,
    /// The schedule of backups.
    pub schedule: Option<Schedule>,
    /// Backups that are kept in the directory. 0: all.
    pub keep: usize,
}

impl Default for BackupSettings {
    fn default() -> Self {
        Self { to: None, schedule: None, keep: 14 }
    }
}
