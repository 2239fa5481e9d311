//! The events of tending.

use serde::{Deserialize, Serialize};

use super::{CheckIn, ContinueChoice, CycleResult, ResponseStatus};
use crate::{
    ids::{AgreementId, CycleId, NoteId, ReminderId, TendingEntryId, UserId},
    private_text::PrivateText,
    time::Timestamp,
};

/// The first check-in on an agreement, and when it opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledEntry {
    /// The new entry.
    pub id: TendingEntryId,
    /// The agreement that the partners check in on.
    pub agreement: AgreementId,
    /// When the entry opens.
    pub at: Timestamp,
    /// The follow-up of the agreement reminds at the same time, so the opening is not announced.
    #[serde(default)]
    pub quiet: bool,
}

/// What happened in the tending of a resolved session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are named after what they hold, and their types are documented")]
pub enum TendingEvent {
    /// The session is resolved, and its agreements have a first check-in.
    Scheduled { entries: Vec<ScheduledEntry> },
    /// Check-ins are due.
    Opened {
        entries: Vec<TendingEntryId>,
        /// The only member whom it concerns. None if it concerns both.
        #[serde(default)]
        only: Option<UserId>,
        #[serde(default)]
        quiet: bool,
    },
    /// The author wrote a private note.
    NoteWritten { id: NoteId, content: PrivateText },
    /// The author began a check-in outside the schedule. It is open at once.
    Reentered { id: TendingEntryId, intent: Option<PrivateText> },
    /// The author answered one entry.
    Responded {
        entry: TendingEntryId,
        status: ResponseStatus,
        reflection: Option<PrivateText>,
        choice: Option<ContinueChoice>,
        /// The entry belongs to both.
        #[serde(default)]
        shared: bool,
    },
    /// The owner of an entry shows it to the partner, or hides it again.
    EntryShared { entry: TendingEntryId, shared: bool },
    /// The author checked in on all open entries at once.
    CheckedIn {
        check_in: Box<CheckIn>,
        /// The cycle that holds the choices about shared entries.
        #[serde(default)]
        cycle: Option<CycleId>,
    },
    /// All who take part have checked in.
    CycleResolved { cycle: CycleId, result: CycleResult, next: Timestamp },
    /// The time for checking in is over. The check-ins that were submitted count.
    CycleTimedOut { cycle: CycleId, result: CycleResult, next: Timestamp },
    /// Reminders that a check-in asked for are due.
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
