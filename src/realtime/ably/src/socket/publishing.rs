//! MESSAGE and PRESENCE of a connected client. Each frame is published once and has one reply, even if it is sent
//! again.

use std::sync::{Arc, LazyLock};

use super::client::ConnectedClient;
use crate::{
    auth::Operation,
    channel::{Channel, Name},
    protocol::{
        ErrorInfo, Inbound, InboundPresence, MAX_MESSAGE_SIZE, Message, Modes, PresenceMessage, data::Payload,
        frame::PublishResult,
    },
    publication::{message_too_large, prepare},
    rate::RateDecision,
    replies::{FrameCheck, Reply, ReplyTicket},
};

/// The counter is looked up once, because it counts every message.
static MESSAGES: LazyLock<metrics::Counter> = LazyLock::new(|| metrics::counter!("tandem_realtime_messages_total"));

impl ConnectedClient {
    /// Admits a new frame within the rate limit. None if it is a repetition or was refused.
    fn admit_frame(&mut self, frame: &Inbound, messages: usize) -> Option<(u64, ReplyTicket)> {
        let Some(msg_serial) = frame.msg_serial() else {
            let error = ErrorInfo::bad_request("a publish must have a msgSerial");
            match &frame.channel {
                Some(channel) => self.fail_channel(channel, &error),
                None => self.fail(&error),
            }
            return None;
        };
        let FrameCheck::Fresh(ticket) = self.connection.check_frame(msg_serial, frame.content()) else { return None };
        match self.rate.admit(messages) {
            RateDecision::Accepted => Some((msg_serial, ticket)),
            RateDecision::Refused(error) => {
                self.connection.settle(ticket, Reply::Nack(error));
                None
            }
            RateDecision::Flood(error) => {
                self.connection.settle(ticket, Reply::Nack(error.clone()));
                self.disconnect(&error);
                None
            }
        }
    }

    /// Refuses a frame. `content` is its content hash.
    pub(super) fn refuse(&self, msg_serial: u64, content: u64, error: ErrorInfo) {
        if let FrameCheck::Fresh(ticket) = self.connection.check_frame(msg_serial, content) {
            self.connection.settle(ticket, Reply::Nack(error));
        }
    }

    pub(super) fn refuse_unsupported(&mut self, frame: &Inbound) {
        let error = ErrorInfo::unsupported("LiveObjects and annotations are not supported by this server");
        match frame.msg_serial() {
            Some(msg_serial) => self.refuse(msg_serial, frame.content(), error),
            None => self.fail_channel(frame.channel.as_deref().unwrap_or_default(), &error),
        }
    }

    /// The channel of a publish, if the client may do this operation on it.
    fn publishable_channel(&self, name: &str, operation: Operation, mode: Modes) -> Result<Arc<Channel>, ErrorInfo> {
        let attachment = self.attachments.get(name);
        // The granted modes follow from the name and the capability, and are updated when those change.
        if let Some(attachment) = attachment.filter(|attachment| attachment.granted.has(mode)) {
            return Ok(attachment.channel.clone());
        }
        let Name { own, filter, .. } = Name::parse(name)?;
        self.hub.permit(&self.connection.grant(), own, operation)?;
        match (attachment, filter) {
            (Some(_), None) => {
                Err(ErrorInfo::not_permitted(format!("the channel was attached without the {} mode", operation.name())))
            }
            (None, None) => Ok(self.hub.channel(own)),
            (_, Some(_)) => Err(ErrorInfo::not_permitted("a filtered channel can only be subscribed to")),
        }
    }

    fn charge_messages(&self, channel: &Channel, messages: &[Message]) -> Result<(), ErrorInfo> {
        self.charge(channel, messages.iter().map(Message::size).sum(), messages.len())
    }

    /// Charges a publish as traffic, and on stored channels as storage.
    fn charge(&self, channel: &Channel, bytes: usize, count: usize) -> Result<(), ErrorInfo> {
        self.pace.publish(self.frame_bytes, &self.hub.services.config.limits)?;
        self.hub.note_used(&self.connection);
        self.hub.charge_storage(self.pace.account(), channel, bytes, count)
    }

    pub(super) fn publish(&mut self, mut frame: Inbound) {
        let count = frame.messages.as_ref().map_or(0, Vec::len);
        let Some((msg_serial, ticket)) = self.admit_frame(&frame, count) else { return };
        let messages = frame.messages.take().unwrap_or_default();
        let name = frame.channel.as_deref().unwrap_or_default();
        let prepared = self.publishable_channel(name, Operation::Publish, Modes::PUBLISH).and_then(|channel| {
            let client_id = self.connection.client_id();
            let messages = prepare(messages, |claimed| client_id.for_message(claimed))?;
            self.hub.refuse_reserved(&channel, &messages)?;
            self.charge_messages(&channel, &messages)?;
            Ok((channel, messages))
        });
        match prepared {
            Err(error) => self.connection.settle(ticket, Reply::Nack(error)),
            Ok((_, messages)) if messages.is_empty() => self.connection.settle(ticket, Reply::nothing()),
            Ok((channel, messages)) => {
                let connection = self.connection.clone();
                let frame_id = self.connection.frame_id(msg_serial);
                MESSAGES.increment(messages.len() as u64);
                let settle = move |result: Result<PublishResult, ErrorInfo>| {
                    connection.settle(ticket, result.map_or_else(Reply::Nack, Reply::Ack));
                };
                // `settle` gets a refusal, too.
                let _ = self.hub.publish(
                    &channel,
                    frame_id,
                    Some(&self.connection.id),
                    messages,
                    self.connection.repeat_detection,
                    settle,
                );
            }
        }
    }

    pub(super) fn presence(&mut self, mut frame: Inbound) {
        let count = frame.presence.as_ref().map_or(0, Vec::len);
        let Some((msg_serial, ticket)) = self.admit_frame(&frame, count) else { return };
        let events = frame.presence.take().unwrap_or_default();
        let name = frame.channel.as_deref().unwrap_or_default();
        let frame_id = self.connection.frame_id(msg_serial);
        let taken = self.publishable_channel(name, Operation::Presence, Modes::PRESENCE).and_then(|channel| {
            let events = self.presence_events(events, &frame_id)?;
            self.charge(&channel, events.iter().map(PresenceMessage::size).sum(), events.len())?;
            Ok((channel, events))
        });
        match taken {
            Err(error) => self.connection.settle(ticket, Reply::Nack(error)),
            Ok((channel, events)) => {
                let connection = self.connection.clone();
                self.hub.take_presence(&channel, &self.connection, frame_id, events, move |result| {
                    connection.settle(ticket, result.map_or_else(Reply::Nack, Reply::Ack));
                });
            }
        }
    }

    fn presence_events(&self, events: Vec<InboundPresence>, frame_id: &str) -> Result<Vec<PresenceMessage>, ErrorInfo> {
        let own = self.connection.client_id();
        let timestamp = self.hub.services.now().as_millis();
        let mut size = 0;
        let event = |(index, event): (usize, InboundPresence)| {
            let action = event.wanted()?;
            let client_id = own
                .for_message(event.client_id.map(Into::into))?
                .ok_or_else(|| ErrorInfo::presence_client_id("a clientId is needed to enter, update or leave"))?;
            let payload = Payload::accept(event.data, event.encoding)?;
            let id = event.id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("{frame_id}:{index}"));
            let event = PresenceMessage {
                action,
                id: id.into(),
                client_id,
                connection_id: self.connection.id.clone(),
                timestamp,
                payload,
                extras: event.extras.filter(serde_json::Value::is_object).map(Box::new),
            };
            size += event.size();
            if size > MAX_MESSAGE_SIZE {
                return Err(message_too_large());
            }
            Ok(event)
        };
        events.into_iter().enumerate().map(event).collect()
    }
}
