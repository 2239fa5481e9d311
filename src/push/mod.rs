//! Notifies an absent partner through Expo's push service: once, or it records why not.
//!
//! A push begins as a row that the session's actor writes together with the event
//! ([`tandem_actors::records::PushJob`]). The sender takes due rows, asks the session once more, records that an
//! attempt begins, sends, and records the outcome. If the process is killed in between, the next process finds the
//! attempts whose outcome is unknown. Accepted pushes are followed by their receipts.
//!
//! - [`devices`]: the devices of users; [`reach`], [`tokens`], [`preferences`], [`guard`]
//! - `dispatcher` → `collect`, `plan` (`decide`) → `batch`, `attempt` → `settle`: from a due row to a written outcome;
//!   they share `sender`
//! - [`outcome`]: the action table; [`answer`]: what an answer means; `expo`: the HTTP client
//! - `breakers`, [`limiter`], `pace`: when not to send; `receipts`, `sweep`, `removed`: what comes afterwards
//! - [`mod@explain`]: what became of a push; [`rows`]: how it is kept
//! - [`fake_expo`]: a stand-in for the service

mod alarm;
mod answer;
mod attempt;
mod batch;
mod breakers;
mod candidate;
mod check;
mod collect;
pub mod config;
mod decide;
mod devices;
mod dispatcher;
mod explain;
mod expo;
pub mod fake_expo;
mod guard;
mod limiter;
mod message;
mod outcome;
mod overview;
mod pace;
mod plan;
mod preferences;
mod reach;
mod receipts;
mod removed;
pub mod rows;
mod sender;
mod settle;
mod sweep;
mod test_push;
mod texts;
mod tokens;

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tandem_actors::{
    domain::ids::SessionId,
    journal::Journal,
    ports::{self, Clock, PushCheck, Store, StoreError},
};
use tokio::{
    sync::{Notify, Semaphore, watch},
    task::JoinHandle,
};

use crate::breaker::{Breaker, BreakerReport};

use self::{
    alarm::Alarm,
    breakers::Breakers,
    expo::Expo,
    limiter::Limiter,
    pace::Paces,
    sender::{PROJECTS, Sender, THROTTLED},
    texts::Texts,
};
pub use self::{
    answer::Transport,
    config::PushSettings,
    devices::Devices,
    explain::{ExplainedPush, explain},
    expo::{PushRequest, PushService},
    outcome::Cause,
    reach::{Device, DeviceState, Platform, Registration},
    tokens::PushToken,
};
pub(crate) use self::{
    devices::DevicesError,
    explain::{ExplainedDelivery, ExplainedPushDecision, forget},
    expo::{ClientError, HttpService},
    outcome::{Final, Outcome, RejectedBy},
    overview::{DevicesOverview, LostDevice, MOST as MOST_COUNTED, PushOverview, WaitingPush, Why},
    preferences::{Preferences, PreferencesPatch},
    reach::Reach,
};

/// The running push sender.
pub struct Pusher {
    sender: Arc<Sender>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Pusher {
    /// Starts the sender's tasks on the current tokio runtime.
    pub fn start(
        config: PushSettings,
        store: Arc<dyn Store>,
        journal: Journal,
        clock: Arc<dyn Clock>,
        check: Arc<dyn PushCheck>,
        devices: Arc<Devices>,
    ) -> Result<Arc<Self>, ClientError> {
        let service = Arc::new(HttpService::new(&config)?);
        Ok(Self::start_with(service, config, store, journal, clock, check, devices))
    }

    /// The same, with another way to the push service.
    pub fn start_with(
        service: Arc<dyn PushService>,
        config: PushSettings,
        store: Arc<dyn Store>,
        journal: Journal,
        clock: Arc<dyn Clock>,
        check: Arc<dyn PushCheck>,
        devices: Arc<Devices>,
    ) -> Arc<Self> {
        let sender = Arc::new(Sender {
            texts: Texts::new(&config.texts),
            store,
            journal,
            alarm: Alarm::new(clock),
            check,
            devices,
            expo: Expo::by(service),
            limiter: Limiter::new(config.rate),
            breakers: Breakers::default(),
            slots: Arc::new(Semaphore::new(config.max_in_flight)),
            claimed: Mutex::new(HashSet::new()),
            paces: Paces::default(),
            throttled: Cache::new(THROTTLED),
            projects: Cache::new(PROJECTS),
            work: Notify::new(),
            new_receipts: Notify::new(),
            repaired: Notify::new(),
            stopping: watch::Sender::new(false),
            config,
        });
        let tasks = vec![
            tokio::spawn(sender.clone().dispatch()),
            tokio::spawn(sender.clone().poll_receipts()),
            tokio::spawn(sender.clone().sweep()),
            tokio::spawn(sender.clone().show()),
        ];
        Arc::new(Self { sender, tasks: Mutex::new(tasks) })
    }

    /// Begins no more attempts, and waits for those under way, at most for the request timeout.
    pub async fn stop(&self) {
        self.sender.stopping.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the push sender failed");
            }
        }
    }

    /// Each circuit breaker of the sender with what it is for, and how it is.
    pub fn breakers(&self) -> Vec<(String, BreakerReport)> {
        let now = self.sender.alarm.uptime();
        let report = |(name, breaker): (String, Arc<Breaker>)| (name, breaker.report(now));
        self.sender.breakers.all().into_iter().map(report).collect()
    }

    /// Closes a breaker. False if there is none of this name.
    pub fn reset_breaker(&self, name: &str) -> bool {
        let known = self.sender.breakers.all().into_iter().find(|(of, _)| of == name);
        let found = known.is_some();
        if let Some((_, breaker)) = known {
            breaker.reset();
            self.sender.repaired.notify_one();
        }
        found
    }

    /// A test has moved the injected clock: all waits look again.
    pub fn clock_moved(&self) {
        self.sender.alarm.clock_moved();
    }
}

impl ports::Push for Pusher {
    fn jobs_committed(&self) {
        self.sender.work.notify_one();
    }

    fn forget(&self, sessions: BTreeSet<SessionId>) -> ports::BoxFuture<Result<BTreeSet<SessionId>, StoreError>> {
        let sender = self.sender.clone();
        Box::pin(async move { sender.forget_sessions(sessions).await.map_err(StoreError::caused_by) })
    }
}
