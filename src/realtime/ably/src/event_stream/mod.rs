//! Event streams: a response that does not end, with the events of some channels, for clients without an SDK. The
//! client is a connection like that of a WebSocket, with the same limits and rights, but it sends nothing, and its
//! connection ends with the response. It continues by the id of the last event that it received.
//!
//! Its outbox gets frames in JSON, which are translated to events here. That costs more than a frame over a WebSocket,
//! but needs no changes of channels and outboxes.

mod events;
mod position;

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

pub use self::{
    events::{AllowedEvents, EventForm, Events, Style},
    position::Position,
};
use crate::{
    channel::Name,
    limits::price,
    outbox::Frame,
    protocol::{Action, ErrorInfo, Inbound, Modes, Outbound},
    socket::{AuthenticatedClient, ConnectedClient},
};

/// The request of a client.
pub struct Subscription {
    /// Names as the client writes them, each once.
    pub channels: Vec<String>,
    /// The `rewind` of channels whose names have none.
    pub rewind: Option<String>,
    pub last_event: Option<Position>,
    pub form: EventForm,
}

pub struct EventStream {
    client: ConnectedClient,
    events: Events,
    /// Written before anything else.
    opening: Option<Bytes>,
    taken: Vec<Frame>,
    keepalive: Pin<Box<Sleep>>,
    expiry: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl EventStream {
    /// Connects, and attaches to all channels.
    ///
    /// # Errors
    /// If the client may not subscribe to one of the channels, or a parameter is not valid. The connection is closed.
    pub async fn open(admitted: AuthenticatedClient, asked: Subscription) -> Result<Self, ErrorInfo> {
        let (client, _) = ConnectedClient::connect(admitted);
        client.outbox.note_event_stream();
        let left = client.connection.grant().expires.map(|expires| {
            let left = expires.saturating_sub(client.hub.services.now().as_millis());
            Duration::from_millis(u64::try_from(left).unwrap_or(0))
        });
        let keepalive = client.hub.services.config.max_idle_interval / 2;
        let mut stream = Self {
            client,
            events: Events::new(asked.form),
            opening: None,
            taken: Vec::new(),
            keepalive: Box::pin(sleep(keepalive)),
            expiry: left.map(|left| Box::pin(sleep(left))),
            ended: false,
        };
        for (index, name) in asked.channels.into_iter().enumerate() {
            let serial = asked.last_event.as_ref().and_then(|position| position.serial(index));
            stream.attach(name, serial, asked.rewind.as_deref()).await?;
        }
        stream.opening = stream.events.opening();
        Ok(stream)
    }

    async fn attach(&mut self, name: String, serial: Option<&str>, rewind: Option<&str>) -> Result<(), ErrorInfo> {
        let pace = self.client.pace.clone();
        pace.spend(price(Some(Action::Attach)));
        if let Some(until) = pace.take_wait() {
            sleep_until(until.into()).await;
        }
        let has_own = Name::parse(&name)?.params.iter().any(|(name, _)| name == "rewind");
        let rewind = rewind.filter(|_| !has_own).map(|rewind| ("rewind".to_owned(), rewind.to_owned()));
        let modes = Modes::SUBSCRIBE.or(Modes::PRESENCE_SUBSCRIBE);
        let serial = serial.map(str::to_owned);
        let frame = Inbound::attach(name.clone(), serial.clone(), rewind.into_iter().collect(), modes);
        let head = self.client.try_attach(&frame)?;
        self.events.add_channel(name, serial.unwrap_or(head));
        Ok(())
    }

    /// Ends the stream when the token has expired, and attachments whose rights have ended.
    fn enforce_rights(&mut self, cx: &mut Context<'_>) {
        if self.expiry.as_mut().is_some_and(|expiry| expiry.as_mut().poll(cx).is_ready()) {
            self.expiry = None;
            let error = ErrorInfo::token_expired("the token has expired");
            self.client.outbox.cut(Some(&Outbound { error: Some(&error), ..Outbound::new(Action::Disconnected) }));
        }
        if self.client.outbox.take_rights_changed() {
            self.client.recheck_attachments();
            let attachments = &self.client.attachments;
            self.events.allow(|name| match attachments.get(name) {
                Some(attachment) => AllowedEvents {
                    messages: attachment.granted.has(Modes::SUBSCRIBE),
                    presence: attachment.granted.has(Modes::PRESENCE_SUBSCRIBE),
                },
                None => AllowedEvents::default(),
            });
            if self.client.attachments.is_empty() {
                self.client.outbox.end(None);
            }
        }
    }

    fn restart_keepalive(&mut self) {
        let next = Instant::now() + self.client.hub.services.config.max_idle_interval / 2;
        self.keepalive.as_mut().reset(next);
    }
}

impl Stream for EventStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self.get_mut();
        if let Some(opening) = stream.opening.take() {
            return Poll::Ready(Some(Ok(opening)));
        }
        loop {
            // A client that reads again after a pause gets nothing that came after it lost its rights.
            stream.enforce_rights(cx);
            if let Some(events) = stream.events.next_portion() {
                stream.restart_keepalive();
                return Poll::Ready(Some(Ok(events)));
            }
            if stream.ended {
                return Poll::Ready(None);
            }
            let taken = stream.client.outbox.poll_take(cx, &mut stream.taken);
            stream.events.add_frames(stream.taken.drain(..));
            match taken {
                Poll::Ready(ended) => stream.ended = ended,
                Poll::Pending => {
                    // Checked after the task is registered, so that no change is missed.
                    stream.enforce_rights(cx);
                    if stream.keepalive.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    stream.restart_keepalive();
                    return Poll::Ready(Some(Ok(stream.events.keepalive())));
                }
            }
        }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.client.close();
    }
}
