//! Timers: what a session does by itself at a certain time.

use serde::{Deserialize, Serialize};

/// A timer that fires too early, or without a reason, changes nothing. So a caller may keep outdated timer rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum Timer {
    /// The invitation is no longer valid.
    InvitationExpiry,
    /// Nothing has happened in the session for the allowed time.
    IdleAbandonment,
    /// Partners are reminded of agreements.
    FollowUp,
    /// A check-in opens.
    TendingDue,
    /// The time for the other partner's check-in is over.
    TendingDeadline,
    /// Reminders from check-ins are due.
    TendingReminder,
}

impl Timer {
    /// All timers.
    pub const ALL: &[Timer] = <Timer as strum::VariantArray>::VARIANTS;

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

    /// The inverse of [`Timer::number`]. None for a number of no timer.
    pub fn from_number(number: u8) -> Option<Timer> {
        Timer::ALL.iter().copied().find(|timer| timer.number() == number)
    }
}
