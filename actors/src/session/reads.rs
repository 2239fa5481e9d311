//! Queries, answered from the state in memory. It may be ahead of the disk, so the answer waits at the gate. Events are
//! read from the store, by another thread.

use actix::{ActorFutureExt, AsyncContext, Context as ActorContext, fut::WrapFuture};
use bytes::Bytes;
use serde::Serialize;

use super::{Held, SessionActor, seen::ShownEvents};
use crate::{
    domain::{
        Query, Rejection,
        ids::UserId,
        view::{self, EventsPage},
    },
    encoding,
    messages::{EventsRequest, Reader, Refusal, ReplyTo, SessionMessage},
    stored::{self, nicknames},
};

/// Reads of the store that other threads do for the session.
#[derive(Debug, Default)]
pub(super) struct PendingReads {
    under_way: usize,
    /// How often words were erased from the log. What was read before has them.
    pub erasures: u64,
}

impl PendingReads {
    /// Begins a read. Returns the number of erasures before it.
    fn begin(&mut self) -> u64 {
        self.under_way += 1;
        self.erasures
    }

    pub(super) fn are_done(&self) -> bool {
        self.under_way == 0
    }
}

impl SessionActor {
    pub(super) fn query(
        &mut self,
        viewer: Option<&UserId>,
        query: Query,
        reader: Reader,
        reply: ReplyTo<Bytes>,
        ctx: &mut ActorContext<Self>,
    ) {
        if let (Some(viewer), Some(marker)) = (viewer, query.marker()) {
            self.notice(viewer, marker, ctx);
        }
        let answer = match &self.session {
            Some(session) => view::query(session, viewer, &query, self.now(), &self.deps.domain),
            None if viewer.is_none() => Err(Rejection::no_such_invitation()),
            None => Err(Rejection::no_such_session()),
        };
        let shows_all = query == Query::State && reader == Reader::Client;
        let answer = answer.map_err(Refusal::from).and_then(|mut answer| {
            if let Some(viewer) = viewer {
                nicknames::put_into(&mut answer, &*self.deps.store, viewer)?;
            }
            Ok(answer)
        });
        match (answer.and_then(|answer| to_json(&answer)), viewer.cloned()) {
            (Ok(answer), Some(viewer)) if shows_all => {
                self.show_after_flush(ShownEvents { viewer, seq: self.seq(), answer, reply });
            }
            (answer, _) => self.after_flush(move || drop(reply.send(answer))),
        }
    }

    /// Answers with durable events. The answer waits all the same: whether the viewer is a member, and what consent
    /// shows, follows from the state, which may not be durable yet.
    pub(super) fn events(&mut self, request: EventsRequest, ctx: &mut ActorContext<Self>) {
        if self.is_rewriting() {
            // The answer would leave after an erasure, with the erased words.
            return self.gate.hold(Held::Retry(Box::new(SessionMessage::Events(request))));
        }
        let session = self.session.as_ref().filter(|session| session.is_member(&request.viewer));
        let Some(session) = session.cloned() else {
            return self.after_flush(move || drop(request.reply.send(Err(Rejection::no_such_session().into()))));
        };
        let (store, readers) = (self.deps.store.clone(), self.deps.readers.clone());
        let EventsRequest { viewer, after, limit, .. } = &request;
        let (viewer, after, limit) = (viewer.clone(), *after, *limit);
        let page = move || stored::events_page(&*store, &session, &viewer, &[], after, limit);
        let reading = async move { readers.read(page).await };
        let erasures = self.reads.begin();
        ctx.spawn(reading.into_actor(self).map(move |page, actor, ctx| {
            actor.reads.under_way -= 1;
            if actor.reads.erasures == erasures {
                actor.show_page(request, page.map_err(Refusal::from));
            } else {
                actor.events(request, ctx);
            }
        }));
    }

    fn show_page(&mut self, request: EventsRequest, page: Result<EventsPage, Refusal>) {
        let EventsRequest { viewer, reader, reply, .. } = request;
        match page.and_then(|page| Ok((page.seq, to_json(&page)?))) {
            Ok((seq, answer)) if reader == Reader::Client => {
                self.show_after_flush(ShownEvents { viewer, seq, answer, reply });
            }
            page => self.after_flush(move || drop(reply.send(page.map(|(_, answer)| answer)))),
        }
    }
}

pub(crate) fn to_json(answer: &impl Serialize) -> Result<Bytes, Refusal> {
    encoding::json(answer).map_err(|error| Refusal::Internal(format!("an answer cannot be written as JSON: {error}")))
}
