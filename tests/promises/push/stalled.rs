//! The disk stands still while pushes are under way. The time is simulated, so that each test takes the same course.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tandem::push::{
    Cause, Devices, ExplainedPush, Platform, PushRequest, PushService, Pusher, Registration, Transport,
};
use tandem::push::{PushToken, explain};
use tandem_actors::{
    domain::time::Timestamp,
    journal::{Journal, NextGroup, QueueLimits, Writer},
    ports::{BoxFuture, Clock, Store, Uptime},
};
use tandem_testing::MemoryStore;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use super::rig::{NOON, Sessions, job_row, quick, session, token, user};

/// Longer than it takes to notice that the disk is stalled.
const STALL: Duration = Duration::from_secs(10);

/// A push service that takes messages, and whose answers never arrive.
#[derive(Default)]
struct Mute {
    sends: AtomicUsize,
}

impl PushService for Mute {
    fn post(&self, request: PushRequest, _: Vec<u8>) -> BoxFuture<Transport> {
        if matches!(request, PushRequest::Send) {
            self.sends.fetch_add(1, Ordering::SeqCst);
        }
        Box::pin(async { Transport::Broken(Cause::Reset) })
    }
}

/// Follows the simulated time.
struct SimulatedClock(Instant);

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::parse(NOON).unwrap() + self.0.elapsed()
    }

    fn uptime(&self) -> Uptime {
        self.0.elapsed()
    }
}

struct Rig {
    store: Arc<MemoryStore>,
    journal: Journal,
    clock: Arc<dyn Clock>,
    devices: Arc<Devices>,
    service: Arc<Mute>,
}

/// As the journal's thread. `pause` says how long the disk stands still before it writes.
async fn write(mut writer: Writer, arrived: Arc<Notify>, pause: impl Fn() -> Duration) {
    loop {
        match writer.take() {
            NextGroup::Nothing => arrived.notified().await,
            NextGroup::Closed => return,
            NextGroup::Group => {
                sleep(pause()).await;
                writer.write().unwrap();
            }
        }
    }
}

impl Rig {
    /// One user with a phone. `stalls` says whether the disk stands still, given how many messages were sent.
    async fn new(stalls: impl Fn(usize) -> bool + 'static) -> Self {
        let (store, service) = (Arc::new(MemoryStore::default()), Arc::new(Mute::default()));
        let arrived = Arc::new(Notify::new());
        let bell = arrived.clone();
        let (journal, writer) = Journal::stepped(store.clone(), QueueLimits::default(), move || bell.notify_one());
        let clock: Arc<dyn Clock> = Arc::new(SimulatedClock(Instant::now()));
        let devices = Devices::new(store.clone(), journal.clone(), clock.clone(), 10).unwrap();
        let (watched, sent) = (store.clone(), service.clone());
        let pause = move || {
            let is_prepared = watched.rows() > 0;
            if is_prepared && stalls(sent.sends.load(Ordering::SeqCst)) { STALL } else { Duration::ZERO }
        };
        drop(tokio::task::spawn_local(write(writer, arrived, pause)));
        let registration =
            Registration { token: token(1).parse().unwrap(), platform: Platform::Ios, locale: None, time_zone: None };
        devices.register(user("ann"), registration).await.unwrap();
        Self { store, journal, clock, devices, service }
    }

    /// Pushes once, waits until the push is over, and returns how often it was sent.
    async fn push(&self) -> (usize, ExplainedPush) {
        self.journal.write_patiently(vec![job_row(self.clock.now(), session(1), user("ann"), 1)]).await.unwrap();
        let rows: Arc<dyn Store> = self.store.clone();
        let (service, clock, devices) = (self.service.clone(), self.clock.clone(), self.devices.clone());
        let sessions = Arc::new(Sessions::default());
        let pusher = Pusher::start_with(service, quick(""), rows, self.journal.clone(), clock, sessions, devices);
        let told = loop {
            assert!(self.clock.uptime() < Duration::from_secs(24 * 3_600), "the push never ends");
            sleep(Duration::from_secs(1)).await;
            match explain(&*self.store, &session(1), None).unwrap().pop() {
                Some(told) if told.is_over() => break told,
                _ => {}
            }
        };
        pusher.stop().await;
        (self.service.sends.load(Ordering::SeqCst), told)
    }
}

async fn simulated<T>(test: impl Future<Output = T>) -> T {
    tokio::task::LocalSet::new().run_until(test).await
}

#[tokio::test(start_paused = true)]
async fn a_push_whose_outcomes_wait_for_the_disk_is_repeated_once() {
    simulated(async {
        let stalled = AtomicUsize::new(0);
        // After each message, the disk stands still once.
        let (sends, told) = Rig::new(move |sent| stalled.swap(sent, Ordering::SeqCst) != sent).await.push().await;
        assert_eq!(sends, 2);
        assert!(told.deliveries[0].possible_duplicate);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_push_is_sent_although_the_disk_stands_still_at_each_write() {
    simulated(async {
        let (sends, told) = Rig::new(|_| true).await.push().await;
        assert_eq!(sends, 2);
        assert!(told.deliveries[0].possible_duplicate);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_sign_out_that_waits_for_the_disk_takes_effect() {
    simulated(async {
        let rig = Rig::new(|_| true).await;
        let phone: PushToken = token(1).parse().unwrap();
        rig.devices.remove(user("ann"), phone).await.expect_err("the disk is stalled");
        sleep(STALL).await;
        assert!(rig.devices.reach(&user("ann")).unwrap().devices.is_empty());
    })
    .await;
}
