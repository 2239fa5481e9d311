//! The events of tending.

use serde::{Deserialize, Serialize};

use super::{CheckIn, ContinueChoice, CycleResult, ResponseStatus};
use crate::{
    ids::{AgreementId, CycleId, NoteId, ReminderId, TendingEntryId, UserId},
    private_text::PrivateText,
    time::Timestamp,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledEntry {
    pub id: TendingEntryId,
    pub agreement: AgreementId,
    pub at: Timestamp,
    /// The follow-up of the agreement reminds at the same time, so the opening is not announced.
    #[serde(default)]
    pub quiet: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TendingEvent {
    /// The session is resolved, and its agreements have a first check-in.
    Scheduled {
        entries: Vec<ScheduledEntry>,
    },
    /// Check-ins are due.
    Opened {
        entries: Vec<TendingEntryId>,
        /// The only member whom it concerns. None if it concerns both.
        #[serde(default)]
        only: Option<UserId>,
        #[serde(default)]
        quiet: bool,
    },
    NoteWritten {
        id: NoteId,
        content: PrivateText,
    },
    Reentered {
        id: TendingEntryId,
        intent: Option<PrivateText>,
    },
    Responded {
        entry: TendingEntryId,
        status: ResponseStatus,
        reflection: Option<PrivateText>,
        choice: Option<ContinueChoice>,
        /// The entry belongs to both.
        #[serde(default)]
        shared: bool,
    },
    EntryShared {
        entry: TendingEntryId,
        shared: bool,
    },
    CheckedIn {
        check_in: Box<CheckIn>,
        /// The cycle that holds the choices about shared entries.
        #[serde(default)]
        cycle: Option<CycleId>,
    },
    /// All who take part have checked in.
    CycleResolved {
        cycle: CycleId,
        result: CycleResult,
        next: Timestamp,
    },
    /// The time for checking in is over. The check-ins that were submitted count.
    CycleTimedOut {
        cycle: CycleId,
        result: CycleResult,
        next: Timestamp,
    },
    RemindersDue {
        /// Each with its next time, if it repeats.
        reminders: Vec<(ReminderId, Option<Timestamp>)>,
        #[serde(default)]
        only: Option<UserId>,
    },
}

impl TendingEvent {
    /// The only user whom the event concerns. None if it concerns both.
    pub(crate) fn only(&self) -> Option<&UserId> {
        match self {
            TendingEvent::Opened { only, .. } | TendingEvent::RemindersDue { only, .. } => only.as_ref(),
            TendingEvent::Scheduled { .. }
            | TendingEvent::NoteWritten { .. }
            | TendingEvent::Reentered { .. }
            | TendingEvent::Responded { .. }
            | TendingEvent::EntryShared { .. }
            | TendingEvent::CheckedIn { .. }
            | TendingEvent::CycleResolved { .. }
            | TendingEvent::CycleTimedOut { .. } => None,
        }
    }

    /// The action that the announcement names. None if the event is not announced.
    pub(crate) fn action(&self) -> Option<&'static str> {
        match self {
            TendingEvent::Opened { quiet: false, .. } => Some("tending_checkin_opened"),
            TendingEvent::Responded { shared: true, .. } => Some("tending_response_submitted"),
            TendingEvent::EntryShared { shared: true, .. } => Some("tending_entry_shared"),
            TendingEvent::CheckedIn { cycle: Some(_), .. } => Some("tending_checkin_submitted"),
            TendingEvent::CycleTimedOut { .. } => Some("tending_coordination_timed_out"),
            TendingEvent::RemindersDue { .. } => Some("tending_reminder_due"),
            TendingEvent::Scheduled { .. }
            | TendingEvent::Opened { quiet: true, .. }
            | TendingEvent::NoteWritten { .. }
            | TendingEvent::Reentered { .. }
            | TendingEvent::Responded { shared: false, .. }
            | TendingEvent::EntryShared { shared: false, .. }
            | TendingEvent::CheckedIn { cycle: None, .. }
            | TendingEvent::CycleResolved { .. } => None,
        }
    }

    pub(crate) fn forget_texts(&mut self) {
        match self {
            TendingEvent::NoteWritten { content, .. } => *content = PrivateText::default(),
            TendingEvent::Reentered { intent: words, .. } | TendingEvent::Responded { reflection: words, .. } => {
                *words = None;
            }
            TendingEvent::CheckedIn { check_in, .. } => check_in.forget_texts(),
            TendingEvent::Scheduled { .. }
            | TendingEvent::Opened { .. }
            | TendingEvent::EntryShared { .. }
            | TendingEvent::CycleResolved { .. }
            | TendingEvent::CycleTimedOut { .. }
            | TendingEvent::RemindersDue { .. } => {}
        }
    }
}
