//! How the proposal path of stage 4 changes the state.

use crate::{
    agreement::{Agreement, AgreementStatus, AgreementType},
    ids::{NeedId, StrategyId, SubChatId},
    private_text::PrivateText,
    session::Session,
    side::Side,
    stage::SessionStatus,
    stage4::{
        Candidate, ChatRole, ClosedAgreement, Closure, Decision, Selection, Stage4, SubChat, SubChatMessage, WalkStep,
    },
    strategy::Strategy,
    time::Timestamp,
};

impl Stage4 {
    pub(super) fn share_stances(&mut self, at: Timestamp) {
        self.shared_at = Some(at);
        self.shared_before = true;
    }

    pub(super) fn decline_need(&mut self, need: &NeedId, declined: bool) {
        if declined {
            self.declined_needs.insert(need.clone());
        } else {
            self.declined_needs.remove(need);
        }
    }

    pub(super) fn walk(&mut self, need: &NeedId, step: Option<WalkStep>) {
        self.walks = true;
        if let Some(step) = step {
            self.walked.insert(need.clone(), step);
        } else {
            self.walked.remove(need);
        }
    }

    pub(super) fn sub_chat_mut(&mut self, id: &SubChatId) -> Option<&mut SubChat> {
        self.sub_chats.iter_mut().find(|chat| chat.id == *id)
    }
}

impl SubChat {
    pub(super) fn say(&mut self, role: ChatRole, content: &PrivateText, candidate: Option<&Candidate>, at: Timestamp) {
        let number = self.messages.last().map_or(1, |last| last.number + 1);
        let (content, candidate) = (content.clone(), candidate.cloned());
        self.messages.push(SubChatMessage { number, role, content, candidate, at });
    }
}

impl Session {
    /// Adds a strategy, or replaces the text of a known one. Nobody has taken a stance on a new text.
    pub(super) fn put_strategy(&mut self, strategy: Strategy) {
        if !strategy.revised {
            return self.pool.strategies.push(strategy);
        }
        let Some(known) = self.pool.strategies.iter_mut().find(|known| known.id == strategy.id) else { return };
        known.clone_from(&strategy);
        for side in Side::BOTH {
            self.update(Some(side), |member| member.stage4.forget_stance_on(&strategy.id));
        }
    }

    /// A ranking that is taken back becomes the stances that it stood for.
    pub(super) fn take_back_submission(&mut self, author: Option<Side>, at: Timestamp) {
        let all: Vec<StrategyId> = self.pool.strategies.iter().map(|strategy| strategy.id.clone()).collect();
        let Some(me) = author.and_then(|side| self.member_mut(side)) else { return };
        me.stage4.shared_at = None;
        let ranking = me.round.take_back();
        if !ranking.is_empty() {
            let stood_for = |strategy: StrategyId| {
                let is_ranked = ranking.contains(&strategy);
                let decision = if is_ranked { Decision::Willing } else { Decision::NotWilling };
                Selection { strategy, decision, note: None }
            };
            let stances: Vec<_> = all.into_iter().map(stood_for).collect();
            me.stage4.select(&stances, at);
        }
    }

    /// Closes stage 4, and the session with it. Proposed agreements that are not part of the closure are abandoned.
    pub(super) fn close(&mut self, closure: Closure, closed: &[ClosedAgreement]) {
        let (side, at) = (closure.by, closure.at);
        for agreement in closed {
            self.conclude(agreement, side, at);
        }
        for agreement in self.agreements.iter_mut().filter(|agreement| agreement.status == AgreementStatus::Proposed) {
            agreement.status = AgreementStatus::Abandoned;
        }
        self.move_to(SessionStatus::Resolved);
        self.resolved_at = Some(at);
        for side in Side::BOTH {
            let stage = self.stage_of(side);
            self.close_stage(side, stage, at);
        }
        self.closure = Some(closure);
    }

    /// The agreement is made, if it was only proposed or not even that.
    fn conclude(&mut self, closed: &ClosedAgreement, side: Side, at: Timestamp) {
        let ClosedAgreement { id, strategy, check_in_at } = closed;
        if let Some(known) = self.agreements.iter_mut().find(|agreement| agreement.id == *id) {
            known.status = AgreementStatus::Agreed;
            known.agreed_at = Some(at);
            known.follow_up_at = Some(*check_in_at);
            known.reminded = true;
            return;
        }
        let Some(strategy) = self.pool.find(strategy) else { return };
        self.agreements.push(Agreement {
            id: id.clone(),
            proposer: side,
            words_of: Some(strategy.author),
            strategy: Some(strategy.id.clone()),
            description: strategy.description.clone(),
            kind: AgreementType::MicroExperiment,
            duration: strategy.duration.clone(),
            measure_of_success: strategy.measure_of_success.clone(),
            follow_up_at: Some(*check_in_at),
            // The check-in reminds of it.
            reminded: true,
            status: AgreementStatus::Agreed,
            proposed_at: at,
            agreed_at: Some(at),
            declined_by: None,
            modification: None,
            has_stale_inputs: false,
        });
    }
}
