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
            Self::Killed => "killed",
        }
    }
}

/// Reports the exit when it is dropped, whatever the way: a return, a panic's unwinding, an arbiter that is torn down.
pub struct ExitGuard {
    status: ExitStatus,
    report: Option<Box<dyn FnOnce(ExitStatus) + Send>>,
}

impl ExitGuard {
    pub fn new(report: impl FnOnce(ExitStatus) + Send + 'static) -> Self {
        Self { status: ExitStatus::Killed, report: Some(Box::new(report)) }
    }

    pub fn set(&mut self, status: ExitStatus) {
        self.status = status;
    }
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        let status = if std::thread::panicking() { ExitStatus::Panicked } else { self.status };
        if let Some(report) = self.report.take() {
            report(status);
        }
    }
}
