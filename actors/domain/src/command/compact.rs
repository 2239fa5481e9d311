//! Stage 0: the Curiosity Compact.

use serde::Deserialize;

use super::{
    Command,
    turn::{Turn, not_active, wrong_stage},
};
use crate::{
    event::EventBody,
    rejection::Rejection,
    stage::{SessionStatus, Stage},
};

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "agreed": true })))]
pub struct SignCompactRequest {
    /// May be left out; `false` signs nothing and is refused.
    #[cfg_attr(feature = "schema", schema(schema_with = crate::command::forms::agreed))]
    pub agreed: Option<bool>,
}

impl TryFrom<SignCompactRequest> for Command {
    type Error = Rejection;
    fn try_from(request: SignCompactRequest) -> Result<Self, Rejection> {
        match request.agreed {
            Some(false) => Err(Rejection::invalid("agreed", "false", "true, or left out: signing means to agree")),
            _ => Ok(Command::SignCompact),
        }
    }
}

/// The creator may sign before the partner has joined, and before the invitation is sent. The app sends again what it has no answer to.
pub(super) fn decide(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    match turn.session.status {
        SessionStatus::Created | SessionStatus::Invited | SessionStatus::Active => {}
        status => return Err(not_active(status)),
    }
    if turn.me.compact_signed_at.is_some() && turn.me.in_app_mode() {
        return Ok(());
    }
    if turn.me.compact_signed_at.is_some() {
        return Err(Rejection::conflict("you have signed the compact already"));
    }
    let current = turn.me.stage();
    if current != Stage::Onboarding {
        return Err(wrong_stage(current, Stage::Onboarding));
    }
    turn.record(EventBody::CompactSigned {});
    Ok(())
}
