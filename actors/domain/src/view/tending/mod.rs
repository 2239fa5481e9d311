//! Tending, for one viewer: shared entries, the viewer's own, and what the partner shares. Answers, notes and check-ins
//! are visible to their author only.

mod check_ins;
mod entries;

pub(super) use check_ins::CheckInView;
pub use check_ins::TendingHistory;
pub use entries::TendingList;
pub(super) use entries::{CycleView, NoteView, ReminderView, TendingEntryView, TendingPreview, TendingScopeView};
use serde::Serialize;

use super::{Answer, Viewer};
use crate::{
    command::TendingCommand,
    event::{Event, EventBody},
    ids::{Seq, TendingEntryId},
    tending::{ContinueChoice, TendingEvent},
    time::Timestamp,
};

/// The answer to a call about one entry.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TendingEntryAnswer {
    entry: TendingEntryView,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/tending/notes`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NoteAnswer {
    note: NoteView,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/tending/checkin`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CheckedIn {
    /// What the check-in was about.
    entries: Vec<TendingEntryView>,
    checkin: CheckInView,
    /// Where the choices about shared entries are held.
    #[serde(skip_serializing_if = "Option::is_none")]
    coordination_cycle: Option<CycleView>,
    continue_choice: ContinueChoice,
    /// When the next check-in is, if it is settled.
    next_scheduled_for: Option<Timestamp>,
    seq: Seq,
}

impl Viewer<'_> {
    pub(super) fn tending_answer(&self, command: &TendingCommand, events: &[Event]) -> Answer {
        match command {
            TendingCommand::WriteNote(_) => match self.my_notes().pop() {
                Some(note) => Answer::TendingNote(Box::new(NoteAnswer { note, seq: self.session.seq })),
                None => self.nothing(),
            },
            TendingCommand::Reenter(_) => {
                let made = events.iter().find_map(|event| {
                    let EventBody::Tending(TendingEvent::Reentered { id, .. }) = &event.body else { return None };
                    Some(id.clone())
                });
                made.map_or_else(|| self.nothing(), |id| self.tending_entry(&id))
            }
            TendingCommand::Respond(respond) => self.tending_entry(&respond.entry),
            TendingCommand::Share { entry, .. } => self.tending_entry(entry),
            TendingCommand::CheckIn(_) => self.checked_in(),
        }
    }

    fn nothing(&self) -> Answer {
        Answer::done(self.session.seq)
    }

    fn tending_entry(&self, id: &TendingEntryId) -> Answer {
        match self.session.tending.find(id) {
            Some(entry) => {
                let answer = TendingEntryAnswer { entry: self.entry_view(entry), seq: self.session.seq };
                Answer::TendingEntry(Box::new(answer))
            }
            None => self.nothing(),
        }
    }

    /// The caller's latest check-in, so that a repeated request has the same answer.
    fn checked_in(&self) -> Answer {
        let tending = &self.session.tending;
        let Some(taken) = tending.check_ins.iter().rev().find(|taken| taken.by == self.side) else {
            return self.nothing();
        };
        let cycle = taken.cycle.as_ref().and_then(|id| tending.cycle(id));
        let is_concerned = |entry: &&crate::tending::TendingEntry| {
            let is_own = entry.owner == Some(self.side) && entry.updated_at == taken.at;
            is_own || cycle.is_some_and(|cycle| cycle.entries.contains(&entry.id))
        };
        let entries: Vec<_> = tending.entries.iter().filter(is_concerned).map(|entry| self.entry_view(entry)).collect();
        let is_scheduled = |entry: &&TendingEntryView| entry.opened_at.is_none();
        Answer::CheckedIn(Box::new(CheckedIn {
            next_scheduled_for: entries.iter().filter(is_scheduled).filter_map(|entry| entry.scheduled_for).min(),
            entries,
            checkin: self.check_in_view(taken),
            coordination_cycle: cycle.map(|cycle| self.cycle_view(cycle)),
            continue_choice: taken.check_in.choice,
            seq: self.session.seq,
        }))
    }
}
