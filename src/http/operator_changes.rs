//! Changes that operators make by commands, for the list of the console.

use std::sync::OnceLock;

use tandem_actors::domain::time::Timestamp;

/// A change that an operator has made by a command.
pub struct OperatorChange {
    pub at: Timestamp,
    pub by: String,
    pub what: &'static str,
    pub outcome: String,
}

type Listener = Box<dyn Fn(OperatorChange) + Send + Sync>;

/// Tells the console of changes. Without a console, only the log has them.
#[derive(Default)]
pub struct OperatorChanges(OnceLock<Listener>);

impl OperatorChanges {
    /// Calls `listener` for each change from now on. Only the first listener is called.
    pub fn listen(&self, listener: impl Fn(OperatorChange) + Send + Sync + 'static) {
        self.0.get_or_init(|| Box::new(listener));
    }

    pub(super) fn tell(&self, change: OperatorChange) {
        if let Some(listener) = self.0.get() {
            listener(change);
        }
    }
}
