//! Strategies (stage 4): one unlabelled pool, private rankings, an overlap that both learn at once.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ids::{self, StrategyId, UserId},
    member::Side,
    session::Session,
    time::Timestamp,
    words::Words,
};

/// How far down a ranking two partners can meet.
const TOP: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    pub description: Words,
    pub needs_addressed: Vec<Words>,
    pub duration: Option<Words>,
    pub measure_of_success: Option<Words>,
}

impl Strategy {
    pub(super) fn forget_words(&mut self) {
        self.description = Words::default();
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
    pub fn in_order_for(&self, viewer: &UserId, salt: &Words) -> Vec<&Strategy> {
        let mut keyed: Vec<_> = self
            .strategies
            .iter()
            .map(|strategy| {
                let place = ids::digest(&[
                    salt.reveal().as_bytes(),
                    viewer.as_str().as_bytes(),
                    strategy.id.as_str().as_bytes(),
                ]);
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

impl Session {
    pub(super) fn strategy_phase(&self) -> StrategyPhase {
        let both = |test: fn(&Round) -> bool| {
            test(&self.creator.round) && self.invitee.as_ref().is_some_and(|invitee| test(&invitee.round))
        };
        if self.has_agreed() {
            StrategyPhase::Agreed
        } else if both(|round| round.ranked_at.is_some()) {
            StrategyPhase::Revealing
        } else if both(|round| round.ready_at.is_some()) {
            StrategyPhase::Ranking
        } else if self.pool.rounds_without_overlap > 0 {
            StrategyPhase::Negotiating
        } else {
            StrategyPhase::Collecting
        }
    }

    pub(super) fn pool_is_open(&self) -> bool {
        matches!(self.strategy_phase(), StrategyPhase::Collecting | StrategyPhase::Negotiating)
    }
}
