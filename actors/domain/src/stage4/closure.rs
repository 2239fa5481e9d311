//! How the proposal path ends: with a shared agreement or without one. Either partner can close.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AgreementId, StrategyId},
    private_text::PrivateText,
    side::Side,
    time::Timestamp,
};

/// How stage 4 ended on the proposal path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum ClosureKind {
    /// With at least one agreement of both.
    SharedAgreement,
    /// The partners close the session without an agreement.
    NoSharedAgreement,
}

/// Why a partner closed the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum ClosureReason {
    /// Both are willing to do something.
    MutualSelection,
    /// There is nothing that both are willing to do.
    NoOverlap,
    /// A partner's boundary forbids an agreement.
    BoundaryHonored,
    /// A partner wants to stop.
    UserStopped,
}

impl ClosureReason {
    /// A partner may always stop, even if both are willing to do something.
    pub(crate) const fn is_a_decision_to_stop(self) -> bool {
        matches!(self, ClosureReason::BoundaryHonored | ClosureReason::UserStopped)
    }
}

/// A strategy that became an agreement by closing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedAgreement {
    /// The agreement.
    pub id: AgreementId,
    /// The proposal that it was made of.
    pub strategy: StrategyId,
    /// When its first check-in opens.
    pub check_in_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closure {
    pub(crate) kind: ClosureKind,
    pub(crate) reason: ClosureReason,
    /// Written by the partner who closed; both see it.
    pub(crate) summary: Option<PrivateText>,
    pub(crate) by: Side,
    pub(crate) at: Timestamp,
    pub(crate) check_in_at: Timestamp,
    pub(crate) agreements: Vec<AgreementId>,
}
