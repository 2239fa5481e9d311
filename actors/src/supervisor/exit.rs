//! How a session actor ends, and who hears of it.

/// Why an actor is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Left memory on its own: idle, with nothing behind its gate.
    Passivated,
    /// A handler panicked.
    Panicked,
    /// A commit was refused or failed: what it holds in memory may never have been written.
    CommitFailed,
    /// The session could not be read from the store.
    LoadFailed,
    /// The supervisor put another actor in its place.
    Replaced,
    /// Another session's actor froze the arbiter that it lived on. This one did nothing wrong.
    Displaced,
    /// The arbiter ended under it.
    Killed,
}

impl ExitStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passivated => "passivated",
            Self::Panicked => "panicked",
            Self::CommitFailed => "commit failed",
            Self::LoadFailed => "could not be loaded",
            Self::Replaced => "did not answer in time",
            Self::Displaced => "displaced by a frozen neighbour",
            Self::Killed => "killed",
        }
    }
}

/// Reports the exit when it is dropped, whatever the way: a return, a panic's unwinding, an arbiter that is torn down.
pub struct ExitGuard {
    exit: Exit,
    report: Option<Box<dyn FnOnce(Exit) + Send>>,
}

/// How an actor ended, and why if that can be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    pub status: ExitStatus,
    /// Without anybody's words.
    pub cause: Option<String>,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        Self { status, cause: None }
    }
}

impl ExitGuard {
    pub fn new(report: impl FnOnce(Exit) + Send + 'static) -> Self {
        Self { exit: ExitStatus::Killed.into(), report: Some(Box::new(report)) }
    }

    pub fn set(&mut self, status: ExitStatus) {
        self.exit = status.into();
    }

    /// As [`ExitGuard::set`], with the cause, which must not hold anybody's words.
    pub fn because(&mut self, status: ExitStatus, cause: String) {
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
