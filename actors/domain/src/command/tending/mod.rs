//! Tending to the agreements of a resolved session.

mod check_in;
mod entries;
mod request;

use entries::Respond;
pub use entries::{ReenterTendingRequest, RespondTendingRequest, WriteTendingNoteRequest};
pub use request::CheckInRequest;

use serde_json::json;

use super::{CHECK_IN_AFTER, Command, MemberAction};
use crate::{
    agreement::AgreementStatus,
    event::EventBody,
    ids::TendingEntryId,
    private_text::PrivateText,
    rejection::{Code, Rejection},
    stage::SessionStatus,
    tending::{ScheduledEntry, TendingEvent},
};

/// The largest size of one partner's texts of tending, in bytes.
const MOST_BYTES: usize = 512 * 1024;

/// A command of tending, for a member of a resolved session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TendingCommand {
    /// A private note between check-ins.
    WriteNote(PrivateText),
    /// The caller begins a check-in outside the schedule, with an intent or without one.
    Reenter(Option<PrivateText>),
    /// The caller answers one open entry.
    Respond(Box<Respond>),
    /// The owner of an entry shows it to the partner, or hides it again.
    Share {
        /// An entry that the caller began.
        entry: TendingEntryId,
        /// Whether the partner sees it from now on.
        shared: bool,
    },
    /// The caller checks in on all open entries at once.
    CheckIn(Box<NewCheckIn>),
}

use check_in::NewCheckIn;

impl From<TendingCommand> for Command {
    fn from(command: TendingCommand) -> Self {
        Command::Tending(command)
    }
}

pub(super) fn decide(action: &mut MemberAction<'_>, command: &TendingCommand) -> Result<(), Rejection> {
    let status = action.session.status;
    if status != SessionStatus::Resolved {
        let message = "tending begins when the session is resolved, and ends when it is archived";
        return Err(Rejection::new(Code::SessionNotActive, message).with_details(json!({ "status": status })));
    }
    match command {
        TendingCommand::WriteNote(content) => entries::write_note(action, content),
        TendingCommand::Reenter(intent) => entries::reenter(action, intent.as_ref()),
        TendingCommand::Respond(respond) => entries::respond(action, respond),
        TendingCommand::Share { entry, shared } => entries::share(action, entry, *shared),
        TendingCommand::CheckIn(draft) => check_in::decide(action, draft),
    }
}

fn record(action: &mut MemberAction<'_>, event: TendingEvent) {
    action.record(EventBody::Tending(event));
}

fn must_have_room(action: &MemberAction<'_>, bytes: usize) -> Result<(), Rejection> {
    if action.session.tending.size_of(action.side) + bytes > MOST_BYTES {
        return Err(Rejection::conflict("your notes and check-ins in this session are full"));
    }
    Ok(())
}

/// Schedules the first check-in of each agreement, when the session is resolved.
pub(in crate::command) fn schedule(action: &mut MemberAction<'_>) {
    let after = action.after();
    let agreed = after.agreements.iter().filter(|agreement| agreement.status == AgreementStatus::Agreed);
    let entries: Vec<_> = agreed
        .map(|agreement| ScheduledEntry {
            id: action.ctx.fresh(),
            agreement: agreement.id.clone(),
            at: agreement.follow_up_at.unwrap_or(action.ctx.now + CHECK_IN_AFTER),
            quiet: agreement.follow_up().is_some(),
        })
        .collect();
    if !entries.is_empty() {
        record(action, TendingEvent::Scheduled { entries });
    }
}
