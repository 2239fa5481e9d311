//! How events change the state. Every stored event can be applied: an event that does not fit the state changes
//! nothing. Each event has one arm in [`Session::apply_body`]; an effect of several lines stands in the file of its
//! subject.

mod agreements;
mod empathy;
mod erasure;
mod invitation;
mod needs;
mod news;
mod stage4;
mod stages;

use crate::{
    agreement::{Agreement, AgreementStatus},
    empathy::Verdict,
    event::{Changes, Event, EventBody},
    member::Member,
    needs::CapturedNeed,
    session::{Pause, Session},
    side::Side,
    stage::SessionStatus,
    stage4::{Closure, ClosureKind, SubChat},
    strategy::Strategy,
    time::Timestamp,
};

impl Session {
    /// The state after all of `events`. None if the first event is not a creation.
    pub fn replay(events: impl IntoIterator<Item = Event>) -> Option<Session> {
        let mut events = events.into_iter();
        let mut session = Session::start(&events.next()?)?;
        events.for_each(|event| session.apply(&event));
        Some(session)
    }

    /// Changes the state by one event. Events have to be applied in the order of their `seq`.
    pub fn apply(&mut self, event: &Event) {
        debug_assert!(event.seq > self.seq, "the numbers of events increase");
        let consequences = event.consequences();
        let changes = consequences.changes;
        self.seq = event.seq;
        self.last_event_at = event.at;
        if matches!(changes, Changes::Author | Changes::Both) {
            self.changed = event.seq;
            self.updated_at = event.at;
        }
        self.apply_body(event, self.author_of(event));
        // An acceptance makes its author a member: look the author up again.
        let author = self.author_of(event);
        if matches!(changes, Changes::Author | Changes::Both) {
            self.update(author, |me| me.was_just_advanced = event.is_implicit());
        }
        self.note_changed(event.at, changes, author);
        self.note_news(event, author);
        self.history.note(event, &consequences, author);
    }

    /// The side of the member from whose command the event comes. Also for a member who has withdrawn.
    fn author_of(&self, event: &Event) -> Option<Side> {
        event.by.as_ref().and_then(|user| self.side_ever(user))
    }

    /// One arm for each event.
    #[allow(clippy::too_many_lines, reason = "one arm for each event")]
    fn apply_body(&mut self, event: &Event, author: Option<Side>) {
        let at = event.at;
        match &event.body {
            EventBody::Created { .. } | EventBody::NudgeRefused {} => {}
            EventBody::InvitationConfirmed { expires_at } => self.confirm_invitation(*expires_at, at),
            EventBody::InvitationWritten { topic, message } => self.invitation.write(topic.as_ref(), message.as_ref()),
            EventBody::TopicFrameConfirmed { topic } => self.invitation.confirm_topic(topic, at),
            EventBody::InvitationSent { message } => self.invitation.send(message.as_ref(), at),
            EventBody::InvitationResent { expires_at } => self.invitation.resend(*expires_at, at),
            EventBody::InvitationExpired {} => self.invitation.expired = true,
            EventBody::InvitationDeclined {} => self.decline_invitation(at),
            EventBody::Joined { name, .. } => self.join(event.by.as_ref(), name.as_ref(), at),

            EventBody::AppNoticed { june } => self.update(author, |me| me.notice_app(*june, at)),
            EventBody::CompactSigned {} => self.update(author, |me| me.compact_signed_at = Some(at)),
            EventBody::FeelHeardOffered {} => self.update(author, |me| me.feel_heard_offered_at = Some(at)),
            EventBody::FeelHeardConfirmed { feedback } => self.update(author, |me| {
                me.feel_heard_at = Some(at);
                me.feel_heard_feedback = feedback.clone();
            }),
            EventBody::StageCompleted { stage, .. } => self.update(author, |me| me.satisfy(*stage, at)),
            EventBody::Advanced { to, .. } => self.advance(author, *to, at),

            EventBody::EmpathyDraftSaved { draft, content, ready, version } => {
                self.update(author, |me| me.empathy.save_draft(draft, content, *ready, *version, at));
            }
            EventBody::EmpathyShared { content, .. } => self.share_attempt(author, content, at),
            EventBody::EmpathyJudged { validated, feedback, feedback_shared } => {
                let verdict = Verdict {
                    validated: *validated,
                    at,
                    feedback: feedback.clone(),
                    feedback_shared: *feedback_shared,
                    skipped: false,
                };
                self.update(author.map(Side::other), |partner| partner.empathy.verdict = Some(verdict));
            }
            EventBody::RefinementSkipped { .. } => self.update(author, |me| me.empathy.skip_refinement(at)),

            EventBody::NeedAdded { id, need, category, description } => {
                let need = CapturedNeed {
                    id: id.clone(),
                    need: need.clone(),
                    category: *category,
                    description: description.clone(),
                    evidence: Vec::new(),
                };
                self.update(author, |me| me.needs.add(need, at));
            }
            EventBody::NeedsCaptured { needs } => self.update(author, |me| me.needs.capture(needs, at)),
            EventBody::NeedsEdited { edits } => {
                self.update(author, |me| edits.iter().for_each(|edit| me.needs.edit(edit, at)));
            }
            EventBody::NeedsConfirmed { needs, .. } => self.update(author, |me| me.needs.confirm(needs, at)),
            EventBody::NeedsShared { needs, .. } => self.share_needs(author, needs, at),
            EventBody::NeedsValidated { validated } => {
                self.update(author, |me| me.needs.validated_at = validated.then_some(at));
            }
            EventBody::CommonGroundConfirmed { categories } => {
                self.update(author, |me| me.needs.confirm_common_ground(categories, at));
            }
            EventBody::ConsentRevoked { kind } => self.revoke_consent(author, *kind, at),
            EventBody::ConsentDenied { kind, version } => {
                self.update(author, |me| me.consents.deny(*kind, *version, at));
            }

            EventBody::StrategyProposed { id, description, needs_addressed, duration, measure_of_success }
            | EventBody::StrategyRevised { id, description, needs_addressed, duration, measure_of_success } => {
                if let Some(author) = author {
                    self.put_strategy(Strategy {
                        id: id.clone(),
                        author,
                        description: description.clone(),
                        needs_addressed: needs_addressed.clone(),
                        duration: duration.clone(),
                        measure_of_success: measure_of_success.clone(),
                        revised: matches!(event.body, EventBody::StrategyRevised { .. }),
                    });
                }
            }
            EventBody::ReadyToRank {} => self.update(author, |me| me.round.ready_at = Some(at)),
            EventBody::RankingSubmitted { ranking, .. } => self.update(author, |me| {
                me.round.ranking = ranking.clone();
                me.round.ranked_at = Some(at);
                me.stage4.shared_at = None;
            }),
            EventBody::OverlapRevealed { overlap, candidates } => self.reveal_overlap(overlap, candidates, at),

            EventBody::PathChosen { path, .. } => self.update(author, |me| me.stage4.path = Some(*path)),
            EventBody::SelectionsMade { selections, takes_back } => {
                if *takes_back {
                    self.take_back_submission(author, at);
                }
                self.update(author, |me| me.stage4.select(selections, at));
            }
            EventBody::SelectionsShared { .. } => self.update(author, |me| me.stage4.share_stances(at)),
            EventBody::SelectionsUnshared {} => self.take_back_submission(author, at),
            EventBody::NeedDeclined { need, declined } => {
                self.update(author, |me| me.stage4.decline_need(need, *declined));
            }
            EventBody::NeedWalked { need, step } => self.update(author, |me| me.stage4.walk(need, *step)),
            EventBody::SubChatOpened { id, anchor, anchor_id } => {
                let chat = SubChat {
                    id: id.clone(),
                    anchor: *anchor,
                    anchor_id: anchor_id.clone(),
                    opened_at: at,
                    resolved_at: None,
                    messages: Vec::new(),
                };
                self.update(author, |me| me.stage4.sub_chats.push(chat));
            }
            EventBody::SubChatSaid { chat, role, content, candidate } => self.update(author, |me| {
                if let Some(chat) = me.stage4.sub_chat_mut(chat) {
                    chat.say(*role, content, candidate.as_ref(), at);
                }
            }),
            EventBody::SubChatResolved { chat, .. } => self.update(author, |me| {
                if let Some(chat) = me.stage4.sub_chat_mut(chat) {
                    chat.resolved_at = Some(at);
                }
            }),
            EventBody::Closed { kind, reason, summary, check_in_at, agreements } => {
                if let Some(by) = author {
                    debug_assert!(*kind == ClosureKind::SharedAgreement || agreements.is_empty());
                    let (summary, check_in_at) = (summary.clone(), *check_in_at);
                    let ids = agreements.iter().map(|agreement| agreement.id.clone()).collect();
                    let closure =
                        Closure { kind: *kind, reason: *reason, summary, by, at, check_in_at, agreements: ids };
                    self.close(closure, agreements);
                }
            }

            EventBody::AgreementProposed {
                id,
                strategy,
                description,
                kind,
                duration,
                measure_of_success,
                follow_up_at,
            } => {
                if let Some(proposer) = author {
                    self.agreements.push(Agreement {
                        id: id.clone(),
                        proposer,
                        words_of: None,
                        strategy: strategy.clone(),
                        description: description.clone(),
                        kind: *kind,
                        duration: duration.clone(),
                        measure_of_success: measure_of_success.clone(),
                        follow_up_at: *follow_up_at,
                        reminded: follow_up_at.is_some_and(|follow_up| follow_up <= at),
                        status: AgreementStatus::Proposed,
                        proposed_at: at,
                        agreed_at: None,
                        declined_by: None,
                        modification: None,
                        has_stale_inputs: false,
                    });
                }
            }
            EventBody::AgreementConfirmed { id } => self.confirm_agreement(id, at),
            EventBody::AgreementDeclined { id, modification } => {
                self.decline_agreement(author, id, modification.as_ref());
            }
            EventBody::FollowUpDue { agreements } => {
                let due = self.agreements.iter_mut().filter(|agreement| agreements.contains(&agreement.id));
                due.for_each(|agreement| agreement.reminded = true);
            }
            EventBody::Tending(tending) => {
                let tenders = self.remaining_sides().len();
                self.tending.apply(tending, author, tenders, at);
            }

            EventBody::Paused { reason } => {
                if let Some(by) = author {
                    self.move_to(SessionStatus::Paused);
                    self.pause = Some(Pause { at, by, reason: reason.clone() });
                }
            }
            EventBody::Resumed {} => {
                self.move_to(SessionStatus::Active);
                self.pause = None;
            }
            EventBody::Resolved {} => self.resolve(at),
            EventBody::Abandoned { .. } => self.abandon(at),
            EventBody::Archived {} => {
                self.move_to(SessionStatus::Archived);
                self.archived_at = Some(at);
            }
            EventBody::Left {} => self.update(author, |me| me.left_at = Some(at)),
            EventBody::AccountErased {} => self.erase_account(author, at),
            EventBody::Renamed { name } => self.update(author, |me| me.name = name.clone()),
            EventBody::ActivityShown { shown } => self.update(author, |me| me.hides_activity = !shown),
            EventBody::Viewed { last_seen, chat_item } => self.update(author, |me| {
                me.last_seen = me.last_seen.max(*last_seen);
                me.chat_item = chat_item.clone().or(me.chat_item.take());
                me.viewed_at = Some(at);
            }),
            EventBody::SawShareTab {} => self.update(author, |me| me.share_tab_seen_at = Some(at)),
            EventBody::Nudged {} => self.update(author, |me| me.nudged_at = Some(at)),
        }
    }

    /// Changes one member. An event whose author is not a member changes nothing.
    fn update(&mut self, side: Option<Side>, change: impl FnOnce(&mut Member)) {
        if let Some(member) = side.and_then(|side| self.member_mut(side)) {
            change(member);
        }
    }

    /// Moves the session to another status, if the table of transitions has the move.
    fn move_to(&mut self, status: SessionStatus) {
        debug_assert!(status != SessionStatus::Waiting, "a session waits for one viewer only");
        if self.status.may_become(status) {
            self.status = status;
        }
    }

    fn abandon(&mut self, at: Timestamp) {
        self.move_to(SessionStatus::Abandoned);
        self.abandoned_at = Some(at);
    }
}
