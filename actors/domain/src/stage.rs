//! Stages, session statuses, and the one table of status transitions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The five stages, in order. An integer in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Stage {
    Onboarding = 0,
    Witness = 1,
    PerspectiveStretch = 2,
    NeedMapping = 3,
    StrategicRepair = 4,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stage must be an integer from 0 to 4")]
pub struct InvalidStage;

impl Stage {
    pub const ALL: [Stage; 5] =
        [Stage::Onboarding, Stage::Witness, Stage::PerspectiveStretch, Stage::NeedMapping, Stage::StrategicRepair];

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
    NotStarted,
    InProgress,
    /// The member's own gates are satisfied, and the partner's are not.
    GatePending,
    Completed,
}

/// The progress of one partner in one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRecord {
    pub stage: Stage,
    pub started_at: Timestamp,
    /// When the partner's own gates were satisfied for the first time.
    pub satisfied_at: Option<Timestamp>,
    /// When the partner advanced to the next stage.
    pub completed_at: Option<Timestamp>,
}

impl StageRecord {
    pub(crate) fn open(stage: Stage, at: Timestamp) -> Self {
        Self { stage, started_at: at, satisfied_at: None, completed_at: None }
    }
}

/// A session's status. `Waiting` is derived for a viewer and never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SessionStatus {
    Created,
    Invited,
    Active,
    Paused,
    Waiting,
    Resolved,
    Abandoned,
    Archived,
}

impl SessionStatus {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            SessionStatus::Created => "CREATED",
            SessionStatus::Invited => "INVITED",
            SessionStatus::Active => "ACTIVE",
            SessionStatus::Paused => "PAUSED",
            SessionStatus::Waiting => "WAITING",
            SessionStatus::Resolved => "RESOLVED",
            SessionStatus::Abandoned => "ABANDONED",
            SessionStatus::Archived => "ARCHIVED",
        }
    }

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

impl fmt::Display for SessionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
