//! Entries, cycles and notes.

use serde::Serialize;

use crate::{
    ids::{self, AgreementId, CheckInId, CycleId, NoteId, ReminderId, Seq, SessionId, TendingEntryId, UserId},
    private_text::PrivateText,
    side::Side,
    tending::{
        ContinueChoice, Cycle, CycleStatus, Entry, EntryKind, EntryOutcome, EntryStatus, Note, Reminder,
        ReminderStatus, ResponseStatus, TendingScope,
    },
    time::Timestamp,
    view::Viewer,
};

/// Whom an entry belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TendingScopeView {
    Shared,
    Individual,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ResponseView {
    pub id: String,
    pub tending_entry_id: TendingEntryId,
    pub user_id: UserId,
    pub status: ResponseStatus,
    pub reflection: Option<PrivateText>,
    pub continue_choice: Option<ContinueChoice>,
    pub submitted_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReminderView {
    pub id: ReminderId,
    pub checkin_id: CheckInId,
    pub session_id: SessionId,
    pub tending_entry_id: Option<TendingEntryId>,
    pub user_id: Option<UserId>,
    pub scope: TendingScope,
    pub remind_at: Timestamp,
    pub cadence: Option<PrivateText>,
    pub note: Option<PrivateText>,
    pub status: ReminderStatus,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TendingEntryView {
    pub id: TendingEntryId,
    pub session_id: SessionId,
    pub agreement_id: Option<AgreementId>,
    #[serde(rename = "type")]
    pub kind: EntryKind,
    pub scope: TendingScopeView,
    pub owner_user_id: Option<UserId>,
    pub opted_in_shared: bool,
    pub status: EntryStatus,
    pub scheduled_for: Option<Timestamp>,
    pub opened_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    /// The agreement, or why its owner has come back.
    pub summary: Option<PrivateText>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The viewer's own.
    pub my_response: Option<ResponseView>,
    pub response_count: usize,
    /// The viewer's own.
    pub latest_outcome: Option<EntryOutcome>,
    /// The viewer's own, and shared ones.
    pub reminders: Vec<ReminderView>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CycleView {
    pub id: CycleId,
    pub session_id: SessionId,
    pub status: CycleStatus,
    pub entry_ids: Vec<TendingEntryId>,
    pub participant_user_ids: Vec<UserId>,
    pub submitted_user_ids: Vec<UserId>,
    pub response_deadline_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    pub result_summary: Option<&'static str>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NoteView {
    pub id: NoteId,
    pub session_id: SessionId,
    pub user_id: UserId,
    pub content: PrivateText,
    pub carry_forward_selected: bool,
    pub consent_to_share_with_partner: bool,
    pub share_consent_at: Option<Timestamp>,
    pub selected_for_checkin_id: Option<CheckInId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TendingList {
    pub entries: Vec<TendingEntryView>,
    pub coordination_cycles: Vec<CycleView>,
    /// The viewer's own.
    pub between_period_notes: Vec<NoteView>,
    /// The partner's, which the partner has shared.
    pub partner_notes: Vec<NoteView>,
    pub seq: Seq,
}

/// What stage 4 shows of tending.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TendingPreview {
    pub next_entry: Option<TendingEntryView>,
    pub scheduled_count: usize,
    pub open_count: usize,
    pub passive_reentry_available: bool,
}

/// Cycles that a list shows.
const SHOWN_CYCLES: usize = 10;

impl Viewer<'_> {
    fn user(&self, side: Side) -> Option<UserId> {
        self.session.member(side).map(|member| member.id.clone())
    }

    pub(super) fn entry_view(&self, entry: &Entry) -> TendingEntryView {
        let tending = &self.session.tending;
        let mine = tending.check_ins.iter().rev().filter(|taken| taken.by == self.side);
        let outcome =
            mine.flat_map(|taken| &taken.check_in.outcomes).find(|outcome| outcome.tending_entry_id == entry.id);
        let is_shown = |reminder: &&Reminder| {
            reminder.new.entry.as_ref() == Some(&entry.id)
                && (reminder.by == self.side || reminder.new.scope == TendingScope::Shared)
        };
        let agreement = entry.agreement.as_ref();
        let agreement = agreement.and_then(|id| self.session.agreements.iter().find(|agreement| agreement.id == *id));
        TendingEntryView {
            id: entry.id.clone(),
            session_id: self.session.id.clone(),
            agreement_id: entry.agreement.clone(),
            kind: entry.kind,
            scope: if entry.is_shared() { TendingScopeView::Shared } else { TendingScopeView::Individual },
            owner_user_id: entry.owner.and_then(|side| self.user(side)),
            opted_in_shared: entry.opted_in,
            status: entry.status,
            scheduled_for: entry.scheduled_for,
            opened_at: entry.opened_at,
            completed_at: entry.completed_at,
            summary: agreement.map(|agreement| agreement.description.clone()).or_else(|| entry.intent.clone()),
            created_at: entry.created_at,
            updated_at: entry.updated_at,
            my_response: self.my_response(entry),
            response_count: entry.responses.len(),
            latest_outcome: outcome.cloned(),
            reminders: tending.reminders.iter().filter(is_shown).map(|reminder| self.reminder_view(reminder)).collect(),
        }
    }

    fn my_response(&self, entry: &Entry) -> Option<ResponseView> {
        let response = entry.responses.get(&self.side)?;
        let opened = entry.opened_at.unwrap_or(entry.created_at).as_millis().to_be_bytes();
        let parts: [&[u8]; 4] = [b"response", entry.id.as_str().as_bytes(), self.me.id.as_str().as_bytes(), &opened];
        Some(ResponseView {
            id: ids::derived(&parts),
            tending_entry_id: entry.id.clone(),
            user_id: self.me.id.clone(),
            status: response.status,
            reflection: response.reflection.clone(),
            continue_choice: response.choice,
            submitted_at: response.at,
        })
    }

    pub(super) fn reminder_view(&self, reminder: &Reminder) -> ReminderView {
        ReminderView {
            id: reminder.new.id.clone(),
            checkin_id: reminder.check_in.clone(),
            session_id: self.session.id.clone(),
            tending_entry_id: reminder.new.entry.clone(),
            user_id: self.user(reminder.by),
            scope: reminder.new.scope,
            remind_at: reminder.new.remind_at,
            cadence: reminder.new.cadence.clone(),
            note: reminder.new.note.clone(),
            status: reminder.status,
            created_at: reminder.created_at,
        }
    }

    pub(super) fn cycle_view(&self, cycle: &Cycle) -> CycleView {
        let waiting = "The choices are held until your partner has checked in, or the time for it is over.";
        CycleView {
            id: cycle.id.clone(),
            session_id: self.session.id.clone(),
            status: cycle.status,
            entry_ids: cycle.entries.clone(),
            participant_user_ids: self
                .session
                .remaining_sides()
                .into_iter()
                .filter_map(|side| self.user(side))
                .collect(),
            submitted_user_ids: cycle.submitted.iter().filter_map(|side| self.user(*side)).collect(),
            response_deadline_at: cycle.deadline,
            resolved_at: cycle.resolved_at,
            result_summary: Some(cycle.result.map_or(waiting, |result| result.sentence())),
            created_at: cycle.created_at,
            updated_at: cycle.updated_at,
        }
    }

    fn note_view(&self, note: &Note) -> Option<NoteView> {
        Some(NoteView {
            id: note.id.clone(),
            session_id: self.session.id.clone(),
            user_id: self.user(note.by)?,
            content: note.content.clone(),
            carry_forward_selected: note.selected_for.is_some(),
            consent_to_share_with_partner: note.shared_at.is_some(),
            share_consent_at: note.shared_at,
            selected_for_checkin_id: note.selected_for.clone(),
            created_at: note.created_at,
            updated_at: note.updated_at,
        })
    }

    pub(super) fn my_notes(&self) -> Vec<NoteView> {
        let mine = self.session.tending.notes.iter().filter(|note| note.by == self.side);
        mine.filter_map(|note| self.note_view(note)).collect()
    }

    /// What is due first comes first.
    fn visible_entries(&self) -> Vec<TendingEntryView> {
        let mut entries: Vec<_> =
            self.session.tending.entries.iter().filter(|entry| entry.is_visible_to(self.side)).collect();
        entries.sort_by_key(|entry| (entry.scheduled_for, entry.created_at, entry.id.clone()));
        entries.into_iter().map(|entry| self.entry_view(entry)).collect()
    }

    pub(in crate::view) fn tending(&self) -> TendingList {
        let tending = &self.session.tending;
        let theirs = tending.notes.iter().filter(|note| note.by != self.side && note.shared_at.is_some());
        TendingList {
            entries: self.visible_entries(),
            coordination_cycles: tending
                .cycles
                .iter()
                .rev()
                .take(SHOWN_CYCLES)
                .map(|cycle| self.cycle_view(cycle))
                .collect(),
            between_period_notes: self.my_notes(),
            partner_notes: theirs.filter_map(|note| self.note_view(note)).collect(),
            seq: self.session.seq,
        }
    }

    /// None before the session is resolved.
    pub(in crate::view) fn tending_preview(&self) -> Option<TendingPreview> {
        self.session.resolved_at?;
        let entries = self.visible_entries();
        let count = |status| entries.iter().filter(|entry| entry.status == status).count();
        let (scheduled_count, open_count) = (count(EntryStatus::Scheduled), count(EntryStatus::Open));
        let is_ahead = |entry: &TendingEntryView| {
            matches!(entry.status, EntryStatus::Scheduled | EntryStatus::Open | EntryStatus::Partial)
        };
        Some(TendingPreview {
            next_entry: entries.into_iter().find(is_ahead),
            scheduled_count,
            open_count,
            passive_reentry_available: true,
        })
    }
}
