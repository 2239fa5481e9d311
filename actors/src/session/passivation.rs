//! Passivation. An idle session writes a snapshot if its state has changed since the last one, and leaves memory. The
//! next message starts a fresh actor.

use std::time::Duration;

use actix::{AsyncContext, Context};

use super::{Held, SessionActor, commit::CommitDraft};
use crate::{
    failpoint,
    supervisor::{ExitStatus, Wake},
};

impl SessionActor {
    pub(super) fn schedule_passivation(&mut self, ctx: &mut Context<Self>) {
        let idle_after = self.deps.residency.idle_after;
        let left = idle_after.saturating_sub(self.active_at.elapsed());
        // An idle actor that may not leave memory yet is checked again later.
        ctx.run_later(left.max(idle_after / 10).max(Duration::from_millis(10)), move |actor, ctx| {
            if actor.active_at.elapsed() >= idle_after && actor.may_passivate() {
                actor.prepare_passivation(ctx);
            }
            actor.schedule_passivation(ctx);
        });
    }

    fn may_passivate(&mut self) -> bool {
        // A partner who stays connected and says nothing keeps the session in memory no longer than this.
        self.outbox.forget_old(self.deps.clock.uptime(), self.deps.delivery.leave_grace);
        self.gate.is_open()
            && self.outbox.is_empty()
            && self.delivery.is_idle()
            && self.reads.are_done()
            && !self.passivating
            && self.presence.next_expiry(self.deps.clock.uptime()).is_none()
    }

    fn prepare_passivation(&mut self, ctx: &mut Context<Self>) {
        failpoint::reach(self.inbox.session(), "passivate");
        self.passivating = true;
        let mut changes: Vec<_> = self.clear_outbox().into_iter().collect();
        if self.seq() > self.snapshot_seq && self.deps.journal.has_room() {
            self.snapshot(&mut changes);
        }
        if changes.is_empty() {
            return self.passivate(ctx);
        }
        self.commit_rows(CommitDraft::of_rows(changes), ctx);
        self.gate.hold(Held::Passivate);
        ctx.notify(Wake);
    }

    /// Leaves memory, unless a message has come meanwhile. The gate is open.
    pub(super) fn passivate(&mut self, ctx: &mut Context<Self>) {
        if self.passivating && self.gate.is_open() && self.inbox.close_if_empty() {
            self.deps.store.release(self.inbox.session(), self.epoch);
            self.exit(ExitStatus::Passivated, ctx);
        }
    }
}
