//! The channels of a connected client: ATTACH, DETACH, SYNC, and the effects of AUTH on attachments.

use std::sync::Arc;

use super::{
    Ctx,
    client::{Attachment, ConnectedClient},
};
use crate::{
    auth::Credentials,
    channel::{Alias, Attach, Channel, Name, Rewind, Subscriber},
    protocol::{Action, ErrorInfo, Inbound, Modes, Outbound, flags},
};

/// Channel parameters that ATTACHED confirms. `delta` is confirmed and refused in the same frame: SDKs compare the
/// confirmed parameters and accept whole messages.
const KNOWN_PARAMS: [&str; 3] = ["modes", "rewind", "delta"];

impl ConnectedClient {
    pub(super) fn attach(&mut self, frame: &Inbound) {
        let name = frame.channel.as_deref().unwrap_or_default();
        match self.try_attach(frame) {
            Ok(_) => self.hub.note_used(&self.connection),
            Err(error) => {
                self.drop_attachment(name);
                // It may have members from an earlier socket, when it had the right.
                self.recheck_members();
                self.fail_channel(name, &error);
            }
        }
    }

    /// Attaches, and sends ATTACHED and what follows it. Returns the serial of the channel's newest entry.
    ///
    /// # Errors
    /// If the client must not attach, or the channel or a parameter is not valid. Then nothing is sent.
    pub fn try_attach(&mut self, frame: &Inbound) -> Result<String, ErrorInfo> {
        let name = frame.channel.as_deref().unwrap_or_default();
        let Name { own, params: in_name, filter } = Name::parse(name)?;
        let mut params = [&frame.params[..], &in_name].concat();
        let asked = Modes::asked(&params, frame.flags());
        // A filtered attachment can only subscribe.
        let asked = if filter.is_some() { asked.and(Modes::SUBSCRIBE) } else { asked };
        let granted = self.granted(own, asked)?;
        self.has_room_for(name, own)?;
        let rewind = params.iter().find(|(name, _)| name == "rewind").map(|(_, text)| Rewind::parse(text));
        if let Some(None) = rewind {
            return Err(ErrorInfo::bad_request("rewind must be a number of messages, or a time as 30s or 2m"));
        }
        let channel = match self.attachments.get(name) {
            Some(attachment) => attachment.channel.clone(),
            None => self.hub.channel(own),
        };
        params.retain(|(name, _)| KNOWN_PARAMS.contains(&&**name));
        let alias = Name::is_qualified(name).then(|| Arc::new(Alias { name: name.into(), filter }));
        let subscriber = Subscriber {
            connection_id: self.connection.id.clone(),
            outbox: self.outbox.clone(),
            modes: granted,
            echo: self.echo,
            alias: alias.clone(),
        };
        if !granted.has(Modes::PRESENCE) {
            self.leave(name, &channel);
        }
        let serial = frame.channel_serial.as_deref().filter(|serial| !serial.is_empty());
        let request = Attach {
            serial,
            missed: match serial.filter(|_| !self.attachments.contains_key(name)) {
                Some(serial) => self.hub.stored_since(&channel, serial),
                None => Vec::new(),
            },
            resumes: frame.flags() & flags::ATTACH_RESUME != 0,
            rewind: rewind.flatten(),
            stored: match rewind.flatten().filter(|_| serial.is_none()) {
                Some(rewind) => self.hub.stored_before(&channel, rewind),
                None => Vec::new(),
            },
            params: &params,
            refusal: params.iter().any(|(name, _)| name == "delta").then(|| {
                ErrorInfo::unsupported("delta compression is not supported by this server: messages come whole")
            }),
        };
        let brought = request.missed.iter().chain(&request.stored).map(|entry| entry.size());
        self.pace.spend_bytes(brought.sum());
        let head = channel.attach(subscriber, &request, self.hub.services.now());
        let known_as = alias.as_ref().map_or(&channel.name, |alias| &alias.name).clone();
        self.attachments.insert(known_as, Attachment { channel, alias, asked, granted, params });
        Ok(head)
    }

    fn granted(&self, channel: &str, asked: Modes) -> Result<Modes, ErrorInfo> {
        let granted = self.hub.modes(&self.connection.grant(), channel)?.and(asked);
        // An attachment for annotations alone is refused: annotations are not supported.
        if granted.and(Modes::DEFAULT).is_empty() || granted == Modes::ANNOTATION_PUBLISH {
            return Err(ErrorInfo::not_permitted("channel denied access based on given capability"));
        }
        Ok(granted)
    }

    /// Checks the limits for one more attachment.
    fn has_room_for(&self, name: &str, own: &str) -> Result<(), ErrorInfo> {
        let limits = &self.hub.services.config.limits;
        if self.attachments.contains_key(name) {
            return Ok(());
        }
        if self.attachments.len() >= limits.attachments {
            let most = limits.attachments;
            return Err(ErrorInfo::rate_exceeded(format!("a connection may be attached to at most {most} channels")));
        }
        let others = || self.attachments.values().filter(|attachment| *attachment.channel.name == *own);
        if Name::is_qualified(name) && others().count() >= limits.names_per_channel {
            let most = limits.names_per_channel;
            let text = format!("a connection may be attached to a channel under at most {most} names");
            return Err(ErrorInfo::rate_exceeded(text));
        }
        Ok(())
    }

    pub(super) fn fail_channel(&self, channel: &str, error: &ErrorInfo) {
        self.outbox.send(&Outbound { error: Some(error), ..Outbound::on(Action::Error, channel) });
    }

    fn drop_attachment(&mut self, name: &str) {
        if let Some(attachment) = self.attachments.remove(name) {
            attachment.channel.unsubscribe(&self.outbox, attachment.alias.as_ref(), self.hub.services.now());
            self.leave(name, &attachment.channel);
        }
    }

    /// Removes the connection's members from a channel that it detached from, unless another attachment holds them.
    fn leave(&self, name: &str, channel: &Arc<Channel>) {
        let holds = |(other, attachment): (&Arc<str>, &Attachment)| {
            **other != *name && Arc::ptr_eq(&attachment.channel, channel) && attachment.granted.has(Modes::PRESENCE)
        };
        if !self.attachments.iter().any(holds) {
            self.hub.leave(channel, &self.connection);
        }
    }

    pub(super) fn detach(&mut self, frame: &Inbound) {
        let name = frame.channel.as_deref().unwrap_or_default();
        let parsed = match Name::parse(name) {
            Ok(parsed) => parsed,
            Err(error) => {
                self.fail_channel(name, &error);
                return;
            }
        };
        if self.attachments.contains_key(name) {
            self.drop_attachment(name);
        } else if let Some(channel) = self.hub.known_channel(parsed.own) {
            // The client entered without attaching, or over an earlier socket.
            self.leave(name, &channel);
        }
        self.outbox.send(&Outbound::on(Action::Detached, name));
    }

    pub(super) fn sync(&self, frame: &Inbound) {
        let attachment = frame.channel.as_deref().and_then(|name| self.attachments.get(name));
        if let Some(attachment) = attachment {
            self.pace.spend_bytes(attachment.channel.presence_bytes());
            attachment.channel.sync(&self.outbox, attachment.alias.as_ref());
        }
    }

    pub(super) fn reauthenticate(&mut self, frame: &Inbound, ctx: &mut Ctx) {
        let Some(token) = frame.auth.as_ref().and_then(|auth| auth.access_token.clone()) else {
            self.fail(&ErrorInfo::invalid_credentials("AUTH must bring an accessToken"));
            return;
        };
        let renewed = self.hub.authenticate(&Credentials::Token(token)).and_then(|grant| {
            let client_id = grant.client_id.claim(self.connection.client_id().concrete().map(|id| &**id))?;
            Ok((grant, client_id))
        });
        match renewed {
            Ok((grant, client_id)) => {
                self.hub.regrant(&self.connection, grant, client_id);
                self.send_connected(None);
                self.watch_expiry(ctx);
                self.recheck_attachments();
            }
            // ERROR even for token errors (RTC8a2 of Ably's specification): the client has just fetched this token.
            Err(error) => {
                self.fail(&error);
                self.hub.forget(&self.connection);
            }
        }
    }

    /// After a change of credentials or rights: ends attachments that are no longer allowed, and updates the modes of
    /// the others.
    pub fn recheck_attachments(&mut self) {
        let mut lost = Vec::new();
        let mut changed = Vec::new();
        for (name, attachment) in &self.attachments {
            match self.granted(&attachment.channel.name, attachment.asked) {
                Err(error) => lost.push((name.clone(), error)),
                Ok(granted) if granted != attachment.granted => changed.push((name.clone(), granted)),
                Ok(_) => {}
            }
        }
        for (name, granted) in changed {
            let Some(attachment) = self.attachments.get_mut(&name) else { continue };
            attachment.granted = granted;
            let channel = attachment.channel.clone();
            channel.change_modes(&self.outbox, attachment.alias.as_ref(), granted, &attachment.params);
            if !granted.has(Modes::PRESENCE) {
                self.leave(&name, &channel);
            }
        }
        for (name, error) in lost {
            self.drop_attachment(&name);
            self.fail_channel(&name, &error);
        }
        self.recheck_members();
    }

    /// Removes members from channels where the client has no presence right: it may have entered without attaching,
    /// or over an earlier socket.
    pub(super) fn recheck_members(&self) {
        let grant = self.connection.grant();
        for name in self.connection.entered() {
            let may_stay = self.hub.modes(&grant, &name).is_ok_and(|modes| modes.has(Modes::PRESENCE));
            if !may_stay && let Some(channel) = self.hub.known_channel(&name) {
                self.hub.leave(&channel, &self.connection);
            }
        }
    }
}
