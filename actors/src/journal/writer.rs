//! The writer of the journal: takes what waits as groups, has the store write them, and reports the outcomes.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use parking_lot::MutexGuard;

use super::{
    CommitError, Done, Queue, QueueLimits, Shared,
    gathering::{self, GroupGathering},
};
use crate::ports::{Commit, Store, StoreError, StoreFault, Verdict};

/// The result of [`Writer::take`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextGroup {
    /// A group to be written.
    Group,
    /// Nothing waits.
    Nothing,
    /// Nothing waits, and the journal is closed.
    Closed,
}

/// Writes the groups, one at a time.
pub struct Writer {
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
    gathering: GroupGathering,
    commits: Vec<Commit>,
    waiters: Vec<Done>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, store: Arc<dyn Store>) -> Self {
        Self { shared, store, gathering: GroupGathering::default(), commits: Vec::new(), waiters: Vec::new() }
    }

    pub(super) fn run(mut self, on_failure: impl FnOnce(&StoreError)) {
        while self.wait_for_group() {
            if let Err(error) = self.write() {
                return on_failure(&error);
            }
        }
    }

    /// False when the journal was closed and everything is written.
    fn wait_for_group(&mut self) -> bool {
        let shared = self.shared.clone();
        let mut queue = shared.queue.lock();
        loop {
            self.gather(&mut queue);
            match self.take_from(&mut queue) {
                NextGroup::Group => return true,
                NextGroup::Closed => return false,
                NextGroup::Nothing => shared.arrived.wait(&mut queue),
            }
        }
    }

    /// Waits for a commit, and then a short time for those that probably follow at once.
    fn gather(&self, queue: &mut MutexGuard<'_, Queue>) {
        if queue.waiting.is_empty() {
            return;
        }
        let QueueLimits { group, group_bytes, .. } = self.shared.limits;
        let enough = self.gathering.target().min(group);
        let deadline = Instant::now() + gathering::PATIENCE;
        while queue.waiting.len() < enough && queue.waiting.bytes() < group_bytes && !queue.closed {
            queue.wake_at = Some(enough);
            if self.shared.arrived.wait_until(queue, deadline).timed_out() {
                break;
            }
        }
        queue.wake_at = None;
    }

    /// Takes the next group. [`Writer::write`] must follow if there is one.
    pub fn take(&mut self) -> NextGroup {
        let shared = self.shared.clone();
        self.take_from(&mut shared.queue.lock())
    }

    fn take_from(&mut self, queue: &mut Queue) -> NextGroup {
        if queue.waiting.is_empty() {
            queue.wake_at = Some(1);
            return if queue.closed { NextGroup::Closed } else { NextGroup::Nothing };
        }
        queue.waiting.take_group(&self.shared.limits, &mut self.commits, &mut self.waiters);
        self.shared.update_counters(&queue.waiting);
        self.shared.disk.write_begins();
        NextGroup::Group
    }

    /// Writes the group that was taken, and calls the callbacks of its commits.
    ///
    /// # Errors
    /// If the store failed. All waiting commits are refused, and the writer cannot be used any more.
    pub fn write(&mut self) -> Result<(), StoreError> {
        let outcome = self.store.commit(&self.commits);
        self.shared.disk.write_ended();
        match outcome {
            Ok(verdicts) => {
                self.shared.disk.set_behind(false);
                self.shared.flushes.fetch_add(1, Ordering::Relaxed);
                self.shared.commits.fetch_add(self.commits.len() as u64, Ordering::Relaxed);
                metrics::histogram!("tandem_journal_group_commits").record(self.commits.len() as f64);
                self.gathering.written(self.commits.len(), self.shared.length.load(Ordering::Relaxed));
                self.commits.clear();
                for (done, verdict) in self.waiters.drain(..).zip(verdicts) {
                    done(match verdict {
                        Verdict::Written => Ok(()),
                        Verdict::Fenced => Err(CommitError::Fenced),
                    });
                }
                Ok(())
            }
            Err(error) => {
                match error.fault() {
                    StoreFault::NoRoom => self.shared.disk.set_no_room(true),
                    StoreFault::Busy => self.shared.disk.set_behind(true),
                    StoreFault::Failed | StoreFault::Stalled | StoreFault::Stopping | StoreFault::Damaged => {
                        self.fail(&error);
                        return Err(error);
                    }
                }
                self.commits.clear();
                self.waiters.drain(..).for_each(|done| done(Err(CommitError::Refused)));
                Ok(())
            }
        }
    }

    fn fail(&mut self, error: &StoreError) {
        self.shared.failed.store(true, Ordering::Release);
        let queued = {
            let mut queue = self.shared.queue.lock();
            queue.closed = true;
            std::mem::take(&mut queue.waiting)
        };
        self.waiters.drain(..).for_each(|done| done(Err(error.clone().into())));
        queued.into_waiters().for_each(|done| done(Err(CommitError::Refused)));
    }
}
