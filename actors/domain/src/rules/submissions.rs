//! What two partners' submissions come to. A ranking and shared stances are the same thing said in two ways: what is ranked
//! is willing, and everything else is not.

use std::collections::BTreeMap;

use crate::{
    agreement::AgreementStatus,
    ids::StrategyId,
    member::Member,
    session::Session,
    side::Side,
    stage4::{Decision, Path, Stance},
    strategy,
};

/// What a partner has handed in.
#[derive(Clone, Copy, Debug)]
pub enum Submission<'a> {
    /// The best first.
    Ranking(&'a [StrategyId]),
    Stances(&'a BTreeMap<StrategyId, Stance>),
}

impl Submission<'_> {
    pub fn is_willing(self, id: &StrategyId) -> bool {
        match self {
            Submission::Ranking(ranking) => ranking.contains(id),
            Submission::Stances(stances) => stances.get(id).is_some_and(|stance| stance.decision == Decision::Willing),
        }
    }

    /// The place in a ranking. Stances prefer nothing.
    fn rank(self, id: &StrategyId) -> usize {
        match self {
            Submission::Ranking(ranking) => ranking.iter().position(|ranked| ranked == id).unwrap_or(ranking.len()),
            Submission::Stances(_) => 0,
        }
    }

    /// Everything this partner is willing to do, the preferred first.
    pub fn willing(self) -> Vec<StrategyId> {
        match self {
            Submission::Ranking(ranking) => ranking.to_vec(),
            Submission::Stances(stances) => stances.keys().filter(|id| self.is_willing(id)).cloned().collect(),
        }
    }

    /// What both are willing to do, by the sum of the ranks, then by id: the same for both.
    pub fn mutual(self, other: Submission<'_>) -> Vec<StrategyId> {
        let mut mutual: Vec<_> = self.willing().into_iter().filter(|id| other.is_willing(id)).collect();
        mutual.sort_by_key(|id| (self.rank(id) + other.rank(id), id.clone()));
        mutual
    }

    /// Where the two meet. Two rankings meet among their first three.
    pub fn overlap(self, other: Submission<'_>) -> Vec<StrategyId> {
        match (self, other) {
            (Submission::Ranking(one), Submission::Ranking(other)) => strategy::overlap(one, other),
            _ => self.mutual(other),
        }
    }
}

impl Session {
    /// What a partner has handed in for the round that is going on. Shared stances count while there is one for each
    /// proposal: an idea that came later has to be answered, too.
    pub(crate) fn submission(&self, side: Side) -> Option<Submission<'_>> {
        let Member { round, stage4, .. } = self.seat(side)?;
        if round.ranked_at.is_some() {
            return Some(Submission::Ranking(&round.ranking));
        }
        let is_complete = self.pool.strategies.iter().all(|strategy| stage4.stances.contains_key(&strategy.id));
        stage4.shared_at.filter(|_| is_complete).map(|_| Submission::Stances(&stage4.stances))
    }

    /// The same, or the ranking of the round before, which was revealed without an overlap.
    pub(crate) fn latest_submission(&self, side: Side) -> Option<Submission<'_>> {
        let previous = || {
            let previous = &self.seat(side)?.round.previous;
            (!previous.is_empty()).then_some(Submission::Ranking(previous))
        };
        self.submission(side).or_else(previous)
    }

    /// What a partner stands for now, handed in or not.
    pub(crate) fn decision_of(&self, side: Side, id: &StrategyId) -> Option<Decision> {
        match self.latest_submission(side) {
            Some(submission @ Submission::Ranking(_)) => {
                Some(if submission.is_willing(id) { Decision::Willing } else { Decision::NotWilling })
            }
            _ => self.seat(side)?.stage4.stances.get(id).map(|stance| stance.decision),
        }
    }

    /// Both submissions of the round that is going on, this side's first; none before both are in.
    pub(crate) fn submissions(&self, side: Side) -> Option<(Submission<'_>, Submission<'_>)> {
        self.submission(side).zip(self.submission(side.other()))
    }

    /// The latest submissions of both: what the proposal path shows.
    pub(crate) fn latest_submissions(&self, side: Side) -> Option<(Submission<'_>, Submission<'_>)> {
        self.latest_submission(side).zip(self.latest_submission(side.other()))
    }

    /// A partner on the proposal path has no way to say "ready", and counts as ready when the other one says it.
    pub(crate) fn is_ready(&self, side: Side) -> bool {
        let says_ready = |side| self.seat(side).is_some_and(|member: &Member| member.round.ready_at.is_some());
        let path = self.seat(side).and_then(|member| member.stage4.path);
        says_ready(side) || (path == Some(Path::Proposals) && says_ready(side.other()))
    }

    /// Where both meet in the round that is going on; none before both are in.
    pub(crate) fn meeting(&self) -> Option<Vec<StrategyId>> {
        self.submissions(Side::Creator).map(|(one, other)| one.overlap(other))
    }

    /// What can be proposed as an agreement; none before both were in at least once.
    pub(crate) fn candidates(&self) -> Option<Vec<StrategyId>> {
        let meeting = self.meeting();
        match (&self.pool.reveal, &meeting) {
            (Some(reveal), None) => Some(reveal.candidates.clone()),
            (Some(reveal), Some(overlap)) if overlap.is_empty() => Some(reveal.candidates.clone()),
            _ => meeting,
        }
    }

    /// Whether a partner may bring in ideas. A partner on the proposal path has not asked for the pool to be closed: for such
    /// a partner it stays open until something is handed in, and for two of them always.
    pub(crate) fn takes_ideas_of(&self, side: Side) -> bool {
        if self.pool_is_open() {
            return true;
        }
        let both = |test: &dyn Fn(Side) -> bool| Side::BOTH.into_iter().all(test);
        let says_nothing = |side| {
            self.seat(side)
                .is_none_or(|member: &Member| member.round.ready_at.is_none() && member.round.ranked_at.is_none())
        };
        let is_on_proposals = self.seat(side).is_some_and(|me| me.stage4.path == Some(Path::Proposals));
        is_on_proposals
            && says_nothing(side)
            && !self.has_agreed()
            && (both(&says_nothing) || both(&|side| self.submission(side).is_none()))
    }

    pub(crate) fn is_in_app_mode(&self, side: Side) -> bool {
        self.seat(side).is_some_and(|member| member.in_app_mode() || member.stage4.path == Some(Path::Proposals))
    }

    pub(crate) fn has_proposal(&self) -> bool {
        self.agreements.iter().any(|agreement| agreement.status == AgreementStatus::Proposed)
    }
}
