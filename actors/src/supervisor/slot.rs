//! The slot of one session: whether its actor sleeps, starts or runs, and the messages that wait. A slot outlives its
//! actors.

use std::{collections::VecDeque, sync::Arc};

use actix::Recipient;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Quarantine, Wake, arbiters::ThreadHandle};
use crate::{
    domain::ids::{SessionId, UserId},
    messages::SessionMessage,
};

pub(super) enum SlotState {
    Asleep,
    Awake(Recipient<Wake>),
    /// An actor was scheduled on its arbiter and has not started yet.
    Starting,
    /// Between a crash and the next start.
    Backoff,
    Quarantined(Arc<Quarantine>),
}

pub(super) struct SlotInner {
    pub(super) state: SlotState,
    /// Numbers the actors of this slot; only the newest may take messages.
    pub(super) generation: u64,
    /// The slot was removed from the table; look it up again.
    pub(super) forgotten: bool,
    /// Boxed, because an empty queue keeps its capacity, and messages are large.
    pub(super) waiting: VecDeque<Box<SessionMessage>>,
    /// The actor has an unhandled [`Wake`].
    pub(super) woken: bool,
    pub(super) last_progress: Instant,
    pub(super) crashes: VecDeque<Instant>,
    /// The members in the stored memberships, as the actor has listed them. `None` if there is no valid list.
    pub(super) members: Option<Vec<UserId>>,
    /// The thread of the newest actor.
    pub(super) thread: Option<ThreadHandle>,
}

pub(super) struct Slot {
    pub(super) session: SessionId,
    pub(super) inner: Mutex<SlotInner>,
}

impl Slot {
    pub(super) fn new(session: SessionId) -> Self {
        Self {
            session,
            inner: Mutex::new(SlotInner {
                state: SlotState::Asleep,
                generation: 0,
                forgotten: false,
                waiting: VecDeque::new(),
                woken: false,
                last_progress: Instant::now(),
                crashes: VecDeque::new(),
                members: None,
                thread: None,
            }),
        }
    }
}
