//! Presence: members enter and leave channels, and the application hears of it.

use std::sync::Arc;

use super::Hub;
use crate::{
    application::PresenceChange,
    channel::{Channel, Delivery, RepeatDetection},
    connection::ConnectionState,
    log::{Entry, EntryBody, Log},
    presence::PresenceLimits,
    protocol::{ErrorInfo, PresenceMessage, frame::PublishResult},
    time::Timestamp,
};

impl Hub {
    /// Applies the presence events of one frame. Calls `done` when they are as durable as the channel is, or with
    /// 91003 if the set is full.
    pub fn take_presence(
        &self,
        channel: &Arc<Channel>,
        connection: &ConnectionState,
        frame_id: Arc<str>,
        events: Vec<PresenceMessage>,
        done: impl FnOnce(Result<PublishResult, ErrorInfo>) + Send + 'static,
    ) {
        let stores = self.stores(channel);
        if stores && !self.services.rows.has_room() {
            done(Err(ErrorInfo::unavailable("the node is busy or stopping; try again")));
            return;
        }
        self.replace_absent(channel, connection, &events);
        let most = self.presence_limits(channel);
        let mut done = Some(done);
        let now = self.services.now();
        let taken = channel.take_presence(
            frame_id,
            &connection.id,
            events,
            connection.repeat_detection,
            most,
            now,
            |entry, log| match done.take_if(|_| stores) {
                Some(done) => self.store(channel, entry, log, done),
                None => Delivery::Now,
            },
        );
        match channel.has_members_of(&connection.id) {
            true => connection.note_entered(&channel.name),
            false => connection.forget_entered(&channel.name),
        }
        let told = taken.as_ref().map(Option::as_deref).unwrap_or_default();
        self.report(channel, told);
        match (done, taken) {
            (Some(done), Err(error)) => done(Err(error)),
            (Some(done), Ok(told)) => {
                self.settle(channel, told.map_or_else(PublishResult::default, |entry| entry.published()), done);
            }
            (None, _) => {}
        }
    }

    /// The limits of the channel's presence set. They are small while the memory of all channels is used up.
    fn presence_limits(&self, channel: &Channel) -> PresenceLimits {
        const SMALL: usize = 16 * 1024;
        let members = self.rules.max_presence_members;
        let bytes = match channel.kept_is_exhausted() {
            true => SMALL,
            false => self.services.config.limits.presence_bytes,
        };
        PresenceLimits { members, bytes }
    }

    /// Removes the connection's members from one channel.
    pub fn leave(&self, channel: &Arc<Channel>, connection: &ConnectionState) {
        self.remove_members(channel, &connection.id, None);
        connection.forget_entered(&channel.name);
    }

    /// Removes members of a connection by its id, or only the one with this client id.
    pub(super) fn remove_members(&self, channel: &Arc<Channel>, connection_id: &Arc<str>, client_id: Option<&str>) {
        let now = self.services.now();
        let stores = self.stores(channel);
        let keep = |entry: &Arc<Entry>, log: &Log| match stores {
            true => self.store(channel, entry, log, |_| ()),
            false => Delivery::Now,
        };
        let leave = || channel.leave(connection_id, client_id, now, keep);
        while let Some(entry) = leave() {
            self.report(channel, Some(&entry));
        }
    }

    /// Removes the connection's members from all channels.
    pub fn leave_everywhere(&self, connection: &ConnectionState) {
        for name in connection.take_entered() {
            if let Some(channel) = self.known_channel(&name) {
                self.leave(&channel, connection);
            }
        }
    }

    /// Reports to the application which members entered and left.
    fn report(&self, channel: &Channel, entry: Option<&Entry>) {
        let Some(Entry { body: EntryBody::Presence(events), at, .. }) = entry else { return };
        if !channel.binding.reports_presence {
            return;
        }
        for event in events {
            let present = event.is_present();
            let change = PresenceChange {
                client_id: &event.client_id,
                connection_id: &event.connection_id,
                present,
                // Clients make ids from their connection's id. The server's own leaves have other ids.
                vanished: !present && !event.id.starts_with(&*event.connection_id),
                at: Timestamp::from_millis(*at),
            };
            self.services.application.presence_changed(&channel.name, change);
        }
    }

    /// Adds the members of a fixture to a channel.
    pub fn seed_presence(&self, channel: &Arc<Channel>, connection_id: &Arc<str>, members: Vec<PresenceMessage>) {
        let now = self.services.now();
        let frame_id = format!("{connection_id}:0").into();
        let seeded = channel.take_presence(
            frame_id,
            connection_id,
            members,
            RepeatDetection::ByConnection,
            PresenceLimits::ANY,
            now,
            |_, _| Delivery::Now,
        );
        debug_assert!(seeded.is_ok(), "there is no limit");
    }
}
