//! Delivery to the partners. Publishing begins after the flush, in the order of `seq`, and is repeated until the
//! provider has accepted the messages. Pushes are rows that the push sender takes over. Neither waits for the other.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use tracing::{Span, field::Empty};

use super::{
    DeliverySettings, SessionActor,
    commit::CommitDraft,
    outbox::{PendingEvent, WatchedEvent},
    publications::{batch, hints, publications},
    routing::AnnouncedEvent,
};
use crate::{
    backoff::Backoff,
    domain::{
        ids::{Seq, UserId},
        routing::Presence,
    },
    failpoint,
    ports::{Change, RealtimeError, StoreError},
    rows::keys,
    trace::Trace,
};

/// The progress of delivery, beside the stored outbox.
#[derive(Debug)]
pub(super) struct DeliveryState {
    durable: Seq,
    publishing: bool,
    resolving: bool,
    /// Failed attempts to publish since the last success.
    failures: u32,
    /// The store has, or will have, an outbox row.
    pub(super) row_stored: bool,
    /// A timer runs, after which the row of the empty outbox is deleted.
    clearing: Option<Clearing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clearing {
    Due,
    /// There was another event, so the row stays for one more pause.
    Waits,
}

impl DeliveryState {
    pub(super) fn new(durable: Seq, row_stored: bool) -> Self {
        Self { durable, publishing: false, resolving: false, failures: 0, row_stored, clearing: None }
    }

    pub(super) fn durable(&mut self, seq: Seq) {
        self.durable = self.durable.max(seq);
    }

    pub(super) fn durable_seq(&self) -> Seq {
        self.durable
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.publishing && !self.resolving
    }
}

/// One for each event whose command is traced.
fn delivery_spans<'a>(events: impl Iterator<Item = &'a PendingEvent>) -> Vec<Span> {
    let span = |event: &PendingEvent| {
        let trace = event.trace.as_ref()?;
        let span = tracing::debug_span!(parent: &trace.span, "delivery", seq = event.seq, outcome = Empty);
        (!span.is_disabled()).then_some(span)
    };
    events.filter_map(span).collect()
}

fn end_spans(spans: Vec<Span>, outcome: &Result<(), RealtimeError>) {
    let outcome = match outcome {
        Ok(()) => "published",
        Err(RealtimeError::Unavailable { .. }) => "unavailable",
        Err(RealtimeError::Refused { .. }) => "refused",
    };
    for span in spans {
        span.record("outcome", outcome);
    }
}

/// How long the row of an empty outbox stays. Often the next event comes sooner, and would write it again.
const CLEAR_AFTER: Duration = Duration::from_millis(500);

impl SessionActor {
    /// Publishes the durable events whose route is decided, one batch at a time, and starts the decision for the
    /// others. The decision does not wait for publishing, so pushes are sent also while the provider is down.
    pub(super) fn deliver(&mut self, ctx: &mut Context<Self>) {
        if self.session.is_none() {
            return;
        }
        let durable = self.delivery.durable;
        if self.outbox.pending.iter().any(|p| p.seq <= durable && !p.unresolved.is_empty()) {
            self.resolve(ctx);
        }
        if self.delivery.publishing {
            return;
        }
        self.outbox.forget_old(self.deps.clock.uptime(), self.deps.delivery.leave_grace);
        let ready = self.outbox.pending.iter().take_while(|p| p.seq <= durable && p.unresolved.is_empty()).count();
        if ready == 0 {
            if self.outbox.pending.is_empty() {
                self.clear_outbox_later(ctx);
            }
            return;
        }
        if let Err(error) = self.restore_publications(ready) {
            tracing::error!(session = %self.inbox.session(), %error, "outbox cannot be read");
            return self.exit(crate::supervisor::ExitStatus::unread(&error), ctx);
        }
        failpoint::reach(self.inbox.session(), "before_publish");
        let batch = batch(self.outbox.pending.iter().take(ready));
        self.delivery.publishing = true;
        let spans = delivery_spans(self.outbox.pending.iter().take(ready));
        let publishing = self.deps.realtime.publish(batch);
        ctx.spawn(publishing.into_actor(self).map(move |outcome, actor, ctx| {
            end_spans(spans, &outcome);
            actor.published(ready, outcome, ctx);
        }));
    }

    /// Rebuilds the messages and spans of an outbox that was read from the store, whose row only names the events.
    fn restore_publications(&mut self, count: usize) -> Result<(), StoreError> {
        for index in 0..count {
            let pending = &self.outbox.pending[index];
            if !pending.publications.is_empty() {
                continue;
            }
            let announced = self.read_announced(pending.seq)?;
            if let (Some(session), Some(AnnouncedEvent { row, announcement })) = (&self.session, announced) {
                let pending = &mut self.outbox.pending[index];
                pending.publications = publications(session, &row.event, &announcement);
                pending.hints = hints(session, &row.event);
                pending.trace = Some(Trace::of_stored_event(session.id(), row.request_id));
            }
        }
        Ok(())
    }

    fn published(&mut self, count: usize, outcome: Result<(), RealtimeError>, ctx: &mut Context<Self>) {
        self.delivery.publishing = false;
        match outcome {
            Err(RealtimeError::Unavailable { reason, retry_after }) => {
                let pause = self.retry_pause().max(retry_after.unwrap_or_default());
                self.delivery.failures += 1;
                metrics::counter!("tandem_publish_failures_total").increment(1);
                let (session, oldest) = (self.inbox.session(), self.outbox.pending.front());
                let request_id = oldest.and_then(|oldest| oldest.trace.as_ref()).and_then(Trace::id);
                tracing::warn!(request_id, %session, %reason, ?pause, "publishing failed, trying again");
                ctx.run_later(pause, |actor, ctx| actor.deliver(ctx));
            }
            Err(RealtimeError::Refused { reason }) => {
                tracing::error!(session = %self.inbox.session(), %reason, "the provider refused the events permanently");
                // Partners who are present have not got them, so a push follows when they leave.
                self.watch_all(count, ctx);
                self.deliver(ctx);
            }
            Ok(()) => {
                self.delivery.failures = 0;
                for pending in self.outbox.pending.iter().take(count) {
                    pending.in_span(|| {
                        tracing::debug!(seq = pending.seq, on_session = pending.publish, "event published");
                    });
                }
                self.watch_all(count, ctx);
                self.deliver(ctx);
            }
        }
    }

    /// The first `count` events are no longer pending. Watches the partners who may have missed them.
    fn watch_all(&mut self, count: usize, ctx: &mut Context<Self>) {
        // The whole batch is watched before a push is written: the stored outbox changes with the push, and has to name
        // all partners who may have missed an event of the batch.
        let done: Vec<PendingEvent> = self.outbox.pending.drain(..count).collect();
        let on_session = done.iter().filter(|pending| pending.publish);
        let missed: Vec<_> = on_session.flat_map(|pending| self.watch(pending)).collect();
        self.push_after_all(&missed, ctx);
    }

    fn retry_pause(&self) -> Duration {
        let DeliverySettings { retry_min, retry_max, .. } = self.deps.delivery;
        Backoff::new(retry_min, retry_max).upper_half(self.delivery.failures.saturating_add(1))
    }

    /// Watches the partners who were present until they have seen the event or have left. Returns those who left while
    /// the event was on its way: they get a push at once.
    fn watch(&mut self, published: &PendingEvent) -> Vec<(UserId, Seq)> {
        let mut missed = Vec::new();
        for user in &published.present {
            if self.has_seen(user, published.seq) || !self.deps.devices.has_push_token(user) {
                continue;
            }
            match self.presence_of(user) {
                Presence::Absent => missed.push((user.clone(), published.seq)),
                Presence::Present | Presence::Unknown => self.watch_for(user, published.seq),
            }
        }
        missed
    }

    pub(super) fn watch_for(&mut self, user: &UserId, seq: Seq) {
        let (at, since) = (self.now(), self.deps.clock.uptime());
        self.outbox.watched.push(WatchedEvent { user: user.clone(), seq, at, since });
    }

    fn clear_outbox_later(&mut self, ctx: &mut Context<Self>) {
        if self.delivery.row_stored && self.outbox.is_empty() {
            // One timer for any number of events, because an actor polls all of its timers whenever it is woken.
            if self.delivery.clearing.replace(Clearing::Waits).is_none() {
                self.clear_outbox_after_a_pause(ctx);
            }
        }
    }

    fn clear_outbox_after_a_pause(&mut self, ctx: &mut Context<Self>) {
        self.delivery.clearing = Some(Clearing::Due);
        ctx.run_later(CLEAR_AFTER, |actor, ctx| {
            if actor.delivery.clearing.take() == Some(Clearing::Waits) {
                return actor.clear_outbox_after_a_pause(ctx);
            }
            if let Some(change) = actor.clear_outbox() {
                actor.commit_rows(CommitDraft::of_rows(vec![change]), ctx);
            }
        });
    }

    /// The deletion of the stored row, if nothing is outstanding any more.
    pub(super) fn clear_outbox(&mut self) -> Option<Change> {
        let clear = self.delivery.row_stored && self.outbox.is_empty() && self.deps.journal.has_room();
        clear.then(|| {
            self.delivery.row_stored = false;
            Change::Delete(keys::outbox(self.inbox.session()))
        })
    }

    /// Asks the provider about partners whose presence is unknown. Then decides with its answer, or without it when
    /// the time is over.
    fn resolve(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.delivery.resolving, true) {
            return;
        }
        if !self.deps.journal.has_room() {
            ctx.run_later(self.deps.delivery.retry_max, |actor, ctx| {
                actor.delivery.resolving = false;
                actor.deliver(ctx);
            });
            return;
        }
        let members = self.deps.realtime.members(self.inbox.session());
        let asked = tokio::time::timeout(self.deps.delivery.resolve_within, members);
        ctx.spawn(asked.into_actor(self).map(|answer, actor, ctx| {
            actor.delivery.resolving = false;
            let late = || RealtimeError::Unavailable { reason: "no answer in time".into(), retry_after: None };
            actor.take_members(answer.unwrap_or_else(|_| Err(late())), ctx);
            if let Err(error) = actor.decide_unresolved(ctx) {
                tracing::error!(session = %actor.inbox.session(), %error, "outbox cannot be read");
                return actor.exit(crate::supervisor::ExitStatus::unread(&error), ctx);
            }
            actor.deliver(ctx);
        }));
    }
}
