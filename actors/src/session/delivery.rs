//! Telling the partners. The decision is made with the event, from the presence that the actor holds, and stored in the same
//! commit; publishing begins after the flush, in the order of `seq`, and goes on until the provider has taken it. Pushes are
//! rows that the push sender takes over: the two ways never wait for each other.

use std::{
    borrow::Cow,
    pin::pin,
    task::{Poll, Waker},
    time::Duration,
};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use serde_json::Value;

use super::{DeliverySettings, SessionActor};
use crate::{
    domain::{
        Announcement, Event, Session,
        ids::{Seq, UserId},
        routing::{Decision, Knowledge, Legs, Presence, Recipient, route},
    },
    failpoint, keys,
    outbox::{Pending, Watched},
    ports::{Change, Channel, Member, Publication, RealtimeError, StoreError},
    records::{self, Decided, EventRow, PushJob},
};

/// Where delivery stands, beside the stored outbox.
#[derive(Debug)]
pub(super) struct Delivery {
    durable: Seq,
    publishing: bool,
    resolving: bool,
    failures: u32,
    /// The store has, or will have, an outbox row.
    row_stored: bool,
}

impl Delivery {
    pub fn new(durable: Seq, row_stored: bool) -> Self {
        Self { durable, publishing: false, resolving: false, failures: 0, row_stored }
    }

    pub fn durable(&mut self, seq: Seq) {
        self.durable = self.durable.max(seq);
    }

    pub fn durable_seq(&self) -> Seq {
        self.durable
    }

    pub fn is_idle(&self) -> bool {
        !self.publishing && !self.resolving
    }
}

/// What routing an event came to.
#[derive(Default)]
pub(super) struct Routed {
    pub decided: Vec<Decided>,
    pub announced: bool,
    pub push_jobs: bool,
}

/// A stored event and what is told of it.
pub(super) struct Told {
    pub row: EventRow,
    pub announcement: Announcement,
}

/// An outbox that has run empty keeps its row this long: the next event often comes sooner and writes it anyway.
const CLEAR_AFTER: Duration = Duration::from_millis(500);

impl SessionActor {
    /// Decides who is told of `event`, and how; push jobs are added to `changes`.
    pub(super) fn route(&mut self, event: &Event, changes: &mut Vec<Change>) -> Routed {
        let Some(session) = &self.session else { return Routed::default() };
        let Some(announcement) = event.announcement(session.id()) else { return Routed::default() };
        let mut routed = Routed { announced: true, ..Routed::default() };
        let mut pending = Pending::new(event.seq);
        for user in session.members() {
            let presence = self.presence_of(user);
            let decision = self.decide(user, &announcement, event, Knowledge::Known(presence));
            pending.publish |= decision.legs.publishes();
            match decision.legs {
                Legs::Nothing => continue,
                Legs::Resolve => pending.unresolved.push(user.clone()),
                Legs::Publish if announcement.pushes && presence == Presence::Present => {
                    pending.present.push(user.clone());
                }
                _ => {}
            }
            pending.to.push(user.clone());
            if decision.legs.pushes() {
                changes.push(self.push_job(user, event, announcement.name, decision.reason));
                routed.push_jobs = true;
            }
            routed.decided.push(self.decided(user.clone(), decision));
        }
        pending.publications = publications(session, event, announcement);
        self.outbox.pending.push_back(pending);
        routed
    }

    pub(super) fn presence_of(&self, user: &UserId) -> Presence {
        self.presence.state(user, self.now(), self.shell.delivery.presence_max_age)
    }

    fn decide(&self, user: &UserId, announcement: &Announcement, event: &Event, knowledge: Knowledge) -> Decision {
        let has_push_token = self.shell.devices.has_push_token(user);
        let recipient = Recipient { is_author: event.by.as_ref() == Some(user), knowledge, has_push_token };
        route(announcement, recipient, self.shell.delivery.when_absent)
    }

    fn decided(&self, user: UserId, Decision { legs, reason }: Decision) -> Decided {
        Decided { user, at: self.now(), legs: Cow::Borrowed(legs.as_str()), reason: Cow::Borrowed(reason) }
    }

    pub(super) fn push_job(&self, user: &UserId, event: &Event, name: &str, reason: &str) -> Change {
        let now = self.now();
        let job = PushJob {
            session: self.inbox.session().clone(),
            user: user.clone(),
            seq: event.seq,
            event: name.to_owned(),
            created_at: now,
            reason: reason.to_owned(),
        };
        Change::Put(keys::push_job(now, &job.session, user, event.seq), records::encode(&job))
    }

    pub(super) fn outbox_row(&mut self) -> Change {
        self.delivery.row_stored = true;
        Change::Put(keys::outbox(self.inbox.session()), records::encode(&self.outbox))
    }

    /// Publishes whatever is durable and decided, one batch at a time; and sees to it that everything durable is decided. The
    /// second waits for nothing in the first: whoever is to get a push gets it while the provider is down.
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
        self.outbox.forget_old(self.shell.clock.now(), self.shell.delivery.leave_grace);
        let ready = self.outbox.pending.iter().take_while(|p| p.seq <= durable && p.unresolved.is_empty()).count();
        if ready == 0 {
            if self.outbox.pending.is_empty() {
                self.clear_outbox_later(ctx);
            }
            return;
        }
        if let Err(error) = self.restore_publications(ready) {
            tracing::error!(session = %self.inbox.session(), %error, "outbox cannot be read");
            return self.exit(crate::exit::ExitStatus::LoadFailed, ctx);
        }
        failpoint::reach(self.inbox.session(), "before_publish");
        let batch = batch(self.outbox.pending.iter().take(ready));
        self.delivery.publishing = true;
        let done = self.shell.realtime.publish(batch);
        self.when_ready(done, ctx, move |actor, outcome, ctx| actor.published(ready, outcome, ctx));
    }

    /// An outbox that was read from the store knows only which events are outstanding.
    fn restore_publications(&mut self, count: usize) -> Result<(), StoreError> {
        for index in 0..count {
            let pending = &self.outbox.pending[index];
            if !pending.publications.is_empty() {
                continue;
            }
            let told = self.read_told(pending.seq)?;
            if let (Some(session), Some(Told { row, announcement })) = (&self.session, told) {
                self.outbox.pending[index].publications = publications(session, &row.event, announcement);
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
                tracing::warn!(session = %self.inbox.session(), %reason, ?pause, "publishing failed, trying again");
                ctx.run_later(pause, |actor, ctx| actor.deliver(ctx));
            }
            Err(RealtimeError::Refused { reason }) => {
                tracing::error!(session = %self.inbox.session(), %reason, "provider refuses the events for good");
                self.outbox.pending.drain(..count);
                self.deliver(ctx);
            }
            Ok(()) => {
                self.delivery.failures = 0;
                let published: Vec<Pending> = self.outbox.pending.drain(..count).collect();
                for pending in published.iter().filter(|pending| pending.publish) {
                    self.watch(pending, ctx);
                }
                self.deliver(ctx);
            }
        }
    }

    /// Full jitter over the upper half.
    fn retry_pause(&self) -> Duration {
        let DeliverySettings { retry_min, retry_max, .. } = self.shell.delivery;
        let ceiling = retry_min.saturating_mul(1 << self.delivery.failures.min(16)).min(retry_max);
        ceiling.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Partners who were present are watched until they have seen it, or have left. Whoever left while it was on its way is told
    /// by a push at once.
    fn watch(&mut self, published: &Pending, ctx: &mut Context<Self>) {
        let at = self.now();
        for user in &published.present {
            if self.has_seen(user, published.seq) || !self.shell.devices.has_push_token(user) {
                continue;
            }
            match self.presence_of(user) {
                Presence::Absent => self.push_after_all(user, published.seq, ctx),
                Presence::Present | Presence::Unknown => {
                    self.outbox.watched.push(Watched { user: user.clone(), seq: published.seq, at });
                }
            }
        }
    }

    fn clear_outbox_later(&mut self, ctx: &mut Context<Self>) {
        if self.delivery.row_stored && self.outbox.is_empty() {
            ctx.run_later(CLEAR_AFTER, |actor, ctx| {
                if let Some(change) = actor.clear_outbox() {
                    actor.commit_rows(vec![change], false, ctx);
                }
            });
        }
    }

    /// The deletion of a stored row that says no more than that nothing is outstanding.
    pub(super) fn clear_outbox(&mut self) -> Option<Change> {
        let clear = self.delivery.row_stored && self.outbox.is_empty() && self.shell.journal.has_room();
        clear.then(|| {
            self.delivery.row_stored = false;
            Change::Delete(keys::outbox(self.inbox.session()))
        })
    }

    /// Asks the provider who is present.
    pub(super) fn ask_presence(&mut self, ctx: &mut Context<Self>) {
        if self.session.is_some() && self.shell.delivery.presence_max_age.is_none() {
            let members = self.shell.realtime.members(self.inbox.session());
            self.when_ready(members, ctx, |actor, outcome, _| actor.take_members(outcome));
        }
    }

    fn take_members(&mut self, outcome: Result<Vec<Member>, RealtimeError>) {
        match outcome {
            Ok(members) => self.presence.replace(members, self.shell.clock.now()),
            Err(error) => tracing::warn!(session = %self.inbox.session(), %error, "presence is unknown"),
        }
    }

    /// Finds out about partners whose presence is unknown, within the time for it; then decides, with or without an answer.
    fn resolve(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.delivery.resolving, true) {
            return;
        }
        let members = self.shell.realtime.members(self.inbox.session());
        let asked = tokio::time::timeout(self.shell.delivery.resolve_within, members);
        ctx.spawn(asked.into_actor(self).map(|answer, actor, ctx| {
            actor.delivery.resolving = false;
            let late = || RealtimeError::Unavailable { reason: "no answer in time".into(), retry_after: None };
            actor.take_members(answer.unwrap_or_else(|_| Err(late())));
            if let Err(error) = actor.decide_unresolved(ctx) {
                tracing::error!(session = %actor.inbox.session(), %error, "outbox cannot be read");
                return actor.exit(crate::exit::ExitStatus::LoadFailed, ctx);
            }
            actor.deliver(ctx);
        }));
    }

    fn decide_unresolved(&mut self, ctx: &mut Context<Self>) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        let mut push_jobs = false;
        for index in 0..self.outbox.pending.len() {
            let Pending { seq, unresolved, .. } = &mut self.outbox.pending[index];
            let (seq, unresolved) = (*seq, std::mem::take(unresolved));
            if seq > self.delivery.durable {
                self.outbox.pending[index].unresolved = unresolved;
                break;
            }
            for user in unresolved {
                let knowledge = match self.presence_of(&user) {
                    Presence::Unknown => Knowledge::Unresolved,
                    known => Knowledge::Known(known),
                };
                let Some(told) = self.read_told(seq)? else { continue };
                let decision = self.decide(&user, &told.announcement, &told.row.event, knowledge);
                let pending = &mut self.outbox.pending[index];
                pending.publish |= decision.legs.publishes();
                if decision.legs == Legs::Publish && knowledge == Knowledge::Known(Presence::Present) {
                    pending.present.push(user.clone());
                }
                push_jobs |= self.decide_late(&user, told, decision, &mut changes);
            }
        }
        if !changes.is_empty() {
            changes.push(self.outbox_row());
            self.commit_rows(changes, push_jobs, ctx);
        }
        Ok(())
    }

    /// An announced event, as it is stored.
    pub(super) fn read_told(&self, seq: Seq) -> Result<Option<Told>, StoreError> {
        let id = self.inbox.session();
        let Some(bytes) = self.shell.store.get(&keys::event(id, seq))? else { return Ok(None) };
        let row: EventRow = records::decode(&bytes)?;
        Ok(row.event.announcement(id).map(|announcement| Told { row, announcement }))
    }

    /// Records a decision that was made after the event was stored, beside the event. True if it makes a push.
    pub(super) fn decide_late(
        &self,
        user: &UserId,
        Told { mut row, announcement }: Told,
        decision: Decision,
        changes: &mut Vec<Change>,
    ) -> bool {
        if decision.legs.pushes() {
            changes.push(self.push_job(user, &row.event, announcement.name, decision.reason));
        }
        row.routing.push(self.decided(user.clone(), decision));
        changes.push(Change::Put(keys::event(self.inbox.session(), row.event.seq), records::encode(&row)));
        decision.legs.pushes()
    }

    /// Goes on with `then` at once if the future is ready, which the embedded endpoint's always are.
    fn when_ready<T: 'static>(
        &mut self,
        future: crate::ports::BoxFuture<T>,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, T, &mut Context<Self>) + 'static,
    ) {
        let mut future = future;
        match pin!(&mut future).poll(&mut std::task::Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => then(self, value, ctx),
            Poll::Pending => {
                ctx.spawn(future.into_actor(self).map(move |value, actor, ctx| then(actor, value, ctx)));
            }
        }
    }
}

/// The session channel's message, and a word on each partner's own channel that the session has changed.
fn publications(session: &Session, event: &Event, announcement: Announcement) -> Vec<Publication> {
    let (id, seq) = (session.id(), event.seq);
    let told = Publication {
        channel: Channel::Session(id.clone()),
        id: format!("{id}:{seq}"),
        name: announcement.name,
        data: Value::Object(announcement.payload).to_string().into(),
        at: event.at,
    };
    let updated = format!(r#"{{"sessionId":"{id}","seq":{seq},"timestamp":{}}}"#, event.at.as_millis());
    let lists = session.members().map(|user| Publication {
        channel: Channel::User(user.clone()),
        id: format!("{id}:{seq}:updated"),
        name: "session.updated",
        data: updated.clone().into(),
        at: event.at,
    });
    std::iter::once(told).chain(lists).collect()
}

/// In the order of `seq`; a partner's own channel hears once of the whole batch.
fn batch<'a>(pending: impl Iterator<Item = &'a Pending>) -> Vec<Publication> {
    let mut batch: Vec<Publication> = Vec::new();
    for pending in pending {
        for publication in &pending.publications {
            match publication.channel {
                Channel::Session(_) if !pending.publish => continue,
                Channel::Session(_) => {}
                Channel::User(_) => batch.retain(|earlier| earlier.channel != publication.channel),
            }
            batch.push(publication.clone());
        }
    }
    batch
}
