//! The output gate of one session. The actor continues while its commits are flushed. Everything that would show a
//! change to a client waits here until the change is durable. Answers to commands pass on the journal's thread. Reads
//! and deliveries pass in the actor, which is woken once for a group of commits.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// Numbers a session's commits, in order.
pub(super) type Ticket = u64;

/// The part of the gate that the journal's thread sets.
#[derive(Debug, Default)]
pub(super) struct Flushed {
    durable: AtomicU64,
    failed: AtomicBool,
    /// Whether an item waits and the actor has not been woken for it. The actor sets it, the journal's thread clears
    /// it.
    awaited: AtomicBool,
}

impl Flushed {
    /// Records that everything up to `ticket` is durable. True if the actor has to be woken.
    pub(super) fn durable(&self, ticket: Ticket) -> bool {
        // Sequentially consistent with `OutputGate::pass`, which announces a wait and then looks again: at least one
        // of the two sees the other.
        self.durable.fetch_max(ticket, Ordering::SeqCst);
        self.awaited.load(Ordering::SeqCst) && self.awaited.swap(false, Ordering::SeqCst)
    }

    /// Records that a commit was not written: from here on nothing passes. True if the actor has to be woken.
    pub(super) fn fail(&self) -> bool {
        !self.failed.swap(true, Ordering::SeqCst)
    }
}

/// The actor's part of the gate. `T` is what waits.
#[derive(Debug)]
pub(super) struct OutputGate<T> {
    flushed: Arc<Flushed>,
    issued: Ticket,
    waiting: VecDeque<(Ticket, T)>,
}

impl<T> Default for OutputGate<T> {
    fn default() -> Self {
        Self { flushed: Arc::default(), issued: 0, waiting: VecDeque::new() }
    }
}

impl<T> OutputGate<T> {
    /// Issues a ticket for one more commit, with the handle that reports its outcome.
    pub(super) fn issue(&mut self) -> (Ticket, Arc<Flushed>) {
        self.issued += 1;
        (self.issued, self.flushed.clone())
    }

    /// The ticket of the next commit.
    pub(super) fn next_ticket(&self) -> Ticket {
        self.issued + 1
    }

    pub(super) fn is_durable(&self, ticket: Ticket) -> bool {
        ticket <= self.flushed.durable.load(Ordering::Acquire)
    }

    pub(super) fn is_open(&self) -> bool {
        self.waiting.is_empty() && self.is_flushed()
    }

    /// Whether every commit so far is durable. Items may still wait to pass.
    pub(super) fn is_flushed(&self) -> bool {
        self.is_durable(self.issued)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.flushed.failed.load(Ordering::Acquire)
    }

    /// Holds `item` until everything issued so far is durable. The flush wakes the actor if the commit has not been
    /// handed to the journal yet. Otherwise the flush may be over, and [`OutputGate::pass`] has to be called once
    /// more.
    pub(super) fn hold(&mut self, item: T) {
        debug_assert!(
            self.waiting.back().is_none_or(|(ticket, _)| *ticket <= self.issued),
            "items wait in the order of tickets"
        );
        self.waiting.push_back((self.issued, item));
        self.flushed.awaited.store(true, Ordering::SeqCst);
    }

    /// The next item that may pass. If none may but something waits, a later flush wakes the actor.
    pub(super) fn pass(&mut self) -> Option<T> {
        let (ticket, _) = self.waiting.front()?;
        let durable = || self.flushed.durable.load(Ordering::SeqCst);
        if *ticket > durable() {
            self.flushed.awaited.store(true, Ordering::SeqCst);
            if *ticket > durable() {
                return None;
            }
        }
        self.waiting.pop_front().map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_pass_in_order_after_the_flush_of_the_change_that_they_show() {
        let mut gate = OutputGate::default();
        assert!(gate.is_open());
        let (first, flushed) = gate.issue();
        gate.hold("saw the first");
        let (second, _) = gate.issue();
        gate.hold("saw the second");
        assert_eq!(gate.pass(), None);
        assert!(flushed.durable(first));
        assert!(!flushed.durable(first), "woken once for a group");
        assert_eq!(gate.pass(), Some("saw the first"));
        assert_eq!(gate.pass(), None);
        assert!(!gate.is_open());
        assert!(flushed.durable(second));
        assert_eq!(gate.pass(), Some("saw the second"));
        assert!(gate.is_open());
    }

    #[test]
    fn a_flush_without_waiting_items_does_not_wake_the_actor() {
        let mut gate = OutputGate::<&str>::default();
        let (first, flushed) = gate.issue();
        assert!(!flushed.durable(first));
        let (second, _) = gate.issue();
        gate.hold("saw the second");
        assert!(flushed.durable(second));
        assert_eq!(gate.pass(), Some("saw the second"));
        assert_eq!(gate.pass(), None);
    }

    #[test]
    fn nothing_passes_after_a_failed_flush() {
        let mut gate = OutputGate::default();
        let (_, flushed) = gate.issue();
        gate.hold("must not leave");
        assert!(flushed.fail());
        assert!(gate.has_failed());
        assert_eq!(gate.pass(), None);
    }
}
