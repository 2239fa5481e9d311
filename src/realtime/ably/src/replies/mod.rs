//! The replies to a connection's publishes: one reply for each frame and socket, in the order of the frames. A frame
//! that is sent again over another socket gets the same reply and is not published twice.
//!
//! A frame is a repetition if its serial and its content are equal. Serials are not enough: some SDK releases reuse a
//! serial, or go back to a lower one, after a reconnect.

mod serials;

use std::collections::VecDeque;

use self::serials::Serials;
use crate::{
    outbox::Outbox,
    protocol::{Action, ErrorInfo, Outbound, frame::PublishResult},
};

/// The number of remembered replies.
const REMEMBERED: usize = 2_048;

#[derive(Clone, Debug)]
pub enum Reply {
    Ack(PublishResult),
    Nack(ErrorInfo),
}

impl Reply {
    /// The reply to a frame that changed nothing.
    pub fn nothing() -> Self {
        Reply::Ack(PublishResult::default())
    }
}

/// The reply to a repeated frame whose first reply is forgotten.
const FORGOTTEN: Reply = Reply::Ack(PublishResult { serial: None, messages: 0 });

/// Identifies the frame that a reply belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyTicket(u64);

/// The result of a check for repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameCheck {
    /// The frame is new. The caller must call `settle`.
    Fresh(ReplyTicket),
    /// The frame is a repetition. Its reply is sent without the caller.
    Repeated,
}

#[derive(Debug)]
struct Slot {
    msg_serial: u64,
    content: u64,
    reply: Option<Reply>,
    /// Whether the reply was sent, over the last socket that the frame came over.
    replied: bool,
    /// The socket that it came over last.
    socket: u64,
}

/// Slots in the order of the frames. Slots with a sent reply come before all others.
#[derive(Debug, Default)]
pub struct FrameReplies {
    slots: VecDeque<Slot>,
    /// The ticket of the first slot.
    first: u64,
    highest: Option<u64>,
    /// Acknowledged serials without a slot.
    acknowledged: Serials,
    /// Those of them whose reply went out over the current socket.
    told: Serials,
    /// Numbers the sockets.
    socket: u64,
}

impl FrameReplies {
    /// A new socket has the connection. Replies to the earlier socket may be lost.
    pub fn change_socket(&mut self) {
        self.socket += 1;
        self.told.clear();
    }

    /// Checks whether a frame is a repetition. A repetition over another socket gets its reply again. `content` is
    /// the content hash.
    pub fn check_frame(&mut self, msg_serial: u64, content: u64, outbox: Option<&Outbox>) -> FrameCheck {
        if self.highest.is_none_or(|highest| highest < msg_serial) {
            self.highest = Some(msg_serial);
            return self.admit(msg_serial, content);
        }
        if let Some(index) = self.position(msg_serial, content) {
            let slot = &mut self.slots[index];
            let is_news = std::mem::replace(&mut slot.socket, self.socket) != self.socket;
            if let (true, true, Some(reply), Some(outbox)) = (is_news, slot.replied, &slot.reply, outbox) {
                send_again(outbox, msg_serial, reply);
            }
            return FrameCheck::Repeated;
        }
        if !self.acknowledged.contains(msg_serial) {
            return self.admit(msg_serial, content);
        }
        if !self.told.contains(msg_serial) {
            self.told.insert(msg_serial);
            if let Some(outbox) = outbox {
                send_again(outbox, msg_serial, &FORGOTTEN);
            }
        }
        FrameCheck::Repeated
    }

    fn admit(&mut self, msg_serial: u64, content: u64) -> FrameCheck {
        while self.slots.len() >= REMEMBERED && self.slots.front().is_some_and(|oldest| oldest.replied) {
            self.forget_first();
        }
        let ticket = ReplyTicket(self.first + self.slots.len() as u64);
        self.slots.push_back(Slot { msg_serial, content, reply: None, replied: false, socket: self.socket });
        FrameCheck::Fresh(ticket)
    }

    fn forget_first(&mut self) {
        let Some(oldest) = self.slots.pop_front() else { return };
        self.first += 1;
        // A refused frame was not published, so it may come again.
        if let Some(Reply::Ack(_)) = oldest.reply {
            self.acknowledged.insert(oldest.msg_serial);
            if oldest.socket == self.socket {
                self.told.insert(oldest.msg_serial);
            }
        }
    }

    /// Sets the reply to a frame. Sends it and the replies after it that waited for it.
    pub fn settle(&mut self, ticket: ReplyTicket, reply: Reply, outbox: Option<&Outbox>) {
        let index = ticket.0.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        let Some(slot) = index.and_then(|index| self.slots.get_mut(index)) else { return };
        slot.reply = Some(reply);
        let waiting = self.slots.iter().rposition(|slot| slot.replied).map_or(0, |last| last + 1);
        for slot in self.slots.iter_mut().skip(waiting) {
            let Some(reply) = &slot.reply else { break };
            slot.replied = true;
            // The client sends unanswered frames again over its new socket, and expects no reply before that.
            if let Some(outbox) = outbox.filter(|_| slot.socket == self.socket) {
                send(outbox, slot.msg_serial, reply);
            }
        }
    }

    fn position(&self, msg_serial: u64, content: u64) -> Option<usize> {
        let is_it = |slot: &Slot| slot.msg_serial == msg_serial && slot.content == content;
        // Clients number frames without gaps, so the slot is usually at this index.
        let behind = self.slots.back().and_then(|latest| latest.msg_serial.checked_sub(msg_serial));
        let expected = behind
            .and_then(|behind| usize::try_from(behind).ok())
            .and_then(|behind| self.slots.len().checked_sub(behind.checked_add(1)?));
        expected.filter(|index| is_it(&self.slots[*index])).or_else(|| self.slots.iter().rposition(is_it))
    }
}

fn send(outbox: &Outbox, msg_serial: u64, reply: &Reply) {
    match reply {
        Reply::Ack(result) => outbox.acknowledge(msg_serial, result),
        Reply::Nack(_) => send_again(outbox, msg_serial, reply),
    }
}

/// Sends a reply in its own frame.
fn send_again(outbox: &Outbox, msg_serial: u64, reply: &Reply) {
    let frame = |action| Outbound { msg_serial: Some(msg_serial), count: Some(1), ..Outbound::new(action) };
    match reply {
        Reply::Nack(error) => outbox.send(&Outbound { error: Some(error), ..frame(Action::Nack) }),
        Reply::Ack(result) => {
            let res = result.serial.is_some().then(|| vec![result.clone()]);
            outbox.send(&Outbound { res, ..frame(Action::Ack) });
        }
    }
}

#[cfg(test)]
mod tests;
