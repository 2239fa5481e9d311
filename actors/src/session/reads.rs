//! Reads: answered from the state in memory, which may be ahead of the disk; such an answer waits at the gate.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{SessionActor, load::read_event};
use crate::{
    domain::{
        Query, Rejection,
        ids::{Seq, UserId},
        time::Timestamp,
        view,
    },
    keys,
    messages::{Refusal, ReplyTo},
    ports::Direction,
};

/// An announced event, as `GET /sessions/:id/events` and the realtime channels tell it.
#[derive(Serialize)]
struct Told {
    seq: Seq,
    name: &'static str,
    /// The same as `name`: what other clients call it.
    event: &'static str,
    data: Box<RawValue>,
    at: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventsPage {
    events: Vec<Told>,
    /// Up to here the caller knows everything.
    seq: Seq,
    has_more: bool,
}

impl SessionActor {
    pub(super) fn query(&mut self, viewer: &UserId, query: Query, reply: ReplyTo<Bytes>) {
        let answer = match &self.session {
            Some(session) => view::query(session, viewer, &query, &self.shell.domain, self.now()),
            None => Err(Rejection::no_such_session()),
        };
        if let (Ok(_), Query::State, Some(session)) = (&answer, query, &self.session) {
            let seq = session.seq();
            self.saw(viewer, seq);
        }
        self.send_json(answer.map_err(Refusal::from), reply);
    }

    /// The invitation as anybody who has its id may see it.
    pub(super) fn public_invitation(&mut self, reply: ReplyTo<Bytes>) {
        let answer = match &self.session {
            Some(session) => view::public_invitation(session, self.now()),
            None => Err(Rejection::no_such_invitation()),
        };
        self.send_json(answer.map_err(Refusal::from), reply);
    }

    pub(super) fn unread(&mut self, user: &UserId, reply: ReplyTo<bool>) {
        let unread = self.session.as_ref().is_some_and(|session| session.unread_for(user));
        self.after_flush(move || drop(reply.send(Ok(unread))));
    }

    fn send_json(&mut self, answer: Result<impl Serialize, Refusal>, reply: ReplyTo<Bytes>) {
        let answer = answer.and_then(|answer| to_json(&answer));
        self.after_flush(move || drop(reply.send(answer)));
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
        let session = self.session.as_ref().filter(|session| session.visible_to().any(|user| user == viewer));
        let Some(session) = session else { return Err(Rejection::no_such_session().into()) };
        let all = keys::events(session.id());
        let mut page = EventsPage { events: Vec::new(), seq: after.min(self.delivery.durable_seq()), has_more: false };
        let mut cursor = keys::event(session.id(), after);
        loop {
            let rows = self.shell.store.scan(&all, Some(&cursor), Direction::Forward, 256)?;
            let Some((last, _)) = rows.last() else { return Ok(page) };
            cursor = last.clone();
            for (_, row) in &rows {
                let event = read_event(row)?;
                let told = event.announcement().filter(|told| told.is_for(viewer, session));
                if let Some(announcement) = told {
                    if page.events.len() == limit {
                        page.has_more = true;
                        return Ok(page);
                    }
                    let name = announcement.name;
                    let data = RawValue::from_string(announcement.json(session.id(), &event)).map_err(internal)?;
                    page.events.push(Told { seq: event.seq, name, event: name, data, at: event.at });
                }
                page.seq = event.seq;
            }
        }
    }
}

fn to_json(answer: &impl Serialize) -> Result<Bytes, Refusal> {
    serde_json::to_vec(answer).map(Bytes::from).map_err(internal)
}

fn internal(error: serde_json::Error) -> Refusal {
    Refusal::Internal(format!("an answer cannot be written as JSON: {error}"))
}
