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
