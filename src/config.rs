//! Settings (composition of the rooms' sections).

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;
use tandem_actors::{domain, domain::routing::WhenAbsent, journal, ports::PresenceSource, supervisor};

use crate::{auth, http, push, realtime, store};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    #[serde(skip)]
    pub data: PathBuf,
    pub server: http::Config,
    pub auth: auth::Config,
    pub store: store::Config,
    pub journal: Journal,
    pub sessions: Sessions,
    pub invitations: Invitations,
    pub nudge: Nudge,
    pub routing: Routing,
    pub realtime: realtime::Config,
    pub push: push::Config,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// Commits that may wait to be written. More are refused with 503.
    pub queue: usize,
    /// Commits that share one flush at the most.
    pub group: usize,
}

impl Default for Journal {
    fn default() -> Self {
        let journal::Limits { queue, group } = journal::Limits::default();
        Self { queue, group }
    }
}

impl Journal {
    pub fn limits(&self) -> journal::Limits {
        journal::Limits { queue: self.queue, group: self.group }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// A session that nobody asked for anything for so long leaves memory.
    #[serde(with = "humantime_serde")]
    pub idle_after: Duration,
    /// A live session without any event for so long is abandoned.
    #[serde(with = "humantime_serde")]
    pub abandon_after: Duration,
    /// Events between two snapshots of one session.
    pub snapshot_every: u64,
    /// Messages that may wait for one session. More are refused with 503.
    pub mailbox: usize,
    /// More crashes than this within `crash_window` put a session into quarantine.
    pub max_crashes: usize,
    #[serde(with = "humantime_serde")]
    pub crash_window: Duration,
    /// A session that does not take up what waits for it within this time is started afresh.
    #[serde(with = "humantime_serde")]
    pub answer_within: Duration,
    /// Threads that sessions live on; 0: one for each core.
    pub arbiters: usize,
}

impl Default for Sessions {
    fn default() -> Self {
        let limits = supervisor::Limits::default();
        Self {
            idle_after: Duration::from_secs(600),
            abandon_after: domain::Settings::default().abandon_after,
            snapshot_every: 64,
            mailbox: limits.mailbox,
            max_crashes: limits.max_crashes,
            crash_window: limits.crash_window,
            answer_within: limits.answer_within,
            arbiters: 0,
        }
    }
}

impl Sessions {
    pub fn arbiters(&self) -> usize {
        if self.arbiters == 0 { crate::server::cores() } else { self.arbiters }
    }

    pub fn limits(&self) -> supervisor::Limits {
        supervisor::Limits {
            mailbox: self.mailbox,
            max_crashes: self.max_crashes,
            crash_window: self.crash_window,
            answer_within: self.answer_within,
            ..supervisor::Limits::default()
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Invitations {
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    pub max_resends: u32,
    #[serde(with = "humantime_serde")]
    pub resend_interval: Duration,
    pub url: String,
}

impl Default for Invitations {
    fn default() -> Self {
        let domain = domain::Settings::default();
        Self {
            ttl: domain.invitation_ttl,
            max_resends: domain.invitation_max_resends,
            resend_interval: domain.invitation_resend_interval,
            url: domain.invitation_url,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nudge {
    #[serde(with = "humantime_serde")]
    pub min_interval: Duration,
}

impl Default for Nudge {
    fn default() -> Self {
        Self { min_interval: domain::Settings::default().nudge_min_interval }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Routing {
    pub when_absent: WhenAbsent,
    #[serde(with = "humantime_serde")]
    pub leave_grace: Duration,
    #[serde(with = "humantime_serde")]
    pub resolve_within: Duration,
    #[serde(with = "humantime_serde")]
    pub heartbeat_ttl: Duration,
    #[serde(with = "humantime_serde")]
    pub presence_max_age: Duration,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            when_absent: WhenAbsent::Push,
            leave_grace: Duration::from_secs(30),
            resolve_within: Duration::from_secs(2),
            heartbeat_ttl: Duration::from_secs(60),
            presence_max_age: Duration::from_secs(30),
        }
    }
}

impl Settings {
    pub fn store_location(&self) -> store::Location {
        let path = if self.store.path.as_os_str().is_empty() { self.data.join("store") } else { self.store.path.clone() };
        store::Location { engine: self.store.engine, path }
    }

    pub fn store_options(&self) -> store::Options {
        store::Options { cache_mib: self.store.cache_mib, ..store::Options::default() }
    }

    pub fn domain(&self) -> domain::Settings {
        domain::Settings {
            nudge_min_interval: self.nudge.min_interval,
            invitation_ttl: self.invitations.ttl,
            invitation_max_resends: self.invitations.max_resends,
            invitation_resend_interval: self.invitations.resend_interval,
            abandon_after: self.sessions.abandon_after,
            invitation_url: self.invitations.url.clone(),
        }
    }

    pub fn realtime_key(&self) -> Result<realtime::token::SigningKey, String> {
        Ok(realtime::token::SigningKey::new("tandem.key", "temporarysecret"))
    }
    pub fn token_hint(&self) -> String { "see tandem token".into() }

    /// The embedded endpoint reports every change by itself.
    pub fn presence_max_age(&self) -> Option<Duration> {
        match self.realtime.provider {
            realtime::ProviderKind::Embedded => None,
            realtime::ProviderKind::Ably => Some(self.routing.presence_max_age),
        }
    }

    pub fn presence_source(&self) -> PresenceSource {
        match self.realtime.provider {
            realtime::ProviderKind::Embedded => PresenceSource::Embedded,
            realtime::ProviderKind::Ably => PresenceSource::Rest,
        }
    }
}
