//! The walk through the shared needs, and the needs that a partner declines to address. Only that partner sees both.

use serde::Deserialize;

use super::{Stage4Command, not_found};
use crate::{
    command::{Command, action::MemberAction, fields},
    event::EventBody,
    ids::NeedId,
    rejection::Rejection,
    stage4::WalkStep,
};

/// The body of `POST /sessions/{id}/stage4/walkthrough/needs/{needId}`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "action": "covered" })))]
pub struct WalkNeedRequest {
    /// `covered`, `skip` or `reset`.
    #[cfg_attr(feature = "schema", schema(value_type = String, pattern = "^(covered|skip|reset)$"))]
    action: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkNeed {
    need: NeedId,
    step: Option<WalkStep>,
}

/// Whether the caller wants a need to be left unaddressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclineNeed {
    /// One of the needs that both partners share.
    pub need: NeedId,
    /// False withdraws an earlier refusal.
    pub declined: bool,
}

impl TryFrom<(NeedId, WalkNeedRequest)> for Command {
    type Error = Rejection;
    fn try_from((need, request): (NeedId, WalkNeedRequest)) -> Result<Self, Rejection> {
        let actions = [("covered", Some(WalkStep::Covered)), ("skip", Some(WalkStep::Skipped)), ("reset", None)];
        let step = fields::name("action", request.action, &actions)?;
        Ok(Stage4Command::WalkNeed(WalkNeed { need, step }).into())
    }
}

fn must_be_shared(action: &MemberAction<'_>, need: &NeedId) -> Result<(), Rejection> {
    let is_shared = action.session.shared_needs(action.side).any(|(_, shared)| shared.id == *need);
    if is_shared { Ok(()) } else { Err(not_found("there is no such need among those that both of you share")) }
}

pub(super) fn walk(action: &mut MemberAction<'_>, walk: &WalkNeed) -> Result<(), Rejection> {
    must_be_shared(action, &walk.need)?;
    let stage4 = &action.me.stage4;
    if !stage4.walks || stage4.walked.get(&walk.need).copied() != walk.step {
        action.record(EventBody::NeedWalked { need: walk.need.clone(), step: walk.step });
    }
    Ok(())
}

pub(super) fn decline(action: &mut MemberAction<'_>, decline: &DeclineNeed) -> Result<(), Rejection> {
    must_be_shared(action, &decline.need)?;
    if action.me.stage4.declined_needs.contains(&decline.need) != decline.declined {
        action.record(EventBody::NeedDeclined { need: decline.need.clone(), declined: decline.declined });
    }
    Ok(())
}
