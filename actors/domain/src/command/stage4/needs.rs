//! The walk through the shared needs, and needs that a partner does not want to address. Private to the partner.

use serde::Deserialize;

use super::{Stage4Command, not_found};
use crate::{
    command::{Command, fields, turn::Turn},
    event::EventBody,
    ids::NeedId,
    rejection::Rejection,
    stage4::WalkStep,
};

#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "action": "covered" })))]
pub struct WalkNeedRequest {
    /// `covered`, `skip` or `reset`.
    #[cfg_attr(feature = "schema", schema(value_type = String, pattern = "^(covered|skip|reset)$"))]
    pub action: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkNeed {
    need: NeedId,
    step: Option<WalkStep>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclineNeed {
    pub need: NeedId,
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

fn must_be_shared(turn: &Turn<'_>, need: &NeedId) -> Result<(), Rejection> {
    let is_shared = turn.session.shared_needs(turn.side).any(|(_, shared)| shared.id == *need);
    if is_shared { Ok(()) } else { Err(not_found("there is no such need among those that both of you share")) }
}

pub(super) fn walk(turn: &mut Turn<'_>, walk: &WalkNeed) -> Result<(), Rejection> {
    must_be_shared(turn, &walk.need)?;
    let stage4 = &turn.me.stage4;
    if !stage4.walks || stage4.walked.get(&walk.need).copied() != walk.step {
        turn.record(EventBody::NeedWalked { need: walk.need.clone(), step: walk.step });
    }
    Ok(())
}

pub(super) fn decline(turn: &mut Turn<'_>, decline: &DeclineNeed) -> Result<(), Rejection> {
    must_be_shared(turn, &decline.need)?;
    if turn.me.stage4.declined_needs.contains(&decline.need) != decline.declined {
        turn.record(EventBody::NeedDeclined { need: decline.need.clone(), declined: decline.declined });
    }
    Ok(())
}
