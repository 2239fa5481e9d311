//! Members of before a restart: they are there as if nothing had happened, until the grace of a lost socket is over. Whoever has come back
//! by then stays.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::Hub;
use crate::{
    channel::{Channel, RepeatDetection},
    connection::ConnectionState,
    log::Log,
    presence::Members,
    protocol::PresenceMessage,
};

/// Connections of before the restart that have not come back, and the channels that they have members in.
#[derive(Default)]
struct AbsentConnections {
    channels: HashMap<Arc<str>, Vec<Arc<str>>>,
    connections: HashMap<Arc<str>, Vec<Arc<str>>>,
}

impl AbsentConnections {
    fn add(&mut self, connection_id: &Arc<str>, channel: &Arc<str>) {
        let channels = self.channels.entry(connection_id.clone()).or_default();
        if !channels.contains(channel) {
            channels.push(channel.clone());
            self.connections.entry(channel.clone()).or_default().push(connection_id.clone());
        }
    }

    /// Takes a connection out, and says where it has members.
    fn remove(&mut self, connection_id: &str) -> Vec<Arc<str>> {
        let channels = self.channels.remove(connection_id).unwrap_or_default();
        for channel in &channels {
            if let Some(connections) = self.connections.get_mut(channel) {
                connections.retain(|known| **known != *connection_id);
                if connections.is_empty() {
                    self.connections.remove(channel);
                }
            }
        }
        channels
    }
}

/// Waits for channels and connections to take it up.
#[derive(Default)]
pub struct RestoredPresence {
    /// By channel, until that is opened.
    members: Mutex<HashMap<Arc<str>, Vec<PresenceMessage>>>,
    absent: Mutex<AbsentConnections>,
}

impl RestoredPresence {
    pub fn has(&self, channel: &str) -> bool {
        self.members.lock().contains_key(channel)
    }

    /// The channels that nobody has opened yet.
    pub fn channels(&self) -> Vec<Arc<str>> {
        self.members.lock().keys().cloned().collect()
    }

    /// A channel's members, once.
    pub fn take_members(&self, channel: &str) -> Members {
        self.members.lock().remove(channel).unwrap_or_default().into_iter().collect()
    }

    /// A connection is back: its members are its own again.
    pub fn give_back(&self, connection: &ConnectionState) {
        let channels = self.absent.lock().remove(&connection.id);
        channels.iter().for_each(|channel| connection.note_entered(channel));
    }

    fn absent_in(&self, channel: &str) -> Vec<Arc<str>> {
        self.absent.lock().connections.get(channel).cloned().unwrap_or_default()
    }

    fn next_absent(&self) -> Option<Arc<str>> {
        self.absent.lock().channels.keys().next().cloned()
    }
}

impl Hub {
    /// Reads the members of before the restart. Called before the first connection.
    pub fn restore_members(&self) {
        let rows = match self.services.rows.members(&self.app) {
            Ok(rows) => rows,
            Err(error) => return tracing::error!(%error, "presence sets could not be read; they begin empty"),
        };
        let (mut members, mut absent) = (self.restored.members.lock(), self.restored.absent.lock());
        for (channel, member) in rows {
            if !self.is_persisted(&channel) {
                self.services.rows.forget_member(&self.app, &channel, &member);
                continue;
            }
            let channel: Arc<str> = channel.into();
            absent.add(&member.connection_id, &channel);
            members.entry(channel).or_default().push(member);
        }
    }

    /// The channels that are not stored, each with what there is to hand over of it: the ones with members first, then the ones that were
    /// used last.
    pub fn unstored(&self) -> Vec<Arc<Channel>> {
        let mut channels: Vec<_> = self.channels.iter().map(|channel| channel.value().clone()).collect();
        channels.retain(|channel| !self.stores(channel));
        channels.sort_by_cached_key(|channel| {
            channel.read(|log, members| (members.is_empty(), std::cmp::Reverse(log.position().1)))
        });
        channels
    }

    /// Takes up a channel that was handed over. Called before the first connection.
    pub fn take_over(&self, name: Arc<str>, log: Log, members: Vec<PresenceMessage>) {
        if self.is_persisted(&name) || self.channels.contains_key(&name) {
            return;
        }
        let mut absent = self.restored.absent.lock();
        members.iter().for_each(|member| absent.add(&member.connection_id, &name));
        let members = members.into_iter().collect();
        let channel = Channel::new(name.clone(), self.binding_of(&name), false, log, members, self.services.now());
        self.channels.insert(name, Arc::new(channel));
    }

    /// Somebody who enters under another connection than before the restart has given up the old one: its member leaves first, and nobody is
    /// taken for present who has gone again meanwhile. A connection that is itself resumed says nothing about the client's others.
    pub(super) fn replace_absent(&self, channel: &Channel, connection: &ConnectionState, events: &[PresenceMessage]) {
        if connection.repeat_detection == RepeatDetection::ByLog {
            return;
        }
        for connection_id in self.restored.absent_in(&channel.name) {
            for event in events.iter().filter(|event| event.is_present()) {
                self.leave_as(channel, &connection_id, Some(&event.client_id));
            }
        }
    }

    /// Whoever has not come back leaves. Called when the grace is over.
    pub async fn end_restored_presence(&self) {
        while let Some(connection_id) = self.restored.next_absent() {
            // One at a time: until its turn, each can still come back.
            let channels = self.restored.absent.lock().remove(&connection_id);
            for channel in channels {
                match self.connection(&connection_id) {
                    Some(connection) => connection.note_entered(&channel),
                    None => self.leave_as(&self.channel(&channel), &connection_id, None),
                }
                // Each may have to be read from the store.
                tokio::task::yield_now().await;
            }
        }
    }
}
