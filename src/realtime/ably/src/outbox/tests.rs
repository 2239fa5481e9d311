use std::task::Waker;

use super::*;

fn outbox(limit: usize) -> Outbox {
    Outbox::new(Format::Json, limit, Budget::new(1 << 20))
}

#[test]
fn connections_share_a_budget_and_small_outboxes_survive_its_exhaustion() {
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
fn replayed_frames_count_against_the_budget() {
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
fn every_publish_has_one_reply_in_any_load() {
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
fn a_reader_that_is_too_slow_gets_only_disconnected() {
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
