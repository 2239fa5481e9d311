//! Calls back about writes, in their order, on a thread of its own: neither on the storage's thread, which would wait
//! for every subscriber of a channel, nor under the lock of the channel that writes.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Sender, channel},
};

use crate::storage::Done;

type Call = Box<dyn FnOnce() + Send>;

/// The thread ends with its last owner.
#[derive(Clone)]
pub struct Callbacks(Sender<Call>);

impl Callbacks {
    /// # Errors
    /// If the thread cannot start.
    pub fn start() -> std::io::Result<Self> {
        let (sender, calls) = channel::<Call>();
        std::thread::Builder::new().name("realtime-stored".into()).spawn(move || {
            for call in calls {
                if catch_unwind(AssertUnwindSafe(call)).is_err() {
                    tracing::error!("what follows a write failed; later ones go on");
                }
            }
        })?;
        Ok(Self(sender))
    }

    /// Calls `done` on the thread, after all that were called before.
    pub fn defer(&self, done: Done) -> Done {
        let calls = self.0.clone();
        Box::new(move |result| drop(calls.send(Box::new(move || done(result)))))
    }
}
