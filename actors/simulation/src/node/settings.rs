//! The settings of the node: short times and small sizes, so that much happens in a world.

use std::time::Duration;

use tandem::push::PushSettings;
use tandem_actors::{
    domain::{
        DomainSettings,
        app::{AppMode, AppSettings},
        routing::WhenAbsent,
    },
    journal,
    session::{DeliverySettings, RetentionSettings},
};
use tandem_store::JournalOptions;

use crate::{oracle::KEPT, world::World};

pub(super) fn retention() -> RetentionSettings {
    let ended = Duration::from_millis(KEPT.unsigned_abs());
    RetentionSettings { ended: Some(ended), ..RetentionSettings::default() }
}

pub(super) fn journal_options() -> JournalOptions {
    JournalOptions {
        segment_bytes: 32 << 10,
        max_bytes: 1 << 20,
        recent_bytes: 256 << 10,
        checkpoint_bytes: 64 << 10,
        // The simulation triggers checkpoints itself: this duration is real time.
        checkpoint_after: Duration::from_secs(1_000_000),
        ..JournalOptions::default()
    }
}

pub(super) fn journal_limits() -> journal::QueueLimits {
    journal::QueueLimits { group: 16, ..journal::QueueLimits::default() }
}

pub fn domain_settings() -> DomainSettings {
    DomainSettings {
        nudge_min_interval: Duration::from_secs(60),
        invitation_ttl: Duration::from_secs(600),
        invitation_resend_interval: Duration::from_secs(60),
        abandon_after: Duration::from_secs(7_200),
        app: AppSettings { mode: AppMode::Off, ..AppSettings::default() },
        ..DomainSettings::default()
    }
}

pub(super) fn push_settings() -> PushSettings {
    let (spacing, spacing_later) = (Duration::from_secs(1), Duration::from_secs(5));
    PushSettings { spacing, spacing_later, user_rate: 0, ..PushSettings::default() }
}

pub(super) fn delivery(world: &World) -> DeliverySettings {
    DeliverySettings {
        when_absent: WhenAbsent::Push,
        leave_grace: Duration::from_secs(30),
        resolve_within: Duration::from_secs(2),
        presence_max_age: world.provider.is_cloud.then_some(Duration::from_secs(20)),
        heartbeat_ttl: Duration::from_secs(30),
        retry_min: Duration::from_millis(250),
        retry_max: Duration::from_secs(5),
    }
}
