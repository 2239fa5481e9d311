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
        self.pace.resume();
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
mod tests;
