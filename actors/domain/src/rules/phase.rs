//! The phase of the round of strategies.

use crate::{session::Session, side::Side, strategy::StrategyPhase};

impl Session {
    /// The phase of the round. A client may be shown another one: see [`Session::shown_phase`].
    pub(crate) fn strategy_phase(&self) -> StrategyPhase {
        let meeting = self.round_overlap();
        if self.has_agreed() {
            StrategyPhase::Agreed
        } else if meeting.as_ref().is_some_and(|overlap| !overlap.is_empty()) {
            StrategyPhase::Revealing
        } else if meeting.is_none() && Side::BOTH.into_iter().all(|side| self.is_ready(side)) {
            StrategyPhase::Ranking
        } else if meeting.is_some() || self.pool.rounds_without_overlap > 0 {
            StrategyPhase::Negotiating
        } else {
            StrategyPhase::Collecting
        }
    }

    /// The phase as a partner's client needs it. A proposed agreement is negotiated, whatever has been revealed. A
    /// client in app mode knows only `COLLECTING` for an open pool.
    pub(crate) fn shown_phase(&self, viewer: Side) -> StrategyPhase {
        match self.strategy_phase() {
            StrategyPhase::Agreed => StrategyPhase::Agreed,
            _ if self.has_proposal() => StrategyPhase::Negotiating,
            StrategyPhase::Negotiating if self.is_in_app_mode(viewer) => StrategyPhase::Collecting,
            phase @ (StrategyPhase::Collecting
            | StrategyPhase::Ranking
            | StrategyPhase::Revealing
            | StrategyPhase::Negotiating) => phase,
        }
    }

    pub(crate) fn pool_is_open(&self) -> bool {
        matches!(self.strategy_phase(), StrategyPhase::Collecting | StrategyPhase::Negotiating)
    }
}
