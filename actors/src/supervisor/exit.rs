//! How a session actor ends, and the report of its end to the supervisor.

use crate::ports::StoreError;

/// How an actor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Left memory by itself: idle, with nothing at its gate.
    Passivated,
    /// The session was removed, and messages wait for what comes after it.
    Removed,
    /// A handler panicked.
    Panicked,
    /// A commit was refused or failed: the state in memory may never have been written.
    CommitFailed,
    /// The session could not be read from the store.
    LoadFailed,
    /// The store did not answer when something had to be read, or had no room for a commit. It is no fault of the
    /// session.
    StoreAway,
    /// The supervisor put another actor in its place.
    Replaced,
    /// The actor of another session froze their common arbiter.
    Displaced,
    /// Its arbiter ended.
    Killed,
}

impl ExitStatus {
    /// The exit of an actor that could not read its session.
    pub(crate) fn unread(error: &StoreError) -> Self {
        if error.fault().passes() { Self::StoreAway } else { Self::LoadFailed }
    }

    /// As the log and the quarantine show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passivated => "passivated",
            Self::Removed => "removed",
            Self::Panicked => "panicked",
            Self::CommitFailed => "commit failed",
            Self::LoadFailed => "could not be loaded",
            Self::StoreAway => "the store did not answer",
            Self::Replaced => "did not answer in time",
            Self::Displaced => "displaced by a frozen neighbour",
            Self::Killed => "killed",
        }
    }
}

/// Reports the exit when it is dropped: on return, when a panic unwinds, or when an arbiter is torn down.
pub(crate) struct ExitGuard {
    exit: Exit,
    report: Option<Box<dyn FnOnce(Exit) + Send>>,
}

/// How an actor ended, and the cause if it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    pub status: ExitStatus,
    /// A description of what went wrong, without private text.
    pub cause: Option<String>,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        Self { status, cause: None }
    }
}

impl ExitGuard {
    pub(crate) fn new(report: impl FnOnce(Exit) + Send + 'static) -> Self {
        Self { exit: ExitStatus::Killed.into(), report: Some(Box::new(report)) }
    }

    pub(crate) fn set(&mut self, status: ExitStatus) {
        self.exit = status.into();
    }

    /// Like [`ExitGuard::set`], with a cause, which must not hold private text.
    pub(crate) fn because(&mut self, status: ExitStatus, cause: String) {
        self.exit = Exit { status, cause: Some(cause) };
    }
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        let exit = std::mem::replace(&mut self.exit, ExitStatus::Killed.into());
        let exit = if std::thread::panicking() { ExitStatus::Panicked.into() } else { exit };
        if let Some(report) = self.report.take() {
            report(exit);
        }
    }
}
