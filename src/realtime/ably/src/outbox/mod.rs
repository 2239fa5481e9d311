//! What waits to be written to one socket. Whoever publishes puts shared bytes in and goes on; the connection takes all that has gathered
//! with one wake-up. Bounded: a connection that does not keep up is told to go and to continue from the log.

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
    /// Each with what it counts against the limit.
    frames: VecDeque<(usize, Frame)>,
    bytes: usize,
    /// Of all frames, counted or not.
    waiting: usize,
    /// What of it was taken from all connections' memory.
    charged: usize,
    ended: bool,
    /// Behind all frames.
    acks: Acks,
}

impl Queue {
    fn put(&mut self, counted: usize, frame: Frame) {
        self.bytes += counted;
        self.waiting += frame.bytes.len();
        self.frames.push_back((counted, frame));
    }

    /// Puts the ACKs in their place, before whatever comes next.
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

/// Bytes that are taken at once, so that a large replay is not copied in one piece.
const PORTION: usize = 65_536;

/// What waits for a connection up to here is not taken from all connections' memory, and never too much.
const FREE: usize = 32 * 1024;
/// Replayed bytes that may wait beyond the limit.
const MOST_REPLAYED: usize = 16 << 20;

pub struct Outbox {
    pub format: Format,
    limit: usize,
    all: Arc<Budget>,
    queue: Mutex<Queue>,
    reader: AtomicWaker,
    /// What the client may do has changed since the socket looked.
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
            rights_changed: AtomicBool::new(false),
        }
    }

    /// Takes from all connections' memory what waits beyond a little, or gives it back.
    fn charge(&self, queue: &mut Queue) {
        let due = queue.waiting.saturating_sub(FREE);
        match due.cmp(&queue.charged) {
            std::cmp::Ordering::Greater => self.all.take(due - queue.charged),
            std::cmp::Ordering::Less => self.all.give(queue.charged - due),
            std::cmp::Ordering::Equal => return,
        }
        queue.charged = due;
    }

    /// Drops everything, and tells the client to go and to continue from the log.
    fn give_up(&self, queue: &mut Queue) {
        // Under one lock: a later frame of another channel would make the client believe that it has what was before it.
        queue.frames.clear();
        (queue.bytes, queue.waiting) = (0, 0);
        let error = ErrorInfo::disconnected("the connection does not keep up with its channels; it can be resumed");
        queue.end(self.format, Some(&Outbound { error: Some(&error), ..Outbound::new(Action::Disconnected) }));
        self.charge(queue);
        metrics::counter!("tandem_realtime_slow_connections_total").increment(1);
    }

    /// Whether more waits than may.
    fn is_behind(&self, queue: &Queue) -> bool {
        queue.waiting > self.limit + MOST_REPLAYED || (queue.charged > 0 && self.all.is_exhausted())
    }

    /// Puts a frame in; without effect once it has ended.
    pub fn push(&self, frame: Frame) {
        let mut queue = self.queue.lock();
        if queue.ended {
            return;
        }
        let overflows = queue.bytes + frame.bytes.len() > self.limit || self.is_behind(&queue);
        if overflows && !queue.frames.is_empty() {
            self.give_up(&mut queue);
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

    /// Acknowledges a publish: together with others, and not before everything that was put in so far.
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

    /// Until when ACKs are held that nothing else takes along.
    pub fn held_until(&self) -> Option<Instant> {
        self.queue.lock().acks.held_until()
    }

    /// Lets held ACKs go.
    pub fn release_acks(&self) {
        self.queue.lock().acks.release();
    }

    /// Puts in what the log holds anyway: it does not count against the limit.
    pub fn replay(&self, frames: impl Iterator<Item = Frame>) {
        let mut queue = self.queue.lock();
        if !queue.ended {
            queue.put_acks(self.format);
            for frame in frames {
                queue.put(0, frame);
                self.charge(&mut queue);
                if self.is_behind(&queue) {
                    self.give_up(&mut queue);
                    break;
                }
            }
            drop(queue);
            self.reader.wake();
        }
    }

    /// Whether so much waits that nothing should be brought on request.
    pub fn is_crowded(&self) -> bool {
        self.queue.lock().waiting > self.limit
    }

    pub fn send(&self, message: &Outbound<'_>) {
        self.push(Frame { bytes: message.encode(self.format), event: None });
    }

    /// Lets the socket look again at what its client may do.
    pub fn note_rights_changed(&self) {
        self.rights_changed.store(true, Ordering::Release);
        self.reader.wake();
    }

    /// Whether it is to look, once.
    pub fn take_rights_changed(&self) -> bool {
        self.rights_changed.swap(false, Ordering::AcqRel)
    }

    /// No more frames but this one: then the socket is closed.
    pub fn end(&self, last: Option<&Outbound<'_>>) {
        let mut queue = self.queue.lock();
        if !queue.ended {
            queue.end(self.format, last);
            drop(queue);
            self.reader.wake();
        }
    }

    pub fn has_ended(&self) -> bool {
        self.queue.lock().ended
    }

    /// Moves a portion of what waits into `taken`. Ready(true) once it has ended and everything is taken.
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
        // An idle connection keeps no buffer.
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
mod tests {
    use std::task::Waker;

    use super::*;

    fn outbox(limit: usize) -> Outbox {
        Outbox::new(Format::Json, limit, Budget::new(1 << 20))
    }

    #[test]
    fn connections_share_what_may_wait_and_those_that_wait_little_are_not_ended_for_others() {
        let all = Budget::new(500_000);
        let outbox = || Outbox::new(Format::Json, 1 << 20, all.clone());
        let (small, mut large) = (outbox(), Vec::new());
        small.push(frame(1_000));
        for _ in 0..10 {
            let one = outbox();
            (0..30).for_each(|_| one.push(frame(10_000)));
            large.push(one);
        }
        assert!(all.taken() <= 520_000, "{}", all.taken());
        small.push(frame(1_000));
        assert!(!small.has_ended() && large.iter().filter(|one| one.has_ended()).count() >= 7);
        drop(large);
        assert_eq!(all.taken(), 0);
    }

    #[test]
    fn what_is_replayed_is_counted_as_well() {
        let all = Budget::new(100_000);
        let outbox = Outbox::new(Format::Json, 1_000, all.clone());
        outbox.replay((0..50).map(|_| frame(10_000)));
        assert!(outbox.has_ended());
        assert_eq!(all.taken(), 0);
    }

    fn frame(size: usize) -> Frame {
        Frame { bytes: vec![b'x'; size].into(), event: None }
    }

    #[test]
    fn frames_come_out_in_order_at_once() {
        let outbox = outbox(1000);
        let mut cx = Context::from_waker(Waker::noop());
        let mut taken = Vec::new();
        assert!(outbox.poll_take(&mut cx, &mut taken).is_pending());
        outbox.push(frame(1));
        outbox.push(frame(2));
        assert_eq!(outbox.poll_take(&mut cx, &mut taken), Poll::Ready(false));
        assert_eq!(taken.iter().map(|frame| frame.bytes.len()).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn every_publish_is_answered_once_however_many_wait() {
        let outbox = outbox(1 << 20);
        let result = PublishResult { serial: Some("serial".into()), messages: 1 };
        (0..1_000).for_each(|msg_serial| outbox.acknowledge(msg_serial, &result));
        let mut taken = Vec::new();
        assert_eq!(outbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut taken), Poll::Ready(false));
        let mut next = 0;
        for frame in taken {
            let ack: serde_json::Value = serde_json::from_slice(&frame.bytes).unwrap();
            assert_eq!(ack["msgSerial"], next);
            assert_eq!(ack["count"].as_u64(), ack["res"].as_array().map(|res| res.len() as u64));
            next += ack["count"].as_u64().unwrap();
        }
        assert_eq!(next, 1_000);
    }

    #[test]
    fn a_reader_that_is_too_far_behind_gets_nothing_but_disconnected() {
        let outbox = outbox(100);
        for _ in 0..20 {
            outbox.push(frame(30));
        }
        let mut taken = Vec::new();
        assert_eq!(outbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut taken), Poll::Ready(true));
        assert_eq!(taken.len(), 1);
        let last: serde_json::Value = serde_json::from_slice(&taken[0].bytes).unwrap();
        assert_eq!((last["action"].as_u64(), last["error"]["code"].as_u64()), (Some(6), Some(80003)));
    }
}
