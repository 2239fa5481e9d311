//! Group commit. One thread writes. While it flushes, commits queue up. Then it waits briefly for more of them
//! (`gathering`), and writes all of them as one batch. After the flush each commit's callback runs, in the order of the
//! commits. The queue is bounded. A full queue, an almost full disk and a stalled disk refuse commits at once.

mod gathering;
mod obstacle;
mod waiting;
mod writer;

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use self::{obstacle::DiskState, waiting::WaitingCommits};
pub use self::{
    obstacle::Obstacle,
    writer::{NextGroup, Writer},
};
use crate::ports::{Change, Commit, Store, StoreError};

/// Why a commit did not become durable.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// The queue is full, the disk is almost full, or the node is stopping. Nothing was written; try again later.
    #[error("the journal accepts no commit: its queue is full or closed, or the disk is almost full")]
    Refused,
    /// Somebody else owns the session. Nothing was written.
    #[error("the session has another owner")]
    Fenced,
    /// The store failed: it may or may not be there after a restart.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The callback for the outcome of a commit. It runs once, on the journal's thread. It must be fast and must not block.
pub type Done = Box<dyn FnOnce(Result<(), CommitError>) + Send>;

/// The limits of the queue and of one group.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Commits that may wait. Beyond that, [`Journal::has_room`] is false.
    pub queue: usize,
    /// The bytes of all waiting commits.
    pub queue_bytes: usize,
    /// Commits in one group.
    pub group: usize,
    /// The bytes of one group. A larger commit is a group of its own.
    pub group_bytes: usize,
    /// A write that has not returned after this long stalls the journal: until it does, nothing more is taken.
    pub stall_after: Duration,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            queue: 16_384,
            queue_bytes: 32 << 20,
            group: 1_024,
            group_bytes: 4 << 20,
            stall_after: Duration::from_secs(3),
        }
    }
}

struct Queue {
    waiting: WaitingCommits,
    closed: bool,
    /// The writer sleeps until so many commits wait; `None` if it does not sleep.
    wake_at: Option<usize>,
}

impl Queue {
    /// Whether the writer has to be woken. Later commits do not wake it again.
    fn wakes_writer(&mut self) -> bool {
        self.wake_at.take_if(|enough| self.waiting.len() >= *enough).is_some()
    }
}

struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    /// Called instead of waking the thread, if there is none.
    on_arrival: Option<Box<dyn Fn() + Send + Sync>>,
    length: AtomicUsize,
    bytes: AtomicUsize,
    failed: AtomicBool,
    appended: AtomicU64,
    flushes: AtomicU64,
    commits: AtomicU64,
    disk: DiskState,
    limits: QueueLimits,
}

impl Shared {
    /// Updates the counters that are read without the lock.
    fn update_counters(&self, waiting: &WaitingCommits) {
        self.length.store(waiting.len(), Ordering::Relaxed);
        self.bytes.store(waiting.bytes(), Ordering::Relaxed);
    }

    fn call_writer(&self) {
        match &self.on_arrival {
            Some(on_arrival) => on_arrival(),
            None => drop(self.arrived.notify_one()),
        }
    }
}

/// A handle to the writer; cheap to clone.
#[derive(Clone)]
pub struct Journal(Arc<Shared>);

/// Counters since start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalStats {
    /// Commits that were handed in, written or not.
    pub appended: u64,
    /// Groups that were written.
    pub flushes: u64,
    /// Commits that were written by these flushes.
    pub commits: u64,
    /// Commits that wait at this moment.
    pub waiting: usize,
}

impl Journal {
    /// Starts the writer. `on_failure` runs once, on the writer's thread, after all waiting commits were refused.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(
        store: Arc<dyn Store>,
        limits: QueueLimits,
        on_failure: impl FnOnce(&StoreError) + Send + 'static,
    ) -> std::io::Result<(Journal, JoinHandle<()>)> {
        let (journal, writer) = Self::new(store, limits, None);
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || writer.run(on_failure))?;
        Ok((journal, thread))
    }

    /// A journal without a thread: the caller steps the writer. `arrived` is called when commits wait for a writer
    /// that has found none.
    pub fn stepped(
        store: Arc<dyn Store>,
        limits: QueueLimits,
        arrived: impl Fn() + Send + Sync + 'static,
    ) -> (Journal, Writer) {
        Self::new(store, limits, Some(Box::new(arrived)))
    }

    fn new(
        store: Arc<dyn Store>,
        limits: QueueLimits,
        on_arrival: Option<Box<dyn Fn() + Send + Sync>>,
    ) -> (Journal, Writer) {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue { waiting: WaitingCommits::default(), closed: false, wake_at: Some(1) }),
            arrived: Condvar::new(),
            on_arrival,
            length: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            appended: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            disk: DiskState::new(limits.stall_after),
            limits,
        });
        let writer = Writer::new(shared.clone(), store);
        (Journal(shared), writer)
    }

    /// Whether there is room for one more commit. A caller that changes its own state before it appends has to check
    /// this first. The queue accepts the commit even if it is full by then, so that the check cannot race.
    pub fn has_room(&self) -> bool {
        self.obstacle().is_none()
    }

    /// Why the journal accepts no commit now, if so.
    pub fn obstacle(&self) -> Option<Obstacle> {
        let busy = self.0.length.load(Ordering::Relaxed) >= self.0.limits.queue
            || self.0.bytes.load(Ordering::Relaxed) >= self.0.limits.queue_bytes;
        [
            (!self.is_alive(), Obstacle::Failed),
            (self.stalled().is_some(), Obstacle::Stalled),
            (self.0.disk.has_no_room(), Obstacle::NoRoom),
            (busy || self.0.disk.is_behind(), Obstacle::Busy),
        ]
        .into_iter()
        .find_map(|(there, obstacle)| there.then_some(obstacle))
    }

    /// How long the current write has taken, if that is too long.
    pub fn stalled(&self) -> Option<Duration> {
        self.0.disk.stalled()
    }

    /// After how long a write counts as stalled.
    pub fn stall_after(&self) -> Duration {
        self.0.limits.stall_after
    }

    /// Whether the disk is almost full: nothing is taken until there is room again.
    pub fn set_no_room(&self, no_room: bool) {
        self.0.disk.set_no_room(no_room);
    }

    /// False once the store has failed.
    pub fn is_alive(&self) -> bool {
        !self.0.failed.load(Ordering::Acquire)
    }

    /// Queues a commit. `done` is called exactly once.
    pub fn append(&self, commit: Commit, done: Done) {
        let mut queue = self.0.queue.lock();
        if queue.closed {
            drop(queue);
            done(Err(CommitError::Refused));
            return;
        }
        queue.waiting.push(commit, done);
        self.0.appended.fetch_add(1, Ordering::Relaxed);
        self.0.update_counters(&queue.waiting);
        if queue.wakes_writer() {
            drop(queue);
            self.0.call_writer();
        }
    }

    /// Writes rows that belong to no session's log, and waits until they are durable. If the disk stalls, it returns an
    /// error at once, and the rows may be written later.
    pub async fn write(&self, changes: Vec<Change>) -> Result<(), CommitError> {
        self.unless_stalled(self.write_patiently(changes)).await?
    }

    /// As [`Self::write`], but waits as long as the disk is stalled, so that the caller knows the outcome. Rows that
    /// were refused are never written later.
    pub async fn write_patiently(&self, changes: Vec<Change>) -> Result<(), CommitError> {
        if !self.has_room() {
            return Err(CommitError::Refused);
        }
        let (report, outcome) = oneshot::channel();
        let done = Box::new(move |result| drop(report.send(result)));
        self.append(Commit { fence: None, changes }, done);
        outcome.await.unwrap_or(Err(CommitError::Refused))
    }

    /// Waits for work that writes, but not for a stalled disk.
    ///
    /// # Errors
    /// If the disk is stalled.
    pub async fn unless_stalled<T>(&self, work: impl Future<Output = T>) -> Result<T, StoreError> {
        let mut work = pin!(work);
        loop {
            match tokio::time::timeout(self.0.limits.stall_after, &mut work).await {
                Ok(outcome) => return Ok(outcome),
                Err(_) if self.stalled().is_some() => return Err(StoreError::stalled()),
                Err(_) => {}
            }
        }
    }

    /// Takes no more commits; the writer ends when the queue is empty.
    pub fn close(&self) {
        self.0.queue.lock().closed = true;
        self.0.call_writer();
    }

    /// The counters at this moment.
    pub fn stats(&self) -> JournalStats {
        JournalStats {
            appended: self.0.appended.load(Ordering::Relaxed),
            flushes: self.0.flushes.load(Ordering::Relaxed),
            commits: self.0.commits.load(Ordering::Relaxed),
            waiting: self.0.length.load(Ordering::Relaxed),
        }
    }
}
