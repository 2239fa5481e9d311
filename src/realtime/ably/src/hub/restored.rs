//! Presence members restored after a restart. They stay members until the grace of a lost socket is over. Then those
//! whose connection has not come back leave.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::Hub;
use crate::{
    channel::{Channel, Persistence, RepeatDetection},
    connection::ConnectionState,
    log::Log,
    presence::Members,
    protocol::PresenceMessage,
};

/// Connections with restored members that have not come back, and their channels.
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

    /// Removes a connection, and returns the channels of its members.
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

/// Restored members that wait for their channel or their connection.
#[derive(Default)]
pub struct RestoredPresence {
    /// By channel. A channel takes its members when it is opened.
    members: Mutex<HashMap<Arc<str>, Vec<PresenceMessage>>>,
    absent: Mutex<AbsentConnections>,
}

impl RestoredPresence {
    pub fn has(&self, channel: &str) -> bool {
        self.members.lock().contains_key(channel)
    }

    /// The channels with restored members that are not opened yet.
    pub fn channels(&self) -> Vec<Arc<str>> {
        self.members.lock().keys().cloned().collect()
    }

    /// Takes a channel's restored members.
    pub fn take_members(&self, channel: &str) -> Members {
        self.members.lock().remove(channel).unwrap_or_default().into_iter().collect()
    }

    /// A connection is back and owns its members again.
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
    /// Reads the members from before the restart. Called before the first connection.
    pub fn restore_members(&self) {
        let rows = match self.services.rows.members(&self.app) {
            Ok(rows) => rows,
            Err(error) => return tracing::error!(%error, "presence sets could not be read; they start empty"),
        };
        let (mut members, mut absent) = (self.restored.members.lock(), self.restored.absent.lock());
        for (channel, member) in rows {
            if self.persistence_of(&channel) == Persistence::NotPersisted {
                self.services.rows.forget_member(&self.app, &channel, &member);
                continue;
            }
            let channel: Arc<str> = channel.into();
            absent.add(&member.connection_id, &channel);
            members.entry(channel).or_default().push(member);
        }
    }

    /// The channels that are not stored, for the handover: those with members first, then those used last.
    pub fn unstored(&self) -> Vec<Arc<Channel>> {
        let mut channels: Vec<_> = self.channels.iter().map(|channel| channel.value().clone()).collect();
        channels.retain(|channel| !self.stores(channel));
        channels.sort_by_cached_key(|channel| {
            channel.read(|log, members| (members.is_empty(), std::cmp::Reverse(log.position().1)))
        });
        channels
    }

    /// Restores a channel that was handed over. Called before the first connection.
    pub fn take_over(&self, name: Arc<str>, log: Log, members: Vec<PresenceMessage>) {
        if self.persistence_of(&name) == Persistence::Persisted || self.channels.contains_key(&name) {
            return;
        }
        let mut absent = self.restored.absent.lock();
        members.iter().for_each(|member| absent.add(&member.connection_id, &name));
        let members = members.into_iter().collect();
        let channel = Channel::new(
            name.clone(),
            self.binding_of(&name),
            Persistence::NotPersisted,
            log,
            members,
            self.services.now(),
        );
        self.channels.insert(name, Arc::new(channel));
    }

    /// A client that enters under a new connection has given up its connection from before the restart. The old
    /// member leaves first, so that no client counts as present after it has left. A resumed connection says nothing
    /// about the client's other connections.
    pub(super) fn replace_absent(
        &self,
        channel: &Arc<Channel>,
        connection: &ConnectionState,
        events: &[PresenceMessage],
    ) {
        if connection.repeat_detection == RepeatDetection::ByLog {
            return;
        }
        for connection_id in self.restored.absent_in(&channel.name) {
            for event in events.iter().filter(|event| event.is_present()) {
                self.remove_members(channel, &connection_id, Some(&event.client_id));
            }
        }
    }

    /// Removes the members whose connection has not come back. Called after the grace.
    pub async fn end_restored_presence(&self) {
        while let Some(connection_id) = self.restored.next_absent() {
            // One connection at a time: the others can still come back.
            let channels = self.restored.absent.lock().remove(&connection_id);
            for channel in channels {
                match self.connection(&connection_id) {
                    Some(connection) => connection.note_entered(&channel),
                    None => self.remove_members(&self.channel(&channel), &connection_id, None),
                }
                // Opening a channel may read the store.
                tokio::task::yield_now().await;
            }
        }
    }
}
