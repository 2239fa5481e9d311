//! How the events of tending change the state.

use std::collections::BTreeMap;

use super::{
    CheckIn, Cycle, CycleOutcome, CycleResult, CycleStatus, EXTEND_BY, EntryKind, EntryStatus, Note, RESPONSE_WITHIN,
    Reminder, ReminderStatus, Response, ResponseStatus, TakenCheckIn, Tending, TendingEntry, TendingEvent,
    cycle::outcome_in,
};
use crate::{
    ids::{CycleId, NoteId, TendingEntryId},
    private_text::PrivateText,
    side::Side,
    time::Timestamp,
};

impl TendingEntry {
    fn new(id: TendingEntryId, kind: EntryKind, at: Timestamp) -> Self {
        Self {
            id,
            kind,
            agreement: None,
            owner: None,
            opted_in: false,
            quiet: false,
            status: EntryStatus::Scheduled,
            scheduled_for: None,
            opened_at: None,
            completed_at: None,
            intent: None,
            created_at: at,
            updated_at: at,
            responses: BTreeMap::new(),
        }
    }

    fn conclude(&mut self, outcome: CycleOutcome, next: Timestamp, at: Timestamp) {
        match outcome {
            CycleOutcome::Done => {
                self.status = EntryStatus::Completed;
                self.completed_at = Some(at);
            }
            CycleOutcome::Again => {
                self.status = EntryStatus::Scheduled;
                self.scheduled_for = Some(next);
                self.opened_at = None;
                self.quiet = false;
                self.responses.clear();
            }
            CycleOutcome::Held => {}
        }
        self.updated_at = at;
    }
}

impl Tending {
    /// `side` is the author of the event. `tenders` is the number of partners who have to answer a shared entry.
    pub(crate) fn apply(&mut self, tending: &TendingEvent, side: Option<Side>, tenders: usize, at: Timestamp) {
        match tending {
            TendingEvent::Scheduled { entries } => {
                for scheduled in entries {
                    let mut entry = TendingEntry::new(scheduled.id.clone(), EntryKind::SharedAgreement, at);
                    entry.agreement = Some(scheduled.agreement.clone());
                    entry.scheduled_for = Some(scheduled.at);
                    entry.quiet = scheduled.quiet;
                    self.entries.push(entry);
                }
            }
            TendingEvent::Opened { entries, .. } => {
                for entry in self.entries.iter_mut().filter(|entry| entries.contains(&entry.id)) {
                    entry.status = EntryStatus::Open;
                    entry.opened_at = Some(at);
                    entry.updated_at = at;
                }
            }
            TendingEvent::CycleResolved { cycle, result, next } => {
                self.end_cycle(cycle, CycleStatus::Resolved, *result, *next, at);
            }
            TendingEvent::CycleTimedOut { cycle, result, next } => {
                self.end_cycle(cycle, CycleStatus::TimedOut, *result, *next, at);
            }
            TendingEvent::RemindersDue { reminders, .. } => {
                for (id, next) in reminders {
                    let Some(reminder) = self.reminders.iter_mut().find(|reminder| reminder.new.id == *id) else {
                        continue;
                    };
                    match next {
                        Some(next) => reminder.new.remind_at = *next,
                        None => reminder.status = ReminderStatus::Delivered,
                    }
                }
            }
            TendingEvent::NoteWritten { id, content } => self.write_note(id, side, content, at),
            TendingEvent::Reentered { id, intent } => self.reenter(id, side, intent.as_ref(), at),
            TendingEvent::Responded { entry, status, reflection, choice, .. } => {
                let response = Response { status: *status, reflection: reflection.clone(), choice: *choice, at };
                self.respond(entry, side, response, tenders);
            }
            TendingEvent::EntryShared { entry, shared } => {
                if let Some(entry) = self.entry_mut(entry).filter(|_| side.is_some()) {
                    entry.opted_in = *shared;
                    entry.updated_at = at;
                }
            }
            TendingEvent::CheckedIn { check_in, cycle } => {
                if let Some(side) = side {
                    self.record_check_in(check_in, cycle.as_ref(), side, at);
                }
            }
        }
    }

    fn entry_mut(&mut self, id: &TendingEntryId) -> Option<&mut TendingEntry> {
        self.entries.iter_mut().find(|entry| entry.id == *id)
    }

    fn write_note(&mut self, id: &NoteId, side: Option<Side>, content: &PrivateText, at: Timestamp) {
        let Some(by) = side else { return };
        let (id, content) = (id.clone(), content.clone());
        let (selected_for, shared_at) = (None, None);
        self.notes.push(Note { id, by, content, selected_for, shared_at, created_at: at, updated_at: at });
    }

    fn reenter(&mut self, id: &TendingEntryId, side: Option<Side>, intent: Option<&PrivateText>, at: Timestamp) {
        let Some(owner) = side else { return };
        let mut entry = TendingEntry::new(id.clone(), EntryKind::Reentry, at);
        entry.owner = Some(owner);
        entry.status = EntryStatus::Open;
        entry.opened_at = Some(at);
        entry.intent = intent.cloned();
        self.entries.push(entry);
    }

    /// `tenders` is the number of partners who have to answer a shared entry.
    fn respond(&mut self, id: &TendingEntryId, side: Option<Side>, response: Response, tenders: usize) {
        let at = response.at;
        let (Some(side), Some(entry)) = (side, self.entry_mut(id)) else { return };
        entry.responses.insert(side, response);
        let wanted = if entry.is_shared() { tenders } else { 1 };
        let is_done = entry.responses.len() >= wanted;
        entry.status = if is_done { EntryStatus::Completed } else { EntryStatus::Partial };
        entry.completed_at = Some(at).filter(|_| is_done);
        entry.updated_at = at;
    }

    fn record_check_in(&mut self, check_in: &CheckIn, cycle: Option<&CycleId>, side: Side, at: Timestamp) {
        let open: Vec<TendingEntryId> = self.open_for(side).map(|entry| entry.id.clone()).collect();
        let mut shared = Vec::new();
        for entry in self.entries.iter_mut().filter(|entry| open.contains(&entry.id)) {
            let reflection = reflection(check_in, &entry.id);
            let choice = Some(check_in.choice);
            entry.responses.insert(side, Response { status: ResponseStatus::Checkin, reflection, choice, at });
            if entry.is_shared() {
                entry.status = EntryStatus::Partial;
                entry.updated_at = at;
                shared.push(entry.id.clone());
            } else {
                entry.conclude(CycleOutcome::of(check_in, &entry.id), at + EXTEND_BY, at);
            }
        }
        if let Some(id) = cycle {
            self.submit(id, shared, side, at);
        }
        for note in self.notes.iter_mut().filter(|note| check_in.included_notes.contains(&note.id)) {
            note.selected_for = Some(check_in.id.clone());
            note.updated_at = at;
            if check_in.shared_notes.contains(&note.id) {
                note.shared_at = Some(at);
            }
        }
        self.reminders.extend(check_in.reminders.iter().map(|new| Reminder {
            new: new.clone(),
            check_in: check_in.id.clone(),
            by: side,
            status: ReminderStatus::Scheduled,
            created_at: at,
        }));
        self.check_ins.push(TakenCheckIn { by: side, at, cycle: cycle.cloned(), check_in: check_in.clone() });
    }

    fn submit(&mut self, id: &CycleId, shared: Vec<TendingEntryId>, side: Side, at: Timestamp) {
        if self.cycle(id).is_none() {
            self.cycles.push(Cycle {
                id: id.clone(),
                status: CycleStatus::WaitingForPartner,
                entries: Vec::new(),
                submitted: Vec::new(),
                deadline: at + RESPONSE_WITHIN,
                resolved_at: None,
                result: None,
                created_at: at,
                updated_at: at,
            });
        }
        let Some(cycle) = self.cycles.iter_mut().find(|cycle| cycle.id == *id) else { return };
        for entry in shared {
            if !cycle.entries.contains(&entry) {
                cycle.entries.push(entry);
            }
        }
        if !cycle.submitted.contains(&side) {
            cycle.submitted.push(side);
        }
        cycle.updated_at = at;
    }

    fn end_cycle(&mut self, id: &CycleId, status: CycleStatus, result: CycleResult, next: Timestamp, at: Timestamp) {
        let check_ins: Vec<CheckIn> = self.check_ins_of(id).into_values().cloned().collect();
        let Some(cycle) = self.cycles.iter_mut().find(|cycle| cycle.id == *id) else { return };
        cycle.status = status;
        cycle.result = Some(result);
        cycle.resolved_at = Some(at);
        cycle.updated_at = at;
        let entries = cycle.entries.clone();
        for entry in self.entries.iter_mut().filter(|entry| entries.contains(&entry.id) && entry.is_open()) {
            let outcome = outcome_in(result, &check_ins, &entry.id);
            entry.conclude(outcome, next, at);
        }
    }

    pub(crate) fn forget_texts_of(&mut self, side: Side) {
        for taken in self.check_ins.iter_mut().filter(|taken| taken.by == side) {
            taken.check_in.forget_texts();
        }
        for note in self.notes.iter_mut().filter(|note| note.by == side) {
            note.content = PrivateText::default();
        }
        for reminder in self.reminders.iter_mut().filter(|reminder| reminder.by == side) {
            reminder.new.note = None;
            reminder.new.cadence = None;
        }
        for entry in &mut self.entries {
            if entry.owner == Some(side) {
                entry.intent = None;
            }
            if let Some(response) = entry.responses.get_mut(&side) {
                response.reflection = None;
            }
        }
    }
}

/// A partner's remarks on an entry, joined.
fn reflection(check_in: &CheckIn, entry: &TendingEntryId) -> Option<PrivateText> {
    let notes = check_in.entry_notes.get(entry);
    let outcome = check_in.outcomes.iter().find(|outcome| outcome.tending_entry_id == *entry);
    let parts = [
        check_in.worked.as_ref(),
        check_in.support.as_ref(),
        notes.and_then(|notes| notes.worked.as_ref()),
        notes.and_then(|notes| notes.support.as_ref()),
        outcome.and_then(|outcome| outcome.what_happened.as_ref()),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().map(PrivateText::reveal).collect();
    (!parts.is_empty()).then(|| PrivateText::new(parts.join("\n")))
}
