//! Queries, answered from the state in memory. It may be ahead of the disk, so the answer waits at the gate.

use actix::Context as ActorContext;
use bytes::Bytes;
use serde::Serialize;

use super::{Held, SessionActor, seen::ShownEvents};
use crate::{
    domain::{
        Query, Rejection,
        ids::{Seq, UserId},
        view::{self, EventsPage},
    },
    messages::{Reader, Refusal, ReplyTo, SessionMessage},
    stored::{self, nicknames},
};

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
    pub(super) fn events(&mut self, viewer: UserId, after: Seq, limit: usize, reader: Reader, reply: ReplyTo<Bytes>) {
        if self.is_rewriting() {
            // The answer would leave after an erasure, with the erased words.
            return self.gate.hold(Held::Retry(Box::new(SessionMessage::Events {
                viewer,
                after,
                limit,
                reader,
                reply,
            })));
        }
        let page = self.events_page(&viewer, after, limit);
        match page.and_then(|page| Ok((page.seq, to_json(&page)?))) {
            Ok((seq, answer)) if reader == Reader::Client => {
                self.show_after_flush(ShownEvents { viewer, seq, answer, reply });
            }
            page => self.after_flush(move || drop(reply.send(page.map(|(_, answer)| answer)))),
        }
    }

    fn events_page(&self, viewer: &UserId, after: Seq, limit: usize) -> Result<EventsPage, Refusal> {
        let session = self.session.as_ref().filter(|session| session.is_member(viewer));
        let Some(session) = session else { return Err(Rejection::no_such_session().into()) };
        Ok(stored::events_page(&*self.deps.store, session, viewer, &[], after, limit)?)
    }
}

pub(crate) fn to_json(answer: &impl Serialize) -> Result<Bytes, Refusal> {
    let json = serde_json::to_vec(answer);
    json.map(Bytes::from).map_err(|error| Refusal::Internal(format!("an answer cannot be written as JSON: {error}")))
}
