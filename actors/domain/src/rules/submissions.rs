//! The submissions of two partners and their overlap. A ranking and shared stances are two forms of a submission: a
//! ranked strategy is one that the partner is willing to do.

use std::collections::BTreeMap;

use crate::{
    agreement::AgreementStatus,
    ids::StrategyId,
    member::Member,
    session::Session,
    side::Side,
    stage4::{Decision, Stage4Path, Stance},
    strategy,
};

/// What a partner has submitted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Submission<'a> {
    /// Strategies in order of preference, the best first.
    Ranking(&'a [StrategyId]),
    Stances(&'a BTreeMap<StrategyId, Stance>),
}

impl Submission<'_> {
    pub(crate) fn is_willing(self, id: &StrategyId) -> bool {
        match self {
            Submission::Ranking(ranking) => ranking.contains(id),
            Submission::Stances(stances) => stances.get(id).is_some_and(|stance| stance.decision == Decision::Willing),
        }
    }

    /// The position in a ranking. Stances have no order.
    fn rank(self, id: &StrategyId) -> usize {
        match self {
            Submission::Ranking(ranking) => ranking.iter().position(|ranked| ranked == id).unwrap_or(ranking.len()),
            Submission::Stances(_) => 0,
        }
    }

    /// All strategies that this partner is willing to do, the best first.
    pub(crate) fn willing(self) -> Vec<StrategyId> {
        match self {
            Submission::Ranking(ranking) => ranking.to_vec(),
            Submission::Stances(stances) => stances.keys().filter(|id| self.is_willing(id)).cloned().collect(),
        }
    }

    /// The strategies that both are willing to do, by the sum of the ranks, then by id. The order is the same for both.
    pub(crate) fn mutual(self, other: Submission<'_>) -> Vec<StrategyId> {
        let mut mutual: Vec<_> = self.willing().into_iter().filter(|id| other.is_willing(id)).collect();
        mutual.sort_by_key(|id| (self.rank(id) + other.rank(id), id.clone()));
        mutual
    }

    /// The overlap of two submissions. Of two rankings only the first three places count.
    pub(crate) fn overlap(self, other: Submission<'_>) -> Vec<StrategyId> {
        match (self, other) {
            (Submission::Ranking(one), Submission::Ranking(other)) => strategy::overlap(one, other),
            _ => self.mutual(other),
        }
    }
}

impl Session {
    /// A partner's submission in the present round. Shared stances count only while there is one for each strategy, so
    /// a strategy that was added later needs a stance, too.
    pub(crate) fn submission(&self, side: Side) -> Option<Submission<'_>> {
        let Member { round, stage4, .. } = self.member(side)?;
        if round.ranked_at.is_some() {
            return Some(Submission::Ranking(&round.ranking));
        }
        let is_complete = self.pool.strategies.iter().all(|strategy| stage4.stances.contains_key(&strategy.id));
        stage4.shared_at.filter(|_| is_complete).map(|_| Submission::Stances(&stage4.stances))
    }

    /// A partner's submission in the present round, or the ranking of the former round, which was revealed without an
    /// overlap.
    pub(crate) fn latest_submission(&self, side: Side) -> Option<Submission<'_>> {
        let previous = || {
            let previous = &self.member(side)?.round.previous;
            (!previous.is_empty()).then_some(Submission::Ranking(previous))
        };
        self.submission(side).or_else(previous)
    }

    /// A partner's present decision on a strategy, submitted or not.
    pub(crate) fn decision_of(&self, side: Side, id: &StrategyId) -> Option<Decision> {
        match self.latest_submission(side) {
            Some(submission @ Submission::Ranking(_)) => {
                Some(if submission.is_willing(id) { Decision::Willing } else { Decision::NotWilling })
            }
            _ => self.member(side)?.stage4.stances.get(id).map(|stance| stance.decision),
        }
    }

    /// Both submissions of the present round, this side's first. None before both are in.
    pub(crate) fn submissions(&self, side: Side) -> Option<(Submission<'_>, Submission<'_>)> {
        self.submission(side).zip(self.submission(side.other()))
    }

    /// The latest submissions of both, which the proposal path shows.
    pub(crate) fn latest_submissions(&self, side: Side) -> Option<(Submission<'_>, Submission<'_>)> {
        self.latest_submission(side).zip(self.latest_submission(side.other()))
    }

    /// Whether a partner is ready to rank. A partner on the proposal path cannot say "ready", and counts as ready when
    /// the other partner says it.
    pub(crate) fn is_ready(&self, side: Side) -> bool {
        let says_ready = |side| self.member(side).is_some_and(|member: &Member| member.round.ready_at.is_some());
        let path = self.member(side).and_then(|member| member.stage4.path);
        says_ready(side) || (path == Some(Stage4Path::Proposals) && says_ready(side.other()))
    }

    /// The overlap of the present round. None before both submissions are in.
    pub(crate) fn round_overlap(&self) -> Option<Vec<StrategyId>> {
        self.submissions(Side::Creator).map(|(one, other)| one.overlap(other))
    }

    /// The strategies that can be proposed as an agreement. None before both have submitted once.
    pub(crate) fn candidates(&self) -> Option<Vec<StrategyId>> {
        let meeting = self.round_overlap();
        match (&self.pool.reveal, &meeting) {
            (Some(reveal), None) => Some(reveal.candidates.clone()),
            (Some(reveal), Some(overlap)) if overlap.is_empty() => Some(reveal.candidates.clone()),
            _ => meeting,
        }
    }

    /// Whether a partner may add strategies. A partner on the proposal path has not asked to close the pool. For such a
    /// partner it stays open until something is submitted, and for two of them always.
    pub(crate) fn accepts_strategies_of(&self, side: Side) -> bool {
        if self.pool_is_open() {
            return true;
        }
        let both = |test: &dyn Fn(Side) -> bool| Side::BOTH.into_iter().all(test);
        let says_nothing = |side| {
            self.member(side)
                .is_none_or(|member: &Member| member.round.ready_at.is_none() && member.round.ranked_at.is_none())
        };
        let is_on_proposals = self.member(side).is_some_and(|me| me.stage4.path == Some(Stage4Path::Proposals));
        is_on_proposals
            && says_nothing(side)
            && !self.has_agreed()
            && (both(&says_nothing) || both(&|side| self.submission(side).is_none()))
    }

    pub(crate) fn is_in_app_mode(&self, side: Side) -> bool {
        self.member(side)
            .is_some_and(|member| member.in_app_mode() || member.stage4.path == Some(Stage4Path::Proposals))
    }

    pub(crate) fn has_proposal(&self) -> bool {
        self.agreements.iter().any(|agreement| agreement.status == AgreementStatus::Proposed)
    }
}
