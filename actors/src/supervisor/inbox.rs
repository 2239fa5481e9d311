//! The inbox of one session, as its actor sees it.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    arbiters::{ThreadHandle, ThreadTurn},
    slot::{Slot, SlotState},
    slots::Slots,
};
use crate::{
    domain::ids::{SessionId, UserId},
    messages::SessionMessage,
};

/// An actor's access to its slot.
#[derive(Clone)]
pub(crate) struct Inbox {
    pub(super) slot: Arc<Slot>,
    pub(super) generation: u64,
    pub(super) slots: Arc<Slots>,
    /// The thread that the actor lives on.
    pub(super) thread: ThreadHandle,
}

/// What an actor takes from its inbox.
pub(crate) enum Next {
    Message(Box<SessionMessage>),
    Empty,
    /// Another actor has taken over.
    Replaced,
}

impl Inbox {
    pub(crate) fn session(&self) -> &SessionId {
        &self.slot.session
    }

    /// Marks the thread as working for this session until the guard is dropped.
    pub(crate) fn take_turn(&self) -> ThreadTurn {
        self.thread.take_turn(&self.slot.session)
    }

    pub(crate) fn next(&self) -> Next {
        let mut inner = self.slot.inner.lock();
        if inner.generation != self.generation {
            return Next::Replaced;
        }
        inner.last_progress = Instant::now();
        match inner.waiting.pop_front() {
            Some(message) => Next::Message(message),
            None => {
                inner.woken = false;
                Next::Empty
            }
        }
    }

    /// Lists the users whom the stored memberships show as members. With an empty list every check reads the store.
    pub(crate) fn list_members(&self, members: Vec<UserId>) {
        let mut inner = self.slot.inner.lock();
        if inner.generation == self.generation
            && let Some(listed) = &mut inner.members
        {
            *listed = members;
        }
    }

    /// Closes the inbox if it is empty: the next message starts a fresh actor. Returns false if the actor must
    /// continue.
    pub(crate) fn close_if_empty(&self) -> bool {
        let mut inner = self.slot.inner.lock();
        if inner.generation != self.generation {
            return true;
        }
        if !inner.waiting.is_empty() {
            return false;
        }
        inner.state = SlotState::Asleep;
        inner.generation += 1;
        inner.members = None;
        if inner.crashes.is_empty() {
            inner.forgotten = true;
            drop(inner);
            self.slots.forget(&self.slot);
        }
        true
    }
}
