//! Frames that wait for one socket. A publisher adds shared bytes and goes on; one wake-up of the socket writes all
//! of them. The outbox is bounded: a connection that is too slow is disconnected and continues from the log.

mod acks;

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tandem_intake::Budget;

use self::acks::Acks;
use crate::{
    application::EventRef,
    protocol::{Action, ErrorInfo, Format, Outbound, frame::PublishResult},
};

#[derive(Debug)]
pub struct Frame {
    pub bytes: Bytes,
    /// The event that the frame carries, if its delivery is to be reported.
    pub event: Option<Arc<EventRef>>,
}

#[derive(Default)]
struct Queue {
    /// Each with the bytes that count against the limit.
    frames: VecDeque<(usize, Frame)>,
    bytes: usize,
    /// Bytes of all frames, counted or not.
    waiting: usize,
    /// The part of them that is charged to the budget of all connections.
    charged: usize,
    ended: bool,
    /// They go out after all frames.
    acks: Acks,
}

impl Queue {
    fn put(&mut self, counted: usize, frame: Frame) {
        self.bytes += counted;
        self.waiting += frame.bytes.len();
        self.frames.push_back((counted, frame));
    }

    /// Queues the ACKs before the next frame.
    fn put_acks(&mut self, format: Format) {
        if let Some(bytes) = self.acks.take(format) {
            self.put(bytes.len(), Frame { bytes, event: None });
        }
    }

    fn end(&mut self, format: Format, last: Option<&Outbound<'_>>) {
        self.put_acks(format);
        if let Some(last) = last {
            self.put(0, Frame { bytes: last.encode(format), event: None });
        }
        self.ended = true;
    }
}

/// Bytes of one write, so that a large replay is not copied in one piece.
const PORTION: usize = 65_536;

/// Up to this many bytes are never charged to the budget of all connections.
const FREE: usize = 32 * 1024;
/// Replayed bytes that may wait in addition to the limit.
const MOST_REPLAYED: usize = 16 << 20;

pub struct Outbox {
    pub format: Format,
    limit: usize,
    all: Arc<Budget>,
    queue: Mutex<Queue>,
    reader: AtomicWaker,
    /// The frames become server-sent events.
    is_event_stream: AtomicBool,
    /// The client's rights have changed since the socket checked them.
    rights_changed: AtomicBool,
}

impl Outbox {
    pub fn new(format: Format, limit: usize, all: Arc<Budget>) -> Self {
        Self {
            format,
            limit,
            all,
            queue: Mutex::default(),
            reader: AtomicWaker::new(),
            is_event_stream: AtomicBool::new(false),
            rights_changed: AtomicBool::new(false),
        }
    }

    /// Adjusts the charge to the budget of all connections.
    fn charge(&self, queue: &mut Queue) {
        let due = queue.waiting.saturating_sub(FREE);
        match due.cmp(&queue.charged) {
            std::cmp::Ordering::Greater => self.all.take(due - queue.charged),
            std::cmp::Ordering::Less => self.all.give(queue.charged - due),
            std::cmp::Ordering::Equal => return,
        }
        queue.charged = due;
        debug_assert!(queue.bytes <= queue.waiting, "counted bytes are a part of those that wait");
    }

    fn replace_all(&self, queue: &mut Queue, last: Option<&Outbound<'_>>) {
        queue.frames.clear();
        (queue.bytes, queue.waiting) = (0, 0);
        queue.end(self.format, last);
        self.charge(queue);
    }

    /// Drops all frames, and tells the client to reconnect and continue from the log.
    fn disconnect_slow_client(&self, queue: &mut Queue) {
        // Under one lock: a later frame would make the client believe that it has all frames before it.
        let error = ErrorInfo::disconnected("the connection is too slow for its channels; it can be resumed");
        self.replace_all(queue, Some(&Outbound { error: Some(&error), ..Outbound::new(Action::Disconnected) }));
        metrics::counter!("tandem_realtime_slow_connections_total").increment(1);
    }

    /// Whether too many bytes wait.
    fn exceeds_limits(&self, queue: &Queue) -> bool {
        queue.waiting > self.limit + MOST_REPLAYED || (queue.charged > 0 && self.all.is_exhausted())
    }

    /// Adds a frame. Without effect after the end.
    pub fn push(&self, frame: Frame) {
        let mut queue = self.queue.lock();
        if queue.ended {
            return;
        }
        let overflows = queue.bytes + frame.bytes.len() > self.limit || self.exceeds_limits(&queue);
        if overflows && !queue.frames.is_empty() {
            self.disconnect_slow_client(&mut queue);
            drop(queue);
            self.reader.wake();
            return;
        }
        let first = queue.frames.is_empty();
        queue.put_acks(self.format);
        queue.put(frame.bytes.len(), frame);
        self.charge(&mut queue);
        drop(queue);
        if first {
            self.reader.wake();
        }
    }

    /// Acknowledges a publish after all frames that are in the outbox now, perhaps together with others.
    pub fn acknowledge(&self, msg_serial: u64, result: &PublishResult) {
        let now = Instant::now();
        let mut queue = self.queue.lock();
        if queue.ended {
            return;
        }
        let (idle, first) = (queue.frames.is_empty(), queue.acks.is_empty());
        if !queue.acks.add(msg_serial, result, now) {
            queue.put_acks(self.format);
            queue.acks.add(msg_serial, result, now);
        }
        let wakes = first || idle && !queue.frames.is_empty();
        drop(queue);
        if wakes {
            self.reader.wake();
        }
    }

    /// The end of the hold on ACKs, if no frame takes them along.
    pub fn held_until(&self) -> Option<Instant> {
        self.queue.lock().acks.held_until()
    }

    /// Ends the hold on ACKs.
    pub fn release_acks(&self) {
        self.queue.lock().acks.release();
    }

    /// Adds frames from the log, which do not count against the limit.
    pub fn replay(&self, frames: impl Iterator<Item = Frame>) {
        let mut queue = self.queue.lock();
        if !queue.ended {
            queue.put_acks(self.format);
            for frame in frames {
                queue.put(0, frame);
                self.charge(&mut queue);
                if self.exceeds_limits(&queue) {
                    self.disconnect_slow_client(&mut queue);
                    break;
                }
            }
            drop(queue);
            self.reader.wake();
        }
    }

    /// Bytes that wait to be written.
    pub fn waiting(&self) -> usize {
        self.queue.lock().waiting
    }

    /// Whether too many bytes wait to replay something on request.
    pub fn is_full(&self) -> bool {
        self.queue.lock().waiting > self.limit
    }

    pub fn send(&self, message: &Outbound<'_>) {
        self.push(Frame { bytes: message.encode(self.format), event: None });
    }

    /// The client is one without a WebSocket.
    pub fn note_event_stream(&self) {
        self.is_event_stream.store(true, Ordering::Relaxed);
    }

    /// How the frames reach the client, in words.
    pub fn transport(&self) -> &'static str {
        match self.format {
            _ if self.is_event_stream.load(Ordering::Relaxed) => "server-sent events",
            Format::Json => "WebSocket, JSON",
            Format::Msgpack => "WebSocket, MessagePack",
        }
    }

    /// Asks the socket to check the client's rights again.
    pub fn note_rights_changed(&self) {
        self.rights_changed.store(true, Ordering::Release);
        self.reader.wake();
    }

    /// Whether the rights have changed since the last call.
    pub fn take_rights_changed(&self) -> bool {
        self.rights_changed.swap(false, Ordering::AcqRel)
    }

    /// Ends the outbox with one last frame. The socket closes after it.
    pub fn end(&self, last: Option<&Outbound<'_>>) {
        let mut queue = self.queue.lock();
        if !queue.ended {
            queue.end(self.format, last);
            drop(queue);
            self.reader.wake();
        }
    }

    /// Ends the outbox with one last frame, and drops what waits before it: the client may not have it any more.
    pub fn cut(&self, last: Option<&Outbound<'_>>) {
        let mut queue = self.queue.lock();
        if !queue.ended {
            self.replace_all(&mut queue, last);
            drop(queue);
            self.reader.wake();
        }
    }

    pub fn has_ended(&self) -> bool {
        self.queue.lock().ended
    }

    /// Moves some frames into `taken`. `Ready(true)` after the end, when all are taken.
    pub fn poll_take(&self, cx: &mut Context<'_>, taken: &mut Vec<Frame>) -> Poll<bool> {
        self.reader.register(cx.waker());
        let mut queue = self.queue.lock();
        if queue.acks.held_until().is_none() || !queue.frames.is_empty() {
            queue.put_acks(self.format);
        }
        if queue.frames.is_empty() && !queue.ended {
            return Poll::Pending;
        }
        let mut portion = 0;
        while portion < PORTION
            && let Some((counted, frame)) = queue.frames.pop_front()
        {
            portion += frame.bytes.len();
            queue.waiting -= frame.bytes.len();
            queue.bytes -= counted;
            taken.push(frame);
        }
        self.charge(&mut queue);
        if !queue.frames.is_empty() {
            drop(queue);
            self.reader.wake();
            return Poll::Ready(false);
        }
        // An idle connection has no buffer.
        if queue.frames.capacity() > 16 {
            queue.frames = VecDeque::new();
        }
        Poll::Ready(queue.ended)
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let queue = self.queue.get_mut();
        queue.waiting = 0;
        let charged = std::mem::take(&mut queue.charged);
        self.all.give(charged);
    }
}

#[cfg(test)]
mod tests;
