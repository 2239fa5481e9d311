//! Converts settings to the types of each module.

use std::time::Duration;

use tandem_actors::{
    domain, journal,
    session::{DeliverySettings, ResidencySettings},
    supervisor,
};

use super::Settings;
use crate::{
    config,
    realtime::{ApiKey, ProviderKind, cloud::CloudError},
    store,
};

impl Settings {
    /// Where the store is.
    pub fn store_location(&self) -> store::Location {
        let path =
            if self.store.path.as_os_str().is_empty() { self.data.join("store") } else { self.store.path.clone() };
        store::Location { engine: self.store.engine, path }
    }

    /// How the store is opened.
    pub fn store_options(&self) -> store::Options {
        store::Options {
            cache_mib: self.store.cache_mib,
            min_free: self.store.min_free,
            start_afresh: self.start_afresh,
            journal: self.journal_options(),
            ..store::Options::default()
        }
    }

    fn journal_options(&self) -> store::JournalOptions {
        let config::JournalSettings {
            segment_bytes, max_bytes, recent_bytes, checkpoint_bytes, checkpoint_after, ..
        } = self.journal;
        store::JournalOptions {
            segment_bytes,
            max_bytes,
            recent_bytes,
            checkpoint_bytes,
            checkpoint_after,
            ..store::JournalOptions::default()
        }
    }

    /// When a group commit is cut.
    pub fn journal_limits(&self) -> journal::Limits {
        let config::JournalSettings { queue, queue_bytes, group, group_bytes, stall_after, .. } = self.journal;
        journal::Limits { queue, queue_bytes, group, group_bytes, stall_after }
    }

    /// When a session is put into quarantine.
    pub fn supervision(&self) -> supervisor::SupervisionLimits {
        supervisor::SupervisionLimits {
            mailbox: self.sessions.mailbox,
            max_crashes: self.sessions.max_crashes,
            crash_window: self.sessions.crash_window,
            answer_within: self.sessions.answer_timeout,
            ..supervisor::SupervisionLimits::default()
        }
    }

    /// The limits that the domain knows.
    pub fn domain(&self) -> domain::Settings {
        domain::Settings {
            nudge_min_interval: self.nudge.min_interval,
            invitation_ttl: self.invitations.ttl,
            invitation_max_resends: self.invitations.max_resends,
            invitation_resend_interval: self.invitations.resend_interval,
            abandon_after: self.sessions.abandon_after,
            invitation_url: self.invitations.url.clone(),
            app: self.app.domain(),
        }
    }

    /// How events are routed and retried.
    pub fn delivery(&self) -> DeliverySettings {
        DeliverySettings {
            when_absent: self.routing.when_absent,
            leave_grace: self.routing.leave_grace,
            resolve_within: self.routing.resolve_timeout,
            presence_max_age: self.presence_max_age(),
            heartbeat_ttl: self.routing.heartbeat_ttl,
            retry_min: self.routing.retry_min,
            retry_max: self.routing.retry_max,
        }
    }

    /// The embedded endpoint reports each change itself, so its presence never becomes old.
    fn presence_max_age(&self) -> Option<Duration> {
        match self.realtime.provider {
            ProviderKind::Embedded => None,
            ProviderKind::Ably => Some(self.routing.presence_max_age),
        }
    }

    /// How long sessions stay in memory.
    pub fn residency(&self) -> ResidencySettings {
        ResidencySettings {
            idle_after: self.sessions.idle_after,
            snapshot_every: self.sessions.snapshot_every,
            live_per_user: self.sessions.live_per_user,
        }
    }

    /// The key of Ably's cloud, if that is the provider.
    ///
    /// # Errors
    /// What the key must look like.
    pub fn ably_key(&self) -> Result<Option<ApiKey>, CloudError> {
        match (self.realtime.provider, &self.realtime.ably.key) {
            (ProviderKind::Embedded, _) => Ok(None),
            (ProviderKind::Ably, Some(key)) => ApiKey::parse(key.reveal()).map(Some).map_err(|_| CloudError::Key),
            (ProviderKind::Ably, None) => Err(CloudError::Key),
        }
    }
}
