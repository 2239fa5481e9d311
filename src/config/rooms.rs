//! Converts the settings to the types of each room.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tandem_actors::{
    Readers, domain,
    journal::{self, Journal},
    ports::{Clock, Devices, Ids, Realtime, Store},
    session::{DeliverySettings, ResidencySettings, SessionDeps},
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
    pub fn store_place(&self) -> store::Place {
        let path =
            if self.store.path.as_os_str().is_empty() { self.data.join("store") } else { self.store.path.clone() };
        store::Place::of(self.store.engine, self.store.url.as_ref(), path)
    }

    /// How the store is opened.
    pub fn store_options(&self) -> store::Options {
        store::Options {
            cache_mib: self.store.cache_mib,
            min_free: self.store.min_free,
            encryption_key_file: Some(self.store.encryption_key_file.clone())
                .filter(|file| !file.as_os_str().is_empty()),
            start_afresh: self.start_afresh,
            journal: self.journal_options(),
            password: self.store.password.clone(),
            authority: Some(self.store.ca.clone()).filter(|path| !path.as_os_str().is_empty()),
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

    /// The limits of a group commit and of the journal's queue.
    pub fn journal_limits(&self) -> journal::QueueLimits {
        let config::JournalSettings { queue, queue_bytes, group, group_bytes, stall_after, .. } = self.journal;
        journal::QueueLimits { queue, queue_bytes, group, group_bytes, stall_after }
    }

    /// The limits of the supervisor, such as the crashes before a quarantine.
    pub fn supervision(&self) -> supervisor::SupervisionLimits {
        supervisor::SupervisionLimits {
            mailbox: self.sessions.mailbox,
            max_crashes: self.sessions.max_crashes,
            crash_window: self.sessions.crash_window,
            answer_within: self.sessions.answer_timeout,
            ..supervisor::SupervisionLimits::default()
        }
    }

    /// The settings of the domain.
    fn domain(&self) -> domain::DomainSettings {
        domain::DomainSettings {
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
    fn delivery(&self) -> DeliverySettings {
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

    /// What the sessions need: these services, and the settings.
    pub fn session_deps(
        &self,
        store: Arc<dyn Store>,
        journal: Journal,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        realtime: Arc<dyn Realtime>,
        devices: Arc<dyn Devices>,
    ) -> SessionDeps {
        let (domain, delivery, residency) = (self.domain(), self.delivery(), self.residency());
        let push = OnceLock::new();
        SessionDeps {
            store,
            journal,
            readers: Readers::threads(),
            clock,
            ids,
            realtime,
            devices,
            push,
            domain,
            delivery,
            residency,
            retention: self.retention.settings(),
        }
    }

    /// How long sessions stay in memory.
    fn residency(&self) -> ResidencySettings {
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
