//! One run of the node: the whole heart on one thread, from start to end.

mod checks;
mod settings;

use std::{
    collections::BTreeSet,
    fmt::Display,
    future::ready,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tandem::push::{Devices, Platform, Pusher, Registration};
use tandem_actors::{
    Arbiters, Coordinator, Readers,
    domain::ids::{Seq, SessionId, UserId},
    failpoint,
    journal::{Journal, NextGroup, Writer},
    keys::Key,
    ports::{
        BoxFuture, Claim, Clock, Commit, Direction, OwnerEpoch, PresenceChange, PresenceSink, Push, Store, StoreError,
        Verdict,
    },
    session::{ResidencySettings, SessionDeps},
    stored_time,
    supervisor::SupervisionLimits,
};
use tandem_store::simulated::SimulatedStore;
use tokio::{sync::Notify, time::sleep};

pub use self::settings::domain_settings;
use self::settings::{delivery, journal_limits, journal_options, push_settings, retention};
use crate::{
    expo::{ExpoPort, token},
    plan::{Chance, Fault},
    realtime::{RealtimeHandle, RealtimePort},
    world::{Run, World, WorldIds},
};

/// The node's store. The oracle checks each commit.
struct WatchedStore {
    store: Arc<dyn Store>,
    world: Arc<World>,
}

impl WatchedStore {
    /// After an error of the disk, waiting requests and new ones are refused.
    fn expect_refusals<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        outcome.inspect_err(|_| self.world.disturbed(20_000))
    }
}

impl Store for WatchedStore {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.expect_refusals(self.store.get(key))
    }

    fn scan(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError> {
        self.expect_refusals(self.store.scan(prefix, after, direction, limit))
    }

    fn claim(&self, session: &SessionId) -> Result<Claim, StoreError> {
        self.expect_refusals(self.store.claim(session))
    }

    fn release(&self, session: &SessionId, epoch: OwnerEpoch) {
        self.store.release(session, epoch);
    }

    fn commit(&self, group: &[Commit]) -> Result<Vec<Verdict>, StoreError> {
        let verdicts = self.expect_refusals(self.store.commit(group))?;
        let written = group.iter().zip(&verdicts).filter(|(_, verdict)| **verdict == Verdict::Written);
        let mut oracle = self.world.oracle.lock();
        let changes: Vec<_> = written.flat_map(|(commit, _)| &commit.changes).collect();
        let checked = oracle.committed(&changes, self.world.truth());
        let stored = oracle.stored.as_mut().map(std::mem::take).unwrap_or_default();
        drop(oracle);
        stored.into_iter().for_each(|line| self.world.note(|| line, &[]));
        if group.iter().any(|commit| !commit.changes.is_empty()) {
            self.world.note(|| format!("group of {} {verdicts:?}", group.len()), &[]);
        }
        self.world.check(checked);
        Ok(verdicts)
    }

    fn stop_waiting(&self) {
        self.store.stop_waiting();
    }

    fn close(&self) {
        self.store.close();
    }
}

/// Every second user has a phone.
pub fn has_phone(user: &str) -> bool {
    user.bytes().last().is_some_and(|last| last % 2 == 0)
}

/// Wakes the push sender, which ends with the node.
struct PushHandle(Weak<Pusher>);

impl Push for PushHandle {
    fn jobs_committed(&self) {
        if let Some(pusher) = self.0.upgrade() {
            pusher.jobs_committed();
        }
    }

    fn forget(&self, sessions: BTreeSet<SessionId>) -> BoxFuture<Result<BTreeSet<SessionId>, StoreError>> {
        match self.0.upgrade() {
            Some(pusher) => pusher.forget(sessions),
            None => Box::pin(ready(Ok(sessions))),
        }
    }
}

/// Passes the reports of the provider to the coordinator.
struct Sink(Coordinator);

impl PresenceSink for Sink {
    fn presence(&self, session: &SessionId, change: PresenceChange) {
        self.0.presence(session, change);
    }

    fn delivered(&self, session: &SessionId, user: &UserId, seq: Seq) {
        self.0.delivered(session, user, seq);
    }
}

pub struct Node {
    pub coordinator: Coordinator,
    pub journal: Journal,
    pub realtime: Arc<RealtimePort>,
    store: Arc<SimulatedStore>,
    port: Arc<dyn Store>,
    pusher: Arc<Pusher>,
    _sink: Arc<dyn PresenceSink>,
}

impl Node {
    /// Opens the store and starts everything. To be called within the runtime of the run.
    pub async fn start(world: &Arc<World>, run: &Run) -> Result<Self, String> {
        let disk = world.disk.lock().clone();
        let gate = disk.clone();
        let engine = world.engine.behind(move || gate.operate());
        let store = SimulatedStore::open(&engine, Arc::new(disk), journal_options()).map_err(|e| e.to_string())?;
        let store = Arc::new(store);
        let known = stored_time(&*store.port()).map_err(|error| error.to_string())?;
        run.clock.settle(known);
        let watched: Arc<dyn Store> = Arc::new(WatchedStore { store: store.port(), world: world.clone() });
        let arrived = Arc::new(Notify::new());
        let bell = arrived.clone();
        let (journal, writer) = Journal::stepped(watched.clone(), journal_limits(), move || bell.notify_one());
        let writing = Writing { world: world.clone(), run: run.clone(), store: store.clone() };
        actix::spawn(writing.run(writer, arrived));
        actix::spawn(watch_disk(world.clone(), journal.clone()));
        let clock: Arc<dyn Clock> = run.clock.clone();
        let devices = Devices::new(watched.clone(), journal.clone(), clock.clone(), 10).map_err(|e| e.to_string())?;
        let realtime = Arc::new(RealtimePort { world: world.clone(), sink: Mutex::new(None) });
        let deps = SessionDeps {
            store: watched.clone(),
            journal: journal.clone(),
            readers: Readers::this_thread(),
            clock: clock.clone(),
            ids: Arc::new(WorldIds(world.clone())),
            realtime: Arc::new(RealtimeHandle(realtime.clone())),
            devices: devices.clone(),
            push: OnceLock::new(),
            domain: domain_settings(),
            delivery: delivery(world),
            residency: ResidencySettings {
                idle_after: Duration::from_secs(20),
                snapshot_every: 12,
                live_per_user: 100,
            },
            retention: retention(),
        };
        inject_panics(world);
        let deps = Arc::new(deps);
        let coordinator = Coordinator::new(deps.clone(), Arbiters::this_thread(), SupervisionLimits::default());
        let sink: Arc<dyn PresenceSink> = Arc::new(Sink(coordinator.clone()));
        *realtime.sink.lock() = Some(Arc::downgrade(&sink));
        while_stalled(&journal, async || coordinator.index_sessions().await.map(drop)).await?;
        register_phones(world, &devices, &journal).await?;
        let (service, check) = (Arc::new(ExpoPort(world.clone())), Arc::new(coordinator.clone()));
        let rows = watched.clone();
        let pusher = Pusher::start_with(service, push_settings(), rows, journal.clone(), clock, check, devices);
        let push: Arc<dyn Push> = Arc::new(PushHandle(Arc::downgrade(&pusher)));
        drop(deps.push.set(push));
        coordinator.resume_deliveries().await.map_err(|error| error.to_string())?;
        actix::spawn(coordinator.clone().run_maintenance());
        Ok(Self { coordinator, journal, realtime, store, port: watched, pusher, _sink: sink })
    }

    /// Stops gracefully.
    pub async fn stop(&self, world: &World) {
        world.disturbed(60_000);
        self.pusher.stop().await;
        self.coordinator.stop();
        self.journal.close();
        sleep(Duration::from_secs(3)).await;
        self.store.port().close();
    }

    /// Kills the node: no more actors are started.
    pub fn kill(&self) {
        self.coordinator.stop();
    }
}

/// Registers the phones that are not registered yet. If the disk fails, the next run tries again.
async fn register_phones(world: &World, devices: &Arc<Devices>, journal: &Journal) -> Result<(), String> {
    for user in world.users.iter().filter(|user| has_phone(user)) {
        let (Ok(id), Ok(token)) = (user.parse::<UserId>(), token(user).parse()) else { continue };
        if devices.pushes_enabled(&id).map_err(|error| error.to_string())? {
            continue;
        }
        let registration = Registration { token, platform: Platform::Ios, locale: None, time_zone: None };
        while_stalled(journal, async || devices.register(id.clone(), registration.clone()).await).await?;
    }
    Ok(())
}

/// Tries again while the disk stands still, as the app does, and as an operator starts a node again.
async fn while_stalled<E: Display>(
    journal: &Journal,
    mut attempt: impl AsyncFnMut() -> Result<(), E>,
) -> Result<(), String> {
    while let Err(error) = attempt().await {
        if journal.stalled().is_none() {
            return Err(error.to_string());
        }
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// Makes actors panic at failpoints.
fn inject_panics(world: &Arc<World>) {
    let (panics, poison) = (world.plan.has(Fault::Panics), world.plan.has(Fault::Poison));
    let (world, mut chance) = (world.clone(), world.plan.chance("panics", world.truth().unsigned_abs()));
    failpoint::hook(move |session, point| {
        if world.is_free_of_faults() {
            return false;
        }
        let poisoned = poison && point == "before_decide" && world.is_poisoned(session.as_str());
        let harmed = poisoned || panics && chance.mille(2);
        if harmed {
            let now = world.truth();
            let mut oracle = world.oracle.lock();
            oracle.harmed(session.as_str(), now);
            oracle.put_off(Some(session.as_str()), now + 120_000);
            drop(oracle);
            world.note(|| format!("{session} panics at {point}"), &[]);
        }
        harmed
    });
}

/// The journal's thread as a task: it takes a group, waits for the simulated disk, and writes the group.
struct Writing {
    world: Arc<World>,
    run: Run,
    store: Arc<SimulatedStore>,
}

impl Writing {
    async fn run(self, mut writer: Writer, arrived: Arc<Notify>) {
        let truth = self.world.truth().unsigned_abs();
        let mut chance = self.world.plan.chance("writer", truth);
        let slow = self.world.plan.has(Fault::SlowDisk);
        loop {
            match writer.take() {
                NextGroup::Nothing => arrived.notified().await,
                NextGroup::Closed => return,
                NextGroup::Group => {
                    self.wait_for_disk(slow, &mut chance).await;
                    if let Err(error) = writer.write() {
                        self.world.note(|| format!("the store failed: {error}"), &[]);
                        self.run.end.notify_one();
                        return;
                    }
                    if chance.mille(30) {
                        self.store.step(chance.mille(300));
                    }
                }
            }
        }
    }

    async fn wait_for_disk(&self, slow: bool, chance: &mut Chance) {
        let stalls = slow && !self.world.is_free_of_faults() && chance.mille(3);
        let took = if stalls { chance.between(1_000, 8_000) } else { chance.between(0, 2) };
        if stalls {
            self.world.disturbed(20_000);
        }
        if took > 0 {
            sleep(Duration::from_millis(took)).await;
        }
    }
}

/// As the node's disk watch: reports free space to the journal, and writes an empty commit once a second.
async fn watch_disk(world: Arc<World>, journal: Journal) {
    while journal.is_alive() {
        sleep(Duration::from_secs(1)).await;
        if journal.obstacle().is_some() {
            world.disturbed(20_000);
        }
        if !world.is_disk_full() {
            journal.set_no_room(false);
        }
        journal.append(Commit { fence: None, changes: Vec::new() }, Box::new(|_| ()));
    }
}
