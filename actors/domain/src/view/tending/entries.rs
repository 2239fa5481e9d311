//! Entries, cycles and notes.

use serde::Serialize;

use crate::{
    ids::{self, AgreementId, CheckInId, CycleId, NoteId, ReminderId, Seq, SessionId, TendingEntryId, UserId},
    private_text::PrivateText,
    side::Side,
    tending::{
        ContinueChoice, Cycle, CycleStatus, EntryKind, EntryOutcome, EntryStatus, Note, Reminder, ReminderStatus,
        ResponseStatus, TendingEntry, TendingScope,
    },
    time::Timestamp,
    view::Viewer,
};

/// Whom an entry belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TendingScopeView {
    Shared,
    Individual,
}

/// A partner's answer on one entry.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResponseView {
    id: String,
    tending_entry_id: TendingEntryId,
    user_id: UserId,
    status: ResponseStatus,
    reflection: Option<PrivateText>,
    continue_choice: Option<ContinueChoice>,
    submitted_at: Timestamp,
}

/// A reminder that a check-in asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReminderView {
    id: ReminderId,
    checkin_id: CheckInId,
    session_id: SessionId,
    tending_entry_id: Option<TendingEntryId>,
    user_id: Option<UserId>,
    scope: TendingScope,
    remind_at: Timestamp,
    cadence: Option<PrivateText>,
    note: Option<PrivateText>,
    status: ReminderStatus,
    created_at: Timestamp,
}

/// A check-in that is scheduled, or one that a partner began.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct TendingEntryView {
    pub(super) id: TendingEntryId,
    session_id: SessionId,
    /// Null for a check-in that a partner began.
    agreement_id: Option<AgreementId>,
    #[serde(rename = "type")]
    kind: EntryKind,
    pub(super) scope: TendingScopeView,
    /// Null if the entry belongs to both.
    owner_user_id: Option<UserId>,
    /// The owner shows it to the partner.
    opted_in_shared: bool,
    status: EntryStatus,
    pub(super) scheduled_for: Option<Timestamp>,
    pub(super) opened_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    /// The agreement, or why its owner has come back.
    pub(super) summary: Option<PrivateText>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// The viewer's response.
    my_response: Option<ResponseView>,
    /// How many partners have answered.
    response_count: usize,
    /// The outcome that the viewer stated last.
    latest_outcome: Option<EntryOutcome>,
    /// The viewer's reminders, and shared ones.
    reminders: Vec<ReminderView>,
}

/// The check-ins of both partners on their shared entries.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct CycleView {
    id: CycleId,
    session_id: SessionId,
    status: CycleStatus,
    entry_ids: Vec<TendingEntryId>,
    participant_user_ids: Vec<UserId>,
    submitted_user_ids: Vec<UserId>,
    response_deadline_at: Timestamp,
    resolved_at: Option<Timestamp>,
    pub(super) result_summary: Option<&'static str>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct NoteView {
    id: NoteId,
    session_id: SessionId,
    user_id: UserId,
    content: PrivateText,
    carry_forward_selected: bool,
    consent_to_share_with_partner: bool,
    share_consent_at: Option<Timestamp>,
    selected_for_checkin_id: Option<CheckInId>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// The answer to `GET /sessions/{id}/tending`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TendingList {
    entries: Vec<TendingEntryView>,
    coordination_cycles: Vec<CycleView>,
    /// The viewer's notes.
    between_period_notes: Vec<NoteView>,
    /// The notes of the partner that the partner has shared.
    partner_notes: Vec<NoteView>,
    seq: Seq,
}

/// What stage 4 shows of tending.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct TendingPreview {
    next_entry: Option<TendingEntryView>,
    scheduled_count: usize,
    open_count: usize,
    passive_reentry_available: bool,
}

/// Cycles that a list shows.
const SHOWN_CYCLES: usize = 10;

impl Viewer<'_> {
    fn user(&self, side: Side) -> Option<UserId> {
        self.session.member(side).map(|member| member.id.clone())
    }

    pub(super) fn entry_view(&self, entry: &TendingEntry) -> TendingEntryView {
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

    fn my_response(&self, entry: &TendingEntry) -> Option<ResponseView> {
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
