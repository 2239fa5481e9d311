//! Timers: what a session does by itself at a certain time.

use serde::{Deserialize, Serialize};

/// A timer that fires too early, or without a reason, changes nothing. So a caller may keep outdated timer rows.
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
