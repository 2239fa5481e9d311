//! The realtime messages of an event.

use serde_json::Value;

use super::outbox::PendingEvent;
use crate::{
    domain::{Announcement, Audience, Event, EventName, Session, ids::UserId},
    ports::{Channel, Publication},
};

/// The message for the session channel, and for each partner's own channel the notice that the session has changed.
pub(super) fn publications(session: &Session, event: &Event, announcement: &Announcement) -> Vec<Publication> {
    let (id, seq) = (session.id(), event.seq);
    let messages = on_session(session, event, announcement, &format!("{id}:{seq}"));
    let updated = format!(r#"{{"sessionId":"{id}","seq":{seq},"timestamp":{}}}"#, event.at.as_millis());
    let concerns = |user: &&UserId| announcement.only.as_ref().is_none_or(|only| only == *user);
    let lists = session.members().filter(concerns).map(|user| Publication {
        channel: Channel::User(user.clone()),
        id: format!("{id}:{seq}:updated"),
        name: EventName::SessionUpdated.as_str(),
        data: updated.clone().into(),
        at: event.at,
    });
    messages.into_iter().chain(lists).collect()
}

/// The messages beside the event's own. Only sessions with a user of the app have them: elsewhere one event is one
/// message. Their ids do not end in `:seq`, because a client that has received a hint has not received the event.
pub(super) fn hints(session: &Session, event: &Event) -> Vec<Publication> {
    let (id, seq) = (session.id(), event.seq);
    let hints = if session.serves_app() { event.hints(id) } else { Vec::new() };
    hints.iter().flat_map(|hint| on_session(session, event, hint, &format!("{id}:{}:{seq}", hint.name))).collect()
}

/// One message for both partners, or one for each member.
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

/// The messages of several events, in the order of `seq`. A partner's own channel gets one notice for the whole batch.
pub(super) fn batch<'a>(pending: impl Iterator<Item = &'a PendingEvent>) -> Vec<Publication> {
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
