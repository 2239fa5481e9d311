//! Agreements (stage 4): proposed by one partner, confirmed or declined by the other.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AgreementId, StrategyId},
    private_text::PrivateText,
    side::Side,
    time::Timestamp,
};

/// The most agreements of one session that are proposed or agreed.
pub(crate) const MAX_LIVE: usize = 2;

/// The kind of step that the partners agree on. The proposer chooses it; nothing else follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum AgreementType {
    /// A small step, tried for a limited time.
    MicroExperiment,
    /// A lasting promise.
    Commitment,
    /// A conversation at a later time.
    CheckIn,
    /// A mixture of the others.
    Hybrid,
}

/// The status of an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AgreementStatus {
    /// Waits for the other partner's answer.
    Proposed,
    /// Both partners have confirmed it.
    Agreed,
    /// Reserved: the app knows it, and the coordinator never sets it.
    InProgress,
    /// Reserved: the app knows it, and the coordinator never sets it.
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
pub(crate) struct Agreement {
    pub(crate) id: AgreementId,
    pub(crate) proposer: Side,
    /// The author of the text, if it is not the proposer: both partners were willing to do what one of them had
    /// proposed. No view shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) words_of: Option<Side>,
    pub(crate) strategy: Option<StrategyId>,
    pub(crate) description: PrivateText,
    pub(crate) kind: AgreementType,
    pub(crate) duration: Option<PrivateText>,
    pub(crate) measure_of_success: Option<PrivateText>,
    pub(crate) follow_up_at: Option<Timestamp>,
    pub(crate) reminded: bool,
    pub(crate) status: AgreementStatus,
    pub(crate) proposed_at: Timestamp,
    pub(crate) agreed_at: Option<Timestamp>,
    pub(crate) declined_by: Option<Side>,
    /// What the declining partner prefers instead.
    pub(crate) modification: Option<PrivateText>,
    /// A partner has withdrawn content that the agreement was based on.
    pub(crate) has_stale_inputs: bool,
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
