//! Limits the bytes between a WebSocket and its decoder. It passes one frame at a time, refuses frames that are too
//! large by their header, and holds frames back while the connection must wait.
//!
//! Without it, the decoder would buffer a frame of any size, and all frames that have arrived.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;
use tandem_intake::{Budget, Share};
use tokio::time::{Sleep, sleep_until};

use super::pace::{FrameFault, ReadingPace};

/// The longest header of a masked frame: 2 bytes, 8 bytes of length, 4 bytes of mask.
const LONGEST_HEADER: usize = 14;
/// Smaller frames are not counted.
const SMALL_FRAME: usize = 16 * 1024;
/// The largest payload of a ping, pong or close.
const LARGEST_CONTROL: u64 = 125;

pub struct FrameLimiter<S> {
    stream: S,
    pace: std::rc::Rc<ReadingPace>,
    largest: usize,
    /// Bytes that have arrived and are not passed on yet.
    chunk: Bytes,
    header: [u8; LONGEST_HEADER],
    header_length: usize,
    /// Missing bytes of the frame's payload. None until its header is complete.
    left: Option<usize>,
    /// Bytes of a message whose last fragment is missing.
    fragments: usize,
    /// A whole frame was passed on. The decoder must take it before the next one comes.
    passed: bool,
    share: Share,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> FrameLimiter<S> {
    /// Limits frames, and fragmented messages, to `largest` bytes.
    pub fn new(stream: S, pace: std::rc::Rc<ReadingPace>, largest: usize, partial: &Arc<Budget>) -> Self {
        Self {
            stream,
            pace,
            largest,
            chunk: Bytes::new(),
            header: [0; LONGEST_HEADER],
            header_length: 0,
            left: None,
            fragments: 0,
            passed: false,
            share: partial.share(),
            waiting: None,
        }
    }

    /// Whether the connection may go on. If not, the task is woken when it may.
    fn may_go_on(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(until) = self.pace.waits_until() else {
            let yields = self.pace.yields();
            if yields {
                cx.waker().wake_by_ref();
            }
            return !yields;
        };
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep_until(until.into())));
        if waiting.deadline() != until.into() {
            waiting.as_mut().reset(until.into());
        }
        if waiting.as_mut().poll(cx).is_pending() {
            self.pace.pause();
            return false;
        }
        self.waiting = None;
        self.pace.go_on();
        true
    }

    /// Takes the frame's header, and the payload after it, from the chunk.
    fn read_header(&mut self) -> Result<Bytes, FrameFault> {
        let mut taken = 0;
        while taken < self.chunk.len() && self.header_length < self.wanted_header() {
            self.header[self.header_length] = self.chunk[taken];
            self.header_length += 1;
            taken += 1;
        }
        if self.header_length == self.wanted_header() {
            let length = self.check_header()?;
            // The present part of the payload is passed on with the header.
            let payload = length.min(self.chunk.len() - taken);
            self.left = Some(length - payload);
            taken += payload;
        }
        Ok(self.chunk.split_to(taken))
    }

    /// The length of the header, as far as it is known.
    fn wanted_header(&self) -> usize {
        if self.header_length < 2 {
            return 2;
        }
        let mask = if self.header[1] & 0x80 != 0 { 4 } else { 0 };
        mask + match self.header[1] & 0x7f {
            126 => 4,
            127 => 10,
            _ => 2,
        }
    }

    /// The length of the payload, if the frame is accepted.
    fn check_header(&mut self) -> Result<usize, FrameFault> {
        let length = match self.header[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes([self.header[2], self.header[3]])),
            127 => self.header[2..10].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
            short => u64::from(short),
        };
        let is_control = self.header[0] & 0x08 != 0;
        if is_control {
            return if length <= LARGEST_CONTROL { Ok(length as usize) } else { Err(FrameFault::Malformed) };
        }
        let length =
            usize::try_from(length).ok().filter(|length| *length <= self.largest).ok_or(FrameFault::TooLarge)?;
        let is_continuation = self.header[0] & 0x0f == 0;
        let whole = if is_continuation { self.fragments + length } else { length };
        if whole > self.largest {
            return Err(FrameFault::TooLarge);
        }
        let is_last = self.header[0] & 0x80 != 0;
        self.fragments = if is_last { 0 } else { whole };
        if (length > SMALL_FRAME || !is_last) && !self.share.grow(length) {
            return Err(FrameFault::NoRoom);
        }
        Ok(length)
    }

    /// Takes the next bytes of the frame from the chunk.
    fn next_part(&mut self) -> Result<Bytes, FrameFault> {
        let part = match self.left {
            None => self.read_header()?,
            Some(left) => {
                let part = self.chunk.split_to(self.chunk.len().min(left));
                self.left = Some(left - part.len());
                part
            }
        };
        if self.left == Some(0) {
            (self.left, self.header_length, self.passed) = (None, 0, true);
        }
        Ok(part)
    }
}

impl<S: Stream<Item = Result<Bytes, PayloadError>> + Unpin> Stream for FrameLimiter<S> {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.pace.frame_fault().is_some() {
            return Poll::Ready(None);
        }
        if std::mem::take(&mut this.passed) {
            // The decoder takes the frame from its buffer and polls again.
            return Poll::Pending;
        }
        let between = this.left.is_none() && this.header_length == 0;
        if between {
            if this.fragments == 0 {
                this.share.clear();
            }
            if !this.may_go_on(cx) {
                return Poll::Pending;
            }
        }
        if this.chunk.is_empty() {
            match Pin::new(&mut this.stream).poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => this.chunk = chunk,
                other => return other,
            }
        }
        match this.next_part() {
            Ok(part) => Poll::Ready(Some(Ok(part))),
            Err(frame_fault) => {
                this.pace.fail(frame_fault);
                this.chunk = Bytes::new();
                Poll::Ready(Some(Err(PayloadError::Overflow)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{rc::Rc, task::Waker};

    use futures_util::stream;

    use super::*;
    use crate::limits::LimitsConfig;

    type Chunks = stream::Iter<std::vec::IntoIter<Result<Bytes, PayloadError>>>;

    fn frame_limiter(bytes: &[u8], cut: usize) -> (FrameLimiter<Chunks>, Rc<ReadingPace>) {
        let pace = Rc::new(ReadingPace::new(&LimitsConfig::default(), None, None));
        let chunks: Vec<_> = bytes.chunks(cut).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        (FrameLimiter::new(stream::iter(chunks), pace.clone(), 1_000, &Budget::new(2_000)), pace)
    }

    /// A masked frame; the mask is zeros.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..=125 => frame.push(0x80 | short as u8),
            long => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&(long as u16).to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(payload);
        frame
    }

    /// The bytes between pauses, and whether the stream ended without an error.
    fn drained(frame_limiter: &mut FrameLimiter<Chunks>) -> (Vec<Vec<u8>>, bool) {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut turns = vec![Vec::new()];
        loop {
            match Pin::new(&mut *frame_limiter).poll_next(cx) {
                Poll::Ready(Some(Ok(part))) => turns.last_mut().unwrap().extend_from_slice(&part),
                Poll::Ready(Some(Err(_))) => return (turns, false),
                Poll::Ready(None) => {
                    turns.retain(|turn| !turn.is_empty());
                    return (turns, true);
                }
                Poll::Pending => turns.push(Vec::new()),
            }
        }
    }

    #[test]
    fn frames_come_one_at_a_time_however_they_arrive() {
        let frames = [frame(0x81, b"one"), frame(0x82, &[7; 300]), frame(0x89, b""), frame(0x81, &[b'x'; 1_000])];
        let wire = frames.concat();
        for cut in [1, 3, 7, 100, wire.len()] {
            let (mut frame_limiter, _) = frame_limiter(&wire, cut);
            assert_eq!(drained(&mut frame_limiter), (frames.to_vec(), true), "{cut}");
        }
    }

    #[test]
    fn a_frame_is_refused_by_its_header() {
        let mut terabyte = vec![0x82, 0x80 | 127];
        terabyte.extend_from_slice(&(1u64 << 40).to_be_bytes());
        terabyte.extend_from_slice(&[0; 4]);
        let mut beyond = vec![0x82, 0xff];
        beyond.extend_from_slice(&[0xff; 12]);
        for (wire, frame_fault) in [
            (terabyte, FrameFault::TooLarge),
            (beyond, FrameFault::TooLarge),
            (frame(0x81, &[0; 1_001]), FrameFault::TooLarge),
            (frame(0x89, &[0; 126]), FrameFault::Malformed),
            ([frame(0x01, &[0; 600]), frame(0x80, &[0; 401])].concat(), FrameFault::TooLarge),
            ([frame(0x01, &[0; 600]), frame(0x89, b""), frame(0x00, &[0; 401])].concat(), FrameFault::TooLarge),
        ] {
            let (mut frame_limiter, pace) = frame_limiter(&wire, 5);
            assert!(!drained(&mut frame_limiter).1);
            assert_eq!(pace.frame_fault(), Some(frame_fault));
        }
    }

    #[test]
    fn fragments_share_what_incomplete_frames_may_take() {
        let budget = Budget::new(1_500);
        let pace = Rc::new(ReadingPace::new(&LimitsConfig::default(), None, None));
        let wire = [frame(0x01, &[0; 900]), frame(0x80, &[0; 50]), frame(0x01, &[0; 900])].concat();
        let chunks: Vec<_> = vec![Ok(Bytes::from(wire))];
        let mut first = FrameLimiter::new(stream::iter(chunks), pace, 1_000, &budget);
        assert!(drained(&mut first).1);
        assert_eq!(budget.taken(), 900);
        let other = Rc::new(ReadingPace::new(&LimitsConfig::default(), None, None));
        let chunks: Vec<_> = vec![Ok(Bytes::from(frame(0x01, &[0; 900])))];
        let mut second = FrameLimiter::new(stream::iter(chunks), other.clone(), 1_000, &budget);
        assert!(!drained(&mut second).1);
        assert_eq!(other.frame_fault(), Some(FrameFault::NoRoom));
    }

    #[actix_web::test]
    async fn a_connection_that_spends_too_much_is_read_more_slowly() {
        let pace = Rc::new(ReadingPace::new(&LimitsConfig { frame_rate: 100, ..LimitsConfig::default() }, None, None));
        pace.spend(205);
        let chunks: Vec<_> = vec![Ok(Bytes::from(frame(0x81, b"one")))];
        let mut frame_limiter = FrameLimiter::new(stream::iter(chunks), pace.clone(), 1_000, &Budget::new(1_000));
        let begun = std::time::Instant::now();
        let first = std::future::poll_fn(|cx| Pin::new(&mut frame_limiter).poll_next(cx)).await;
        assert!(first.is_some_and(|part| part.is_ok()));
        assert!(begun.elapsed() >= std::time::Duration::from_millis(40), "5 units at 100 per second");
        assert!(pace.yields(), "and others had their turn");
    }
}
