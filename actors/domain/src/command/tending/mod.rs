//! Tending to the agreements of a resolved session.

mod check_in;
mod entries;
mod request;

pub use entries::{ReenterTendingRequest, Respond, RespondTendingRequest, WriteTendingNoteRequest};
pub use request::{
    AdjustmentRequest, CheckInRequest, ComesNextRequest, EntryOutcomeRequest, NeedOutcomeRequest, OrientationRequest,
    OrientationsRequest, ReminderRequest,
};
use serde_json::json;

use super::{CHECK_IN_AFTER, Command, turn::Turn};
use crate::{
    agreement::AgreementStatus,
    event::EventBody,
    ids::TendingEntryId,
    private_text::PrivateText,
    rejection::{Code, Rejection},
    stage::SessionStatus,
    tending::{ScheduledEntry, TendingEvent},
};

/// What one partner's tending may take of the session's memory, in bytes.
const MOST_BYTES: usize = 512 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TendingCommand {
    WriteNote(PrivateText),
    Reenter(Option<PrivateText>),
    Respond(Box<Respond>),
    Share { entry: TendingEntryId, shared: bool },
    CheckIn(Box<CheckInDraft>),
}

pub use check_in::CheckInDraft;

impl From<TendingCommand> for Command {
    fn from(command: TendingCommand) -> Self {
        Command::Tending(command)
    }
}

pub(super) fn decide(turn: &mut Turn<'_>, command: &TendingCommand) -> Result<(), Rejection> {
    let status = turn.session.status;
    if status != SessionStatus::Resolved {
        let message = "tending begins when the session is resolved, and ends when it is archived";
        return Err(Rejection::new(Code::SessionNotActive, message).with_details(json!({ "status": status })));
    }
    match command {
        TendingCommand::WriteNote(content) => entries::write_note(turn, content),
        TendingCommand::Reenter(intent) => entries::reenter(turn, intent.as_ref()),
        TendingCommand::Respond(respond) => entries::respond(turn, respond),
        TendingCommand::Share { entry, shared } => entries::share(turn, entry, *shared),
        TendingCommand::CheckIn(draft) => check_in::decide(turn, draft),
    }
}

fn record(turn: &mut Turn<'_>, event: TendingEvent) {
    turn.record(EventBody::Tending(event));
}

fn must_have_room(turn: &Turn<'_>, bytes: usize) -> Result<(), Rejection> {
    if turn.session.tending.size_of(turn.side) + bytes > MOST_BYTES {
        return Err(Rejection::conflict("your notes and check-ins in this session are full"));
    }
    Ok(())
}

/// The first check-ins, when the session has just been resolved: for each agreement, at the time that the partners chose.
pub(in crate::command) fn schedule(turn: &mut Turn<'_>) {
    let after = turn.after();
    let agreed = after.agreements.iter().filter(|agreement| agreement.status == AgreementStatus::Agreed);
    let entries: Vec<_> = agreed
        .map(|agreement| ScheduledEntry {
            id: turn.ctx.fresh(),
            agreement: agreement.id.clone(),
            at: agreement.follow_up_at.unwrap_or(turn.ctx.now + CHECK_IN_AFTER),
            quiet: agreement.follow_up().is_some(),
        })
        .collect();
    if !entries.is_empty() {
        record(turn, TendingEvent::Scheduled { entries });
    }
}
