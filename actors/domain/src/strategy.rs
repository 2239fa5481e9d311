//! Strategies (stage 4): one pool without authors, private rankings, and an overlap that both partners see at the same
//! time.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{self, StrategyId, UserId},
    private_text::{PrivateText, Salt},
    side::Side,
    time::Timestamp,
};

/// The number of first places of a ranking that count for the overlap.
const TOP: usize = 3;

/// The phase of stage 4 on the ranking path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum StrategyPhase {
    /// The pool is open.
    Collecting,
    /// The pool is locked, and a ranking is missing.
    Ranking,
    /// Both have ranked, and the overlap can be seen.
    Revealing,
    /// The rankings do not meet, and the pool is open again; or an agreement is proposed.
    Negotiating,
    /// There is an agreement of both.
    Agreed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Strategy {
    pub(crate) id: StrategyId,
    /// Kept for erasure only. No view shows it.
    pub(crate) author: Side,
    pub(crate) description: PrivateText,
    pub(crate) needs_addressed: Vec<PrivateText>,
    pub(crate) duration: Option<PrivateText>,
    pub(crate) measure_of_success: Option<PrivateText>,
    /// The text has changed since the strategy was proposed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) revised: bool,
}

impl Strategy {
    pub(super) fn forget_texts(&mut self) {
        self.description = PrivateText::default();
        self.needs_addressed.clear();
        self.duration = None;
        self.measure_of_success = None;
    }
}

/// The result of the two rankings of a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reveal {
    pub(crate) overlap: Vec<StrategyId>,
    /// The overlap. If it is empty, the first choice of each partner.
    pub(crate) candidates: Vec<StrategyId>,
    pub(crate) at: Timestamp,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pool {
    pub(crate) strategies: Vec<Strategy>,
    /// The number of rounds without an overlap. The pool opened again after each.
    pub(crate) rounds_without_overlap: u32,
    pub(crate) reveal: Option<Reveal>,
}

impl Pool {
    pub(crate) fn find(&self, id: &StrategyId) -> Option<&Strategy> {
        self.strategies.iter().find(|strategy| strategy.id == *id)
    }

    /// The strategies in an order that is stable for this viewer. It is computed from a secret, so that it reveals
    /// neither the authors nor the newest strategy.
    pub(crate) fn in_order_for(&self, viewer: &UserId, salt: &Salt) -> Vec<&Strategy> {
        let mut keyed: Vec<_> = self
            .strategies
            .iter()
            .map(|strategy| {
                let place =
                    ids::digest(&[salt.as_bytes(), viewer.as_str().as_bytes(), strategy.id.as_str().as_bytes()]);
                (place, strategy)
            })
            .collect();
        keyed.sort_by_key(|(place, _)| *place);
        keyed.into_iter().map(|(_, strategy)| strategy).collect()
    }
}

/// One partner's part in the round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Round {
    pub(crate) ready_at: Option<Timestamp>,
    pub(crate) ranking: Vec<StrategyId>,
    pub(crate) ranked_at: Option<Timestamp>,
    /// The ranking of the former round, which was revealed without an overlap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) previous: Vec<StrategyId>,
}

impl Round {
    /// Ends the round when both rankings are in. Without an overlap the round is over, and its ranking is remembered.
    /// An overlap with the ranking of the former round makes that ranking count again.
    pub(super) fn reveal(&mut self, is_over: bool, shares_stances: bool, at: Timestamp) {
        if is_over {
            let ranking = if self.ranked_at.is_some() { &mut self.ranking } else { &mut self.previous };
            *self = Round { previous: std::mem::take(ranking), ..Round::default() };
        } else if self.ranked_at.is_none() && !shares_stances && !self.previous.is_empty() {
            self.ranking = std::mem::take(&mut self.previous);
            self.ranked_at = Some(at);
        }
    }

    /// Withdraws what was submitted. Returns the ranking, so that stances can replace it.
    pub(super) fn take_back(&mut self) -> Vec<StrategyId> {
        let previous = std::mem::take(&mut self.previous);
        if self.ranked_at.take().is_some() { std::mem::take(&mut self.ranking) } else { previous }
    }
}

/// The overlap of two rankings: the strategies among the first three of both, by the sum of the ranks, then by id.
pub fn overlap(one: &[StrategyId], other: &[StrategyId]) -> Vec<StrategyId> {
    let top = |ranking: &[StrategyId], id: &StrategyId| ranking.iter().take(TOP).position(|ranked| ranked == id);
    let mut shared: Vec<_> = one
        .iter()
        .take(TOP)
        .enumerate()
        .filter_map(|(rank, id)| top(other, id).map(|other_rank| (rank + other_rank, id)))
        .collect();
    shared.sort();
    shared.into_iter().map(|(_, id)| id.clone()).collect()
}

/// The strategies that can be proposed after the rankings: the overlap, or the first choice of each partner. They are
/// ordered by id, so that the order reveals nothing.
pub fn candidates(overlap: &[StrategyId], one: &[StrategyId], other: &[StrategyId]) -> Vec<StrategyId> {
    if !overlap.is_empty() {
        return overlap.to_vec();
    }
    let mut firsts: Vec<_> = one.first().into_iter().chain(other.first()).cloned().collect();
    firsts.sort();
    firsts.dedup();
    firsts
}
