//! How the events of the proposal path change the state.

use super::{Closure, ClosureKind, Decision, Selection, Stage4, SubChat, SubChatMessage, WalkStep};
use crate::{
    agreement::{Agreement, AgreementStatus, AgreementType},
    event::{Event, EventBody},
    ids::StrategyId,
    member::Side,
    session::Session,
    stage::SessionStatus,
    time::Timestamp,
};

impl Stage4 {
    /// What concerns one partner alone.
    pub(crate) fn apply(&mut self, body: &EventBody, at: Timestamp) {
        match body {
            EventBody::PathChosen { path, .. } => self.path = Some(*path),
            EventBody::SelectionsShared { .. } => {
                self.shared_at = Some(at);
                self.shared_before = true;
            }
            EventBody::SelectionsUnshared {} => self.shared_at = None,
            EventBody::NeedDeclined { need, declined: true } => drop(self.declined_needs.insert(need.clone())),
            EventBody::NeedDeclined { need, declined: false } => drop(self.declined_needs.remove(need)),
            EventBody::NeedWalked { need, step } => self.walk(need.clone(), *step),
            EventBody::SubChatOpened { id, anchor, anchor_id } => self.sub_chats.push(SubChat {
                id: id.clone(),
                anchor: *anchor,
                anchor_id: anchor_id.clone(),
                opened_at: at,
                resolved_at: None,
                messages: Vec::new(),
            }),
            EventBody::SubChatSaid { chat, role, content, candidate } => {
                if let Some(chat) = self.sub_chats.iter_mut().find(|known| known.id == *chat) {
                    let number = chat.messages.last().map_or(1, |last| last.number + 1);
                    let (content, candidate) = (content.clone(), candidate.clone());
                    chat.messages.push(SubChatMessage { number, role: *role, content, candidate, at });
                }
            }
            EventBody::SubChatResolved { chat, .. } => {
                if let Some(chat) = self.sub_chats.iter_mut().find(|known| known.id == *chat) {
                    chat.resolved_at = Some(at);
                }
            }
            _ => {}
        }
    }

    fn walk(&mut self, need: crate::ids::NeedId, step: Option<WalkStep>) {
        self.walks = true;
        match step {
            Some(step) => drop(self.walked.insert(need, step)),
            None => drop(self.walked.remove(&need)),
        }
    }
}

impl Session {
    /// What concerns more than the part of the partner who did it.
    pub(crate) fn apply_stage4(&mut self, event: &Event, side: Side) {
        match &event.body {
            EventBody::SelectionsMade { selections, takes_back } => {
                self.make_selections(selections, *takes_back, side, event.at);
            }
            EventBody::SelectionsUnshared {} => self.make_selections(&[], true, side, event.at),
            EventBody::StrategyRevised { id, description, needs_addressed, duration, measure_of_success } => {
                let Some(strategy) = self.pool.strategies.iter_mut().find(|strategy| strategy.id == *id) else {
                    return;
                };
                strategy.author = side;
                strategy.description = description.clone();
                strategy.needs_addressed = needs_addressed.clone();
                strategy.duration = duration.clone();
                strategy.measure_of_success = measure_of_success.clone();
                strategy.revised = true;
                for side in Side::BOTH {
                    if let Some(member) = self.seat_mut(side) {
                        member.stage4.forget_stance_on(id);
                    }
                }
            }
            EventBody::Closed { kind, reason, summary, check_in_at, agreements } => {
                self.close_with(event, side, agreements);
                self.closure = Some(Closure {
                    kind: *kind,
                    reason: *reason,
                    summary: summary.clone(),
                    by: side,
                    at: event.at,
                    check_in_at: *check_in_at,
                    agreements: agreements.iter().map(|agreement| agreement.id.clone()).collect(),
                });
                debug_assert!(*kind == ClosureKind::SharedAgreement || agreements.is_empty());
            }
            _ => {}
        }
    }

    /// A ranking that is taken back becomes the stances that it stood for.
    fn make_selections(&mut self, selections: &[Selection], takes_back: bool, side: Side, at: Timestamp) {
        let all: Vec<StrategyId> = self.pool.strategies.iter().map(|strategy| strategy.id.clone()).collect();
        let Some(me) = self.seat_mut(side) else { return };
        if takes_back {
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
        me.stage4.select(selections, at);
    }

    fn close_with(&mut self, event: &Event, side: Side, closed: &[super::ClosedAgreement]) {
        for super::ClosedAgreement { id, strategy, check_in_at } in closed {
            if let Some(known) = self.agreements.iter_mut().find(|agreement| agreement.id == *id) {
                known.status = AgreementStatus::Agreed;
                known.agreed_at = Some(event.at);
                known.follow_up_at = Some(*check_in_at);
                known.reminded = true;
                continue;
            }
            let Some(strategy) = self.pool.find(strategy) else { continue };
            let agreement = Agreement {
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
                proposed_at: event.at,
                agreed_at: Some(event.at),
                declined_by: None,
                modification: None,
                has_stale_inputs: false,
            };
            self.agreements.push(agreement);
        }
        for agreement in self.agreements.iter_mut().filter(|agreement| agreement.status == AgreementStatus::Proposed) {
            agreement.status = AgreementStatus::Abandoned;
        }
        self.move_to(SessionStatus::Resolved);
        self.resolved_at = Some(event.at);
        for side in Side::BOTH {
            let stage = self.stage_of(side);
            self.close_stage(side, stage, event);
        }
    }
}
