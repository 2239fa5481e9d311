//! The part of a session's summary that the views of people need.

use serde::Deserialize;

use super::WhoseTurn;
use crate::domain::{
    private_text::PrivateText,
    stage::{SessionStatus, Stage, StageStatus},
    time::Timestamp,
};

/// The part of a session's summary that is used here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub status: SessionStatus,
    pub is_waiting: bool,
    pub updated_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    pub current_stage: Stage,
    pub self_action_needed: Vec<String>,
    pub partner_progress: Progress,
    pub partner: Partner,
    #[serde(default)]
    pub context: Option<PrivateText>,
    #[serde(default)]
    pub topic_frame: Option<PrivateText>,
}

#[derive(Deserialize)]
pub(super) struct Progress {
    pub stage: Stage,
    pub status: StageStatus,
}

#[derive(Deserialize)]
pub(super) struct Partner {
    pub name: Option<PrivateText>,
    pub nickname: Option<PrivateText>,
}

impl Summary {
    pub(super) fn turn(&self) -> WhoseTurn {
        let partner_waits = self.partner_progress.stage == self.current_stage
            && self.partner_progress.status == StageStatus::GatePending;
        if self.is_waiting {
            WhoseTurn::WaitingOnPartner
        } else if self.self_action_needed.is_empty() {
            WhoseTurn::YourTurn
        } else if partner_waits {
            WhoseTurn::WaitingOnYou
        } else {
            WhoseTurn::BothActive
        }
    }
}
