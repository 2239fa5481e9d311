use std::task::{Context, Waker};

use super::*;
use crate::protocol::Format;

const CONTENT: u64 = 1;
const ACK: u64 = 1;
const NACK: u64 = 2;

fn outbox() -> Outbox {
    Outbox::new(Format::Json, 1 << 20, tandem_intake::Budget::new(1 << 20))
}

/// The frames in the outbox: action, serial, count.
fn sent(outbox: &Outbox) -> Vec<(u64, u64, u64)> {
    let mut frames = Vec::new();
    while !outbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut frames).is_pending() {}
    let read = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    let number = |value: &serde_json::Value, field: &str| value[field].as_u64().unwrap();
    let values = frames.iter().map(|frame| read(&frame.bytes));
    values.map(|value| (number(&value, "action"), number(&value, "msgSerial"), number(&value, "count"))).collect()
}

fn taken(replies: &mut FrameReplies, serial: u64, outbox: &Outbox) -> ReplyTicket {
    match replies.check_frame(serial, CONTENT, Some(outbox)) {
        FrameCheck::Fresh(ticket) => ticket,
        FrameCheck::Repeated => panic!("{serial} is taken for a repetition"),
    }
}

fn publish(replies: &mut FrameReplies, serial: u64, outbox: &Outbox) {
    let ticket = taken(replies, serial, outbox);
    replies.settle(ticket, Reply::Ack(PublishResult { serial: Some("serial".into()), messages: 1 }), Some(outbox));
}

fn repeat(replies: &mut FrameReplies, serial: u64, outbox: &Outbox) {
    assert_eq!(replies.check_frame(serial, CONTENT, Some(outbox)), FrameCheck::Repeated, "{serial}");
}

#[test]
fn replies_are_sent_in_the_order_of_the_frames() {
    let (mut replies, outbox) = (FrameReplies::default(), outbox());
    let tickets = [5, 0, 1].map(|serial| taken(&mut replies, serial, &outbox));
    replies.settle(tickets[1], Reply::nothing(), Some(&outbox));
    replies.settle(tickets[2], Reply::Nack(ErrorInfo::bad_request("no")), Some(&outbox));
    assert_eq!(sent(&outbox), []);
    replies.settle(tickets[0], Reply::nothing(), Some(&outbox));
    assert_eq!(sent(&outbox), [(ACK, 5, 1), (ACK, 0, 1), (NACK, 1, 1)]);
}

#[test]
fn an_unseen_lower_serial_is_fresh_and_so_is_a_known_serial_with_other_content() {
    let (mut replies, outbox) = (FrameReplies::default(), outbox());
    for serial in [5, 0, 1, 3] {
        publish(&mut replies, serial, &outbox);
    }
    assert!(matches!(replies.check_frame(5, CONTENT + 1, Some(&outbox)), FrameCheck::Fresh(_)));
    for serial in [5, 0, 1, 3] {
        repeat(&mut replies, serial, &outbox);
    }
}

#[test]
fn a_frame_has_one_reply_on_each_socket() {
    let mut replies = FrameReplies::default();
    let first = outbox();
    publish(&mut replies, 0, &first);
    let refused = taken(&mut replies, 1, &first);
    replies.settle(refused, Reply::Nack(ErrorInfo::bad_request("no")), Some(&first));
    [0, 1, 0].into_iter().for_each(|serial| repeat(&mut replies, serial, &first));
    assert_eq!(sent(&first), [(ACK, 0, 1), (NACK, 1, 1)]);
    replies.change_socket();
    let second = outbox();
    [0, 1, 0, 1].into_iter().for_each(|serial| repeat(&mut replies, serial, &second));
    assert_eq!(sent(&second), [(ACK, 0, 1), (NACK, 1, 1)]);
}

#[test]
fn a_reply_waits_until_the_client_sends_the_frame_again_on_its_new_socket() {
    let (mut replies, first) = (FrameReplies::default(), outbox());
    let early = taken(&mut replies, 0, &first);
    let late = taken(&mut replies, 1, &first);
    replies.change_socket();
    let second = outbox();
    replies.settle(early, Reply::nothing(), Some(&second));
    assert_eq!(sent(&second), [], "the client has not sent it again yet");
    repeat(&mut replies, 0, &second);
    repeat(&mut replies, 1, &second);
    replies.settle(late, Reply::nothing(), Some(&second));
    assert_eq!(sent(&second), [(ACK, 0, 1), (ACK, 1, 1)]);
}

#[test]
fn old_acknowledged_frames_are_acknowledged_again_and_refused_ones_may_come_again() {
    let (mut replies, first) = (FrameReplies::default(), outbox());
    let refused = taken(&mut replies, 0, &first);
    replies.settle(refused, Reply::Nack(ErrorInfo::bad_request("no")), Some(&first));
    let serials = 1..=2 * REMEMBERED as u64;
    serials.clone().for_each(|serial| publish(&mut replies, serial, &first));
    sent(&first);
    serials.clone().for_each(|serial| repeat(&mut replies, serial, &first));
    assert_eq!(sent(&first), []);
    replies.change_socket();
    let second = outbox();
    serials.clone().for_each(|serial| repeat(&mut replies, serial, &second));
    serials.clone().for_each(|serial| repeat(&mut replies, serial, &second));
    assert_eq!(sent(&second).iter().map(|(_, _, count)| count).sum::<u64>(), 2 * REMEMBERED as u64);
    taken(&mut replies, 0, &second);
}
