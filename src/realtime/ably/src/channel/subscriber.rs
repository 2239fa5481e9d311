//! Subscribers of a channel, and the frames that each gets.

use std::sync::Arc;

use super::filter::Filter;
use crate::{
    log::{Entry, EntryBody},
    outbox::{Frame, Outbox},
    protocol::Modes,
};

/// The qualified name under which a client is attached.
#[derive(Debug)]
pub struct Alias {
    pub name: Arc<str>,
    pub filter: Option<Filter>,
}

#[derive(Clone)]
pub struct Subscriber {
    pub connection_id: Arc<str>,
    pub outbox: Arc<Outbox>,
    pub modes: Modes,
    pub echo: bool,
    pub alias: Option<Arc<Alias>>,
}

impl Subscriber {
    /// Whether it is the attachment of this socket under this name. A socket may be attached under several names.
    pub fn is_attachment_of(&self, outbox: &Arc<Outbox>, alias: Option<&Arc<Alias>>) -> bool {
        Arc::ptr_eq(&self.outbox, outbox) && self.alias.as_ref().map(|own| &own.name) == alias.map(|alias| &alias.name)
    }

    /// The name that the client uses for the channel.
    pub fn name_of<'a>(&'a self, channel: &'a str) -> &'a str {
        self.alias.as_ref().map_or(channel, |alias| &alias.name)
    }

    /// Whether it gets the entry.
    pub fn wants(&self, entry: &Entry) -> bool {
        let own = entry.connection_id.as_deref() == Some(&*self.connection_id);
        match entry.body {
            EntryBody::Messages(_) => self.modes.has(Modes::SUBSCRIBE) && (self.echo || !own),
            EntryBody::Presence(_) => own || self.modes.has(Modes::PRESENCE_SUBSCRIBE),
        }
    }

    /// The frame for this subscriber, without the entry's first `skip` messages. None if no message passes the
    /// filter.
    pub fn frame(&self, entry: &Entry, skip: usize) -> Option<Frame> {
        let format = self.outbox.format;
        let Some(alias) = &self.alias else { return Some(entry.frame_from(format, skip)) };
        let wanted = |index: &usize| match (&alias.filter, &entry.body) {
            (None, _) => true,
            (Some(filter), EntryBody::Messages(messages)) => filter.wants(&messages[*index]),
            (Some(_), EntryBody::Presence(_)) => false,
        };
        let picked: Vec<usize> = (skip..entry.count()).filter(wanted).collect();
        (!picked.is_empty()).then(|| entry.frame_as(format, &alias.name, &picked))
    }
}
