//! A WebSocket as an actor: it reads frames, handles them, and writes the outbox's frames. Its state ends with the
//! socket. The [`ConnectionState`](crate::connection::ConnectionState) outlives it.

mod attaching;
mod client;
mod drain;
mod expiry;
mod publishing;

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, ActorContext, AsyncContext, StreamHandler};
use actix_http::ws::Item;
use actix_web_actors::ws;
use bytes::BytesMut;

pub use self::client::ConnectedClient;
use self::{
    client::Partial,
    drain::{Drain, finish, write},
};
use crate::{
    auth::{ClientId, Grant},
    hub::Hub,
    limits::{FrameFault, ReadingPace, SocketSlot, price},
    protocol::{Action, ErrorInfo, Format, Inbound, MAX_FRAME_SIZE, Outbound, content_of},
};

/// A client is dead after the idle interval and this margin without a frame.
const SILENCE_MARGIN: Duration = Duration::from_secs(10);
/// The longest time for the fragments of one message.
const FRAGMENTS_IN: Duration = Duration::from_secs(30);

/// An authenticated client.
pub struct AuthenticatedClient {
    pub hub: Arc<Hub>,
    pub grant: Arc<Grant>,
    pub client_id: ClientId,
    pub format: Format,
    pub echo: bool,
    /// The client cannot see pings, so it gets HEARTBEAT frames.
    pub heartbeats: bool,
    /// How long the client's members stay when its socket is lost. Absent: the configured grace.
    pub remain_present_for: Option<Duration>,
    /// The key of the connection to resume or recover.
    pub resume: Option<String>,
    pub pace: Rc<ReadingPace>,
    /// The client's slot for this socket.
    pub slot: Option<SocketSlot>,
}

pub enum Socket {
    /// `action` is ERROR if the client must not retry, else DISCONNECTED.
    Refused {
        action: Action,
        error: ErrorInfo,
        format: Format,
    },
    Waiting(Box<AuthenticatedClient>),
    Open(Box<ConnectedClient>),
    Over,
}

type Ctx = ws::WebsocketContext<Socket>;

impl Actor for Socket {
    type Context = Ctx;

    fn started(&mut self, ctx: &mut Ctx) {
        match std::mem::replace(self, Socket::Over) {
            Socket::Waiting(admitted) => self.open(*admitted, ctx),
            Socket::Refused { action, error, format } => {
                let frame = Outbound { error: Some(&error), ..Outbound::new(action) }.encode(format);
                write(ctx, format, frame);
                finish(ctx, ws::CloseCode::Normal);
            }
            other => *self = other,
        }
    }

    fn stopped(&mut self, _: &mut Ctx) {
        if let Socket::Open(client) = std::mem::replace(self, Socket::Over) {
            client.socket_lost();
        }
    }
}

impl Socket {
    fn open(&mut self, admitted: AuthenticatedClient, ctx: &mut Ctx) {
        let (client, error) = ConnectedClient::connect(admitted);
        let mut client = Box::new(client);
        client.send_connected(error.as_ref());
        client.recheck_members();
        client.watch_expiry(ctx);
        let half_interval = client.hub.services.config.max_idle_interval / 2;
        ctx.run_interval(half_interval, Socket::check_liveness);
        ctx.spawn(Drain::default());
        *self = Socket::Open(client);
    }

    fn client(&mut self) -> Option<&mut ConnectedClient> {
        match self {
            Socket::Open(client) => Some(client),
            _ => None,
        }
    }

    /// Sends a ping over a quiet connection, and ends a dead one.
    fn check_liveness(&mut self, ctx: &mut Ctx) {
        let Some(client) = self.client() else { return };
        let interval = client.hub.services.config.max_idle_interval;
        if client.heard_at.elapsed() > interval + SILENCE_MARGIN {
            metrics::counter!("tandem_realtime_silent_connections_total").increment(1);
            ctx.stop();
            return;
        }
        if client.partial.as_ref().is_some_and(|partial| partial.begun.elapsed() > FRAGMENTS_IN) {
            client.fail(&ErrorInfo::bad_request("the fragments of a message did not come in time"));
            return;
        }
        if client.wrote_at.elapsed() + interval / 4 >= interval / 2 {
            if client.heartbeats {
                client.outbox.send(&Outbound::new(Action::Heartbeat));
            }
            ctx.ping(b"");
            client.wrote_at = Instant::now();
        }
    }

    fn handle_frame(&mut self, bytes: &[u8], ctx: &mut Ctx) {
        let Some(client) = self.client() else { return };
        if client.outbox.has_ended() {
            return;
        }
        client.frame_bytes = bytes.len();
        match Inbound::decode(client.outbox.format, bytes) {
            Ok(frame) => {
                client.pace.spend(price(frame.action()));
                client.handle_frame(frame, ctx);
            }
            Err(unreadable) => match unreadable.msg_serial {
                Some(msg_serial) => client.refuse(msg_serial, content_of(bytes), unreadable.error),
                None => client.fail(&unreadable.error),
            },
        }
    }

    fn handle_fragment(&mut self, item: Item, ctx: &mut Ctx) {
        let Some(client) = self.client() else { return };
        let (bytes, last) = match item {
            Item::FirstText(bytes) | Item::FirstBinary(bytes) => {
                client.partial = Some(Partial { bytes: BytesMut::new(), begun: Instant::now() });
                (bytes, false)
            }
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        let Some(partial) = &mut client.partial else { return };
        partial.bytes.extend_from_slice(&bytes);
        if last && let Some(whole) = client.partial.take() {
            self.handle_frame(&whole.bytes, ctx);
        }
    }
}

fn too_large() -> ErrorInfo {
    ErrorInfo::too_large(format!("a frame must have at most {MAX_FRAME_SIZE} bytes"))
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Socket {
    fn handle(&mut self, item: Result<ws::Message, ws::ProtocolError>, ctx: &mut Ctx) {
        if let (Some(client), Ok(_)) = (self.client(), &item) {
            client.note_received();
        }
        match item {
            Ok(ws::Message::Text(text)) => self.handle_frame(text.as_bytes(), ctx),
            Ok(ws::Message::Binary(bytes)) => self.handle_frame(&bytes, ctx),
            Ok(ws::Message::Continuation(item)) => self.handle_fragment(item, ctx),
            Ok(ws::Message::Ping(payload)) => {
                if let Some(client) = self.client() {
                    client.pace.spend(1);
                }
                ctx.pong(&payload);
            }
            Ok(ws::Message::Pong(payload)) => {
                if let Some(client) = self.client() {
                    client.confirm_delivery(&payload);
                }
            }
            Ok(ws::Message::Nop) => {}
            Ok(ws::Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            Err(_) => match self.client().and_then(|client| Some((client.pace.frame_fault()?, client))) {
                Some((FrameFault::TooLarge, client)) => client.fail_with(ws::CloseCode::Size, &too_large()),
                Some((FrameFault::NoRoom, client)) => client.disconnect(&ErrorInfo::rate_exceeded(
                    "too many frames are on their way at the moment; try again in a moment",
                )),
                Some((FrameFault::Malformed, _)) | None => {
                    ctx.close(Some(ws::CloseCode::Protocol.into()));
                    ctx.stop();
                }
            },
        }
    }

    fn finished(&mut self, ctx: &mut Ctx) {
        // Remaining frames (an error, a goodbye) are written first. Then the drain stops the actor.
        match self.client() {
            Some(client) => client.outbox.end(None),
            None => ctx.stop(),
        }
    }
}
