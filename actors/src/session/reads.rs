//! Reads: answered from the state in memory, which may be ahead of the disk; such an answer waits at the gate.

use actix::Context as ActorContext;
use bytes::Bytes;
use serde::Serialize;

use super::{SessionActor, load::read_event};
use crate::{
    domain::{
        Query, Rejection,
        ids::{Seq, UserId},
        view::{self, EventsPage, SeenEvent},
    },
    keys,
    messages::{Refusal, ReplyTo},
    nicknames,
    ports::Direction,
};

/// Events read from the store at a time.
const PAGE: usize = 256;

impl SessionActor {
    pub(super) fn query(
        &mut self,
        viewer: Option<&UserId>,
        query: Query,
        reply: ReplyTo<Bytes>,
        ctx: &mut ActorContext<Self>,
    ) {
        if let (Some(viewer), Some(marker)) = (viewer, query.marker()) {
            self.notice(viewer, marker, ctx);
        }
        let answer = match &self.session {
            Some(session) => view::query(session, viewer, &query, self.now(), &self.shell.domain),
            None if viewer.is_none() => Err(Rejection::no_such_invitation()),
            None => Err(Rejection::no_such_session()),
        };
        if let (Ok(_), Query::State, Some(session), Some(viewer)) = (&answer, query, &self.session, viewer) {
            let seq = session.seq();
            self.saw(viewer, seq);
        }
        let shown = answer.map_err(Refusal::from).and_then(|mut answer| {
            if let Some(viewer) = viewer {
                nicknames::put_into(&mut answer, &*self.shell.store, viewer)?;
            }
            Ok(answer)
        });
        let answer = shown.and_then(|answer| to_json(&answer));
        self.after_flush(move || drop(reply.send(answer)));
    }

    pub(super) fn unread(&mut self, user: &UserId, reply: ReplyTo<bool>) {
        let unread = self.session.as_ref().is_some_and(|session| session.unread_for(user));
        self.after_flush(move || drop(reply.send(Ok(unread))));
    }

    /// Read from the store, which shows only what is durable: nothing has to wait.
    pub(super) fn events(&mut self, viewer: UserId, after: Seq, limit: usize, reply: ReplyTo<Bytes>) {
        let page = self.events_page(&viewer, after, limit);
        if let Ok(page) = &page {
            self.saw(&viewer, page.seq);
        }
        drop(reply.send(page.and_then(|page| to_json(&page))));
    }

    fn events_page(&self, viewer: &UserId, after: Seq, limit: usize) -> Result<EventsPage, Refusal> {
        let session = self.session.as_ref().filter(|session| session.is_member(viewer));
        let Some(session) = session else { return Err(Rejection::no_such_session().into()) };
        let all = keys::events(session.id());
        let mut page = EventsPage { events: Vec::new(), seq: after.min(self.delivery.durable_seq()), has_more: false };
        let mut cursor = keys::event(session.id(), after);
        loop {
            let rows = self.shell.store.scan(&all, Some(&cursor), Direction::Forward, PAGE)?;
            let Some((last, _)) = rows.last() else { return Ok(page) };
            cursor = last.clone();
            for (_, row) in &rows {
                let event = read_event(row)?;
                if let Some(seen) = SeenEvent::of(session, &event, viewer) {
                    if page.events.len() == limit {
                        page.has_more = true;
                        return Ok(page);
                    }
                    page.events.push(seen);
                }
                page.seq = event.seq;
            }
        }
    }
}

pub(super) fn to_json(answer: &impl Serialize) -> Result<Bytes, Refusal> {
    let json = serde_json::to_vec(answer);
    json.map(Bytes::from).map_err(|error| Refusal::Internal(format!("an answer cannot be written as JSON: {error}")))
}
