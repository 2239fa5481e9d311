//! What survives a run of the node: the disk, the true time, the memory of the clients, the providers, and the oracle.

use std::{
    hash::{DefaultHasher, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tandem_actors::{chance, domain::Ids};
use tandem_store::simulated::EngineRows;
use tandem_wal::simulation::{Faults, SimulatedDisk};
use tokio::sync::Notify;

use crate::{
    clock::SimulatedClock,
    expo::Expo,
    oracle::Oracle,
    plan::{Fault, Plan},
    realtime::Provider,
};

/// 2026-01-01T00:00:00Z, in milliseconds.
const BEGINNING: i64 = 1_767_225_600_000;

#[derive(Default)]
struct Trace {
    hash: DefaultHasher,
    lines: Vec<String>,
}

/// One run of the node: its clock, and the signal that ends it.
#[derive(Clone)]
pub struct Run {
    pub clock: Arc<SimulatedClock>,
    /// Notified when the run has to end.
    pub end: Arc<Notify>,
}

pub struct World {
    pub plan: Plan,
    pub users: Vec<String>,
    pub oracle: Mutex<Oracle>,
    pub provider: Provider,
    pub expo: Expo,
    pub disk: Mutex<SimulatedDisk>,
    pub engine: EngineRows,
    run: Mutex<Option<Run>>,
    /// The true time at the end of the last run, and the error of the wall clock.
    time: Mutex<(i64, i64)>,
    trace: Mutex<Trace>,
    failure: Mutex<Option<String>>,
    pub commands: AtomicU64,
    ids: AtomicU64,
    numbers: AtomicU64,
    full: AtomicBool,
    /// No more faults happen.
    faults_ended: AtomicBool,
    /// The session that panics at each command.
    poisoned: Mutex<Option<String>>,
}

impl World {
    pub fn new(plan: &Plan) -> Arc<Self> {
        chance::seed(plan.chance("jitter", 0).seed());
        let users: Vec<String> = (0..6).map(|user| format!("user{user}")).collect();
        Arc::new(Self {
            plan: plan.clone(),
            oracle: Mutex::new(Oracle::new(plan.trace, plan.has(Fault::Jumps))),
            users,
            provider: Provider::new(plan),
            expo: Expo::new(plan),
            disk: Mutex::new(SimulatedDisk::new(plan.seed)),
            engine: EngineRows::new(plan.seed),
            run: Mutex::new(None),
            time: Mutex::new((BEGINNING, 0)),
            trace: Mutex::default(),
            failure: Mutex::new(None),
            commands: AtomicU64::new(0),
            ids: AtomicU64::new(0),
            numbers: AtomicU64::new(0),
            full: AtomicBool::new(false),
            faults_ended: AtomicBool::new(false),
            poisoned: Mutex::new(None),
        })
    }

    /// To be called within the runtime of the run.
    pub fn begin_run(&self) -> Run {
        let (origin, wrong_by) = *self.time.lock();
        let run = Run { clock: Arc::new(SimulatedClock::new(origin, wrong_by)), end: Arc::default() };
        *self.run.lock() = Some(run.clone());
        run
    }

    /// To be called within the runtime of the run.
    pub fn end_run(&self) {
        if let Some(run) = self.run.lock().take() {
            // Some time passes until the next start.
            *self.time.lock() = (run.clock.truth() + 1_500, run.clock.wrong_by());
        }
    }

    /// The true time, in milliseconds since 1970.
    pub fn truth(&self) -> i64 {
        self.run.lock().as_ref().map_or_else(|| self.time.lock().0, |run| run.clock.truth())
    }

    /// Adds a step to the trace. The traces of two simulations with the same seed are the same.
    pub fn note(&self, line: impl FnOnce() -> String, bytes: &[u8]) {
        let mut trace = self.trace.lock();
        trace.hash.write_i64(self.truth());
        trace.hash.write(bytes);
        if self.plan.trace {
            let line = format!("{:>9} {}", self.truth() - BEGINNING, line());
            trace.hash.write(line.as_bytes());
            trace.lines.push(line);
        }
    }

    /// Sets the error of the wall clock, in milliseconds.
    pub fn jump(&self, wrong_by: i64) {
        if let Some(run) = &*self.run.lock() {
            run.clock.jump(wrong_by);
        }
        self.note(|| format!("the clock is wrong by {wrong_by} ms"), &[]);
    }

    /// Fails the world. Only the first failure is kept.
    pub fn fail(&self, failure: impl Into<String>) {
        let failure = failure.into();
        self.note(|| format!("FAILURE {failure}"), &[]);
        self.failure.lock().get_or_insert(failure);
        if let Some(run) = &*self.run.lock() {
            run.end.notify_one();
        }
    }

    /// Fails the world by the cause of other failures, which it replaces.
    pub fn fail_first(&self, failure: String) {
        *self.failure.lock() = Some(failure);
    }

    /// Fails the world if the outcome is an error.
    pub fn check(&self, outcome: Result<(), String>) {
        if let Err(failure) = outcome {
            self.fail(failure);
        }
    }

    pub fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    pub fn has_failed(&self) -> bool {
        self.failure.lock().is_some()
    }

    pub fn hash(&self) -> u64 {
        self.trace.lock().hash.finish()
    }

    pub fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.trace.lock().lines)
    }

    /// Counts a command that is about to be sent. Returns false when the plan has no more commands.
    pub fn one_more(&self) -> bool {
        !self.has_failed() && self.commands.fetch_add(1, Ordering::Relaxed) < self.plan.commands
    }

    /// The disk or the node is disturbed: for `longer` milliseconds any request may be refused.
    pub fn disturbed(&self, longer: i64) {
        let now = self.truth();
        let mut oracle = self.oracle.lock();
        oracle.disturbed(now + longer);
        oracle.put_off(None, now + 150_000);
    }

    /// A number for an operation.
    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub fn end_faults(&self) {
        self.faults_ended.store(true, Ordering::Relaxed);
        self.poison(None);
        self.free_disk();
    }

    pub fn is_free_of_faults(&self) -> bool {
        self.faults_ended.load(Ordering::Relaxed)
    }

    pub fn poison(&self, session: Option<String>) {
        *self.poisoned.lock() = session;
    }

    pub fn is_poisoned(&self, session: &str) -> bool {
        self.poisoned.lock().as_deref() == Some(session)
    }

    /// The usual faults of the disk, without a limit of its capacity.
    pub fn faults(&self) -> Faults {
        Faults { short_writes: self.plan.has(Fault::ShortWrites), ..Faults::default() }
    }

    pub fn is_disk_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Nothing more fits on the disk.
    pub fn fill_disk(&self) {
        let disk = self.disk.lock();
        disk.set(Faults { capacity: Some(disk.bytes()), ..self.faults() });
        self.full.store(true, Ordering::Relaxed);
    }

    pub fn free_disk(&self) {
        self.full.store(false, Ordering::Relaxed);
        self.disk.lock().set(self.faults());
    }

    pub fn is_over(&self) -> bool {
        self.has_failed() || self.commands.load(Ordering::Relaxed) >= self.plan.commands
    }
}

/// Ids in the order of numbers, no two alike in one world.
pub struct WorldIds(pub Arc<World>);

impl Ids for WorldIds {
    fn fresh(&self) -> String {
        format!("c{:024}", self.0.ids.fetch_add(1, Ordering::Relaxed))
    }
}
