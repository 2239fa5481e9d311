//! Writes recent rows to the engine, on a thread of its own. This is a checkpoint: first all rows durably, then the
//! number of their last group. After it the journal needs only later groups. It keeps the groups of one more
//! checkpoint, because a damaged engine can fall back to the previous checkpoint.

mod checkpoint;
mod removal;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use tandem_actors::ports::StoreError;
use tandem_wal::Keeper;

use self::checkpoint::Phase;
pub(crate) use self::removal::NotRekeyed;
use super::{
    pace::Pace,
    rewrite::{self, Failure, Rewriter},
};
use crate::{JournalOptions, digests::CheckedRows, recent::Recent};

pub(super) struct Indexer {
    pub rows: Arc<CheckedRows>,
    pub recent: Arc<Recent>,
    pub keeper: Keeper,
    pub options: JournalOptions,
    pub pace: Pace,
    /// Set when the engine has failed permanently.
    pub failed: OnceLock<StoreError>,
    control: Mutex<Control>,
    /// The group of the last checkpoint.
    reached: AtomicU64,
    /// Only the thread uses it, except for requests to rewrite.
    rewriter: Mutex<Rewriter>,
    /// Held while a request to remove something is made, and while one is noted as done.
    request: Mutex<()>,
    /// Rows or groups may be encrypted with a former key, or not at all.
    is_mixed: AtomicBool,
    /// Values that were replaced up to this group are in no file any more.
    forgotten: AtomicU64,
    driver: Driver,
    wake: Condvar,
    /// Notified when there is room for more.
    eased: Condvar,
}

#[derive(Default)]
struct Control {
    asked: bool,
    /// A checkpoint up to this group is due at once.
    wanted: u64,
    stop: Option<Stop>,
    /// A checkpoint that takes longer is cut short.
    stop_by: Option<Instant>,
}

/// Who does the work of the indexer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    /// A thread of its own.
    Thread,
    /// There is no thread. A caller that would wait for it does its work instead.
    Caller,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The thread ends after a last checkpoint, or after `closing`.
    Orderly,
    AtOnce,
}

impl Indexer {
    pub fn new(
        rows: Arc<CheckedRows>,
        recent: Arc<Recent>,
        keeper: Keeper,
        options: JournalOptions,
        checkpoint: u64,
        last: u64,
        driver: Driver,
    ) -> Arc<Self> {
        let indexer = Self {
            rows,
            recent,
            keeper,
            options,
            pace: Pace::default(),
            failed: OnceLock::new(),
            control: Mutex::default(),
            reached: AtomicU64::new(checkpoint),
            rewriter: Mutex::new(Rewriter::new(options.rewrite_from, options.rewrite_always)),
            request: Mutex::new(()),
            is_mixed: AtomicBool::new(false),
            forgotten: AtomicU64::new(0),
            driver,
            wake: Condvar::new(),
            eased: Condvar::new(),
        };
        indexer.encrypt_the_rest(last);
        Arc::new(indexer)
    }

    /// The group of the last checkpoint.
    pub fn checkpoint_group(&self) -> u64 {
        self.reached.load(Ordering::Acquire)
    }

    pub fn start(self: &Arc<Self>) -> std::io::Result<JoinHandle<()>> {
        let indexer = self.clone();
        std::thread::Builder::new().name("store-index".into()).spawn(move || indexer.run())
    }

    /// Asks for a checkpoint, or for the upkeep of segments, soon.
    pub fn ask(&self) {
        self.control.lock().asked = true;
        self.wake.notify_one();
    }

    /// Asks for a checkpoint, and waits until the engine has this group. False if it takes longer than `patience`.
    pub fn wait_for_checkpoint(&self, group: u64, patience: Duration) -> bool {
        self.request_checkpoint(group);
        self.wait_until(|| self.checkpoint_group() >= group, patience)
    }

    fn request_checkpoint(&self, group: u64) {
        let mut control = self.control.lock();
        control.wanted = control.wanted.max(group);
    }

    pub fn stop(&self, how: Stop) {
        let wait = if how == Stop::Orderly { self.options.closing } else { Duration::ZERO };
        let mut control = self.control.lock();
        control.stop = Some(how);
        control.stop_by = Some(Instant::now() + wait);
        drop(control);
        self.wake.notify_one();
    }

    /// Asks for checkpoints until `enough` is true. False if that takes too long.
    pub fn wait_until(&self, mut enough: impl FnMut() -> bool, patience: Duration) -> bool {
        if self.driver == Driver::Caller {
            if !enough() {
                self.checkpoint(Phase::Running);
            }
            return enough();
        }
        let deadline = Instant::now() + patience;
        let mut control = self.control.lock();
        while !enough() {
            control.asked = true;
            self.wake.notify_one();
            if self.failed.get().is_some() || self.eased.wait_until(&mut control, deadline).timed_out() {
                return enough();
            }
        }
        true
    }

    fn run(&self) {
        self.serve();
        // An incomplete database would take up space until the next start.
        self.rewriter.lock().drop_fresh(&self.rows);
    }

    fn serve(&self) {
        loop {
            let stop = self.wait();
            if stop == Some(Stop::AtOnce) {
                return;
            }
            self.keep_segments_ready();
            if stop.is_none() && self.is_due() {
                self.checkpoint(Phase::Running);
            }
            if stop.is_none() && self.failed.get().is_none() {
                self.rewrite();
            }
            // Rows from the start, and later commits, may still wait.
            while stop.is_some()
                && !self.must_end()
                && self.failed.get().is_none()
                && self.recent.amount().since.is_some()
            {
                self.checkpoint(Phase::Closing);
            }
            if stop.is_some() || self.failed.get().is_some() {
                return;
            }
        }
    }

    /// Does one round of the thread's work. With `must` it makes a checkpoint even if none is due.
    #[cfg(feature = "simulation")]
    pub fn step(&self, must: bool) {
        self.keep_segments_ready();
        if must || self.is_due() {
            self.checkpoint(Phase::Running);
        }
    }

    /// Waits until there is something to do.
    fn wait(&self) -> Option<Stop> {
        let mut control = self.control.lock();
        if !control.asked && control.stop.is_none() {
            // The rewrite gets at most half of the time.
            let is_rewriting = self.rewriter.lock().is_running();
            let wait = if is_rewriting { rewrite::TURN } else { self.options.checkpoint_after / 4 };
            self.wake.wait_for(&mut control, wait);
        }
        control.asked = false;
        control.stop
    }

    fn is_due(&self) -> bool {
        let amount = self.recent.amount();
        let JournalOptions { checkpoint_bytes, checkpoint_after, .. } = self.options;
        amount.active as u64 >= checkpoint_bytes
            || amount.journal >= checkpoint_bytes.saturating_mul(2)
            || amount.since.is_some_and(|since| since.elapsed() >= checkpoint_after)
            || amount.bytes as u64 >= self.options.recent_bytes
            // Groups pause because of rows that the start has read, and which nobody is writing.
            || self.pace.slows_groups(&amount, self.options.recent_bytes)
            || self.keeper.is_tight()
            || self.is_wanted()
    }

    fn is_wanted(&self) -> bool {
        self.checkpoint_group() < self.control.lock().wanted
    }

    fn keep_segments_ready(&self) {
        if let Err(error) = self.keeper.prepare() {
            tracing::debug!(%error, "no segment of the journal is ready");
        }
        self.eased.notify_all();
    }

    /// Whether the store closes and its time is over.
    fn must_end(&self) -> bool {
        self.control.lock().stop_by.is_some_and(|by| Instant::now() >= by)
    }

    fn give_up(&self, rewriter: &mut Rewriter, error: &StoreError) {
        rewriter.give_up(&self.rows, error);
        self.warn_if_mixed(error);
    }

    /// A part of a rewrite of the engine's rows, if one is due.
    fn rewrite(&self) {
        let mut rewriter = self.rewriter.lock();
        match rewriter.step(&self.rows, self.checkpoint_group()) {
            Ok(()) => {}
            Err(Failure::GivenUp(error)) => self.give_up(&mut rewriter, &error),
            Err(Failure::Final(error)) => {
                tracing::error!(%error, "the store's engine failed; what was acknowledged is in the journal");
                self.failed.get_or_init(|| error);
                self.eased.notify_all();
            }
        }
    }

    fn stopped_within(&self, wait: Duration) -> bool {
        let mut control = self.control.lock();
        if control.stop.is_none() {
            self.wake.wait_for(&mut control, wait);
        }
        control.stop.is_some()
    }
}
