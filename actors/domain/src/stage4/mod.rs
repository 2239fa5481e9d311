//! Stage 4 has two paths through one pool of strategies. On the ranking path a partner says "ready" and ranks the
//! strategies. On the proposal path a partner takes a stance on each proposal and shares the stances. Both paths lead
//! to a submission, which says for each strategy whether its partner is willing. Two submissions make the result,
//! whatever paths they come from.

mod closure;
mod sub_chat;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use closure::Closure;
pub use closure::{ClosedAgreement, ClosureKind, ClosureReason};
use serde::{Deserialize, Serialize};
pub use sub_chat::{Anchor, Candidate, ChatRole};
pub(crate) use sub_chat::{SubChat, SubChatMessage};

use crate::{
    ids::{NeedId, StrategyId},
    private_text::PrivateText,
    time::Timestamp,
};

/// The path of a partner's client. The first call of the stage reveals it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage4Path {
    /// "Ready", then a ranking.
    Ranking,
    /// A stance on each proposal.
    Proposals,
}

/// A partner's stance on a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Decision {
    /// The partner would do it.
    Willing,
    /// The partner would not do it.
    NotWilling,
}

/// A decision as it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// The proposal.
    pub strategy: StrategyId,
    /// Whether the partner would do it.
    pub decision: Decision,
    /// The partner's own words; private until both have shared.
    #[serde(default)]
    pub note: Option<PrivateText>,
}

/// A partner's stance on one proposal. It is private until both have shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stance {
    pub(crate) decision: Decision,
    pub(crate) note: Option<PrivateText>,
    pub(crate) selected_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// What a partner did with a need in the walkthrough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WalkStep {
    /// The partner has proposals for the need.
    Covered,
    /// The partner leaves the need without a proposal.
    Skipped,
}

/// One partner's part of the proposal path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Stage4 {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<Stage4Path>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) stances: BTreeMap<StrategyId, Stance>,
    /// When the stances were shared. None if they are not shared at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shared_at: Option<Timestamp>,
    /// They have been shared at least once.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) shared_before: bool,
    /// Needs that this partner does not want to address.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) declined_needs: BTreeSet<NeedId>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) walked: BTreeMap<NeedId, WalkStep>,
    /// This partner has begun the walkthrough of the needs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) walks: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sub_chats: Vec<SubChat>,
}

impl Stage4 {
    pub(super) fn select(&mut self, selections: &[Selection], at: Timestamp) {
        for Selection { strategy, decision, note } in selections {
            let selected_at = self.stances.get(strategy).map_or(at, |stance| stance.selected_at);
            let stance = Stance { decision: *decision, note: note.clone(), selected_at, updated_at: at };
            self.stances.insert(strategy.clone(), stance);
        }
    }

    /// The text of the proposal has changed since the partner took a stance.
    pub(super) fn forget_stance_on(&mut self, strategy: &StrategyId) {
        self.stances.remove(strategy);
        self.shared_at = None;
    }

    pub(super) fn forget_texts(&mut self) {
        self.stances.values_mut().for_each(|stance| stance.note = None);
        self.sub_chats.iter_mut().for_each(SubChat::forget_texts);
    }
}
