//! Pausing, resuming, resolving, archiving, withdrawing; a user's new name, and the erasure of an account.

use serde::Deserialize;
use serde_json::json;

use super::{
    Command,
    action::{MemberAction, NewEvents},
    fields, tending,
};
use crate::{
    context::{Caller, Context},
    event::{AbandonCause, Event, EventBody},
    private_text::PrivateText,
    rejection::Rejection,
    session::Session,
    stage::SessionStatus,
};

/// The body of `POST /sessions/{id}/pause`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "reason": "we need a walk" })))]
pub struct PauseRequest {
    /// Told to the partner; at most 200 characters.
    #[cfg_attr(feature = "schema", schema(max_length = 200))]
    pub reason: Option<String>,
}

/// A pause by a partner, with the reason for the other one.
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
    /// What partners see from now on; none if the user has no name.
    pub name: Option<PrivateText>,
}

pub(super) fn pause(action: &mut MemberAction<'_>, pause: &Pause) -> Result<(), Rejection> {
    action.must_be_active()?;
    action.record(EventBody::Paused { reason: pause.reason.clone() });
    Ok(())
}

pub(super) fn resume(action: &mut MemberAction<'_>) -> Result<(), Rejection> {
    let status = action.session.status;
    if status != SessionStatus::Paused {
        return Err(Rejection::invalid("status", status, "PAUSED for a session to be resumed"));
    }
    action.record(EventBody::Resumed {});
    Ok(())
}

pub(super) fn resolve(action: &mut MemberAction<'_>) -> Result<(), Rejection> {
    action.must_be_active()?;
    if !action.session.has_agreed() {
        return Err(Rejection::gate("agree on at least one experiment first: one proposes it, the other confirms it")
            .with_details(json!({ "unsatisfiedGates": ["agreementCreated"] })));
    }
    action.record(EventBody::Resolved {});
    tending::schedule(action);
    Ok(())
}

/// A second archiving changes nothing.
pub(super) fn archive(action: &mut MemberAction<'_>) -> Result<(), Rejection> {
    let status = action.session.status;
    if status.may_become(SessionStatus::Archived) {
        action.record(EventBody::Archived {});
    } else if status != SessionStatus::Archived {
        return Err(Rejection::conflict("only a session that is resolved or abandoned can be archived")
            .with_details(json!({ "status": status })));
    }
    Ok(())
}

pub(super) fn withdraw(action: &mut MemberAction<'_>) -> Result<(), Rejection> {
    if action.session.status.is_live() {
        action.record(EventBody::Abandoned { cause: AbandonCause::Withdrawn });
    }
    action.record(EventBody::Left {});
    Ok(())
}

pub(super) fn rename(action: &mut MemberAction<'_>, rename: &Rename) -> Result<(), Rejection> {
    if action.me.name != rename.name {
        action.record(EventBody::Renamed { name: rename.name.clone() });
    }
    Ok(())
}

/// Also for a partner who has withdrawn before, whose texts are still stored.
pub(super) fn erase_account(session: &Session, caller: &Caller, ctx: &Context<'_>) -> Result<Vec<Event>, Rejection> {
    session.side_ever(&caller.id).ok_or_else(Rejection::no_such_session)?;
    let mut events = NewEvents::after(session, Some(&caller.id), ctx);
    if session.status.is_live() {
        events.record(EventBody::Abandoned { cause: AbandonCause::AccountErased });
    }
    events.record(EventBody::AccountErased {});
    Ok(events.list)
}
