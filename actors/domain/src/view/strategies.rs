//! Strategies without authors and times, in an order that reveals nothing. Rankings are hidden until both are in.

use serde::Serialize;

use super::{Answer, Viewer};
use crate::{
    event::{Event, EventBody},
    ids::{Seq, StrategyId},
    private_text::PrivateText,
    strategy::{Strategy, StrategyPhase},
    time::Timestamp,
};

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct StrategyView {
    id: StrategyId,
    description: PrivateText,
    /// Labels of needs, at most 3.
    needs_addressed: Vec<PrivateText>,
    duration: Option<PrivateText>,
    measure_of_success: Option<PrivateText>,
}

/// The answer to `GET /sessions/{id}/strategies`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct StrategiesList {
    strategies: Vec<StrategyView>,
    phase: StrategyPhase,
    my_ready_to_rank: bool,
    /// The partner adds no more strategies.
    partner_ready_to_rank: bool,
    /// The caller can say "ready": the pool is open and not empty.
    can_mark_ready_to_rank: bool,
    /// Both are ready, and a ranking is missing.
    can_rank: bool,
    rankable_strategy_count: usize,
    /// The viewer's ranking, the best first.
    my_ranking: Vec<StrategyId>,
    /// Always false: another service suggests.
    ai_suggestions_available: bool,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/strategies`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct StrategyProposed {
    strategy: StrategyView,
    created_at: Timestamp,
    total_strategies: usize,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/strategies/ready`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReadyToRank {
    ready: bool,
    ready_at: Option<Timestamp>,
    partner_ready: bool,
    can_start_ranking: bool,
    phase: StrategyPhase,
    seq: Seq,
}

/// The answer to `POST /sessions/{id}/strategies/rank`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RankingSubmitted {
    submitted: bool,
    submitted_at: Option<Timestamp>,
    ranked: bool,
    ranked_at: Option<Timestamp>,
    partner_submitted: bool,
    partner_ranked: bool,
    /// The partner's ranking is missing.
    awaiting_reveal: bool,
    /// Both rankings are in.
    can_reveal: bool,
    phase: StrategyPhase,
    seq: Seq,
}

/// The answer to `GET /sessions/{id}/strategies/overlap`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Overlap {
    /// Null before both have ranked; empty if the rankings do not meet.
    overlap: Option<Vec<StrategyView>>,
    phase: StrategyPhase,
    /// Nothing is revealed yet.
    waiting_for_partner: bool,
    /// What can be proposed: the overlap, or each one's first choice.
    agreement_candidates: Vec<StrategyView>,
    seq: Seq,
}

impl Viewer<'_> {
    fn strategy(&self, strategy: &Strategy) -> StrategyView {
        StrategyView {
            id: strategy.id.clone(),
            description: strategy.description.clone(),
            needs_addressed: self.addressed_needs(strategy).into_iter().map(|need| need.label).collect(),
            duration: strategy.duration.clone(),
            measure_of_success: strategy.measure_of_success.clone(),
        }
    }

    pub(super) fn strategies(&self) -> StrategiesList {
        let pool = &self.session.pool;
        let phase = self.session.strategy_phase();
        let ready = self.me.round.ready_at.is_some();
        StrategiesList {
            strategies: pool
                .in_order_for(&self.me.id, &self.session.salt)
                .into_iter()
                .map(|strategy| self.strategy(strategy))
                .collect(),
            phase: self.session.shown_phase(self.side),
            my_ready_to_rank: ready,
            partner_ready_to_rank: self.partner_is_ready(),
            can_mark_ready_to_rank: !ready && self.session.pool_is_open() && !pool.strategies.is_empty(),
            can_rank: phase == StrategyPhase::Ranking,
            rankable_strategy_count: pool.strategies.len(),
            my_ranking: self.me.round.ranking.clone(),
            ai_suggestions_available: false,
            seq: self.session.seq,
        }
    }

    pub(super) fn strategy_proposed(&self, events: &[Event]) -> Answer {
        let proposed = events.iter().find_map(|event| {
            let EventBody::StrategyProposed { id, .. } = &event.body else { return None };
            Some((self.session.pool.find(id)?, event.at))
        });
        match proposed {
            Some((strategy, created_at)) => Answer::StrategyProposed(StrategyProposed {
                strategy: self.strategy(strategy),
                created_at,
                total_strategies: self.session.pool.strategies.len(),
                seq: self.session.seq,
            }),
            None => Answer::done(self.session.seq),
        }
    }

    fn partner_is_ready(&self) -> bool {
        self.session.is_ready(self.side.other())
    }

    pub(super) fn ready_to_rank(&self) -> ReadyToRank {
        let phase = self.session.strategy_phase();
        ReadyToRank {
            ready: self.me.round.ready_at.is_some(),
            ready_at: self.me.round.ready_at,
            partner_ready: self.partner_is_ready(),
            can_start_ranking: phase == StrategyPhase::Ranking,
            phase: self.session.shown_phase(self.side),
            seq: self.session.seq,
        }
    }

    /// After a round without an overlap both partners' parts are empty again, although both had submitted.
    pub(super) fn ranking_submitted(&self) -> RankingSubmitted {
        let ranked_at = self.me.round.ranked_at;
        let revealed = self.session.pool.reveal.as_ref().filter(|_| self.is_revealed());
        let submitted_at = ranked_at.or(revealed.map(|reveal| reveal.at));
        let partner_ranked = revealed.is_some() || self.session.submission(self.side.other()).is_some();
        RankingSubmitted {
            submitted: submitted_at.is_some(),
            submitted_at,
            ranked: submitted_at.is_some(),
            ranked_at: submitted_at,
            partner_submitted: partner_ranked,
            partner_ranked,
            awaiting_reveal: !partner_ranked,
            can_reveal: partner_ranked,
            phase: self.session.shown_phase(self.side),
            seq: self.session.seq,
        }
    }

    /// Whether the rankings of the latest round have been revealed, and no ranking of a later one is in.
    fn is_revealed(&self) -> bool {
        let phase = self.session.strategy_phase();
        self.session.pool.reveal.is_some()
            && (matches!(phase, StrategyPhase::Revealing | StrategyPhase::Agreed) || self.me.round.ranked_at.is_none())
            && self.revealed_overlap().is_some()
    }

    /// An overlap is visible while both submissions stand. An empty overlap of an earlier round stays visible.
    fn revealed_overlap(&self) -> Option<Vec<StrategyId>> {
        let reveal = self.session.pool.reveal.as_ref();
        let stays_true = reveal.filter(|reveal| reveal.overlap.is_empty() || self.session.has_agreed());
        let meeting = self.session.round_overlap().filter(|overlap| !overlap.is_empty());
        meeting.or_else(|| stays_true.map(|reveal| reveal.overlap.clone()))
    }

    pub(super) fn overlap(&self) -> Overlap {
        let pool = &self.session.pool;
        let views = |ids: &[StrategyId]| {
            ids.iter().filter_map(|id| pool.find(id)).map(|strategy| self.strategy(strategy)).collect()
        };
        let overlap = self.revealed_overlap();
        let is_revealed = overlap.is_some() && (pool.reveal.is_none() || self.is_revealed());
        Overlap {
            agreement_candidates: match &overlap {
                Some(_) => views(&self.session.candidates().unwrap_or_default()),
                None => Vec::new(),
            },
            overlap: overlap.map(|overlap| views(&overlap)),
            phase: self.session.shown_phase(self.side),
            waiting_for_partner: !is_revealed,
            seq: self.session.seq,
        }
    }
}
