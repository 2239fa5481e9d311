//! Stage 0: the Curiosity Compact.

use serde::Deserialize;

use super::{
    Command,
    action::{MemberAction, not_active, wrong_stage},
};
use crate::{
    event::EventBody,
    rejection::Rejection,
    stage::{SessionStatus, Stage},
};

/// The body of `POST /sessions/{id}/compact/sign`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "agreed": true })))]
pub struct SignCompactRequest {
    /// May be left out; `false` signs nothing and is refused.
    #[cfg_attr(feature = "schema", schema(schema_with = crate::command::field_schemas::agreed))]
    agreed: Option<bool>,
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

/// The creator may sign before the partner has joined, even before the invitation is sent. A repeated signature in app
/// mode changes nothing, since the app repeats requests whose answer was lost.
pub(super) fn decide(action: &mut MemberAction<'_>) -> Result<(), Rejection> {
    let status = action.session.status;
    if !matches!(status, SessionStatus::Created | SessionStatus::Invited | SessionStatus::Active) {
        return Err(not_active(status));
    }
    if action.me.compact_signed_at.is_some() && action.me.in_app_mode() {
        return Ok(());
    }
    if action.me.compact_signed_at.is_some() {
        return Err(Rejection::conflict("you have signed the compact already"));
    }
    let current = action.me.stage();
    if current != Stage::Onboarding {
        return Err(wrong_stage(current, Stage::Onboarding));
    }
    action.record(EventBody::CompactSigned {});
    Ok(())
}
