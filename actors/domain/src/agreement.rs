//! Agreements (stage 4): proposed by one partner, confirmed or declined by the other.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AgreementId, StrategyId},
    private_text::PrivateText,
    side::Side,
    time::Timestamp,
};

/// The most agreements of one session that are proposed or agreed.
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
    /// The agreement counts towards [`MAX_LIVE`].
    pub(crate) fn is_live(self) -> bool {
        self != AgreementStatus::Abandoned
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    pub id: AgreementId,
    pub proposer: Side,
    /// The author of the text, if it is not the proposer: both partners were willing to do what one of them had
    /// proposed. No view shows it.
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
    /// What the declining partner prefers instead.
    pub modification: Option<PrivateText>,
    /// A partner has withdrawn content that the agreement was based on.
    pub has_stale_inputs: bool,
}

impl Agreement {
    /// The time of the reminder. None if it was sent already.
    pub(crate) fn follow_up(&self) -> Option<Timestamp> {
        self.follow_up_at.filter(|_| self.status == AgreementStatus::Agreed && !self.reminded)
    }

    pub(crate) fn is_follow_up_due(&self, now: Timestamp) -> bool {
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
