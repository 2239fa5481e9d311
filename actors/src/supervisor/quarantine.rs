//! Quarantine: a session that crashed too often is not started until an operator releases it. Its last good state
//! stays readable and does not change.

use std::time::Duration;

use super::ExitStatus;
use crate::{domain::time::Timestamp, messages::Refusal};

/// Why a session is in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// When it began.
    pub since: Timestamp,
    /// The number of crashes in the window.
    pub crashes: usize,
    /// The window in which the crashes happened.
    pub window: Duration,
    /// How the last actor ended.
    pub last: ExitStatus,
    /// The cause, if it is known; for a damaged record, its name. Without private text.
    pub cause: Option<String>,
}

impl Quarantine {
    /// The reason in words, for the operator.
    pub fn reason(&self) -> String {
        let Self { crashes, window, last, cause, .. } = self;
        let cause = cause.as_deref().map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{crashes} crashes within {}, the last: {}{cause}", humantime::format_duration(*window), last.as_str())
    }

    /// What the operator can do.
    pub fn advice(&self) -> &'static str {
        match self.last {
            ExitStatus::LoadFailed if self.cause.is_some() => {
                "the record named above cannot be read; everything before it stays readable. Stop the node, restore the store \
                 from a copy that is older than the damage, then start the node"
            }
            ExitStatus::LoadFailed => {
                "the store could not be read; look at the log and at the disk, then release the session"
            }
            ExitStatus::Panicked => {
                "this is a defect: the log has the panic with its place in the code. Report it; a release starts the session again"
            }
            ExitStatus::CommitFailed
            | ExitStatus::Replaced
            | ExitStatus::Displaced
            | ExitStatus::Killed
            | ExitStatus::Passivated
            | ExitStatus::Removed
            | ExitStatus::StoreAway => "look at the log for what went before, then release the session",
        }
    }

    pub(crate) fn refusal(&self) -> Refusal {
        let reason = format!("session in quarantine, it can be read but not changed: {}", self.reason());
        Refusal::unavailable(reason, Duration::from_secs(30))
    }
}
