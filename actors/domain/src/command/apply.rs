//! Folding events into the state. Total: whatever the log holds can be applied, and what does not fit changes nothing.

use crate::{
    agreement::{Agreement, AgreementStatus},
    event::{Event, EventBody},
    ids::UserId,
    invitation::Invitation,
    member::{Member, Side},
    session::{Pause, Session},
    stage::{SessionStatus, Stage, StageRecord},
    strategy::{Pool, Reveal, Strategy},
    tending::Tending,
};

/// Declined agreements that are kept for looking up.
const KEPT_DECLINED: usize = 20;

impl Session {
    /// The session after its first event; none if that is no creation.
    pub fn start(event: &Event) -> Option<Session> {
        let by = event.by.as_ref()?;
        let EventBody::Created { session, invitation, salt, name, invite_name, person, context, expires_at } =
            &event.body
        else {
            return None;
        };
        Some(Session {
            id: session.clone(),
            seq: event.seq,
            status: SessionStatus::Created,
            salt: salt.clone(),
            created_at: event.at,
            updated_at: event.at,
            last_event_at: event.at,
            changed: event.seq,
            context: context.clone(),
            invitation: Invitation {
                id: invitation.clone(),
                invite_name: invite_name.clone(),
                person: person.clone(),
                created_at: event.at,
                confirmed_at: None,
                expires_at: *expires_at,
                expired: false,
                accepted_at: None,
                declined_at: None,
                resends: 0,
                resent_at: None,
                topic: None,
                topic_confirmed_at: None,
                message: None,
                sent_at: None,
            },
            creator: Member::new(by.clone(), name.clone(), event.at),
            invitee: None,
            pause: None,
            resolved_at: None,
            abandoned_at: None,
            archived_at: None,
            pool: Pool::default(),
            agreements: Vec::new(),
            closure: None,
            tending: Tending::default(),
        })
    }

    pub fn apply(&mut self, event: &Event) {
        self.seq = event.seq;
        self.last_event_at = event.at;
        if !event.is_about_looking() {
            self.changed = event.seq;
            self.updated_at = event.at;
        }
        self.apply_to_session(event);
        let side = event.by.as_ref().and_then(|user| self.side_ever(user));
        if let EventBody::Tending(tending) = &event.body {
            let tenders = self.tenders().len();
            self.tending.apply(event, tending, side, tenders);
        }
        if let Some(side) = side {
            self.apply_to_author(event, side);
        }
        self.note_changed(event, side);
        self.note_news(event, side);
    }

    fn note_news(&mut self, event: &Event, author: Option<Side>) {
        // What was written into a partner's own list is no news for the other, although the channel hears that there is some.
        let is_own = matches!(event.body, EventBody::NeedsCaptured { .. });
        if !event.is_announced() || event.is_implicit() || is_own {
            return;
        }
        for side in Side::BOTH {
            let concerns = |user: &UserId| event.only().is_none_or(|only| only == user);
            let member = self.seat_mut(side).filter(|member| author != Some(side) && concerns(&member.id));
            if let Some(member) = member {
                member.news = event.seq;
            }
        }
    }

    pub(crate) fn move_to(&mut self, status: SessionStatus) {
        if self.status.may_become(status) {
            self.status = status;
        }
    }

    /// What concerns the session as a whole.
    fn apply_to_session(&mut self, event: &Event) {
        match &event.body {
            EventBody::InvitationConfirmed { expires_at } => {
                self.move_to(SessionStatus::Invited);
                self.invitation.confirmed_at = Some(event.at);
                self.invitation.expires_at = *expires_at;
            }
            EventBody::InvitationWritten { topic, message } => {
                let invitation = &mut self.invitation;
                invitation.topic = topic.clone().or(invitation.topic.take());
                invitation.message = message.clone().or(invitation.message.take());
            }
            EventBody::TopicFrameConfirmed { topic } => {
                self.invitation.topic = Some(topic.clone());
                self.invitation.topic_confirmed_at = Some(event.at);
            }
            EventBody::InvitationSent { message } => {
                let invitation = &mut self.invitation;
                invitation.message = message.clone().or(invitation.message.take());
                invitation.sent_at = Some(event.at);
            }
            EventBody::InvitationResent { expires_at } => {
                self.invitation.expires_at = *expires_at;
                self.invitation.expired = false;
                self.invitation.resends += 1;
                self.invitation.resent_at = Some(event.at);
            }
            EventBody::InvitationExpired {} => self.invitation.expired = true,
            EventBody::InvitationDeclined {} => {
                self.move_to(SessionStatus::Abandoned);
                self.abandoned_at = Some(event.at);
                self.invitation.declined_at = Some(event.at);
            }
            EventBody::Joined { name, .. } => {
                if let (None, Some(user)) = (&self.invitee, &event.by) {
                    self.move_to(SessionStatus::Active);
                    self.invitation.accepted_at = Some(event.at);
                    self.invitee = Some(Member::new(user.clone(), name.clone(), event.at));
                }
            }
            EventBody::OverlapRevealed { overlap, candidates } => {
                if overlap.is_empty() {
                    self.pool.rounds_without_overlap += 1;
                }
                for side in Side::BOTH {
                    if let Some(member) = self.seat_mut(side) {
                        member.round.reveal(overlap.is_empty(), member.stage4.shared_at.is_some(), event.at);
                    }
                }
                let (overlap, candidates) = (overlap.clone(), candidates.clone());
                self.pool.reveal = Some(Reveal { overlap, candidates, at: event.at });
            }
            EventBody::AgreementConfirmed { id } => {
                if let Some(agreement) = self.agreements.iter_mut().find(|agreement| agreement.id == *id) {
                    agreement.status = AgreementStatus::Agreed;
                    agreement.agreed_at = Some(event.at);
                }
            }
            EventBody::FollowUpDue { agreements } => {
                let due = self.agreements.iter_mut().filter(|agreement| agreements.contains(&agreement.id));
                due.for_each(|agreement| agreement.reminded = true);
            }
            EventBody::Resumed {} => {
                self.move_to(SessionStatus::Active);
                self.pause = None;
            }
            EventBody::Resolved {} => {
                self.move_to(SessionStatus::Resolved);
                self.resolved_at = Some(event.at);
                for side in Side::BOTH {
                    self.close_stage(side, Stage::StrategicRepair, event);
                }
            }
            EventBody::Abandoned { .. } => {
                self.move_to(SessionStatus::Abandoned);
                self.abandoned_at = Some(event.at);
            }
            EventBody::Archived {} => {
                self.move_to(SessionStatus::Archived);
                self.archived_at = Some(event.at);
            }
            EventBody::Created { .. }
            | EventBody::AppNoticed { .. }
            | EventBody::FeelHeardOffered {}
            | EventBody::SawShareTab {}
            | EventBody::CompactSigned {}
            | EventBody::FeelHeardConfirmed { .. }
            | EventBody::StageCompleted { .. }
            | EventBody::Advanced { .. }
            | EventBody::EmpathyDraftSaved { .. }
            | EventBody::EmpathyShared { .. }
            | EventBody::EmpathyJudged { .. }
            | EventBody::RefinementSkipped { .. }
            | EventBody::NeedAdded { .. }
            | EventBody::NeedsCaptured { .. }
            | EventBody::NeedsEdited { .. }
            | EventBody::NeedsConfirmed { .. }
            | EventBody::NeedsShared { .. }
            | EventBody::CommonGroundConfirmed { .. }
            | EventBody::NeedsValidated { .. }
            | EventBody::ConsentDenied { .. }
            | EventBody::ConsentRevoked { .. }
            | EventBody::StrategyProposed { .. }
            | EventBody::Tending(_)
            | EventBody::PathChosen { .. }
            | EventBody::SelectionsMade { .. }
            | EventBody::SelectionsShared { .. }
            | EventBody::SelectionsUnshared {}
            | EventBody::NeedDeclined { .. }
            | EventBody::NeedWalked { .. }
            | EventBody::StrategyRevised { .. }
            | EventBody::SubChatOpened { .. }
            | EventBody::SubChatSaid { .. }
            | EventBody::SubChatResolved { .. }
            | EventBody::Closed { .. }
            | EventBody::ReadyToRank {}
            | EventBody::RankingSubmitted { .. }
            | EventBody::AgreementProposed { .. }
            | EventBody::AgreementDeclined { .. }
            | EventBody::Paused { .. }
            | EventBody::Left {}
            | EventBody::AccountErased {}
            | EventBody::Renamed { .. }
            | EventBody::ActivityShown { .. }
            | EventBody::Viewed { .. }
            | EventBody::Nudged {}
            | EventBody::NudgeRefused {} => {}
        }
    }

    /// What concerns the part of whoever caused it.
    fn apply_to_author(&mut self, event: &Event, side: Side) {
        match &event.body {
            EventBody::StrategyProposed { id, description, needs_addressed, duration, measure_of_success } => {
                self.pool.strategies.push(Strategy {
                    id: id.clone(),
                    author: side,
                    description: description.clone(),
                    needs_addressed: needs_addressed.clone(),
                    duration: duration.clone(),
                    measure_of_success: measure_of_success.clone(),
                    revised: false,
                });
            }
            EventBody::StrategyRevised { .. }
            | EventBody::SelectionsMade { .. }
            | EventBody::SelectionsUnshared {}
            | EventBody::Closed { .. } => {
                self.apply_stage4(event, side);
            }
            EventBody::AgreementProposed {
                id,
                strategy,
                description,
                kind,
                duration,
                measure_of_success,
                follow_up_at,
            } => self.agreements.push(Agreement {
                id: id.clone(),
                proposer: side,
                words_of: None,
                strategy: strategy.clone(),
                description: description.clone(),
                kind: *kind,
                duration: duration.clone(),
                measure_of_success: measure_of_success.clone(),
                follow_up_at: *follow_up_at,
                reminded: follow_up_at.is_some_and(|at| at <= event.at),
                status: AgreementStatus::Proposed,
                proposed_at: event.at,
                agreed_at: None,
                declined_by: None,
                modification: None,
                has_stale_inputs: false,
            }),
            EventBody::AgreementDeclined { id, modification } => {
                if let Some(agreement) = self.agreements.iter_mut().find(|agreement| agreement.id == *id) {
                    agreement.status = AgreementStatus::Abandoned;
                    agreement.declined_by = Some(side);
                    agreement.modification = modification.clone();
                }
                self.forget_oldest_declined();
            }
            EventBody::ConsentRevoked { .. } => {
                let live = self.agreements.iter_mut().filter(|agreement| agreement.status.is_live());
                live.for_each(|agreement| agreement.has_stale_inputs = true);
            }
            EventBody::Paused { reason } => {
                self.move_to(SessionStatus::Paused);
                self.pause = Some(Pause { at: event.at, by: side, reason: reason.clone() });
            }
            EventBody::Advanced { to, .. } => {
                let from = self.stage_of(side);
                self.close_stage(side, from, event);
                if let Some(me) = self.seat_mut(side).filter(|me| me.record(*to).is_none()) {
                    me.stages.push(StageRecord::open(*to, event.at));
                }
            }
            EventBody::AccountErased {} => self.forget_words_of(side),
            EventBody::Created { .. }
            | EventBody::InvitationWritten { .. }
            | EventBody::TopicFrameConfirmed { .. }
            | EventBody::InvitationSent { .. }
            | EventBody::AppNoticed { .. }
            | EventBody::FeelHeardOffered {}
            | EventBody::SawShareTab {}
            | EventBody::InvitationConfirmed { .. }
            | EventBody::InvitationResent { .. }
            | EventBody::InvitationExpired {}
            | EventBody::InvitationDeclined {}
            | EventBody::Joined { .. }
            | EventBody::CompactSigned {}
            | EventBody::FeelHeardConfirmed { .. }
            | EventBody::StageCompleted { .. }
            | EventBody::EmpathyDraftSaved { .. }
            | EventBody::EmpathyShared { .. }
            | EventBody::EmpathyJudged { .. }
            | EventBody::RefinementSkipped { .. }
            | EventBody::NeedAdded { .. }
            | EventBody::NeedsCaptured { .. }
            | EventBody::NeedsEdited { .. }
            | EventBody::NeedsConfirmed { .. }
            | EventBody::NeedsShared { .. }
            | EventBody::CommonGroundConfirmed { .. }
            | EventBody::Tending(_)
            | EventBody::PathChosen { .. }
            | EventBody::SelectionsShared { .. }
            | EventBody::NeedDeclined { .. }
            | EventBody::NeedWalked { .. }
            | EventBody::SubChatOpened { .. }
            | EventBody::SubChatSaid { .. }
            | EventBody::SubChatResolved { .. }
            | EventBody::NeedsValidated { .. }
            | EventBody::ConsentDenied { .. }
            | EventBody::ReadyToRank {}
            | EventBody::RankingSubmitted { .. }
            | EventBody::OverlapRevealed { .. }
            | EventBody::AgreementConfirmed { .. }
            | EventBody::FollowUpDue { .. }
            | EventBody::Resumed {}
            | EventBody::Resolved {}
            | EventBody::Abandoned { .. }
            | EventBody::Archived {}
            | EventBody::Left {}
            | EventBody::Renamed { .. }
            | EventBody::ActivityShown { .. }
            | EventBody::Viewed { .. }
            | EventBody::Nudged {}
            | EventBody::NudgeRefused {} => {}
        }
        if let Some(me) = self.seat_mut(side) {
            me.apply(event);
        }
        self.apply_to_partner(event, side);
    }

    pub(crate) fn close_stage(&mut self, side: Side, stage: Stage, event: &Event) {
        let record = self.seat_mut(side).and_then(|member| member.record_mut(stage));
        if let Some(record) = record.filter(|record| record.completed_at.is_none()) {
            record.completed_at = Some(event.at);
        }
    }

    fn forget_oldest_declined(&mut self) {
        let declined = self.agreements.iter().filter(|agreement| !agreement.status.is_live()).count();
        if declined > KEPT_DECLINED
            && let Some(oldest) = self.agreements.iter().position(|agreement| !agreement.status.is_live())
        {
            self.agreements.remove(oldest);
        }
    }
}
