//! A WebSocket as an actor: reads frames, answers them, and writes what its outbox gathers. Its state is small and ends with the socket;
//! what must outlive it is in the [`Peer`].

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix::{Actor, ActorContext, AsyncContext, SpawnHandle, StreamHandler, fut::ActorFuture};
use actix_http::ws::Item;
use actix_web_actors::ws;
use bytes::{Bytes, BytesMut};
use tandem_actors::domain::ids::{Seq, SessionId, UserId};

use super::{
    auth::{ClientId, Grant},
    channel::Channel,
    hub::Hub,
    outbox::{Frame, Outbox},
    peer::{Peer, Tenure},
    protocol::{
        Action, ErrorInfo, Format, Inbound, MAX_FRAME_SIZE, MAX_MESSAGE_SIZE, Modes, Outbound, frame::ConnectionDetails,
    },
    rate::Rate,
};

/// Beyond the promised idle interval, how long a silent client counts as alive.
const SILENCE_MARGIN: Duration = Duration::from_secs(10);

/// How long an answer to a HEARTBEAT is held back.
const HEARTBEAT_PAUSE: Duration = Duration::from_millis(2);

/// A client that may connect.
pub struct Admitted {
    pub hub: Arc<Hub>,
    pub grant: Arc<Grant>,
    pub client_id: ClientId,
    pub format: Format,
    pub echo: bool,
    /// The client cannot see pings: it gets HEARTBEAT frames.
    pub heartbeats: bool,
    /// The key of the connection to resume or recover.
    pub resume: Option<String>,
}

/// What a channel is to this socket.
pub(super) struct Attachment {
    pub channel: Arc<Channel>,
    pub asked: Modes,
    pub granted: Modes,
    pub params: Vec<(String, String)>,
}

/// What there is once the client is connected.
pub(super) struct Line {
    pub hub: Arc<Hub>,
    pub peer: Arc<Peer>,
    pub tenure: Tenure,
    pub outbox: Arc<Outbox>,
    pub attachments: HashMap<Arc<str>, Attachment>,
    pub rate: Rate,
    pub echo: bool,
    key: String,
    heartbeats: bool,
    confirmed: bool,
    /// The newest event of each session that was written and not yet confirmed, with the ping that was written after it.
    written: Vec<(SessionId, Seq, u64)>,
    /// Numbers the pings that ask whether events have arrived.
    pings: u64,
    expiry: Vec<SpawnHandle>,
    heard_at: Instant,
    wrote_at: Instant,
    partial: Option<(bool, BytesMut)>,
}

pub enum Connection {
    Refused { error: ErrorInfo, format: Format },
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
            Connection::Refused { error, format } => {
                let frame = Outbound { error: Some(&error), ..Outbound::new(Action::Error) }.encode(format);
                write(ctx, format, frame);
                finish(ctx);
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
        let Admitted { hub, grant, client_id, format, echo, heartbeats, resume } = admitted;
        let outbox = Arc::new(Outbox::new(format, hub.services.config.outbound_queue));
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
            confirmed: false,
            written: Vec::new(),
            pings: 0,
            expiry: Vec::new(),
            heard_at: Instant::now(),
            wrote_at: Instant::now(),
            partial: None,
        });
        line.send_connected(error.as_ref());
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
        match Inbound::decode(line.outbox.format, bytes) {
            Ok(frame) => line.take(frame, ctx),
            Err(unreadable) => match unreadable.msg_serial {
                Some(msg_serial) => line.refuse(msg_serial, unreadable.error),
                None => line.fail(&unreadable.error),
            },
        }
    }

    fn take_part(&mut self, item: Item, ctx: &mut Ctx) {
        let Some(line) = self.line() else { return };
        let (bytes, last) = match item {
            Item::FirstText(bytes) => {
                line.partial = Some((false, BytesMut::new()));
                (bytes, false)
            }
            Item::FirstBinary(bytes) => {
                line.partial = Some((true, BytesMut::new()));
                (bytes, false)
            }
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        let Some((_, partial)) = &mut line.partial else { return };
        if partial.len() + bytes.len() > MAX_FRAME_SIZE {
            line.partial = None;
            line.fail(&too_large());
            return;
        }
        partial.extend_from_slice(&bytes);
        if last && let Some((_, whole)) = line.partial.take() {
            self.take(&whole, ctx);
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
            Ok(ws::Message::Ping(payload)) => ctx.pong(&payload),
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
            Err(ws::ProtocolError::Overflow) => match self.line() {
                Some(line) => line.fail(&too_large()),
                None => ctx.stop(),
            },
            Err(_) => ctx.stop(),
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

/// Writes what the outbox holds; ends the actor when the outbox has ended.
#[derive(Default)]
struct Drain {
    taken: Vec<Frame>,
}

impl ActorFuture<Connection> for Drain {
    type Output = ();

    fn poll(self: Pin<&mut Self>, actor: &mut Connection, ctx: &mut Ctx, task: &mut Context<'_>) -> Poll<()> {
        let drain = self.get_mut();
        let Some(line) = actor.line() else { return Poll::Ready(()) };
        let Poll::Ready(ended) = line.outbox.poll_take(task, &mut drain.taken) else { return Poll::Pending };
        let format = line.outbox.format;
        let mut marked = false;
        for frame in drain.taken.drain(..) {
            if let Some(mark) = &frame.mark {
                line.note_written(&mark.session, mark.seq);
                marked = true;
            }
            write(ctx, format, frame.bytes);
        }
        if drain.taken.capacity() > 16 {
            drain.taken = Vec::new();
        }
        line.wrote_at = Instant::now();
        if ended {
            finish(ctx);
            return Poll::Ready(());
        }
        if marked {
            // Its pong proves that the events before it have arrived. Any other frame may have crossed them.
            ctx.ping(&line.pings.to_be_bytes());
            line.pings += 1;
        }
        Poll::Pending
    }
}

fn write(ctx: &mut Ctx, format: Format, bytes: Bytes) {
    match format {
        Format::Msgpack => ctx.binary(bytes),
        Format::Json => match bytestring::ByteString::try_from(bytes) {
            Ok(text) => ctx.text(text),
            Err(_) => tracing::error!("a JSON frame was not UTF-8"),
        },
    }
}

fn finish(ctx: &mut Ctx) {
    ctx.close(Some(ws::CloseCode::Normal.into()));
    ctx.stop();
}

impl Line {
    fn heard(&mut self) {
        self.heard_at = Instant::now();
        if !self.confirmed {
            self.confirmed = true;
            self.peer.confirm();
        }
    }

    /// The client has answered a ping: it has what was written before.
    fn ponged(&mut self, payload: &[u8]) {
        let Ok(payload) = payload.try_into() else { return };
        let number = u64::from_be_bytes(payload);
        let (arrived, under_way): (Vec<_>, Vec<_>) = self.written.drain(..).partition(|(.., ping)| *ping <= number);
        self.written = under_way;
        let client_id = self.peer.client_id();
        let user: Option<UserId> = client_id.concrete().and_then(|id| id.parse().ok());
        if let (Some(user), Some(sink)) = (user, self.hub.services.sink.get()) {
            arrived.iter().for_each(|(session, seq, _)| sink.delivered(session, &user, *seq));
        }
    }

    fn note_written(&mut self, session: &SessionId, seq: Seq) {
        match self.written.iter_mut().find(|(known, _, ping)| known == session && *ping == self.pings) {
            Some((_, newest, _)) => *newest = seq.max(*newest),
            None => self.written.push((session.clone(), seq, self.pings)),
        }
    }

    /// The socket is gone.
    fn lost(self) {
        let now = self.hub.services.now();
        for attachment in self.attachments.values() {
            attachment.channel.unsubscribe(&self.outbox, now);
        }
        self.outbox.end(None);
        self.hub.dropped(self.peer.clone(), self.tenure);
    }

    fn take(&mut self, frame: Inbound, ctx: &mut Ctx) {
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

    /// Echoes a HEARTBEAT, a moment later: to the SDK a round trip of 0 ms, as on a loopback address, is no result.
    fn answer_heartbeat(&self, id: Option<String>, ctx: &mut Ctx) {
        let outbox = self.outbox.clone();
        ctx.run_later(HEARTBEAT_PAUSE, move |_, _| {
            outbox.send(&Outbound { id: id.as_deref(), ..Outbound::new(Action::Heartbeat) });
        });
    }

    pub(super) fn send_connected(&self, error: Option<&ErrorInfo>) {
        let config = &self.hub.services.config;
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let client_id = match self.peer.client_id() {
            ClientId::Is(id) => Some(id.as_ref().to_owned()),
            ClientId::Any if self.peer.grant().expires.is_some() => Some("*".to_owned()),
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
            connection_id: Some(&self.peer.id),
            connection_details: Some(details),
            error,
            ..Outbound::new(Action::Connected)
        });
    }

    /// The connection fails for good.
    pub(super) fn fail(&self, error: &ErrorInfo) {
        self.outbox.end(Some(&Outbound { error: Some(error), ..Outbound::new(Action::Error) }));
    }

    /// The client is to come back.
    pub(super) fn disconnect(&self, error: &ErrorInfo) {
        self.outbox.end(Some(&Outbound { error: Some(error), ..Outbound::new(Action::Disconnected) }));
    }

    fn close(&mut self) {
        let now = self.hub.services.now();
        for (_, attachment) in self.attachments.drain() {
            attachment.channel.unsubscribe(&self.outbox, now);
        }
        self.hub.forget(&self.peer);
        self.outbox.end(Some(&Outbound::new(Action::Closed)));
    }

    /// Asks for a new token before the present one expires, and ends the socket when it does.
    pub(super) fn watch_expiry(&mut self, ctx: &mut Ctx) {
        for timer in self.expiry.drain(..) {
            ctx.cancel_future(timer);
        }
        let grant = self.peer.grant();
        let Some(expires) = grant.expires else { return };
        let left = expires - self.hub.services.now().as_millis();
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        if let Some(notice) =
            notice_before_expiry(Duration::from_millis(u64::try_from(expires - grant.issued).unwrap_or(0)), left)
        {
            self.expiry.push(ctx.run_later(left - notice, |actor, _| {
                if let Some(line) = actor.line() {
                    line.outbox.send(&Outbound::new(Action::Auth));
                }
            }));
        }
        self.expiry.push(ctx.run_later(left, |actor, _| {
            if let Some(line) = actor.line() {
                line.disconnect(&ErrorInfo::token_expired("the token has expired"));
            }
        }));
    }
}

/// How long before expiry the client is asked for a new token: 5 minutes for a token of more than 10, else 30 s; not at all
/// if there is less left than that.
fn notice_before_expiry(lifetime: Duration, left: Duration) -> Option<Duration> {
    let lifetime = lifetime.max(left);
    let notice = if lifetime > Duration::from_secs(600) { Duration::from_secs(300) } else { Duration::from_secs(30) };
    if left > notice { Some(notice) } else { Some(Duration::from_secs(30)).filter(|notice| left > *notice) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_is_asked_for_in_time() {
        let seconds = Duration::from_secs;
        for (lifetime, left, notice) in [
            (3600, 3600, Some(300)),
            (3600, 200, Some(30)),
            (600, 600, Some(30)),
            (35, 35, Some(30)),
            (29, 29, None),
            (5, 5, None),
        ] {
            assert_eq!(
                notice_before_expiry(seconds(lifetime), seconds(left)),
                notice.map(seconds),
                "{lifetime} {left}"
            );
        }
    }
}
