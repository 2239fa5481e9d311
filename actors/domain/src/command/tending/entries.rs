//! Commands on single entries of tending: write a note, begin a check-in (re-entry), answer one, share one.

use serde::Deserialize;

use super::{TendingCommand, must_have_room, record};
use crate::{
    command::{Command, action::MemberAction, fields},
    ids::TendingEntryId,
    private_text::PrivateText,
    rejection::{Code, Rejection},
    tending::{ContinueChoice, EntryKind, EntryStatus, ResponseStatus, TendingEntry, TendingEvent},
};

const MOST_NOTES: usize = 200;
const MOST_REENTRIES: usize = 20;

/// The body of `POST /sessions/{id}/tending/notes`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "content": "we walked twice this week" })))]
pub struct WriteTendingNoteRequest {
    /// 1 to 4000 characters.
    #[cfg_attr(feature = "schema", schema(value_type = String, min_length = 1, max_length = 4000, pattern = r"\S"))]
    content: Option<String>,
}

/// The body of `POST /sessions/{id}/tending/reentry`: a check-in that the caller begins.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "intent": "it came up again" })))]
pub struct ReenterTendingRequest {
    /// At most 1000 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 1000))]
    intent: Option<String>,
}

/// The body of `POST /sessions/{id}/tending/{entryId}/responses`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!(
    { "status": "PARTLY", "reflection": "it was hard on Fridays", "continueChoice": "EXTEND" }
)))]
pub struct RespondTendingRequest {
    /// CHECKIN, WORKED, PARTLY, DID_NOT_WORK, DID_NOT_TRY or OTHER.
    #[cfg_attr(feature = "schema", schema(value_type = ResponseStatus))]
    status: Option<String>,
    /// At most 2000 characters; for yourself.
    #[cfg_attr(feature = "schema", schema(max_length = 2000))]
    reflection: Option<String>,
    /// ANOTHER_ROUND, EXTEND, NEW_PROCESS, PARTIAL_CLOSURE or FULL_CLOSURE.
    #[cfg_attr(feature = "schema", schema(value_type = Option<ContinueChoice>))]
    continue_choice: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respond {
    pub(crate) entry: TendingEntryId,
    status: ResponseStatus,
    reflection: Option<PrivateText>,
    choice: Option<ContinueChoice>,
}

impl TryFrom<WriteTendingNoteRequest> for Command {
    type Error = Rejection;
    fn try_from(request: WriteTendingNoteRequest) -> Result<Self, Rejection> {
        Ok(TendingCommand::WriteNote(fields::text("content", request.content, 1..=4_000)?).into())
    }
}

impl TryFrom<ReenterTendingRequest> for Command {
    type Error = Rejection;
    fn try_from(request: ReenterTendingRequest) -> Result<Self, Rejection> {
        Ok(TendingCommand::Reenter(fields::optional_text("intent", request.intent, 1_000)?).into())
    }
}

impl TryFrom<(TendingEntryId, RespondTendingRequest)> for Command {
    type Error = Rejection;
    fn try_from((entry, request): (TendingEntryId, RespondTendingRequest)) -> Result<Self, Rejection> {
        let respond = Respond {
            entry,
            status: fields::variant("status", request.status)?,
            reflection: fields::optional_text("reflection", request.reflection, 2_000)?,
            choice: fields::optional_variant("continueChoice", request.continue_choice)?,
        };
        Ok(TendingCommand::Respond(Box::new(respond)).into())
    }
}

/// The entry, if the caller may see it.
fn find<'a>(action: &MemberAction<'a>, id: &TendingEntryId) -> Result<&'a TendingEntry, Rejection> {
    let entry = action.session.tending.find(id).filter(|entry| entry.is_visible_to(action.side));
    entry.ok_or_else(|| Rejection::new(Code::NotFound, "there is no such check-in in this session"))
}

pub(super) fn write_note(action: &mut MemberAction<'_>, content: &PrivateText) -> Result<(), Rejection> {
    let mine = action.session.tending.notes.iter().filter(|note| note.by == action.side).count();
    if mine >= MOST_NOTES {
        return Err(Rejection::conflict(format!("you can have {MOST_NOTES} notes at most")));
    }
    must_have_room(action, content.reveal().len())?;
    let id = action.ctx.fresh();
    record(action, TendingEvent::NoteWritten { id, content: content.clone() });
    Ok(())
}

/// A re-entry creates an entry of the caller's own, which is open at once.
pub(super) fn reenter(action: &mut MemberAction<'_>, intent: Option<&PrivateText>) -> Result<(), Rejection> {
    let is_mine = |entry: &&TendingEntry| entry.kind == EntryKind::Reentry && entry.owner == Some(action.side);
    if action.session.tending.entries.iter().filter(is_mine).count() >= MOST_REENTRIES {
        return Err(Rejection::conflict(format!(
            "you can begin {MOST_REENTRIES} check-ins outside the schedule at most"
        )));
    }
    let id = action.ctx.fresh();
    record(action, TendingEvent::Reentered { id, intent: intent.cloned() });
    Ok(())
}

/// A repeated answer changes nothing.
pub(super) fn respond(action: &mut MemberAction<'_>, respond: &Respond) -> Result<(), Rejection> {
    let entry = find(action, &respond.entry)?;
    if !entry.belongs_to(action.side) {
        return Err(Rejection::forbidden("this check-in belongs to your partner alone"));
    }
    match entry.status {
        EntryStatus::Scheduled => return Err(Rejection::gate("this check-in is not open yet")),
        EntryStatus::Cancelled | EntryStatus::Expired => return Err(Rejection::gate("this check-in is over")),
        EntryStatus::Open | EntryStatus::Partial | EntryStatus::Completed => {}
    }
    let is_known = entry.responses.get(&action.side).is_some_and(|known| {
        (known.status, &known.reflection, known.choice) == (respond.status, &respond.reflection, respond.choice)
    });
    if !is_known {
        let shared = entry.is_shared();
        let Respond { entry, status, reflection, choice } = respond.clone();
        record(action, TendingEvent::Responded { entry, status, reflection, choice, shared });
    }
    Ok(())
}

pub(super) fn share(action: &mut MemberAction<'_>, id: &TendingEntryId, shared: bool) -> Result<(), Rejection> {
    let entry = find(action, id)?;
    match entry.owner {
        None => return Err(Rejection::invalid("entry", "a check-in of both of you", "one of your own")),
        Some(owner) if owner != action.side => {
            return Err(Rejection::forbidden("only its owner can show a check-in, or hide it"));
        }
        Some(_) => {}
    }
    if entry.opted_in != shared {
        record(action, TendingEvent::EntryShared { entry: id.clone(), shared });
    }
    Ok(())
}
