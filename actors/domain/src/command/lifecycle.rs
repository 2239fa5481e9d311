//! Pausing, resuming, resolving, archiving, withdrawing; a user's new name, and the erasure of an account.

use serde::Deserialize;
use serde_json::json;

use super::{
    Command, fields, tending,
    turn::{Events, Turn},
};
use crate::{
    context::{Caller, Context},
    event::{AbandonCause, Event, EventBody},
    private_text::PrivateText,
    rejection::Rejection,
    session::Session,
    stage::SessionStatus,
};

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "reason": "we need a walk" })))]
pub struct PauseRequest {
    /// Told to the partner; at most 200 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 200))]
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pause {
    reason: Option<PrivateText>,
}

impl TryFrom<PauseRequest> for Command {
    type Error = Rejection;
    fn try_from(request: PauseRequest) -> Result<Self, Rejection> {
        Ok(Command::Pause(Pause { reason: fields::optional_text("reason", request.reason, 200)? }))
    }
}

/// The name that a user goes by, for all of the user's sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    pub name: Option<PrivateText>,
}

pub(super) fn pause(turn: &mut Turn<'_>, pause: &Pause) -> Result<(), Rejection> {
    turn.must_be_active()?;
    turn.record(EventBody::Paused { reason: pause.reason.clone() });
    Ok(())
}

pub(super) fn resume(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    let status = turn.session.status;
    if status != SessionStatus::Paused {
        return Err(Rejection::invalid("status", status, "PAUSED for a session to be resumed"));
    }
    turn.record(EventBody::Resumed {});
    Ok(())
}

pub(super) fn resolve(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    turn.must_be_active()?;
    if !turn.session.has_agreed() {
        return Err(Rejection::gate("agree on at least one experiment first: one proposes it, the other confirms it")
            .with_details(json!({ "unsatisfiedGates": ["agreementCreated"] })));
    }
    turn.record(EventBody::Resolved {});
    tending::schedule(turn);
    Ok(())
}

/// A second archiving changes nothing.
pub(super) fn archive(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    match turn.session.status {
        SessionStatus::Archived => Ok(()),
        status if status.may_become(SessionStatus::Archived) => {
            turn.record(EventBody::Archived {});
            Ok(())
        }
        status => Err(Rejection::conflict("only a session that is resolved or abandoned can be archived")
            .with_details(json!({ "status": status }))),
    }
}

pub(super) fn withdraw(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    if turn.session.status.is_live() {
        turn.record(EventBody::Abandoned { cause: AbandonCause::Withdrawn });
    }
    turn.record(EventBody::Left {});
    Ok(())
}

pub(super) fn rename(turn: &mut Turn<'_>, rename: &Rename) -> Result<(), Rejection> {
    if turn.me.name != rename.name {
        turn.record(EventBody::Renamed { name: rename.name.clone() });
    }
    Ok(())
}

/// Also for a partner who has withdrawn before: the words are still there.
pub(super) fn erase_account(session: &Session, caller: &Caller, ctx: &Context<'_>) -> Result<Vec<Event>, Rejection> {
    session.side_ever(&caller.id).ok_or_else(Rejection::no_such_session)?;
    let mut events = Events::after(session, Some(&caller.id), ctx);
    if session.status.is_live() {
        events.record(EventBody::Abandoned { cause: AbandonCause::AccountErased });
    }
    events.record(EventBody::AccountErased {});
    Ok(events.list)
}
