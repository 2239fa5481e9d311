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

fn taken(answers: &mut Answers, serial: u64, outbox: &Outbox) -> Ticket {
    match answers.take_turn(serial, CONTENT, Some(outbox)) {
        Turn::Fresh(ticket) => ticket,
        Turn::Repeated => panic!("{serial} is taken for a repetition"),
    }
}

fn publish(answers: &mut Answers, serial: u64, outbox: &Outbox) {
    let ticket = taken(answers, serial, outbox);
    answers.settle(ticket, Answer::Ack(PublishResult { serial: Some("serial".into()), messages: 1 }), Some(outbox));
}

fn repeat(answers: &mut Answers, serial: u64, outbox: &Outbox) {
    assert_eq!(answers.take_turn(serial, CONTENT, Some(outbox)), Turn::Repeated, "{serial}");
}

#[test]
fn answers_go_out_in_the_order_of_the_frames() {
    let (mut answers, outbox) = (Answers::default(), outbox());
    let tickets = [5, 0, 1].map(|serial| taken(&mut answers, serial, &outbox));
    answers.settle(tickets[1], Answer::nothing(), Some(&outbox));
    answers.settle(tickets[2], Answer::Nack(ErrorInfo::bad_request("no")), Some(&outbox));
    assert_eq!(sent(&outbox), []);
    answers.settle(tickets[0], Answer::nothing(), Some(&outbox));
    assert_eq!(sent(&outbox), [(ACK, 5, 1), (ACK, 0, 1), (NACK, 1, 1)]);
}

#[test]
fn a_lower_serial_that_never_came_is_fresh_and_so_is_a_known_serial_with_other_content() {
    let (mut answers, outbox) = (Answers::default(), outbox());
    for serial in [5, 0, 1, 3] {
        publish(&mut answers, serial, &outbox);
    }
    assert!(matches!(answers.take_turn(5, CONTENT + 1, Some(&outbox)), Turn::Fresh(_)));
    for serial in [5, 0, 1, 3] {
        repeat(&mut answers, serial, &outbox);
    }
}

#[test]
fn a_frame_has_one_answer_on_each_socket() {
    let mut answers = Answers::default();
    let first = outbox();
    publish(&mut answers, 0, &first);
    let refused = taken(&mut answers, 1, &first);
    answers.settle(refused, Answer::Nack(ErrorInfo::bad_request("no")), Some(&first));
    [0, 1, 0].into_iter().for_each(|serial| repeat(&mut answers, serial, &first));
    assert_eq!(sent(&first), [(ACK, 0, 1), (NACK, 1, 1)]);
    answers.change_socket();
    let second = outbox();
    [0, 1, 0, 1].into_iter().for_each(|serial| repeat(&mut answers, serial, &second));
    assert_eq!(sent(&second), [(ACK, 0, 1), (NACK, 1, 1)]);
}

#[test]
fn an_answer_waits_until_the_client_asks_for_it_on_its_new_socket() {
    let (mut answers, first) = (Answers::default(), outbox());
    let early = taken(&mut answers, 0, &first);
    let late = taken(&mut answers, 1, &first);
    answers.change_socket();
    let second = outbox();
    answers.settle(early, Answer::nothing(), Some(&second));
    assert_eq!(sent(&second), [], "the client has not sent it again yet");
    repeat(&mut answers, 0, &second);
    repeat(&mut answers, 1, &second);
    answers.settle(late, Answer::nothing(), Some(&second));
    assert_eq!(sent(&second), [(ACK, 0, 1), (ACK, 1, 1)]);
}

#[test]
fn what_was_acknowledged_long_ago_is_acknowledged_again_and_what_was_refused_may_come_again() {
    let (mut answers, first) = (Answers::default(), outbox());
    let refused = taken(&mut answers, 0, &first);
    answers.settle(refused, Answer::Nack(ErrorInfo::bad_request("no")), Some(&first));
    let serials = 1..=2 * REMEMBERED as u64;
    serials.clone().for_each(|serial| publish(&mut answers, serial, &first));
    sent(&first);
    serials.clone().for_each(|serial| repeat(&mut answers, serial, &first));
    assert_eq!(sent(&first), []);
    answers.change_socket();
    let second = outbox();
    serials.clone().for_each(|serial| repeat(&mut answers, serial, &second));
    serials.clone().for_each(|serial| repeat(&mut answers, serial, &second));
    assert_eq!(sent(&second).iter().map(|(_, _, count)| count).sum::<u64>(), 2 * REMEMBERED as u64);
    taken(&mut answers, 0, &second);
}
