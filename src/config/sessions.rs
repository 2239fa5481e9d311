//! Sections of the coordinator: `journal`, `sessions`, `invitations`, `nudge`, `routing`.

use std::time::Duration;

use serde::Deserialize;
use tandem_actors::{domain::routing::WhenAbsent, journal::QueueLimits};

use crate::store::JournalOptions;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// Group commit, and the files of the journal.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournalSettings {
    /// Commits that may wait for the disk. When more would wait, commands are refused with `Retry-After`.
    pub queue: usize,
    /// The bytes of all waiting commits.
    pub queue_bytes: usize,
    /// Commits in one group.
    pub group: usize,
    /// The bytes of one group. A larger commit is a group of its own.
    pub group_bytes: usize,
    /// A write that the disk has not finished after this long makes the node refuse commands until it has.
    #[serde(with = "humantime_serde")]
    pub stall_after: Duration,
    /// Bytes of one of the journal's files. They are written in advance and used again.
    pub segment_bytes: u64,
    /// Bytes of all of them.
    pub max_bytes: u64,
    /// Bytes of memory for rows that the engine does not have yet.
    pub recent_bytes: u64,
    /// A checkpoint writes them to the engine when they have this many bytes,
    pub checkpoint_bytes: u64,
    /// or after this time.
    #[serde(with = "humantime_serde")]
    pub checkpoint_after: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionsSettings {
    /// A session without traffic for this long leaves memory. It is loaded again when it is needed.
    #[serde(with = "humantime_serde")]
    pub idle_after: Duration,
    /// A live session without events for this long is abandoned.
    #[serde(with = "humantime_serde")]
    pub abandon_after: Duration,
    /// After a jump of the clock, nothing ends and nothing is deleted for this long.
    #[serde(with = "humantime_serde")]
    pub clock_believed_after: Duration,
    /// Events between two snapshots.
    pub snapshot_every: u64,
    /// Live sessions that one user may have.
    pub live_per_user: usize,
    /// Commands that may wait for one session.
    pub mailbox: usize,
    /// A session that does not answer for this long is restarted.
    #[serde(with = "humantime_serde")]
    pub answer_timeout: Duration,
    /// More crashes than this within `crash_window` quarantine a session.
    pub max_crashes: usize,
    #[serde(with = "humantime_serde")]
    pub crash_window: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InvitationsSettings {
    /// How long an invitation can be accepted.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// How often an invitation may be sent again.
    pub max_resends: u32,
    /// Least time between two resends.
    #[serde(with = "humantime_serde")]
    pub resend_interval: Duration,
    /// Where an invitation is opened; `{invitationId}` is replaced.
    pub url: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NudgeSettings {
    /// Least time between two nudges of one partner.
    #[serde(with = "humantime_serde")]
    pub min_interval: Duration,
}

/// How events reach partners.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoutingSettings {
    pub when_absent: WhenAbsent,
    /// A partner who leaves within this time after an event, without having seen it, gets a push.
    #[serde(with = "humantime_serde")]
    pub leave_grace: Duration,
    /// How long the provider may take to report presence. After that, the event is both published and pushed.
    #[serde(with = "humantime_serde")]
    pub resolve_timeout: Duration,
    /// How long a presence answer of Ably's cloud is valid.
    #[serde(with = "humantime_serde")]
    pub presence_max_age: Duration,
    /// How long a heartbeat over HTTP makes a partner present.
    #[serde(with = "humantime_serde")]
    pub heartbeat_ttl: Duration,
    /// The first wait before a publication is retried. It doubles up to `retry_max`.
    #[serde(with = "humantime_serde")]
    pub retry_min: Duration,
    #[serde(with = "humantime_serde")]
    pub retry_max: Duration,
}

impl Default for JournalSettings {
    fn default() -> Self {
        let QueueLimits { queue, queue_bytes, group, group_bytes, stall_after } = QueueLimits::default();
        let JournalOptions { segment_bytes, max_bytes, recent_bytes, checkpoint_bytes, checkpoint_after, .. } =
            JournalOptions::default();
        Self {
            queue,
            queue_bytes,
            group,
            group_bytes,
            stall_after,
            segment_bytes,
            max_bytes,
            recent_bytes,
            checkpoint_bytes,
            checkpoint_after,
        }
    }
}

impl Default for SessionsSettings {
    fn default() -> Self {
        Self {
            idle_after: Duration::from_secs(600),
            abandon_after: Duration::from_secs(90 * DAY),
            clock_believed_after: Duration::from_secs(HOUR),
            snapshot_every: 100,
            live_per_user: 500,
            mailbox: 1_024,
            answer_timeout: Duration::from_secs(10),
            max_crashes: 5,
            crash_window: Duration::from_secs(60),
        }
    }
}

impl Default for InvitationsSettings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(7 * DAY),
            max_resends: 3,
            resend_interval: Duration::from_secs(DAY),
            url: "meetwithoutfear://invitation/{invitationId}".into(),
        }
    }
}

impl Default for NudgeSettings {
    fn default() -> Self {
        Self { min_interval: Duration::from_secs(6 * HOUR) }
    }
}

impl Default for RoutingSettings {
    fn default() -> Self {
        Self {
            when_absent: WhenAbsent::Push,
            leave_grace: Duration::from_secs(30),
            resolve_timeout: Duration::from_secs(2),
            presence_max_age: Duration::from_secs(30),
            heartbeat_ttl: Duration::from_secs(60),
            retry_min: Duration::from_millis(250),
            retry_max: Duration::from_secs(30),
        }
    }
}
