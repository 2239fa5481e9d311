//! Advancing to the next stage. Only the caller moves. A blocked advance is an answer, not a rejection.

use serde::Deserialize;

use super::{Command, action::MemberAction};
use crate::{
    event::EventBody,
    rejection::Rejection,
    rules::{Blocked, BlockedReason},
    session::Session,
    side::Side,
    stage::{SessionStatus, Stage},
};

/// The body of `POST /sessions/{id}/stages/advance`. Without stages it means the caller's next stage.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "fromStage": 1, "toStage": 2 })))]
pub struct AdvanceRequest {
    /// 0 to 4; the current stage, if left out.
    #[cfg_attr(feature = "schema", schema(minimum = 0, maximum = 4))]
    from_stage: Option<i64>,
    /// 0 to 4; the next stage, if left out.
    #[cfg_attr(feature = "schema", schema(minimum = 0, maximum = 4))]
    to_stage: Option<i64>,
}

/// An advance, with the stages as the client knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advance {
    from: Option<Stage>,
    to: Option<Stage>,
}

impl TryFrom<AdvanceRequest> for Command {
    type Error = Rejection;
    fn try_from(request: AdvanceRequest) -> Result<Self, Rejection> {
        let from = stage("fromStage", request.from_stage)?;
        Ok(Command::Advance(Advance { from, to: stage("toStage", request.to_stage)? }))
    }
}

fn stage(field: &str, number: Option<i64>) -> Result<Option<Stage>, Rejection> {
    let Some(number) = number else { return Ok(None) };
    let stage = u8::try_from(number).ok().and_then(|number| Stage::try_from(number).ok());
    stage.map(Some).ok_or_else(|| Rejection::invalid(field, number, "an integer from 0 to 4"))
}

/// The outcome of an advance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AdvanceOutcome {
    /// The caller moves to this stage.
    Go(Stage),
    /// The caller has made this advance already. The client repeats it.
    Done,
    Blocked(Blocked),
}

impl AdvanceOutcome {
    pub(crate) fn into_blocked(self) -> Option<Blocked> {
        match self {
            AdvanceOutcome::Blocked(blocked) => Some(blocked),
            AdvanceOutcome::Go(_) | AdvanceOutcome::Done => None,
        }
    }
}

impl Session {
    pub(crate) fn advance_outcome(&self, side: Side, advance: &Advance) -> AdvanceOutcome {
        let current = self.stage_of(side);
        let was_just_advanced = self.member(side).is_some_and(|member| member.was_just_advanced);
        let blocked = |reason| AdvanceOutcome::Blocked(Blocked::because(reason));
        if self.status != SessionStatus::Active {
            return blocked(BlockedReason::SessionNotActive);
        }
        let is_consistent = match (advance.from, advance.to) {
            (Some(from), Some(to)) => from.next() == Some(to),
            _ => true,
        };
        let from = advance.from.unwrap_or(current);
        // The coordinator has just advanced the caller by itself. A request without stages repeats that advance.
        let is_made = was_just_advanced && *advance == Advance::default();
        let is_done = is_made
            || advance.from.is_some_and(|from| from < current)
            || (advance.from.is_none() && advance.to.is_some_and(|to| Stage::Onboarding < to && to <= current));
        if !is_consistent {
            blocked(BlockedReason::InvalidStageTransition)
        } else if is_done {
            AdvanceOutcome::Done
        } else if from != current || advance.to.is_some_and(|to| current.next() != Some(to)) {
            blocked(BlockedReason::InvalidStageTransition)
        } else {
            self.next_stage(side).map_or_else(AdvanceOutcome::Blocked, AdvanceOutcome::Go)
        }
    }
}

pub(super) fn decide(action: &mut MemberAction<'_>, advance: &Advance) -> Result<(), Rejection> {
    if let AdvanceOutcome::Go(to) = action.session.advance_outcome(action.side, advance) {
        action.record(EventBody::Advanced { to, implicit: false });
    }
    Ok(())
}
