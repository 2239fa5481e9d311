//! What a session has to do by itself when a time has come.

use serde::{Deserialize, Serialize};

use super::{agreement::Agreement, context::Settings, session::Session, stage::SessionStatus, time::Timestamp};

/// A timer that fires too early, or for something that is over, changes nothing: rows may be left behind and be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timer {
    InvitationExpiry,
    IdleAbandonment,
    FollowUp,
    /// A check-in opens.
    TendingDue,
    /// The time for the other partner's check-in is over.
    TendingDeadline,
    TendingReminder,
}

impl Timer {
    pub const ALL: [Timer; 6] = [
        Timer::InvitationExpiry,
        Timer::IdleAbandonment,
        Timer::FollowUp,
        Timer::TendingDue,
        Timer::TendingDeadline,
        Timer::TendingReminder,
    ];

    /// The number in the key of the timer's row; never reused.
    pub const fn number(self) -> u8 {
        match self {
            Timer::InvitationExpiry => 1,
            Timer::IdleAbandonment => 2,
            Timer::FollowUp => 3,
            Timer::TendingDue => 10,
            Timer::TendingDeadline => 11,
            Timer::TendingReminder => 12,
        }
    }

    pub fn from_number(number: u8) -> Option<Timer> {
        Timer::ALL.into_iter().find(|timer| timer.number() == number)
    }
}

impl Session {
    /// What is due when. After every event the answer may be another one; the idle timer moves with each of them, so a
    /// caller may keep an earlier row for it and ask again when that fires.
    pub fn timers(&self, settings: &Settings) -> Vec<(Timer, Timestamp)> {
        let mut timers = Vec::new();
        if self.status == SessionStatus::Invited && !self.invitation.expired {
            timers.push((Timer::InvitationExpiry, self.invitation.expires_at));
        }
        if self.status.is_live() {
            timers.push((Timer::IdleAbandonment, self.last_event_at + settings.abandon_after));
        }
        if matches!(self.status, SessionStatus::Active | SessionStatus::Paused | SessionStatus::Resolved) {
            let due = self.agreements.iter().filter_map(Agreement::follow_up);
            timers.extend(due.map(|at| (Timer::FollowUp, at)));
        }
        timers.extend(self.tending_timers());
        timers.sort_by_key(|(timer, at)| (*at, timer.number()));
        timers.dedup();
        timers
    }
}
