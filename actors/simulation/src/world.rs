//! What outlives the node: the disk, the true time, clients' memories, the partners' phones, and the oracle.

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

/// The time of a life, and how its end is told.
#[derive(Clone)]
pub struct Life {
    pub clock: Arc<SimulatedClock>,
    /// The node is to be ended.
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
    life: Mutex<Option<Life>>,
    /// The true time at the end of the last life, and how far the wall clock was wrong.
    time: Mutex<(i64, i64)>,
    trace: Mutex<Trace>,
    failure: Mutex<Option<String>>,
    pub commands: AtomicU64,
    ids: AtomicU64,
    numbers: AtomicU64,
    full: AtomicBool,
    /// No misfortune happens any more.
    calm: AtomicBool,
    /// A session that panics at each command.
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
            life: Mutex::new(None),
            time: Mutex::new((BEGINNING, 0)),
            trace: Mutex::default(),
            failure: Mutex::new(None),
            commands: AtomicU64::new(0),
            ids: AtomicU64::new(0),
            numbers: AtomicU64::new(0),
            full: AtomicBool::new(false),
            calm: AtomicBool::new(false),
            poisoned: Mutex::new(None),
        })
    }

    /// Within the life's runtime.
    pub fn begin_life(&self) -> Life {
        let (origin, wrong_by) = *self.time.lock();
        let life = Life { clock: Arc::new(SimulatedClock::new(origin, wrong_by)), end: Arc::default() };
        *self.life.lock() = Some(life.clone());
        life
    }

    /// Within the life's runtime.
    pub fn end_life(&self) {
        if let Some(life) = self.life.lock().take() {
            // Some time passes until the next start.
            *self.time.lock() = (life.clock.truth() + 1_500, life.clock.wrong_by());
        }
    }

    /// The true time, in milliseconds since 1970.
    pub fn truth(&self) -> i64 {
        self.life.lock().as_ref().map_or_else(|| self.time.lock().0, |life| life.clock.truth())
    }

    /// Notes what happened. Two runs of one seed note the same.
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

    /// Sets the wall clock wrong by so many milliseconds.
    pub fn jump(&self, wrong_by: i64) {
        if let Some(life) = &*self.life.lock() {
            life.clock.jump(wrong_by);
        }
        self.note(|| format!("the clock is wrong by {wrong_by} ms"), &[]);
    }

    /// The first failure counts; it ends the world.
    pub fn fail(&self, failure: impl Into<String>) {
        let failure = failure.into();
        self.note(|| format!("FAILURE {failure}"), &[]);
        self.failure.lock().get_or_insert(failure);
        if let Some(life) = &*self.life.lock() {
            life.end.notify_one();
        }
    }

    /// What is the cause of other failures.
    pub fn fail_first(&self, failure: String) {
        *self.failure.lock() = Some(failure);
    }

    /// Fails unless all is well.
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

    /// Counts a command that is about to be sent. False when the world has had enough of them.
    pub fn one_more(&self) -> bool {
        !self.has_failed() && self.commands.fetch_add(1, Ordering::Relaxed) < self.plan.commands
    }

    /// The disk or the node is disturbed: so many milliseconds longer anybody may be refused.
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

    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
        self.poison(None);
        self.free_disk();
    }

    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub fn poison(&self, session: Option<String>) {
        *self.poisoned.lock() = session;
    }

    pub fn is_poisoned(&self, session: &str) -> bool {
        self.poisoned.lock().as_deref() == Some(session)
    }

    /// The disk's usual misfortunes, without a limit.
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
