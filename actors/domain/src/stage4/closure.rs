//! How the proposal path ends: with a shared agreement or without one. Either partner can close.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AgreementId, StrategyId},
    private_text::PrivateText,
    side::Side,
    time::Timestamp,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ClosureKind {
    SharedAgreement,
    NoSharedAgreement,
}

impl ClosureKind {
    pub const NAMES: [(&'static str, ClosureKind); 2] =
        [("SHARED_AGREEMENT", ClosureKind::SharedAgreement), ("NO_SHARED_AGREEMENT", ClosureKind::NoSharedAgreement)];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ClosureReason {
    MutualSelection,
    NoOverlap,
    BoundaryHonored,
    UserStopped,
}

impl ClosureReason {
    pub const NAMES: [(&'static str, ClosureReason); 4] = [
        ("MUTUAL_SELECTION", ClosureReason::MutualSelection),
        ("NO_OVERLAP", ClosureReason::NoOverlap),
        ("BOUNDARY_HONORED", ClosureReason::BoundaryHonored),
        ("USER_STOPPED", ClosureReason::UserStopped),
    ];

    /// A partner may always stop, even if both are willing to do something.
    pub(crate) const fn is_a_decision_to_stop(self) -> bool {
        matches!(self, ClosureReason::BoundaryHonored | ClosureReason::UserStopped)
    }
}

/// A strategy that became an agreement by closing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedAgreement {
    pub id: AgreementId,
    pub strategy: StrategyId,
    pub check_in_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closure {
    pub kind: ClosureKind,
    pub reason: ClosureReason,
    /// Written by the partner who closed; both see it.
    pub summary: Option<PrivateText>,
    pub by: Side,
    pub at: Timestamp,
    pub check_in_at: Timestamp,
    pub agreements: Vec<AgreementId>,
}
