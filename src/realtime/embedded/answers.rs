//! A connection's answers to its publishes: one for each frame, in the order of the frames, and the same again for a frame that comes again.

use std::collections::VecDeque;

use super::{
    outbox::Outbox,
    protocol::{Action, ErrorInfo, Outbound, frame::PublishResult},
};

/// Answers that are remembered, so that a frame that comes again is answered the same.
const REMEMBERED: usize = 2_048;

#[derive(Clone, Debug)]
pub enum Answer {
    Ack(PublishResult),
    Nack(ErrorInfo),
}

impl Answer {
    /// For what changed nothing.
    pub fn nothing() -> Self {
        Answer::Ack(PublishResult::default())
    }
}

/// For a frame that was answered so long ago that its answer is forgotten.
const FORGOTTEN: Answer = Answer::Ack(PublishResult { serial: None, messages: 0 });

/// What to do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is new; `settle` it.
    Fresh,
    /// It came before, and is or will be answered.
    Repeated,
}

#[derive(Debug)]
struct Slot {
    msg_serial: u64,
    answer: Option<Answer>,
    sent: bool,
}

/// Slots by serial, which only grows; those that are sent come before those that are not.
#[derive(Debug, Default)]
pub struct Answers(VecDeque<Slot>);

impl Answers {
    /// Looks whether a frame came before, and if so sends its answer again, if it was sent already.
    pub fn take_turn(&mut self, msg_serial: u64, outbox: Option<&Outbox>) -> Turn {
        if self.0.back().is_none_or(|latest| latest.msg_serial < msg_serial) {
            while self.0.len() >= REMEMBERED && self.0.front().is_some_and(|oldest| oldest.sent) {
                self.0.pop_front();
            }
            self.0.push_back(Slot { msg_serial, answer: None, sent: false });
            return Turn::Fresh;
        }
        let known = self.position(msg_serial).map(|index| &self.0[index]);
        let again = match known {
            Some(slot) if slot.sent => slot.answer.as_ref(),
            Some(_) => None,
            None => Some(&FORGOTTEN),
        };
        if let (Some(answer), Some(outbox)) = (again, outbox) {
            send_again(outbox, msg_serial, answer);
        }
        Turn::Repeated
    }

    /// Answers a frame, and those behind it that waited for it.
    pub fn settle(&mut self, msg_serial: u64, answer: Answer, outbox: Option<&Outbox>) {
        let Some(index) = self.position(msg_serial) else { return };
        self.0[index].answer = Some(answer);
        let first = self.0.iter().rposition(|slot| slot.sent).map_or(0, |last_sent| last_sent + 1);
        for slot in self.0.iter_mut().skip(first) {
            let Some(answer) = &slot.answer else { break };
            slot.sent = true;
            if let Some(outbox) = outbox {
                send(outbox, slot.msg_serial, answer);
            }
        }
    }

    fn position(&self, msg_serial: u64) -> Option<usize> {
        // Clients number their frames without gaps: it is where it would be then, or somewhere before the end.
        let latest = self.0.back()?.msg_serial;
        let behind = usize::try_from(latest.checked_sub(msg_serial)?).ok()?;
        let expected = self.0.len().checked_sub(behind + 1);
        let is_there = |index: &usize| self.0[*index].msg_serial == msg_serial;
        let search = || self.0.binary_search_by_key(&msg_serial, |slot| slot.msg_serial).ok();
        expected.filter(is_there).or_else(search)
    }
}

fn send(outbox: &Outbox, msg_serial: u64, answer: &Answer) {
    match answer {
        Answer::Ack(result) => outbox.acknowledge(msg_serial, result),
        Answer::Nack(_) => send_again(outbox, msg_serial, answer),
    }
}

/// Sends an answer in a frame of its own.
fn send_again(outbox: &Outbox, msg_serial: u64, answer: &Answer) {
    let frame = |action| Outbound { msg_serial: Some(msg_serial), count: Some(1), ..Outbound::new(action) };
    match answer {
        Answer::Nack(error) => outbox.send(&Outbound { error: Some(error), ..frame(Action::Nack) }),
        Answer::Ack(result) => {
            let res = result.serial.is_some().then(|| vec![result.clone()]);
            outbox.send(&Outbound { res, ..frame(Action::Ack) });
        }
    }
}
