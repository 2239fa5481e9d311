//! Who hears of what happens on a channel, and how.

use std::sync::Arc;

use super::filter::Filter;
use crate::{
    log::{Entry, EntryBody},
    outbox::{Frame, Outbox},
    protocol::Modes,
};

/// The name by which a client has attached to a channel, where that is not the channel's own.
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
    /// A socket may be attached under several names.
    pub fn is(&self, outbox: &Arc<Outbox>, alias: Option<&Arc<Alias>>) -> bool {
        Arc::ptr_eq(&self.outbox, outbox) && self.alias.as_ref().map(|own| &own.name) == alias.map(|alias| &alias.name)
    }

    /// What it calls the channel.
    pub fn name_of<'a>(&'a self, channel: &'a str) -> &'a str {
        self.alias.as_ref().map_or(channel, |alias| &alias.name)
    }

    /// Whether it is to hear of the entry.
    pub fn hears(&self, entry: &Entry) -> bool {
        let own = entry.connection_id.as_deref() == Some(&*self.connection_id);
        match entry.body {
            EntryBody::Messages(_) => self.modes.has(Modes::SUBSCRIBE) && (self.echo || !own),
            EntryBody::Presence(_) => own || self.modes.has(Modes::PRESENCE_SUBSCRIBE),
        }
    }

    /// The entry without its first `skip` messages, as this subscriber gets it. None if nothing of it passes the filter.
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
