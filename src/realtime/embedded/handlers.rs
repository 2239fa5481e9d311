//! What a connected client can ask for, frame by frame.

use std::sync::Arc;

use super::{
    auth::{Credentials, Operation},
    channel::{Attach, Channel, Repeats, Rewind, Subscriber, check_name},
    connection::{Attachment, Connection, Line},
    peer::{Answer, Turn},
    protocol::{
        Action, ErrorInfo, Inbound, InboundMessage, InboundPresence, MAX_MESSAGE_SIZE, Message, Modes, Outbound,
        PresenceMessage, data::Payload, flags,
    },
    rate::Admission,
};

/// Channel parameters that are confirmed in ATTACHED. `delta` is accepted and never used: whole messages are a valid answer to it.
const KNOWN_PARAMS: [&str; 3] = ["modes", "rewind", "delta"];

type Ctx = actix_web_actors::ws::WebsocketContext<Connection>;

impl Line {
    // ---- channels ----

    pub(super) fn attach(&mut self, frame: &Inbound) {
        let name = frame.channel.as_deref().unwrap_or_default();
        let asked = Modes::asked(&frame.params, frame.flags());
        let granted = check_name(name).and_then(|()| self.granted(name, asked));
        let granted = match granted {
            Ok(granted) => granted,
            Err(error) => {
                self.drop_attachment(name);
                self.fail_channel(name, &error);
                return;
            }
        };
        let channel = match self.attachments.get(name) {
            Some(attachment) => attachment.channel.clone(),
            None => self.hub.channel(name),
        };
        let rewind = frame.params.iter().find(|(name, _)| name == "rewind").map(|(_, text)| Rewind::parse(text));
        if let Some(None) = rewind {
            self.fail_channel(
                name,
                &ErrorInfo::bad_request("rewind must be a number of messages, or a time as 30s or 2m"),
            );
            return;
        }
        let params: Vec<_> = frame.params.iter().filter(|(name, _)| KNOWN_PARAMS.contains(&&**name)).cloned().collect();
        let subscriber = Subscriber {
            connection: self.peer.id.clone(),
            outbox: self.outbox.clone(),
            modes: granted,
            echo: self.echo,
        };
        let request = Attach {
            serial: frame.channel_serial.as_deref().filter(|serial| !serial.is_empty()),
            resumes: frame.flags() & flags::ATTACH_RESUME != 0,
            rewind: rewind.flatten(),
            params: &params,
        };
        channel.attach(subscriber, &request, self.hub.services.now());
        self.attachments.insert(channel.name.clone(), Attachment { channel, asked, granted, params });
    }

    fn granted(&self, channel: &str, asked: Modes) -> Result<Modes, ErrorInfo> {
        let granted = self.peer.grant().capability.modes(channel).and(asked);
        // Nobody can attach in order to annotate alone: annotations are not served.
        if granted.and(Modes::DEFAULT).is_empty() || granted == Modes::ANNOTATION_PUBLISH {
            return Err(ErrorInfo::not_permitted("channel denied access based on given capability"));
        }
        Ok(granted)
    }

    fn fail_channel(&self, channel: &str, error: &ErrorInfo) {
        self.outbox.send(&Outbound { error: Some(error), ..Outbound::on(Action::Error, channel) });
    }

    fn drop_attachment(&mut self, name: &str) {
        if let Some(attachment) = self.attachments.remove(name) {
            attachment.channel.unsubscribe(&self.outbox, self.hub.services.now());
            self.hub.leave(&attachment.channel, &self.peer);
        }
    }

    pub(super) fn detach(&mut self, frame: &Inbound) {
        let name = frame.channel.as_deref().unwrap_or_default();
        if let Err(error) = check_name(name) {
            self.fail_channel(name, &error);
            return;
        }
        self.drop_attachment(name);
        self.outbox.send(&Outbound::on(Action::Detached, name));
    }

    pub(super) fn sync(&self, frame: &Inbound) {
        let attachment = frame.channel.as_deref().and_then(|name| self.attachments.get(name));
        if let Some(attachment) = attachment {
            attachment.channel.sync(&self.outbox);
        }
    }

    // ---- credentials ----

    pub(super) fn reauthenticate(&mut self, frame: &Inbound, ctx: &mut Ctx) {
        let Some(token) = frame.auth.as_ref().and_then(|auth| auth.access_token.clone()) else {
            self.fail(&ErrorInfo::invalid_credentials("AUTH must bring an accessToken"));
            return;
        };
        let renewed = self.hub.authenticate(&Credentials::Token(token)).and_then(|grant| {
            let client_id = grant.client_id.claim(self.peer.client_id().concrete().map(|id| &**id))?;
            Ok((grant, client_id))
        });
        match renewed {
            Ok((grant, _)) => {
                self.peer.regrant(Arc::new(grant));
                self.send_connected(None);
                self.watch_expiry(ctx);
                self.recheck_attachments();
            }
            Err(error) if error.is_token_error() => self.disconnect(&error),
            Err(error) => self.fail(&error),
        }
    }

    /// After new credentials: what is not allowed any more ends, what is newly allowed begins.
    fn recheck_attachments(&mut self) {
        let mut lost = Vec::new();
        for (name, attachment) in &self.attachments {
            match self.granted(name, attachment.asked) {
                Err(error) => lost.push((name.clone(), error)),
                Ok(granted) if granted != attachment.granted => {
                    attachment.channel.change_modes(&self.outbox, granted, &attachment.params);
                    if !granted.has(Modes::PRESENCE) {
                        self.hub.leave(&attachment.channel, &self.peer);
                    }
                }
                Ok(_) => {}
            }
        }
        let grant = self.peer.grant();
        for (name, attachment) in &mut self.attachments {
            attachment.granted = grant.capability.modes(name).and(attachment.asked);
        }
        for (name, error) in lost {
            self.drop_attachment(&name);
            self.fail_channel(&name, &error);
        }
    }

    // ---- publishing ----

    /// Takes a frame's turn. None if there is nothing (more) to do for it.
    fn turn(&mut self, frame: &Inbound, messages: usize) -> Option<u64> {
        let Some(msg_serial) = frame.msg_serial() else {
            let error = ErrorInfo::bad_request("a publish must have a msgSerial");
            match &frame.channel {
                Some(channel) => self.fail_channel(channel, &error),
                None => self.fail(&error),
            }
            return None;
        };
        if self.peer.take_turn(msg_serial) == Turn::Repeated {
            return None;
        }
        match self.rate.admit(messages) {
            Admission::Welcome => Some(msg_serial),
            Admission::Refused(error) => {
                self.peer.settle(msg_serial, Answer::Nack(error));
                None
            }
            Admission::Flood(error) => {
                self.peer.settle(msg_serial, Answer::Nack(error.clone()));
                self.disconnect(&error);
                None
            }
        }
    }

    pub(super) fn refuse(&self, msg_serial: u64, error: ErrorInfo) {
        if self.peer.take_turn(msg_serial) == Turn::Fresh {
            self.peer.settle(msg_serial, Answer::Nack(error));
        }
    }

    pub(super) fn refuse_unsupported(&mut self, frame: &Inbound) {
        let error = ErrorInfo::unsupported("LiveObjects and annotations are not supported by this server");
        match frame.msg_serial() {
            Some(msg_serial) => self.refuse(msg_serial, error),
            None => self.fail_channel(frame.channel.as_deref().unwrap_or_default(), &error),
        }
    }

    /// The channel of a publish, if the client may do this on it.
    fn writable(&self, name: &str, operation: Operation, mode: Modes) -> Result<Arc<Channel>, ErrorInfo> {
        check_name(name)?;
        self.peer.grant().permit(name, operation)?;
        match self.attachments.get(name) {
            Some(attachment) if !attachment.granted.has(mode) => {
                Err(ErrorInfo::not_permitted(format!("the channel was attached without the {} mode", operation.name())))
            }
            Some(attachment) => Ok(attachment.channel.clone()),
            None => Ok(self.hub.channel(name)),
        }
    }

    pub(super) fn publish(&mut self, mut frame: Inbound) {
        let messages = frame.messages.take().unwrap_or_default();
        let Some(msg_serial) = self.turn(&frame, messages.len()) else { return };
        let name = frame.channel.as_deref().unwrap_or_default();
        let prepared = self.writable(name, Operation::Publish, Modes::PUBLISH).and_then(|channel| {
            let client_id = self.peer.client_id();
            let messages = prepare(messages, |claimed| client_id.speak_as(claimed))?;
            if messages.iter().any(|message| self.hub.reserves(&channel, message.name.as_deref())) {
                return Err(ErrorInfo::not_permitted("events of this name are published by the server alone"));
            }
            Ok((channel, messages))
        });
        match prepared {
            Err(error) => self.peer.settle(msg_serial, Answer::Nack(error)),
            Ok((_, messages)) if messages.is_empty() => self.peer.settle(msg_serial, Answer::Ack(None)),
            Ok((channel, messages)) => {
                let peer = self.peer.clone();
                let frame_id = format!("{}:{msg_serial}", self.peer.id).into();
                metrics::counter!("tandem_realtime_messages_total").increment(messages.len() as u64);
                self.hub.publish(&channel, frame_id, Some(&self.peer.id), messages, self.peer.repeats, move |result| {
                    let answer = result.map_or_else(Answer::Nack, |entry| Answer::ack(&entry));
                    peer.settle(msg_serial, answer);
                });
            }
        }
    }

    pub(super) fn presence(&mut self, mut frame: Inbound) {
        let events = frame.presence.take().unwrap_or_default();
        let Some(msg_serial) = self.turn(&frame, events.len()) else { return };
        let name = frame.channel.as_deref().unwrap_or_default();
        let frame_id: Arc<str> = format!("{}:{msg_serial}", self.peer.id).into();
        let taken = self.writable(name, Operation::Presence, Modes::PRESENCE).and_then(|channel| {
            let events = self.presence_events(events, &frame_id)?;
            self.hub.take_presence(&channel, &self.peer, frame_id.clone(), events)
        });
        let answer = match taken {
            Err(error) => Answer::Nack(error),
            Ok(None) => Answer::Ack(None),
            Ok(Some(entry)) => Answer::ack(&entry),
        };
        self.peer.settle(msg_serial, answer);
    }

    fn presence_events(&self, events: Vec<InboundPresence>, frame_id: &str) -> Result<Vec<PresenceMessage>, ErrorInfo> {
        let own = self.peer.client_id();
        let timestamp = self.hub.services.now().as_millis();
        let mut size = 0;
        let event = |(index, event): (usize, InboundPresence)| {
            let action = event.wanted()?;
            let client_id = own
                .speak_as(event.client_id.map(Into::into))?
                .ok_or_else(|| ErrorInfo::presence_client_id("a clientId is needed to enter, update or leave"))?;
            let payload = Payload::accept(event.data, event.encoding)?;
            size += payload.size() + client_id.len();
            if size > MAX_MESSAGE_SIZE {
                return Err(message_too_large());
            }
            let id = event.id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("{frame_id}:{index}"));
            Ok(PresenceMessage {
                action,
                id: id.into(),
                client_id,
                connection_id: self.peer.id.clone(),
                timestamp,
                payload,
                extras: event.extras.filter(serde_json::Value::is_object).map(Box::new),
            })
        };
        events.into_iter().enumerate().map(event).collect()
    }
}

fn message_too_large() -> ErrorInfo {
    ErrorInfo::too_large(format!("the messages of one publish must have at most {MAX_MESSAGE_SIZE} bytes together"))
}

/// Checks and completes the messages of one publish, by WebSocket or by REST.
///
/// # Errors
/// 40009 too large, 40012 client id, 40031 ids that are not `base:0`, `base:1`, …, and those of [`Message::accept`].
pub fn prepare(
    messages: Vec<InboundMessage>,
    speak_as: impl Fn(Option<Arc<str>>) -> Result<Option<Arc<str>>, ErrorInfo>,
) -> Result<Vec<Message>, ErrorInfo> {
    let accept = |inbound| {
        let message = Message::accept(inbound)?;
        Ok(Message { client_id: speak_as(message.client_id.clone())?, ..message })
    };
    let messages: Vec<Message> = messages.into_iter().map(accept).collect::<Result<_, ErrorInfo>>()?;
    if messages.iter().map(Message::size).sum::<usize>() > MAX_MESSAGE_SIZE {
        return Err(message_too_large());
    }
    check_ids(&messages)?;
    Ok(messages)
}

fn check_ids(messages: &[Message]) -> Result<(), ErrorInfo> {
    let [first, _, ..] = messages else { return Ok(()) };
    if messages.iter().all(|message| message.id.is_none()) {
        return Ok(());
    }
    let base = first.id.as_deref().and_then(|id| id.strip_suffix(":0"));
    let numbered = base.is_some_and(|base| {
        messages.iter().enumerate().all(|(index, message)| message.id.as_deref() == Some(&*format!("{base}:{index}")))
    });
    if numbered {
        return Ok(());
    }
    Err(ErrorInfo::invalid_ids("the ids of several messages must be base:0, base:1, … in this order"))
}

/// Repeats of REST and of the server are told apart by the ids that they choose.
pub const REST_REPEATS: Repeats = Repeats::Known;

#[cfg(test)]
mod tests {
    use super::*;

    fn with_ids(ids: &[Option<&str>]) -> Vec<Message> {
        ids.iter().map(|id| Message { id: id.map(Into::into), ..Message::default() }).collect()
    }

    #[test]
    fn ids_of_several_messages_are_numbered() {
        for ids in [
            &[Some("x")][..],
            &[None, None],
            &[Some("a:0"), Some("a:1")],
            &[Some("a:b:0"), Some("a:b:1"), Some("a:b:2")],
        ] {
            assert_eq!(check_ids(&with_ids(ids)), Ok(()), "{ids:?}");
        }
        for ids in [
            &[Some("a"), Some("b")][..],
            &[Some("a:1"), Some("a:0")],
            &[None, Some("a:1")],
            &[Some("a:0"), Some("b:1")],
        ] {
            assert_eq!(check_ids(&with_ids(ids)).unwrap_err().code, 40031, "{ids:?}");
        }
    }
}
