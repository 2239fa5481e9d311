//! A WebSocket as an actor: reads frames, answers them, and writes what its outbox gathers. Its state is small and ends with the socket;
//! what must outlive it is in the [`Peer`](super::peer::Peer).

mod attaching;
mod drain;
mod expiry;
mod line;
mod publishing;

use std::{
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, ActorContext, AsyncContext, StreamHandler};
use actix_http::ws::Item;
use actix_web_actors::ws;
use bytes::BytesMut;

use self::{
    drain::{Drain, finish, write},
    line::{Line, Partial},
};
use crate::{
    auth::{ClientId, Grant},
    hub::Hub,
    limits::{Fault, Pace, Seat, price},
    outbox::Outbox,
    protocol::{Action, ErrorInfo, Format, Inbound, MAX_FRAME_SIZE, Outbound, content_of},
    rate::Rate,
};

/// Beyond the promised idle interval, how long a silent client counts as alive.
const SILENCE_MARGIN: Duration = Duration::from_secs(10);
/// How long the fragments of one message may take.
const FRAGMENTS_IN: Duration = Duration::from_secs(30);

/// A client that may connect.
pub struct Admitted {
    pub hub: Arc<Hub>,
    pub grant: Arc<Grant>,
    pub client_id: ClientId,
    pub format: Format,
    pub echo: bool,
    /// The client cannot see pings: it gets HEARTBEAT frames.
    pub heartbeats: bool,
    /// How long the client's members are to stay when its socket is lost; the configured grace if absent.
    pub remain_present_for: Option<Duration>,
    /// The key of the connection to resume or recover.
    pub resume: Option<String>,
    pub pace: Rc<Pace>,
    /// Its place among the client's sockets.
    pub seat: Option<Seat>,
}

pub enum Connection {
    /// `action` is ERROR for good, or DISCONNECTED for the moment.
    Refused {
        action: Action,
        error: ErrorInfo,
        format: Format,
    },
    Waiting(Box<Admitted>),
    Open(Box<Line>),
    Over,
}

type Ctx = ws::WebsocketContext<Connection>;

impl Actor for Connection {
    type Context = Ctx;

    fn started(&mut self, ctx: &mut Ctx) {
        match std::mem::replace(self, Connection::Over) {
            Connection::Waiting(admitted) => self.open(*admitted, ctx),
            Connection::Refused { action, error, format } => {
                let frame = Outbound { error: Some(&error), ..Outbound::new(action) }.encode(format);
                write(ctx, format, frame);
                finish(ctx, ws::CloseCode::Normal);
            }
            other => *self = other,
        }
    }

    fn stopped(&mut self, _: &mut Ctx) {
        if let Connection::Open(line) = std::mem::replace(self, Connection::Over) {
            line.lost();
        }
    }
}

impl Connection {
    fn open(&mut self, admitted: Admitted, ctx: &mut Ctx) {
        let Admitted { hub, grant, client_id, format, echo, heartbeats, remain_present_for, resume, pace, seat } =
            admitted;
        let outbox =
            Arc::new(Outbox::new(format, hub.services.config.outbound_queue, hub.services.memory.outbound.clone()));
        let resumed = resume.map(|key| hub.resume(&key, &outbox, &grant, &client_id)).transpose();
        let (error, (peer, tenure, key)) = match resumed {
            Ok(Some(resumed)) => (None, resumed),
            Ok(None) => (None, hub.connect(&outbox, grant, client_id)),
            Err(error) => (Some(error), hub.connect(&outbox, grant, client_id)),
        };
        let rate = Rate::new(hub.services.config.max_inbound_rate);
        let mut line = Box::new(Line {
            hub,
            peer,
            tenure,
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
            _seat: seat,
        });
        line.send_connected(error.as_ref());
        line.recheck_members();
        line.watch_expiry(ctx);
        let half_interval = line.hub.services.config.max_idle_interval / 2;
        ctx.run_interval(half_interval, Connection::beat);
        ctx.spawn(Drain::default());
        *self = Connection::Open(line);
    }

    fn line(&mut self) -> Option<&mut Line> {
        match self {
            Connection::Open(line) => Some(line),
            _ => None,
        }
    }

    /// Keeps a quiet connection alive, and notices a dead one.
    fn beat(&mut self, ctx: &mut Ctx) {
        let Some(line) = self.line() else { return };
        let interval = line.hub.services.config.max_idle_interval;
        if line.heard_at.elapsed() > interval + SILENCE_MARGIN {
            metrics::counter!("tandem_realtime_silent_connections_total").increment(1);
            ctx.stop();
            return;
        }
        if line.partial.as_ref().is_some_and(|partial| partial.begun.elapsed() > FRAGMENTS_IN) {
            line.fail(&ErrorInfo::bad_request("the fragments of a message did not come in time"));
            return;
        }
        if line.wrote_at.elapsed() + interval / 4 >= interval / 2 {
            if line.heartbeats {
                line.outbox.send(&Outbound::new(Action::Heartbeat));
            }
            ctx.ping(b"");
            line.wrote_at = Instant::now();
        }
    }

    fn take(&mut self, bytes: &[u8], ctx: &mut Ctx) {
        let Some(line) = self.line() else { return };
        if line.outbox.has_ended() {
            return;
        }
        line.frame_bytes = bytes.len();
        match Inbound::decode(line.outbox.format, bytes) {
            Ok(frame) => {
                line.pace.spend(price(frame.action()));
                line.take(frame, ctx);
            }
            Err(unreadable) => match unreadable.msg_serial {
                Some(msg_serial) => line.refuse(msg_serial, content_of(bytes), unreadable.error),
                None => line.fail(&unreadable.error),
            },
        }
    }

    fn take_part(&mut self, item: Item, ctx: &mut Ctx) {
        let Some(line) = self.line() else { return };
        let (bytes, last) = match item {
            Item::FirstText(bytes) | Item::FirstBinary(bytes) => {
                line.partial = Some(Partial { bytes: BytesMut::new(), begun: Instant::now() });
                (bytes, false)
            }
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        let Some(partial) = &mut line.partial else { return };
        partial.bytes.extend_from_slice(&bytes);
        if last && let Some(whole) = line.partial.take() {
            self.take(&whole.bytes, ctx);
        }
    }
}

fn too_large() -> ErrorInfo {
    ErrorInfo::too_large(format!("a frame must have at most {MAX_FRAME_SIZE} bytes"))
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Connection {
    fn handle(&mut self, item: Result<ws::Message, ws::ProtocolError>, ctx: &mut Ctx) {
        if let (Some(line), Ok(_)) = (self.line(), &item) {
            line.heard();
        }
        match item {
            Ok(ws::Message::Text(text)) => self.take(text.as_bytes(), ctx),
            Ok(ws::Message::Binary(bytes)) => self.take(&bytes, ctx),
            Ok(ws::Message::Continuation(item)) => self.take_part(item, ctx),
            Ok(ws::Message::Ping(payload)) => {
                if let Some(line) = self.line() {
                    line.pace.spend(1);
                }
                ctx.pong(&payload);
            }
            Ok(ws::Message::Pong(payload)) => {
                if let Some(line) = self.line() {
                    line.ponged(&payload);
                }
            }
            Ok(ws::Message::Nop) => {}
            Ok(ws::Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            Err(_) => match self.line().and_then(|line| Some((line.pace.fault()?, line))) {
                Some((Fault::TooLarge, line)) => line.fail_with(ws::CloseCode::Size, &too_large()),
                Some((Fault::NoRoom, line)) => line.disconnect(&ErrorInfo::rate_exceeded(
                    "too many frames are on their way at the moment; try again in a moment",
                )),
                Some((Fault::Malformed, _)) | None => {
                    ctx.close(Some(ws::CloseCode::Protocol.into()));
                    ctx.stop();
                }
            },
        }
    }

    fn finished(&mut self, ctx: &mut Ctx) {
        // What is still to be said (an error, a goodbye) is written first; then the drain stops the actor.
        match self.line() {
            Some(line) => line.outbox.end(None),
            None => ctx.stop(),
        }
    }
}
