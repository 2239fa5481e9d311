//! Members of before a restart: they are there as if nothing had happened, until the grace of a lost socket is over. Whoever has come back
//! by then stays.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::{
    super::{channel::Channel, peer::Peer, presence::Members, protocol::PresenceMessage},
    Hub,
};

/// Waits for channels and connections to take it up.
#[derive(Default)]
pub struct Restored {
    /// By channel, until that is opened.
    members: Mutex<HashMap<String, Vec<PresenceMessage>>>,
    /// The channels of connections that have not come back.
    entered: Mutex<HashMap<Arc<str>, Vec<Arc<str>>>>,
}

impl Restored {
    pub fn has(&self, channel: &str) -> bool {
        self.members.lock().contains_key(channel)
    }

    /// A channel's members, once.
    pub fn take_members(&self, channel: &str) -> Members {
        self.members.lock().remove(channel).unwrap_or_default().into_iter().collect()
    }

    /// The connections with members in a channel that have not come back.
    fn unreturned_in(&self, channel: &str) -> Vec<Arc<str>> {
        let entered = self.entered.lock();
        let here = entered.iter().filter(|(_, channels)| channels.iter().any(|known| **known == *channel));
        here.map(|(connection, _)| connection.clone()).collect()
    }

    /// A connection is back: its members are its own again.
    pub fn give_back(&self, peer: &Peer) {
        let channels = self.entered.lock().remove(&peer.id).unwrap_or_default();
        channels.iter().for_each(|channel| peer.note_entered(channel));
    }
}

impl Hub {
    /// Reads the members of before the restart. Called before the first connection.
    pub fn restore_members(&self) {
        let rows = match self.services.rows.members(&self.app) {
            Ok(rows) => rows,
            Err(error) => return tracing::error!(%error, "presence sets could not be read; they begin empty"),
        };
        let (mut members, mut entered) = (self.restored.members.lock(), self.restored.entered.lock());
        for (channel, member) in rows {
            if !self.is_persisted(&channel) {
                self.services.rows.forget_member(&self.app, &channel, &member);
                continue;
            }
            let channels = entered.entry(member.connection_id.clone()).or_default();
            if !channels.iter().any(|known| **known == *channel) {
                channels.push(channel.as_str().into());
            }
            members.entry(channel).or_default().push(member);
        }
    }

    /// Somebody who enters under another connection than before the restart has given up the old one: its member leaves first, and nobody is
    /// taken for present who has gone again meanwhile.
    pub(super) fn replace_unreturned(&self, channel: &Channel, events: &[PresenceMessage]) {
        for connection in self.restored.unreturned_in(&channel.name) {
            for event in events.iter().filter(|event| event.is_present()) {
                self.leave_as(channel, &connection, Some(&event.client_id));
            }
        }
    }

    /// Whoever has not come back leaves. Called when the grace is over.
    pub fn leave_unreturned(&self) {
        let entered = std::mem::take(&mut *self.restored.entered.lock());
        for (connection, channels) in entered {
            for channel in channels {
                self.leave_as(&self.channel(&channel), &connection, None);
            }
        }
    }
}
