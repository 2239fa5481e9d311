//! Publishing on channels, and storing what is published.

use std::sync::Arc;

use super::Hub;
use crate::{
    channel::{Channel, Delivery, Persistence, RepeatDetection},
    limits::Account,
    log::{Entry, EntryBody, Log},
    persist::not_stored,
    protocol::{ErrorInfo, Message, frame::PublishResult},
};

impl Hub {
    /// Refuses messages that only the application may publish on a channel with a stream: reserved names, and ids of
    /// the stream. With such an id, a later event would look like a repetition.
    ///
    /// # Errors
    /// 40160
    pub fn refuse_reserved(&self, channel: &Channel, messages: &[Message]) -> Result<(), ErrorInfo> {
        let Some(stream) = &channel.binding.stream else { return Ok(()) };
        let is_event_id = |id: &str| id.strip_prefix(&**stream).is_some_and(|rest| rest.starts_with(':'));
        for message in messages {
            if message.name.as_deref().is_some_and(|name| self.services.application.is_reserved(name)) {
                return Err(ErrorInfo::not_permitted("events of this name are published by the server alone"));
            }
            if message.id.as_deref().is_some_and(is_event_id) {
                return Err(ErrorInfo::not_permitted("ids of events are used by the server alone"));
            }
        }
        Ok(())
    }

    /// Publishes, and calls `done` when the messages are as durable as the channel is. Returns their position before
    /// that.
    ///
    /// # Errors
    /// The reason of a refusal. `done` gets it, too.
    pub fn publish(
        &self,
        channel: &Arc<Channel>,
        frame_id: Arc<str>,
        connection_id: Option<&Arc<str>>,
        messages: Vec<Message>,
        repeat_detection: RepeatDetection,
        done: impl FnOnce(Result<PublishResult, ErrorInfo>) + Send + 'static,
    ) -> Result<PublishResult, ErrorInfo> {
        let stores = self.stores(channel);
        if stores && !self.services.rows.has_room() {
            let error = ErrorInfo::unavailable("the node is busy or stopping; try again");
            done(Err(error.clone()));
            return Err(error);
        }
        let mut done = Some(done);
        let published =
            channel.publish(frame_id, connection_id, messages, repeat_detection, self.services.now(), |entry, log| {
                if !self.is_main {
                    self.count(entry);
                }
                match done.take_if(|_| stores) {
                    Some(done) => self.store(channel, entry, log, done),
                    None => Delivery::Now,
                }
            });
        if let Some(done) = done {
            match &published {
                Ok(published) => self.settle(channel, published.clone(), done),
                Err(error) => done(Err(error.clone())),
            }
        }
        published
    }

    /// Calls `done` for a publish without a new stored entry: a repetition, whose entry may not be durable yet (and is
    /// refused if that cannot be stored), or a publish on a channel that is not stored.
    pub(super) fn settle(
        &self,
        channel: &Arc<Channel>,
        published: PublishResult,
        done: impl FnOnce(Result<PublishResult, ErrorInfo>) + Send + 'static,
    ) {
        match self.stores(channel) {
            true => {
                let channel = channel.clone();
                let told = move |()| match channel.has_told(&published) {
                    true => Ok(published),
                    false => Err(not_stored()),
                };
                self.services.rows.settled(move |result| done(result.and_then(told)));
            }
            false => done(Ok(published)),
        }
    }

    /// Charges the storage quota for messages on a stored channel.
    ///
    /// # Errors
    /// 42910
    pub fn charge_storage(
        &self,
        account: Option<&Account>,
        channel: &Channel,
        bytes: usize,
        count: usize,
    ) -> Result<(), ErrorInfo> {
        /// Bytes of a row beside its content.
        const ROW: usize = 512;
        if self.stores(channel) { self.accounts.store(account, bytes + count.max(1) * ROW) } else { Ok(()) }
    }

    fn count(&self, entry: &Entry) {
        let EntryBody::Messages(messages) = &entry.body else { return };
        let transport = if entry.connection_id.is_some() { "realtime" } else { "rest" };
        self.stats.published(transport, messages.len(), messages.iter().map(Message::size).sum(), entry.at);
    }

    /// Whether the entries of the channel are stored.
    pub fn stores(&self, channel: &Channel) -> bool {
        (channel.persistence == Persistence::Persisted) && self.is_main
    }

    /// Stores a new entry. Subscribers get it, and `done` hears of it, when it is durable.
    pub(super) fn store(
        &self,
        channel: &Arc<Channel>,
        entry: &Arc<Entry>,
        log: &Log,
        done: impl FnOnce(Result<PublishResult, ErrorInfo>) + Send + 'static,
    ) -> Delivery {
        let told = {
            let (channel, entry) = (channel.clone(), entry.clone());
            move |result: Result<(), ErrorInfo>| {
                match result {
                    Ok(()) => channel.tell(entry.seq),
                    Err(_) => channel.withdraw(&entry),
                }
                done(result.map(|()| entry.published()));
            }
        };
        self.services.rows.keep(&self.app, entry, log, told);
        Delivery::WhenStored
    }
}
