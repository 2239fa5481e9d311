//! Strategies (stage 4): one unlabelled pool, private rankings, an overlap that both learn at once.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{self, StrategyId, UserId},
    private_text::{PrivateText, Salt},
    side::Side,
    time::Timestamp,
};

/// How far down a ranking two partners can meet.
const TOP: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StrategyPhase {
    Collecting,
    Ranking,
    Revealing,
    Negotiating,
    Agreed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strategy {
    pub id: StrategyId,
    /// Kept for erasure alone; no view shows it.
    pub author: Side,
    pub description: PrivateText,
    pub needs_addressed: Vec<PrivateText>,
    pub duration: Option<PrivateText>,
    pub measure_of_success: Option<PrivateText>,
    /// Put in other words since it was proposed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revised: bool,
}

impl Strategy {
    pub(super) fn forget_texts(&mut self) {
        self.description = PrivateText::default();
        self.needs_addressed.clear();
        self.duration = None;
        self.measure_of_success = None;
    }
}

/// What both rankings of a round came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reveal {
    pub overlap: Vec<StrategyId>,
    /// The overlap, or, where there is none, each partner's first choice.
    pub candidates: Vec<StrategyId>,
    pub at: Timestamp,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    pub strategies: Vec<Strategy>,
    /// Rankings that were revealed without an overlap, after which the pool opened again.
    pub rounds_without_overlap: u32,
    pub reveal: Option<Reveal>,
}

impl Pool {
    pub fn find(&self, id: &StrategyId) -> Option<&Strategy> {
        self.strategies.iter().find(|strategy| strategy.id == *id)
    }

    /// The strategies in the order in which this viewer sees them: stable for the viewer, and made of a secret, so that it
    /// tells neither who wrote what nor what came last.
    pub fn in_order_for(&self, viewer: &UserId, salt: &Salt) -> Vec<&Strategy> {
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
pub struct Round {
    pub ready_at: Option<Timestamp>,
    pub ranking: Vec<StrategyId>,
    pub ranked_at: Option<Timestamp>,
    /// The ranking of the round before, which was revealed without an overlap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous: Vec<StrategyId>,
}

impl Round {
    /// What becomes of the round when both are in. Without an overlap it is over, and its ranking is remembered. An overlap
    /// with the ranking of the round before takes that one up again.
    pub(super) fn reveal(&mut self, is_over: bool, shares_stances: bool, at: Timestamp) {
        if is_over {
            let ranking = if self.ranked_at.is_some() { &mut self.ranking } else { &mut self.previous };
            *self = Round { previous: std::mem::take(ranking), ..Round::default() };
        } else if self.ranked_at.is_none() && !shares_stances && !self.previous.is_empty() {
            self.ranking = std::mem::take(&mut self.previous);
            self.ranked_at = Some(at);
        }
    }

    /// What was handed in no longer stands; the ranking, for what comes in its place.
    pub(super) fn take_back(&mut self) -> Vec<StrategyId> {
        let previous = std::mem::take(&mut self.previous);
        if self.ranked_at.take().is_some() { std::mem::take(&mut self.ranking) } else { previous }
    }
}

/// The overlap of two rankings, best first: what is among both partners' first three, by the sum of the ranks, then by id.
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

/// What may be proposed after the rankings: the overlap, or each one's first choice, ordered by id so that it tells no more.
pub fn candidates(overlap: &[StrategyId], one: &[StrategyId], other: &[StrategyId]) -> Vec<StrategyId> {
    if !overlap.is_empty() {
        return overlap.to_vec();
    }
    let mut firsts: Vec<_> = one.first().into_iter().chain(other.first()).cloned().collect();
    firsts.sort();
    firsts.dedup();
    firsts
}
