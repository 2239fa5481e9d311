//! Agreements (stage 4): proposed by one partner, confirmed or declined by the other.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AgreementId, StrategyId},
    private_text::PrivateText,
    side::Side,
    time::Timestamp,
};

/// Agreements of one session that are proposed or agreed.
pub const MAX_LIVE: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AgreementType {
    MicroExperiment,
    Commitment,
    CheckIn,
    Hybrid,
}

impl AgreementType {
    pub const NAMES: [(&'static str, AgreementType); 4] = [
        ("MICRO_EXPERIMENT", AgreementType::MicroExperiment),
        ("COMMITMENT", AgreementType::Commitment),
        ("CHECK_IN", AgreementType::CheckIn),
        ("HYBRID", AgreementType::Hybrid),
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AgreementStatus {
    Proposed,
    Agreed,
    InProgress,
    Completed,
    /// Declined, or taken back by its proposer.
    Abandoned,
}

impl AgreementStatus {
    /// Takes one of the places.
    pub fn is_live(self) -> bool {
        self != AgreementStatus::Abandoned
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    pub id: AgreementId,
    pub proposer: Side,
    /// Who wrote the words, if not the proposer: both were willing to do what one of them had proposed. No view shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words_of: Option<Side>,
    pub strategy: Option<StrategyId>,
    pub description: PrivateText,
    pub kind: AgreementType,
    pub duration: Option<PrivateText>,
    pub measure_of_success: Option<PrivateText>,
    pub follow_up_at: Option<Timestamp>,
    pub reminded: bool,
    pub status: AgreementStatus,
    pub proposed_at: Timestamp,
    pub agreed_at: Option<Timestamp>,
    pub declined_by: Option<Side>,
    /// What the partner who declined would rather have.
    pub modification: Option<PrivateText>,
    /// Something it was built on has been withdrawn.
    pub has_stale_inputs: bool,
}

impl Agreement {
    /// When the partners want to be reminded, unless they have been.
    pub fn follow_up(&self) -> Option<Timestamp> {
        self.follow_up_at.filter(|_| self.status == AgreementStatus::Agreed && !self.reminded)
    }

    pub fn is_follow_up_due(&self, now: Timestamp) -> bool {
        self.follow_up().is_some_and(|at| at <= now)
    }

    pub(super) fn forget_texts_of(&mut self, side: Side) {
        if self.words_of.unwrap_or(self.proposer) == side {
            self.description = PrivateText::default();
            self.duration = None;
            self.measure_of_success = None;
        }
        if self.declined_by == Some(side) {
            self.modification = None;
        }
    }
}
