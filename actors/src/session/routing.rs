//! Decides who is told of an event, and how. The decision is made together with the event, from the presence that the
//! actor knows, and is stored in the same commit. Where presence is unknown the provider is asked first; the decision
//! is then stored beside the event later.

use std::borrow::Cow;

use actix::{AsyncContext, Context};

use super::{
    SessionActor,
    commit::CommitDraft,
    outbox::PendingEvent,
    publications::{hints, publications},
};
use crate::{
    domain::{
        Announcement, Event,
        ids::{Seq, UserId},
        routing::{DeliveryRoute, Presence, PresenceKnowledge, Recipient, RoutingDecision, route},
    },
    ports::{Change, StoreError},
    rows::{
        keys,
        records::{self, EventRow, PushJob, RecordedDecision},
    },
    trace::Trace,
};

/// The outcome of routing one event.
#[derive(Default)]
pub(super) struct RoutingOutcome {
    pub decided: Vec<RecordedDecision>,
    pub announced: bool,
    pub push_jobs: bool,
}

/// A stored event and its announcement.
pub(super) struct AnnouncedEvent {
    pub row: EventRow,
    pub announcement: Announcement,
}

impl SessionActor {
    /// Decides the delivery of `event` to each member. Adds push jobs to `changes`.
    pub(super) fn route(&mut self, event: &Event, trace: &Trace, changes: &mut Vec<Change>) -> RoutingOutcome {
        let Some(session) = &self.session else { return RoutingOutcome::default() };
        let Some(announcement) = event.announcement(session.id()) else { return RoutingOutcome::default() };
        let mut routed = RoutingOutcome { announced: true, ..RoutingOutcome::default() };
        let mut pending = PendingEvent { trace: Some(trace.clone()), ..PendingEvent::new(event.seq) };
        let concerns = |user: &&UserId| announcement.only.as_ref().is_none_or(|only| only == *user);
        for user in session.members().filter(concerns) {
            let presence = self.presence_of(user);
            let decision = self.decide(user, &announcement, event, PresenceKnowledge::Known(presence));
            pending.publish |= decision.route.publishes();
            match decision.route {
                DeliveryRoute::Nothing => continue,
                DeliveryRoute::Resolve => pending.unresolved.push(user.clone()),
                DeliveryRoute::Publish
                    if announcement.pushes && presence == Presence::Present && !is_by(event, user) =>
                {
                    pending.present.push(user.clone());
                }
                DeliveryRoute::Publish | DeliveryRoute::Push | DeliveryRoute::PublishAndPush => {}
            }
            pending.to.push(user.clone());
            if decision.route.pushes() {
                changes.push(self.push_job(user, event, announcement.name, decision.reason));
                routed.push_jobs = true;
            }
            routed.decided.push(self.decided(user.clone(), decision));
        }
        pending.publications = publications(session, event, &announcement);
        pending.hints = hints(session, event);
        self.outbox.pending.push_back(pending);
        routed
    }

    fn decide(
        &self,
        user: &UserId,
        announcement: &Announcement,
        event: &Event,
        knowledge: PresenceKnowledge,
    ) -> RoutingDecision {
        let has_push_token = self.deps.devices.has_push_token(user);
        let recipient = Recipient { is_author: is_by(event, user), knowledge, has_push_token };
        route(announcement, recipient, self.deps.delivery.when_absent)
    }

    fn decided(&self, user: UserId, RoutingDecision { route, reason }: RoutingDecision) -> RecordedDecision {
        RecordedDecision { user, at: self.now(), legs: Cow::Borrowed(route.as_str()), reason: Cow::Borrowed(reason) }
    }

    fn push_job(&self, user: &UserId, event: &Event, name: &str, reason: &str) -> Change {
        let now = self.now();
        let job = PushJob {
            session: self.inbox.session().clone(),
            user: user.clone(),
            seq: event.seq,
            event: name.to_owned(),
            created_at: now,
            reason: reason.to_owned(),
        };
        let due = self.deps.clock.settled();
        Change::Put(keys::push_job(due, &job.session, user, event.seq), records::encode(&job))
    }

    /// Decides for the partners whose presence was unknown and is known by now.
    pub(super) fn decide_unresolved(&mut self, ctx: &mut Context<Self>) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        let mut push_jobs = false;
        for index in 0..self.outbox.pending.len() {
            let PendingEvent { seq, unresolved, .. } = &mut self.outbox.pending[index];
            let (seq, unresolved) = (*seq, std::mem::take(unresolved));
            if seq > self.delivery.durable_seq() {
                self.outbox.pending[index].unresolved = unresolved;
                break;
            }
            for user in unresolved {
                let knowledge = match self.presence_of(&user) {
                    Presence::Unknown => PresenceKnowledge::Unresolved,
                    known @ (Presence::Present | Presence::Absent) => PresenceKnowledge::Known(known),
                };
                let Some(announced) = self.read_announced(seq)? else { continue };
                let decision = self.decide(&user, &announced.announcement, &announced.row.event, knowledge);
                let pending = &mut self.outbox.pending[index];
                pending.publish |= decision.route.publishes();
                if decision.route == DeliveryRoute::Publish && knowledge == PresenceKnowledge::Known(Presence::Present)
                {
                    pending.present.push(user.clone());
                }
                push_jobs |= self.decide_late(&user, announced, decision, &mut changes);
            }
        }
        if !changes.is_empty() {
            changes.push(self.outbox_row());
            self.commit_rows(CommitDraft { push_jobs, ..CommitDraft::of_rows(changes) }, ctx);
        }
        Ok(())
    }

    /// An announced event, as it is stored.
    pub(super) fn read_announced(&self, seq: Seq) -> Result<Option<AnnouncedEvent>, StoreError> {
        let id = self.inbox.session();
        let Some(row) = self.event_row(seq)? else { return Ok(None) };
        Ok(row.event.announcement(id).map(|announcement| AnnouncedEvent { row, announcement }))
    }

    /// Partners have missed what was published: pushes follow, or as long as the journal has no room, another try. All
    /// are in one commit. The outbox that is written with a push no longer has the events that these partners missed.
    pub(super) fn push_after_all(&mut self, missed: &[(UserId, Seq)], ctx: &mut Context<Self>) {
        if missed.is_empty() {
            return;
        }
        if !self.deps.journal.has_room() {
            missed.iter().for_each(|(user, seq)| self.watch_for(user, *seq));
            ctx.run_later(self.deps.delivery.retry_max, Self::push_to_those_who_left_unnoticed);
            return;
        }
        let mut changes = Vec::new();
        let mut push_jobs = false;
        for (user, seq) in missed {
            let decision = RoutingDecision { route: DeliveryRoute::Push, reason: "left unseen" };
            match self.read_announced(*seq) {
                Ok(Some(announced)) => push_jobs |= self.decide_late(user, announced, decision, &mut changes),
                Ok(None) => {}
                Err(error) => tracing::error!(session = %self.inbox.session(), %error, "missed event cannot be read"),
            }
        }
        if !changes.is_empty() {
            changes.push(self.outbox_row());
            self.commit_rows(CommitDraft { push_jobs, ..CommitDraft::of_rows(changes) }, ctx);
        }
    }

    /// Records a decision beside an event that is stored already. True if the decision makes a push.
    fn decide_late(
        &mut self,
        user: &UserId,
        AnnouncedEvent { mut row, announcement }: AnnouncedEvent,
        decision: RoutingDecision,
        changes: &mut Vec<Change>,
    ) -> bool {
        if decision.route.pushes() {
            changes.push(self.push_job(user, &row.event, announcement.name, decision.reason));
        }
        row.routing.push(self.decided(user.clone(), decision));
        self.rewrite_event(&row, changes);
        decision.route.pushes()
    }
}

fn is_by(event: &Event, user: &UserId) -> bool {
    event.by.as_ref() == Some(user)
}
