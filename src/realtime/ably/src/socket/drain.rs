//! Moves frames from the outbox to the socket.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use actix::{ActorContext, fut::ActorFuture};
use actix_web_actors::ws;
use bytes::Bytes;
use tokio::time::{Sleep, sleep_until};

use super::{Ctx, Socket};
use crate::{
    outbox::{Frame, Outbox},
    protocol::Format,
};

/// Writes the outbox's frames, and stops the actor after the last one.
#[derive(Default)]
pub(super) struct Drain {
    taken: Vec<Frame>,
    /// The timer that ends the hold on ACKs. Only connections that publish much have one.
    hold: Option<Pin<Box<Sleep>>>,
}

impl Drain {
    /// Takes some frames. It waits for held ACKs only as long as they are held.
    fn take(&mut self, outbox: &Outbox, task: &mut Context<'_>) -> Poll<bool> {
        let taken = outbox.poll_take(task, &mut self.taken);
        let Some(until) = outbox.held_until().filter(|_| taken.is_pending()) else { return taken };
        let hold = self.hold.get_or_insert_with(|| Box::pin(sleep_until(until.into())));
        if hold.deadline() != until.into() {
            hold.as_mut().reset(until.into());
        }
        if hold.as_mut().poll(task).is_pending() {
            return Poll::Pending;
        }
        outbox.release_acks();
        outbox.poll_take(task, &mut self.taken)
    }
}

impl ActorFuture<Socket> for Drain {
    type Output = ();

    fn poll(self: Pin<&mut Self>, actor: &mut Socket, ctx: &mut Ctx, task: &mut Context<'_>) -> Poll<()> {
        let drain = self.get_mut();
        let Some(client) = actor.client() else { return Poll::Ready(()) };
        let taken = drain.take(&client.outbox, task);
        // Checked after the task is registered, so that no change is missed.
        if client.outbox.take_rights_changed() {
            client.recheck_attachments();
        }
        let Poll::Ready(ended) = taken else { return Poll::Pending };
        let format = client.outbox.format;
        let mut awaits_delivery = false;
        for frame in drain.taken.drain(..) {
            if let Some(event) = frame.event {
                client.note_written(event);
                awaits_delivery = true;
            }
            write(ctx, format, frame.bytes);
        }
        if drain.taken.capacity() > 16 {
            drain.taken = Vec::new();
        }
        client.wrote_at = Instant::now();
        if ended {
            finish(ctx, client.close);
            return Poll::Ready(());
        }
        if awaits_delivery {
            // The pong proves that the events before the ping have arrived. Any other frame of the client may have
            // crossed them.
            ctx.ping(&client.pings.to_be_bytes());
            client.pings += 1;
        }
        Poll::Pending
    }
}

pub(super) fn write(ctx: &mut Ctx, format: Format, bytes: Bytes) {
    match format {
        Format::Msgpack => ctx.binary(bytes),
        Format::Json => match bytestring::ByteString::try_from(bytes) {
            Ok(text) => ctx.text(text),
            Err(_) => tracing::error!("a JSON frame was not UTF-8"),
        },
    }
}

pub(super) fn finish(ctx: &mut Ctx, code: ws::CloseCode) {
    ctx.close(Some(code.into()));
    ctx.stop();
}
