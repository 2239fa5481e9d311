//! Tending: the partners check in on their agreements after the session is resolved. Each agreement has an entry, which
//! opens when its check-in is due. Reflections, notes and private reminders are visible to their author only. Choices
//! about a shared entry stay hidden until both have checked in or the time is over.

mod apply;
mod cycle;
mod event;
mod names;

use std::{collections::BTreeMap, time::Duration};

pub(crate) use cycle::Cycle;
pub(crate) use cycle::CycleOutcome;
pub(crate) use cycle::result as result_of;
pub use event::{ScheduledEntry, TendingEvent};
pub(crate) use names::*;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{AgreementId, CheckInId, CycleId, NoteId, ReminderId, TendingEntryId},
    private_text::PrivateText,
    side::Side,
    time::Timestamp,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the other partner has to check in.
pub(crate) const RESPONSE_WITHIN: Duration = Duration::from_secs(14 * DAY.as_secs());
/// The time to the next check-in, when the partners extend.
pub(crate) const EXTEND_BY: Duration = Duration::from_secs(28 * DAY.as_secs());

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Response {
    pub(crate) status: ResponseStatus,
    pub(crate) reflection: Option<PrivateText>,
    pub(crate) choice: Option<ContinueChoice>,
    pub(crate) at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TendingEntry {
    pub(crate) id: TendingEntryId,
    pub(crate) kind: EntryKind,
    pub(crate) agreement: Option<AgreementId>,
    /// The owner. None if the entry belongs to both.
    pub(crate) owner: Option<Side>,
    /// The owner shows it to the partner.
    pub(crate) opted_in: bool,
    /// Another event reminds of the entry at the same time, so its opening is not announced.
    pub(crate) quiet: bool,
    pub(crate) status: EntryStatus,
    pub(crate) scheduled_for: Option<Timestamp>,
    pub(crate) opened_at: Option<Timestamp>,
    pub(crate) completed_at: Option<Timestamp>,
    /// Why the owner has re-entered.
    pub(crate) intent: Option<PrivateText>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) responses: BTreeMap<Side, Response>,
}

impl TendingEntry {
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
pub(crate) struct Note {
    pub(crate) id: NoteId,
    pub(crate) by: Side,
    pub(crate) content: PrivateText,
    pub(crate) selected_for: Option<CheckInId>,
    pub(crate) shared_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// What became of one entry, as its author tells it in a check-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct EntryOutcome {
    pub(crate) tending_entry_id: TendingEntryId,
    pub(crate) follow_through_status: FollowThrough,
    pub(crate) helpfulness_status: Option<Helpfulness>,
    pub(crate) blocker_categories: Vec<Blocker>,
    pub(crate) what_happened: Option<PrivateText>,
    pub(crate) helped_need: Option<PrivateText>,
    pub(crate) blocker_note: Option<PrivateText>,
    pub(crate) still_worth_trying: Option<bool>,
}

/// How far a need is met, as the author of a check-in sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct NeedOutcome {
    /// A need, or an agreement.
    pub(crate) need_id: Option<String>,
    pub(crate) need_label: PrivateText,
    pub(crate) source_user_id: Option<String>,
    pub(crate) resolution_status: NeedResolution,
    pub(crate) note: Option<PrivateText>,
    pub(crate) changed_need_label: Option<PrivateText>,
    pub(crate) next_action: Option<NextAction>,
}

/// A change of an agreement that the author of a check-in suggests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Adjustment {
    pub(crate) tending_entry_id: TendingEntryId,
    pub(crate) privacy_scope: TendingScope,
    pub(crate) revised_commitment_text: Option<PrivateText>,
    pub(crate) revised_cadence: Option<PrivateText>,
    pub(crate) revised_success_criteria: Option<PrivateText>,
    pub(crate) reason: Option<PrivateText>,
    pub(crate) blocker_addressed: Vec<Blocker>,
}

/// A requested reminder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NewReminder {
    pub(crate) id: ReminderId,
    pub(crate) entry: Option<TendingEntryId>,
    pub(crate) scope: TendingScope,
    pub(crate) remind_at: Timestamp,
    pub(crate) cadence: Option<PrivateText>,
    pub(crate) note: Option<PrivateText>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reminder {
    pub(crate) new: NewReminder,
    pub(crate) check_in: CheckInId,
    pub(crate) by: Side,
    pub(crate) status: ReminderStatus,
    pub(crate) created_at: Timestamp,
}

/// A partner's remarks on one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EntryNotes {
    pub(crate) worked: Option<PrivateText>,
    pub(crate) support: Option<PrivateText>,
}

/// One partner's check-in, as it was submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckIn {
    pub(crate) id: CheckInId,
    pub(crate) choice: ContinueChoice,
    pub(crate) next_action: NextAction,
    /// What worked, for all entries together. Private to the author.
    pub worked: Option<PrivateText>,
    /// Where more support is needed, for all entries together. Private to the author.
    pub support: Option<PrivateText>,
    pub(crate) entry_notes: BTreeMap<TendingEntryId, EntryNotes>,
    pub(crate) partial_closure: BTreeMap<TendingEntryId, EntryResolution>,
    pub(crate) outcomes: Vec<EntryOutcome>,
    pub(crate) needs: Vec<NeedOutcome>,
    pub(crate) adjustments: Vec<Adjustment>,
    pub(crate) reminders: Vec<NewReminder>,
    pub(crate) included_notes: Vec<NoteId>,
    pub(crate) shared_notes: Vec<NoteId>,
    pub(crate) overrides: bool,
    pub(crate) override_note: Option<PrivateText>,
}

/// A recorded check-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TakenCheckIn {
    pub(crate) by: Side,
    pub(crate) at: Timestamp,
    pub(crate) cycle: Option<CycleId>,
    pub(crate) check_in: CheckIn,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Tending {
    pub(crate) entries: Vec<TendingEntry>,
    pub(crate) cycles: Vec<Cycle>,
    pub(crate) check_ins: Vec<TakenCheckIn>,
    pub(crate) notes: Vec<Note>,
    pub(crate) reminders: Vec<Reminder>,
}

impl Tending {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.notes.is_empty()
    }

    pub(crate) fn find(&self, id: &TendingEntryId) -> Option<&TendingEntry> {
        self.entries.iter().find(|entry| entry.id == *id)
    }

    /// The entries that a partner can check in on now.
    pub(crate) fn open_for(&self, side: Side) -> impl Iterator<Item = &TendingEntry> {
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
