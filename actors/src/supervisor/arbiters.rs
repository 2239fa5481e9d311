//! One arbiter for each core: a thread with its own event loop. A session always runs on the same arbiter. When an
//! arbiter freezes, a new thread takes its place and the frozen thread is abandoned. Each thread knows which session
//! it works for, so that a freeze is charged to that session and to no other.

use std::{sync::Arc, time::Duration};

use actix::{Arbiter, ArbiterHandle};
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use crate::{chance, domain::ids::SessionId};

#[derive(Default)]
struct ThreadState {
    /// When the thread got a ping that it has not answered yet.
    asked_at: Mutex<Option<Instant>>,
    /// When it last answered a ping.
    answered_at: Mutex<Option<Instant>>,
    /// The session that it works for.
    turn: Mutex<Option<SessionId>>,
}

/// A thread, as its sessions hold it; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct ThreadHandle(Arc<ThreadState>);

impl ThreadHandle {
    /// Marks the thread as working for this session until the guard is dropped.
    pub(crate) fn take_turn(&self, session: &SessionId) -> ThreadTurn {
        *self.0.turn.lock() = Some(session.clone());
        ThreadTurn(self.clone())
    }

    pub(crate) fn is(&self, other: &ThreadHandle) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether the thread has answered a ping since then. If it has not, it may be frozen, and then the sessions that
    /// wait on it are not the cause.
    pub(crate) fn has_answered_since(&self, then: Instant) -> bool {
        self.0.answered_at.lock().is_some_and(|answered_at| answered_at >= then)
    }

    fn answer(&self) {
        *self.0.asked_at.lock() = None;
        *self.0.answered_at.lock() = Some(Instant::now());
    }
}

/// Marks the thread as working for a session until it is dropped.
pub(crate) struct ThreadTurn(ThreadHandle);

impl Drop for ThreadTurn {
    fn drop(&mut self) {
        *self.0.0.turn.lock() = None;
    }
}

/// A thread that did not answer a ping in time.
pub(crate) struct FrozenThread {
    pub thread: ThreadHandle,
    /// The session that it worked for, if there was one.
    pub culprit: Option<SessionId>,
}

struct Thread {
    arbiter: ArbiterHandle,
    handle: ThreadHandle,
}

impl Thread {
    fn start() -> Self {
        Self { arbiter: Arbiter::new().handle(), handle: ThreadHandle::default() }
    }

    fn current() -> Self {
        Self { arbiter: Arbiter::current(), handle: ThreadHandle::default() }
    }

    /// Sends a ping unless one is pending. Returns true if one has been pending for longer than `limit`.
    fn is_frozen(&self, limit: Duration) -> bool {
        let mut asked_at = self.handle.0.asked_at.lock();
        if let Some(asked_at) = *asked_at {
            return asked_at.elapsed() > limit;
        }
        *asked_at = Some(Instant::now());
        let thread = self.handle.clone();
        self.arbiter.spawn_fn(move || thread.answer());
        false
    }
}

/// The arbiters that session actors live on; cheap to clone.
#[derive(Clone)]
pub struct Arbiters(Arc<RwLock<Vec<Thread>>>);

impl Arbiters {
    /// Must be called within an actix `System`.
    pub fn start(count: usize) -> Self {
        Self(Arc::new(RwLock::new((0..count.max(1)).map(|_| Thread::start()).collect())))
    }

    /// The calling thread, for all sessions. Must be called within an actix `System`.
    pub fn this_thread() -> Self {
        Self(Arc::new(RwLock::new(vec![Thread::current()])))
    }

    /// Runs `task` on the thread that `hash` chooses and returns the thread. `None` if the thread has ended.
    pub(crate) fn spawn(&self, hash: u64, task: impl FnOnce(ThreadHandle) + Send + 'static) -> Option<ThreadHandle> {
        let threads = self.0.read();
        let Thread { arbiter, handle } = &threads[hash as usize % threads.len()];
        let given = handle.clone();
        arbiter.spawn_fn(move || task(given)).then(|| handle.clone())
    }

    /// Runs `task` on some thread after a pause.
    pub fn spawn_after(&self, pause: Duration, task: impl FnOnce() + Send + 'static) {
        let threads = self.0.read();
        threads[chance::below(threads.len())].arbiter.spawn(async move {
            tokio::time::sleep(pause).await;
            task();
        });
    }

    /// Replaces each thread that did not answer a ping within `limit`, and pings the others. The result does not depend
    /// on how often it is called.
    pub(crate) fn replace_frozen(&self, limit: Duration) -> Vec<FrozenThread> {
        let frozen: Vec<usize> = {
            let threads = self.0.read();
            (0..threads.len()).filter(|n| threads[*n].is_frozen(limit)).collect()
        };
        let replace = |index: usize| {
            let gone = std::mem::replace(&mut self.0.write()[index], Thread::start());
            let culprit = gone.handle.0.turn.lock().clone();
            let session = culprit.as_ref().map(SessionId::as_str);
            tracing::error!(arbiter = index, session, "an arbiter does not answer; starting another in its place");
            FrozenThread { thread: gone.handle, culprit }
        };
        frozen.into_iter().map(replace).collect()
    }

    /// Ends all threads.
    pub fn stop(&self) {
        self.0.read().iter().for_each(|thread| {
            thread.arbiter.stop();
        });
    }
}
