//! The connected client of a socket, and how its frames are handled.

use std::{
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{AsyncContext, SpawnHandle};
use actix_web_actors::ws;
use bytes::BytesMut;

use super::{AuthenticatedClient, Ctx};
use crate::{
    application::EventRef,
    auth::ClientId,
    channel::{Alias, Channel},
    connection::{ConnectionState, SocketLease},
    hub::Hub,
    limits::{ReadingPace, SocketSlot},
    outbox::Outbox,
    protocol::{
        Action, ErrorInfo, Inbound, MAX_FRAME_SIZE, MAX_MESSAGE_SIZE, Modes, Outbound, frame::ConnectionDetails,
    },
    rate::MessageRate,
};

/// The delay of the reply to a HEARTBEAT.
const HEARTBEAT_PAUSE: Duration = Duration::from_millis(2);

/// An attachment of this socket to a channel.
pub struct Attachment {
    pub channel: Arc<Channel>,
    /// The name that the client uses.
    pub alias: Option<Arc<Alias>>,
    pub asked: Modes,
    pub granted: Modes,
    pub params: Vec<(String, String)>,
}

/// The state of a socket while its client is connected.
pub struct ConnectedClient {
    pub hub: Arc<Hub>,
    pub connection: Arc<ConnectionState>,
    pub lease: SocketLease,
    pub outbox: Arc<Outbox>,
    pub attachments: HashMap<Arc<str>, Attachment>,
    pub rate: MessageRate,
    pub echo: bool,
    pub key: String,
    pub heartbeats: bool,
    pub remain_present_for: Option<Duration>,
    pub confirmed: bool,
    /// The newest event of each stream that was written and is not confirmed yet, with the number of the ping after
    /// it.
    pub written: Vec<(Arc<EventRef>, u64)>,
    /// The number of the next ping that confirms events.
    pub pings: u64,
    pub expiry: Vec<SpawnHandle>,
    pub heard_at: Instant,
    pub wrote_at: Instant,
    pub partial: Option<Partial>,
    pub pace: Rc<ReadingPace>,
    /// The size of the current frame.
    pub frame_bytes: usize,
    /// The close code for when everything is written.
    pub close: ws::CloseCode,
    pub _slot: Option<SocketSlot>,
}

/// A message whose last fragment is missing.
pub struct Partial {
    pub bytes: BytesMut,
    pub begun: Instant,
}

impl ConnectedClient {
    /// Gives the client its earlier connection, or a new one. The error says why it is a new one.
    pub fn connect(admitted: AuthenticatedClient) -> (Self, Option<ErrorInfo>) {
        let AuthenticatedClient {
            hub,
            grant,
            client_id,
            format,
            echo,
            heartbeats,
            remain_present_for,
            resume,
            pace,
            slot,
        } = admitted;
        let outbox =
            Arc::new(Outbox::new(format, hub.services.config.outbound_queue, hub.services.memory.outbound.clone()));
        let resumed = resume.map(|key| hub.resume(&key, &outbox, &grant, &client_id)).transpose();
        let (error, (connection, lease, key)) = match resumed {
            Ok(Some(resumed)) => (None, resumed),
            Ok(None) => (None, hub.connect(&outbox, grant, client_id)),
            Err(error) => (Some(error), hub.connect(&outbox, grant, client_id)),
        };
        let rate = MessageRate::new(hub.services.config.max_inbound_rate);
        let client = Self {
            hub,
            connection,
            lease,
            outbox,
            attachments: HashMap::new(),
            rate,
            echo,
            key,
            heartbeats,
            remain_present_for,
            confirmed: false,
            written: Vec::new(),
            pings: 0,
            expiry: Vec::new(),
            heard_at: Instant::now(),
            wrote_at: Instant::now(),
            partial: None,
            pace,
            frame_bytes: 0,
            close: ws::CloseCode::Normal,
            _slot: slot,
        };
        (client, error)
    }

    pub(super) fn note_received(&mut self) {
        self.heard_at = Instant::now();
        if !self.confirmed {
            self.confirmed = true;
            self.connection.confirm();
        }
    }

    /// Handles a pong: the client has received everything before the ping.
    pub(super) fn confirm_delivery(&mut self, payload: &[u8]) {
        let Ok(payload) = payload.try_into() else { return };
        let number = u64::from_be_bytes(payload);
        let (arrived, under_way): (Vec<_>, Vec<_>) = self.written.drain(..).partition(|(_, ping)| *ping <= number);
        self.written = under_way;
        if let Some(client_id) = self.connection.client_id().concrete() {
            arrived.iter().for_each(|(event, _)| self.hub.services.application.delivered(event, client_id));
        }
    }

    pub(super) fn note_written(&mut self, event: Arc<EventRef>) {
        let same = |(known, ping): &&mut (Arc<EventRef>, u64)| known.stream == event.stream && *ping == self.pings;
        match self.written.iter_mut().find(same) {
            Some((newest, _)) if newest.seq >= event.seq => {}
            Some((newest, _)) => *newest = event,
            None => self.written.push((event, self.pings)),
        }
    }

    /// Handles the loss of the socket.
    pub(super) fn socket_lost(self) {
        let now = self.hub.services.now();
        for attachment in self.attachments.values() {
            attachment.channel.unsubscribe(&self.outbox, attachment.alias.as_ref(), now);
        }
        self.outbox.end(None);
        self.hub.socket_lost(self.connection.clone(), self.lease, self.remain_present_for);
    }

    pub(super) fn handle_frame(&mut self, frame: Inbound, ctx: &mut Ctx) {
        match frame.action() {
            Some(Action::Heartbeat) => self.answer_heartbeat(frame.id, ctx),
            Some(Action::Message) => self.publish(frame),
            Some(Action::Presence) => self.presence(frame),
            Some(Action::Attach) => self.attach(&frame),
            Some(Action::Detach) => self.detach(&frame),
            Some(Action::Sync) => self.sync(&frame),
            Some(Action::Auth) => self.reauthenticate(&frame, ctx),
            Some(Action::Close) => self.close(),
            Some(Action::Disconnect) => self.outbox.end(Some(&Outbound::new(Action::Disconnected))),
            Some(Action::Object | Action::ObjectSync | Action::Annotation) => self.refuse_unsupported(&frame),
            _ => {}
        }
    }

    /// Replies to a HEARTBEAT after a short delay. SDKs take a round trip of 0 ms, as on loopback, for a missing
    /// result.
    fn answer_heartbeat(&self, id: Option<String>, ctx: &mut Ctx) {
        let outbox = self.outbox.clone();
        ctx.run_later(HEARTBEAT_PAUSE, move |_, _| {
            outbox.send(&Outbound { id: id.as_deref(), ..Outbound::new(Action::Heartbeat) });
        });
    }

    pub(super) fn send_connected(&self, error: Option<&ErrorInfo>) {
        let config = &self.hub.services.config;
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let client_id = match self.connection.client_id() {
            ClientId::Is(id) => Some(id.as_ref().to_owned()),
            ClientId::Any if self.connection.grant().expires.is_some() => Some("*".to_owned()),
            _ => None,
        };
        let details = ConnectionDetails {
            client_id,
            connection_key: self.key.clone(),
            max_message_size: MAX_MESSAGE_SIZE,
            max_frame_size: MAX_FRAME_SIZE,
            max_inbound_rate: config.max_inbound_rate,
            connection_state_ttl: millis(config.connection_state_ttl),
            max_idle_interval: millis(config.max_idle_interval),
            server_id: "tandem".to_owned(),
        };
        self.outbox.send(&Outbound {
            connection_id: Some(&self.connection.id),
            connection_details: Some(details),
            error,
            ..Outbound::new(Action::Connected)
        });
    }

    /// Fails the connection for good.
    pub(super) fn fail(&self, error: &ErrorInfo) {
        self.outbox.end(Some(&Outbound { error: Some(error), ..Outbound::new(Action::Error) }));
    }

    /// Fails the connection for good, with a WebSocket close code.
    pub(super) fn fail_with(&mut self, close: ws::CloseCode, error: &ErrorInfo) {
        self.close = close;
        self.fail(error);
    }

    /// Ends the socket. The client reconnects.
    pub fn disconnect(&self, error: &ErrorInfo) {
        self.outbox.end(Some(&Outbound { error: Some(error), ..Outbound::new(Action::Disconnected) }));
    }

    /// Ends the connection for good, as its client wants.
    pub fn close(&mut self) {
        let now = self.hub.services.now();
        for (_, attachment) in self.attachments.drain() {
            attachment.channel.unsubscribe(&self.outbox, attachment.alias.as_ref(), now);
        }
        self.hub.forget(&self.connection);
        self.outbox.end(Some(&Outbound::new(Action::Closed)));
    }
}
