//! The dependencies of every session actor: the ports, and the settings of delivery and residency.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use crate::{
    domain::{self, routing::WhenAbsent},
    journal::Journal,
    ports::{Clock, Devices, Ids, Push, Realtime, Store},
    readers::Readers,
};

/// Settings of delivery. The names are those under `[routing]` and `[realtime]`.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    /// What an absent partner gets.
    pub when_absent: WhenAbsent,
    /// How long after a publication a partner who leaves gets a push for it.
    pub leave_grace: Duration,
    /// How long the provider may take to answer who is present.
    pub resolve_within: Duration,
    /// How old the provider's last answer may be; `None` if it reports every change.
    pub presence_max_age: Option<Duration>,
    /// How long a heartbeat counts.
    pub heartbeat_ttl: Duration,
    /// The first pause before a publication is repeated. It doubles up to `retry_max`.
    pub retry_min: Duration,
    /// The longest pause before a publication is repeated.
    pub retry_max: Duration,
}

/// Settings of residency. The names are those under `[sessions]`.
#[derive(Clone, Debug)]
pub struct ResidencySettings {
    /// How long a session stays in memory without a message.
    pub idle_after: Duration,
    /// Events between two snapshots.
    pub snapshot_every: u64,
    /// Live sessions that one user may have.
    pub live_per_user: usize,
}

/// How long things are kept. The names are those under `[retention]`.
#[derive(Clone, Debug)]
pub struct RetentionSettings {
    /// A session that has been over for this long is removed. `None` keeps it for ever.
    pub ended: Option<Duration>,
    /// How long the same request with the same idempotency key gets the first answer again.
    pub answers: Duration,
    /// After this time, what an erased account held is in no file of the store any more.
    pub erased: Duration,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self { ended: Some(90 * DAY), answers: DAY, erased: DAY }
    }
}

/// The dependencies of every session actor.
pub struct SessionDeps {
    /// The rows.
    pub store: Arc<dyn Store>,
    /// Writes the commits.
    pub journal: Journal,
    /// Where long reads of the store run.
    pub readers: Readers,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Makes identifiers.
    pub ids: Arc<dyn Ids>,
    /// The realtime provider.
    pub realtime: Arc<dyn Realtime>,
    /// The users' devices.
    pub devices: Arc<dyn Devices>,
    /// Set once the push sender runs. At its start it finds the jobs that were committed before.
    pub push: OnceLock<Arc<dyn Push>>,
    /// The settings of the domain.
    pub domain: domain::DomainSettings,
    /// The settings of delivery.
    pub delivery: DeliverySettings,
    /// The settings of residency.
    pub residency: ResidencySettings,
    /// How long things are kept.
    pub retention: RetentionSettings,
}

impl SessionDeps {
    pub(super) fn jobs_committed(&self) {
        if let Some(push) = self.push.get() {
            push.jobs_committed();
        }
    }
}
