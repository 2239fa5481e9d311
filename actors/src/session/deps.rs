//! What every session actor is given: the ports, and the settings of delivery and residency.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use crate::{
    domain::{self, routing::WhenAbsent},
    journal::Journal,
    ports::{Clock, Devices, Ids, Push, Realtime, Store},
};

/// How partners are told. Setting names under `[routing]` and `[realtime]`.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    pub when_absent: WhenAbsent,
    pub leave_grace: Duration,
    /// How long the provider may take to say who is present.
    pub resolve_within: Duration,
    /// How old the provider's last answer may be; `None` if it reports every change by itself.
    pub presence_max_age: Option<Duration>,
    /// A heartbeat counts this long.
    pub heartbeat_ttl: Duration,
    /// The first wait before a publication is tried again; it doubles up to `retry_max`.
    pub retry_min: Duration,
    pub retry_max: Duration,
}

/// When sessions leave memory, and how many there may be. Setting names under `[sessions]`.
#[derive(Clone, Debug)]
pub struct ResidencySettings {
    pub idle_after: Duration,
    /// Events between two snapshots.
    pub snapshot_every: u64,
    /// Live sessions that one user may have.
    pub live_per_user: usize,
}

pub struct SessionDeps {
    pub store: Arc<dyn Store>,
    pub journal: Journal,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub realtime: Arc<dyn Realtime>,
    pub devices: Arc<dyn Devices>,
    /// Set once the push sender runs; jobs committed before are found by it at its start.
    pub push: OnceLock<Arc<dyn Push>>,
    pub domain: domain::Settings,
    pub delivery: DeliverySettings,
    pub residency: ResidencySettings,
}

impl SessionDeps {
    pub(super) fn jobs_committed(&self) {
        if let Some(push) = self.push.get() {
            push.jobs_committed();
        }
    }
}
