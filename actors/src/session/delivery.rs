//! Telling the partners. Publishing begins after the flush, in the order of `seq`, and goes on until the provider has taken it.
//! Pushes are rows that the push sender takes over: the two ways never wait for each other.

use std::{
    pin::pin,
    task::{Poll, Waker},
    time::Duration,
};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use serde_json::Value;

use super::{DeliverySettings, SessionActor, routing::Told};
use crate::{
    backoff::Backoff,
    domain::{
        Announcement, Audience, Event, EventName, Session,
        ids::{Seq, UserId},
        routing::Presence,
    },
    failpoint, keys,
    outbox::{Pending, Watched},
    ports::{Change, Channel, Publication, RealtimeError, StoreError},
    records,
};

/// Where delivery stands, beside the stored outbox.
#[derive(Debug)]
pub(super) struct Delivery {
    durable: Seq,
    publishing: bool,
    pub(super) resolving: bool,
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

/// An outbox that has run empty keeps its row this long: the next event often comes sooner and writes it anyway.
const CLEAR_AFTER: Duration = Duration::from_millis(500);

impl SessionActor {
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
        self.outbox.forget_old(self.shell.clock.uptime(), self.shell.delivery.leave_grace);
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
                let pending = &mut self.outbox.pending[index];
                pending.publications = publications(session, &row.event, &announcement);
                pending.hints = hints(session, &row.event);
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

    fn retry_pause(&self) -> Duration {
        let DeliverySettings { retry_min, retry_max, .. } = self.shell.delivery;
        Backoff::new(retry_min, retry_max).upper_half(self.delivery.failures.saturating_add(1))
    }

    /// Partners who were present are watched until they have seen it, or have left. Whoever left while it was on its way is told
    /// by a push at once.
    fn watch(&mut self, published: &Pending, ctx: &mut Context<Self>) {
        let (at, since) = (self.now(), self.shell.clock.uptime());
        for user in &published.present {
            if self.has_seen(user, published.seq) || !self.shell.devices.has_push_token(user) {
                continue;
            }
            match self.presence_of(user) {
                Presence::Absent => self.push_after_all(user, published.seq, ctx),
                Presence::Present | Presence::Unknown => {
                    self.outbox.watched.push(Watched { user: user.clone(), seq: published.seq, at, since });
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

    /// Goes on with `then` at once if the future is ready, which the embedded endpoint's always are.
    pub(super) fn when_ready<T: 'static>(
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
pub(super) fn publications(session: &Session, event: &Event, announcement: &Announcement) -> Vec<Publication> {
    let (id, seq) = (session.id(), event.seq);
    let told = on_session(session, event, announcement, &format!("{id}:{seq}"));
    let updated = format!(r#"{{"sessionId":"{id}","seq":{seq},"timestamp":{}}}"#, event.at.as_millis());
    let concerns = |user: &&UserId| announcement.only.as_ref().is_none_or(|only| only == *user);
    let lists = session.members().filter(concerns).map(|user| Publication {
        channel: Channel::User(user.clone()),
        id: format!("{id}:{seq}:updated"),
        name: EventName::SessionUpdated.as_str(),
        data: updated.clone().into(),
        at: event.at,
    });
    told.into_iter().chain(lists).collect()
}

/// The messages beside the event's own, where somebody has the app: for others one event is one message. Their ids name no `seq` in its place: who has received a hint has not received the event.
pub(super) fn hints(session: &Session, event: &Event) -> Vec<Publication> {
    let (id, seq) = (session.id(), event.seq);
    let hints = if session.serves_app() { event.hints(id) } else { Vec::new() };
    hints.iter().flat_map(|hint| on_session(session, event, hint, &format!("{id}:{}:{seq}", hint.name))).collect()
}

/// One message for both, or one for each member.
fn on_session(session: &Session, event: &Event, announcement: &Announcement, message_id: &str) -> Vec<Publication> {
    let message = |id: String, payload| Publication {
        channel: Channel::Session(session.id().clone()),
        id,
        name: announcement.name,
        data: Value::Object(payload).to_string().into(),
        at: event.at,
    };
    if announcement.only.is_some() {
        return Vec::new();
    }
    if announcement.audience != Audience::Each {
        return vec![message(message_id.to_owned(), announcement.payload.clone())];
    }
    let members = session.participants().enumerate().filter(|(_, user)| session.is_member(user));
    members.map(|(place, user)| message(format!("{message_id}:{place}"), announcement.payload_for(user))).collect()
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
        batch.extend(pending.hints.iter().cloned());
    }
    batch
}
