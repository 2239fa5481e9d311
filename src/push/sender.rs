//! What the tasks of the push sender share: the settings, the store, the client, and the limits.

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tandem_actors::{
    domain::time::Timestamp,
    journal::{CommitError, Journal},
    keys::Key,
    ports::{Change, PushCheck, Store, StoreError, Uptime},
};
use tokio::sync::{Notify, Semaphore, watch};

use super::{
    alarm::Alarm,
    breakers::{Breakers, CredentialScope},
    candidate::{Candidate, Origin},
    config::PushSettings,
    devices::Devices,
    expo::Expo,
    limiter::Limiter,
    pace::Paces,
    reach::Device,
    texts::Texts,
    tokens::DeviceId,
};
use crate::breaker::Allowance;

/// Devices whose throttling is remembered. One that is forgotten is throttled by the service again.
pub(super) const THROTTLED: usize = 10_000;
/// Devices whose project is remembered. One that is forgotten costs one refused batch.
pub(super) const PROJECTS: usize = 100_000;

pub(super) struct Sender {
    pub config: PushSettings,
    pub texts: Texts,
    pub store: Arc<dyn Store>,
    pub journal: Journal,
    pub alarm: Alarm,
    pub check: Arc<dyn PushCheck>,
    pub devices: Arc<Devices>,
    pub expo: Expo,
    pub limiter: Limiter,
    pub breakers: Breakers,
    /// One permit for each request that may be under way.
    pub slots: Arc<Semaphore>,
    /// Rows that a batch is working on.
    pub claimed: Mutex<HashSet<Key>>,
    /// How often each user was notified of each session lately.
    pub paces: Paces,
    /// Until when devices are throttled.
    pub throttled: Cache<DeviceId, Uptime>,
    /// The project of devices that were refused because the rest of their batch belonged to another one.
    pub projects: Cache<DeviceId, Arc<str>>,
    /// There may be something to send.
    pub work: Notify,
    pub new_receipts: Notify,
    /// An operator has closed a breaker.
    pub repaired: Notify,
    pub stopping: watch::Sender<bool>,
}

impl Sender {
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // It cannot fail, because `self` keeps the sending half.
        drop(stopping.wait_for(|stopping| *stopping).await);
    }

    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Writes rows, and waits until it is known whether they are durable. Rows that might be written later could
    /// contradict what the sender does meanwhile: a push would be sent again, or never. Only a sender that stops does
    /// not wait for a stalled disk.
    pub async fn commit(&self, changes: Vec<Change>) -> Result<(), CommitError> {
        let stalled_at_stop = async {
            self.stopped().await;
            tokio::time::sleep(self.journal.stall_after()).await;
        };
        tokio::select! {
            biased;
            outcome = self.journal.write_patiently(changes) => outcome,
            () = stalled_at_stop => Err(StoreError::stalled().into()),
        }
    }

    /// Waits, but not beyond the stop.
    pub async fn rest(&self, pause: Duration) {
        tokio::select! {
            biased;
            () = tokio::time::sleep(pause) => {}
            () = self.stopped() => {}
        }
    }

    /// Waits for a moment of the clock, but not beyond the stop.
    pub async fn rest_until(&self, at: Timestamp) {
        tokio::select! {
            biased;
            () = self.alarm.until(at) => {}
            () = self.stopped() => {}
        }
    }

    /// Gives a candidate back that is not sent now. It can be planned again.
    pub fn give_back(&self, candidate: &Candidate) {
        if matches!(candidate.origin, Origin::Jobs { .. }) {
            self.paces.undo(&candidate.id);
        }
        self.unclaim(&candidate.claimed);
    }

    pub fn unclaim(&self, keys: &[Key]) {
        let mut claimed = self.claimed.lock();
        for key in keys {
            claimed.remove(key);
        }
    }

    pub fn scope(&self, device: &Device) -> CredentialScope {
        CredentialScope { project: self.projects.get(&device.id()), platform: device.platform }
    }

    pub fn throttle(&self, device: &DeviceId, wait: Duration) {
        self.throttled.insert(device.clone(), self.alarm.uptime() + wait);
    }

    /// Until when a device must wait: it is throttled, or its project's credentials do not work.
    pub fn not_before(&self, device: &Device, now: Timestamp) -> Option<Timestamp> {
        let uptime = self.alarm.uptime();
        let throttled = self.throttled.get(&device.id()).map(|until| until.saturating_sub(uptime));
        let throttled = throttled.filter(|wait| !wait.is_zero()).map(|wait| now + wait);
        throttled.or_else(|| match self.breakers.project(&self.scope(device)).admit(uptime) {
            Allowance::NoneFor(wait) => Some(now + wait),
            Allowance::All | Allowance::Trial => None,
        })
    }
}
