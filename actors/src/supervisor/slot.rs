//! The place of one session: whether it sleeps, waits, or is awake, and what waits for it. It outlives its actors.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use actix::Addr;
use parking_lot::Mutex;

use super::{Quarantine, Supervisor};
use crate::{
    arbiters::{Home, Turn},
    domain::ids::SessionId,
    messages::Message,
    session::SessionActor,
};

pub(super) enum State {
    Asleep,
    Awake(Addr<SessionActor>),
    /// An actor was ordered from its arbiter and is not there yet.
    Starting,
    /// Between a crash and the next start.
    Backoff,
    Quarantined(Arc<Quarantine>),
}

pub(super) struct Inner {
    pub(super) state: State,
    /// Numbers the actors of this slot; only the newest may take messages.
    pub(super) generation: u64,
    /// The slot was removed from the table; look it up again.
    pub(super) forgotten: bool,
    pub(super) waiting: VecDeque<Message>,
    /// The actor was told that something waits, and has not come yet.
    pub(super) woken: bool,
    pub(super) last_progress: Instant,
    pub(super) crashes: VecDeque<Instant>,
    /// The thread that the newest actor was ordered from.
    pub(super) home: Option<Home>,
}

/// The place of one session.
pub struct Slot {
    pub(super) session: SessionId,
    pub(super) inner: Mutex<Inner>,
}

impl Slot {
    pub(crate) fn session(&self) -> &SessionId {
        &self.session
    }

    pub fn new(session: SessionId) -> Self {
        Self {
            session,
            inner: Mutex::new(Inner {
                state: State::Asleep,
                generation: 0,
                forgotten: false,
                waiting: VecDeque::new(),
                woken: false,
                last_progress: Instant::now(),
                crashes: VecDeque::new(),
                home: None,
            }),
        }
    }
}

/// What an actor holds of its slot.
#[derive(Clone)]
pub struct Inbox {
    pub(super) slot: Arc<Slot>,
    pub(super) generation: u64,
    pub(super) supervisor: Supervisor,
    /// The thread that the actor lives on.
    pub(super) home: Home,
}

/// What an actor finds when it looks into its inbox.
#[allow(clippy::large_enum_variant, reason = "it lives for one match; a box would be made for each message")]
pub enum Next {
    Message(Box<Message>),
    Empty,
    /// Another actor has taken over.
    Replaced,
}

impl Inbox {
    pub fn session(&self) -> &SessionId {
        &self.slot.session
    }

    /// From here to the drop of the guard the actor has its thread.
    pub(crate) fn take_turn(&self) -> Turn {
        self.home.take_turn(&self.slot)
    }

    pub fn next(&self) -> Next {
        let mut inner = self.slot.inner.lock();
        if inner.generation != self.generation {
            return Next::Replaced;
        }
        inner.last_progress = Instant::now();
        match inner.waiting.pop_front() {
            Some(message) => Next::Message(Box::new(message)),
            None => {
                inner.woken = false;
                Next::Empty
            }
        }
    }

    /// Gives the slot up if nothing waits: the next message starts a fresh actor.
    pub fn close_if_empty(&self) -> bool {
        let mut inner = self.slot.inner.lock();
        if inner.generation != self.generation {
            return true;
        }
        if !inner.waiting.is_empty() {
            return false;
        }
        inner.state = State::Asleep;
        inner.generation += 1;
        if inner.crashes.is_empty() {
            inner.forgotten = true;
            drop(inner);
            self.supervisor.0.slots.forget(&self.slot);
        }
        true
    }
}
