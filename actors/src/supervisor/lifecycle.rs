//! The life of a session's actor: start, exit, restart, quarantine, and the replacement of actors and threads that
//! froze.

use std::{
    hash::{BuildHasher, Hasher},
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Exit, ExitGuard, ExitStatus, Inbox, QUARANTINED, Quarantine, Supervisor, Wake,
    arbiters::FrozenThread,
    slot::{Slot, SlotInner, SlotState},
};
use crate::{messages::Refusal, ports::StoreError};

impl Supervisor {
    pub(super) fn start(&self, slot: &Arc<Slot>, inner: &mut SlotInner) {
        debug_assert!(!inner.forgotten, "a forgotten slot starts no actor");
        inner.generation += 1;
        inner.state = SlotState::Starting;
        inner.members = Some(Vec::new());
        inner.woken = true;
        inner.last_progress = Instant::now();
        let (on, generation) = (slot.clone(), inner.generation);
        let mut hasher = self.0.hasher.build_hasher();
        hasher.write(slot.session.as_str().as_bytes());
        let supervisor = self.clone();
        inner.thread = self.0.arbiters.spawn(hasher.finish(), move |thread| {
            let inbox = Inbox { slot: on, generation, slots: supervisor.0.slots.clone(), thread };
            supervisor.run(inbox);
        });
        if inner.thread.is_none() {
            inner.state = SlotState::Asleep;
            inner.waiting.drain(..).for_each(|message| message.refuse(&Refusal::stopping()));
        }
    }

    /// Runs on the arbiter's thread.
    fn run(&self, inbox: Inbox) {
        let _turn = inbox.take_turn();
        let (supervisor, exiting) = (self.clone(), inbox.clone());
        let guard = ExitGuard::new(move |exit| supervisor.exited(&exiting, exit));
        // A panic while loading must take this session down, not the arbiter.
        let started = std::panic::catch_unwind(AssertUnwindSafe(|| (self.0.factory)(inbox.clone(), guard)));
        let Ok(Some(actor)) = started else { return };
        let mut inner = inbox.slot.inner.lock();
        if inner.generation == inbox.generation {
            actor.do_send(Wake);
            inner.state = SlotState::Awake(actor);
        }
    }

    fn exited(&self, inbox: &Inbox, exit: Exit) {
        let mut inner = inbox.slot.inner.lock();
        if inner.generation != inbox.generation || self.0.stopping.load(Ordering::Acquire) {
            return;
        }
        self.restart(&inbox.slot, &mut inner, exit);
    }

    fn restart(&self, slot: &Arc<Slot>, inner: &mut SlotInner, exit: Exit) {
        let Exit { status, cause } = exit;
        // From the next generation on, the old actor can take no messages.
        inner.generation += 1;
        // The old actor can still commit that a member leaves, until the next actor claims the session.
        inner.members = None;
        inner.state = SlotState::Backoff;
        let limits = &self.0.limits;
        let now = Instant::now();
        inner.last_progress = now;
        if status == ExitStatus::StoreAway {
            metrics::counter!("tandem_session_exits_total", "status" => status.as_str()).increment(1);
            let refusal = Refusal::from(StoreError::stalled());
            inner.waiting.drain(..).for_each(|message| message.refuse(&refusal));
            // It may have something to deliver.
            return self.start_after(limits.backoff_max, slot, inner);
        }
        while inner.crashes.front().is_some_and(|at| now.duration_since(*at) > limits.crash_window) {
            inner.crashes.pop_front();
        }
        if !matches!(status, ExitStatus::Passivated | ExitStatus::Displaced | ExitStatus::Removed) {
            inner.crashes.push_back(now);
        }
        let crashes = inner.crashes.len();
        let session = &slot.session;
        metrics::counter!("tandem_session_exits_total", "status" => status.as_str()).increment(1);
        if status == ExitStatus::Removed {
            return self.start(slot, inner);
        }
        if crashes > limits.max_crashes {
            let since = self.0.clock.now();
            let quarantine = Quarantine { since, crashes, window: limits.crash_window, last: status, cause };
            tracing::error!(%session, reason = quarantine.reason(), advice = quarantine.advice(), "session quarantined");
            metrics::gauge!(QUARANTINED).increment(1.0);
            let refusal = quarantine.refusal();
            inner.waiting.drain(..).for_each(|message| message.refuse(&refusal));
            inner.state = SlotState::Quarantined(Arc::new(quarantine));
            return;
        }
        tracing::warn!(%session, status = status.as_str(), crashes, "session actor ended; starting another one");
        if crashes <= 1 {
            self.start(slot, inner);
            return;
        }
        self.start_after(limits.pause(crashes - 2), slot, inner);
    }

    fn start_after(&self, pause: Duration, slot: &Arc<Slot>, inner: &SlotInner) {
        let (supervisor, slot, generation) = (self.clone(), slot.clone(), inner.generation);
        self.0.arbiters.spawn_after(pause, move || {
            let mut inner = slot.inner.lock();
            if inner.generation == generation {
                supervisor.start(&slot, &mut inner);
            }
        });
    }

    /// Replaces actors that have let their inbox wait for too long, or that have not started in time. To be called
    /// about once a second.
    pub(crate) fn replace_frozen(&self) {
        let limit = self.0.limits.answer_within;
        for frozen in self.0.arbiters.replace_frozen(limit) {
            self.move_sessions_from(&frozen);
        }
        self.0.slots.for_each(|slot| {
            let mut inner = slot.inner.lock();
            let patience = match inner.state {
                SlotState::Awake(_) | SlotState::Starting => limit,
                SlotState::Backoff => limit + self.0.limits.backoff_max,
                SlotState::Asleep | SlotState::Quarantined(_) => return,
            };
            let late_since = inner.last_progress + patience;
            let late = !inner.waiting.is_empty() && Instant::now() > late_since;
            if !late {
                return;
            }
            match inner.state {
                // The timer of its pause was lost with a thread.
                SlotState::Backoff => self.start(slot, &mut inner),
                // If the thread may be frozen, `Arbiters::replace_frozen` decides on it first: then this session is not
                // the cause.
                SlotState::Awake(_) | SlotState::Starting
                    if inner.thread.as_ref().is_none_or(|thread| thread.has_answered_since(late_since)) =>
                {
                    self.restart(slot, &mut inner, ExitStatus::Replaced.into());
                }
                SlotState::Awake(_) | SlotState::Starting | SlotState::Asleep | SlotState::Quarantined(_) => {}
            }
        });
    }

    /// Moves all sessions of a frozen thread to the thread in its place. Only the session that held the turn is charged
    /// with a crash.
    fn move_sessions_from(&self, frozen: &FrozenThread) {
        self.0.slots.for_each(|slot| {
            let mut inner = slot.inner.lock();
            if !inner.thread.as_ref().is_some_and(|thread| thread.is(&frozen.thread)) {
                return;
            }
            let charged = frozen.culprit.as_ref() == Some(&slot.session);
            match inner.state {
                SlotState::Awake(_) | SlotState::Starting if charged => {
                    self.restart(slot, &mut inner, ExitStatus::Replaced.into());
                }
                SlotState::Awake(_) | SlotState::Starting => {
                    self.restart(slot, &mut inner, ExitStatus::Displaced.into());
                }
                // The timer of its pause may have been on that thread.
                SlotState::Backoff => self.start(slot, &mut inner),
                SlotState::Asleep | SlotState::Quarantined(_) => {}
            }
        });
    }
}
