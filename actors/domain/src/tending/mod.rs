//! Tending: the partners check in on their agreements after the session is resolved. Each agreement has an entry, which
//! opens when its check-in is due. Reflections, notes and private reminders are visible to their author only. Choices
//! about a shared entry stay hidden until both have checked in or the time is over.

mod apply;
mod cycle;
mod event;
mod names;

use std::{collections::BTreeMap, time::Duration};

pub(crate) use cycle::result as result_of;
pub use cycle::{Cycle, Outcome};
pub use event::{ScheduledEntry, TendingEvent};
pub use names::*;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{AgreementId, CheckInId, CycleId, NoteId, ReminderId, TendingEntryId},
    private_text::PrivateText,
    side::Side,
    time::Timestamp,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the other partner has to check in.
pub const RESPONSE_WITHIN: Duration = Duration::from_secs(14 * DAY.as_secs());
/// The time to the next check-in, when the partners extend.
pub const EXTEND_BY: Duration = Duration::from_secs(28 * DAY.as_secs());

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    pub status: ResponseStatus,
    pub reflection: Option<PrivateText>,
    pub choice: Option<ContinueChoice>,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub id: TendingEntryId,
    pub kind: EntryKind,
    pub agreement: Option<AgreementId>,
    /// The owner. None if the entry belongs to both.
    pub owner: Option<Side>,
    /// The owner shows it to the partner.
    pub opted_in: bool,
    /// Another event reminds of the entry at the same time, so its opening is not announced.
    pub quiet: bool,
    pub status: EntryStatus,
    pub scheduled_for: Option<Timestamp>,
    pub opened_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    /// Why the owner has re-entered.
    pub intent: Option<PrivateText>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub responses: BTreeMap<Side, Response>,
}

impl Entry {
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status, EntryStatus::Open | EntryStatus::Partial)
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.owner.is_none()
    }

    /// Whether a partner can answer it.
    pub(crate) fn belongs_to(&self, side: Side) -> bool {
        self.owner.is_none_or(|owner| owner == side)
    }

    pub(crate) fn is_visible_to(&self, side: Side) -> bool {
        self.belongs_to(side) || self.opted_in
    }
}

/// A note between two check-ins. Only its author sees it, until the author includes it in a check-in and shares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub id: NoteId,
    pub by: Side,
    pub content: PrivateText,
    pub selected_for: Option<CheckInId>,
    pub shared_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EntryOutcome {
    pub tending_entry_id: TendingEntryId,
    pub follow_through_status: FollowThrough,
    pub helpfulness_status: Option<Helpfulness>,
    pub blocker_categories: Vec<Blocker>,
    pub what_happened: Option<PrivateText>,
    pub helped_need: Option<PrivateText>,
    pub blocker_note: Option<PrivateText>,
    pub still_worth_trying: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NeedOutcome {
    /// A need, or an agreement.
    pub need_id: Option<String>,
    pub need_label: PrivateText,
    pub source_user_id: Option<String>,
    pub resolution_status: NeedResolution,
    pub note: Option<PrivateText>,
    pub changed_need_label: Option<PrivateText>,
    pub next_action: Option<NextAction>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Adjustment {
    pub tending_entry_id: TendingEntryId,
    pub privacy_scope: TendingScope,
    pub revised_commitment_text: Option<PrivateText>,
    pub revised_cadence: Option<PrivateText>,
    pub revised_success_criteria: Option<PrivateText>,
    pub reason: Option<PrivateText>,
    pub blocker_addressed: Vec<Blocker>,
}

/// A requested reminder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewReminder {
    pub id: ReminderId,
    pub entry: Option<TendingEntryId>,
    pub scope: TendingScope,
    pub remind_at: Timestamp,
    pub cadence: Option<PrivateText>,
    pub note: Option<PrivateText>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reminder {
    pub new: NewReminder,
    pub check_in: CheckInId,
    pub by: Side,
    pub status: ReminderStatus,
    pub created_at: Timestamp,
}

/// A partner's remarks on one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryNotes {
    pub worked: Option<PrivateText>,
    pub support: Option<PrivateText>,
}

/// One partner's check-in, as it was submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckIn {
    pub id: CheckInId,
    pub choice: ContinueChoice,
    pub next_action: NextAction,
    pub worked: Option<PrivateText>,
    pub support: Option<PrivateText>,
    pub entry_notes: BTreeMap<TendingEntryId, EntryNotes>,
    pub partial_closure: BTreeMap<TendingEntryId, EntryResolution>,
    pub outcomes: Vec<EntryOutcome>,
    pub needs: Vec<NeedOutcome>,
    pub adjustments: Vec<Adjustment>,
    pub reminders: Vec<NewReminder>,
    pub included_notes: Vec<NoteId>,
    pub shared_notes: Vec<NoteId>,
    pub overrides: bool,
    pub override_note: Option<PrivateText>,
}

/// A recorded check-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenCheckIn {
    pub by: Side,
    pub at: Timestamp,
    pub cycle: Option<CycleId>,
    pub check_in: CheckIn,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tending {
    pub entries: Vec<Entry>,
    pub cycles: Vec<Cycle>,
    pub check_ins: Vec<TakenCheckIn>,
    pub notes: Vec<Note>,
    pub reminders: Vec<Reminder>,
}

impl Tending {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.notes.is_empty()
    }

    pub(crate) fn find(&self, id: &TendingEntryId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == *id)
    }

    /// The entries that a partner can check in on now.
    pub(crate) fn open_for(&self, side: Side) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.is_open() && entry.belongs_to(side))
    }

    /// The size of a partner's texts in the session, in bytes as they are stored.
    pub(crate) fn size_of(&self, side: Side) -> usize {
        let size = |bytes: Result<Vec<u8>, _>| bytes.map_or(0, |bytes: Vec<u8>| bytes.len());
        let check_ins = self.check_ins.iter().filter(|taken| taken.by == side);
        let notes = self.notes.iter().filter(|note| note.by == side);
        check_ins.map(|taken| size(rmp_serde::to_vec(&taken.check_in))).sum::<usize>()
            + notes.map(|note| note.content.reveal().len()).sum::<usize>()
    }
}

impl CheckIn {
    /// Whether two check-ins are equal except for their ids.
    pub(crate) fn says_the_same_as(&self, other: &CheckIn) -> bool {
        let plain = |check_in: &CheckIn| {
            let mut plain = check_in.clone();
            plain.id = other.id.clone();
            for (number, reminder) in plain.reminders.iter_mut().enumerate() {
                if let Some(known) = other.reminders.get(number) {
                    reminder.id = known.id.clone();
                }
            }
            plain
        };
        plain(self) == plain(other)
    }

    /// A need is not resolved, and the partner has not overridden that.
    pub(crate) fn leaves_needs_open(&self) -> bool {
        !self.overrides && self.needs.iter().any(|need| need.resolution_status != NeedResolution::Resolved)
    }

    pub(crate) fn forget_texts(&mut self) {
        self.worked = None;
        self.support = None;
        self.entry_notes.clear();
        self.override_note = None;
        for outcome in &mut self.outcomes {
            outcome.what_happened = None;
            outcome.helped_need = None;
            outcome.blocker_note = None;
        }
        for need in &mut self.needs {
            need.need_label = PrivateText::default();
            need.note = None;
            need.changed_need_label = None;
        }
        for adjustment in &mut self.adjustments {
            adjustment.revised_commitment_text = None;
            adjustment.revised_cadence = None;
            adjustment.revised_success_criteria = None;
            adjustment.reason = None;
        }
        for reminder in &mut self.reminders {
            reminder.cadence = None;
            reminder.note = None;
        }
    }
}
