//! Stages, session statuses, and the one table of status transitions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The five stages, in order. An integer in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Stage {
    /// Both sign the compact.
    Onboarding = 0,
    /// Each tells their own story and feels heard.
    Witness = 1,
    /// Each writes how the other might feel, and both validate it.
    PerspectiveStretch = 2,
    /// Each names needs; both look for common ground.
    NeedMapping = 3,
    /// Both look for strategies and agree on some.
    StrategicRepair = 4,
}

/// A number that is not a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stage must be an integer from 0 to 4")]
pub struct InvalidStage;

impl Stage {
    /// All stages, in order.
    pub const ALL: [Stage; 5] =
        [Stage::Onboarding, Stage::Witness, Stage::PerspectiveStretch, Stage::NeedMapping, Stage::StrategicRepair];

    /// 0 to 4.
    pub const fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn next(self) -> Option<Stage> {
        Stage::try_from(self.number() + 1).ok()
    }
}

impl TryFrom<u8> for Stage {
    type Error = InvalidStage;
    fn try_from(number: u8) -> Result<Self, InvalidStage> {
        Stage::ALL.get(usize::from(number)).copied().ok_or(InvalidStage)
    }
}

impl From<Stage> for u8 {
    fn from(stage: Stage) -> u8 {
        stage.number()
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

/// The status of one partner in one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StageStatus {
    /// The partner has not reached the stage.
    NotStarted,
    /// The partner's own gates are not all satisfied.
    InProgress,
    /// The member's own gates are satisfied, and the partner's are not.
    GatePending,
    /// The partner has advanced to the next stage.
    Completed,
}

/// The progress of one partner in one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StageRecord {
    pub(crate) stage: Stage,
    pub(crate) started_at: Timestamp,
    /// When the partner's own gates were satisfied for the first time.
    pub(crate) satisfied_at: Option<Timestamp>,
    /// When the partner advanced to the next stage.
    pub(crate) completed_at: Option<Timestamp>,
}

impl StageRecord {
    pub(crate) fn open(stage: Stage, at: Timestamp) -> Self {
        Self { stage, started_at: at, satisfied_at: None, completed_at: None }
    }
}

/// A session's status. `Waiting` is derived for a viewer and never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum SessionStatus {
    /// The invitation is not confirmed yet.
    Created,
    /// The invited person has not answered yet.
    Invited,
    /// Both partners are in it.
    Active,
    /// A partner has paused it. Either can resume.
    Paused,
    /// The viewer has satisfied the gates, and the partner has not.
    Waiting,
    /// Closed by the partners.
    Resolved,
    /// Ended without being resolved: declined, left, or idle for too long.
    Abandoned,
    /// Over, and put away by a partner.
    Archived,
}

impl SessionStatus {
    /// Whether the session is not over.
    pub const fn is_live(self) -> bool {
        matches!(self, SessionStatus::Created | SessionStatus::Invited | SessionStatus::Active | SessionStatus::Paused)
    }

    /// The table of transitions. A transition that is not in it is refused.
    pub const fn may_become(self, next: SessionStatus) -> bool {
        use SessionStatus::*;
        matches!(
            (self, next),
            (Created, Invited)
                | (Invited, Active)
                | (Active, Paused)
                | (Paused, Active)
                | (Active, Resolved)
                | (Created | Invited | Active | Paused, Abandoned)
                | (Resolved | Abandoned, Archived)
        )
    }
}
