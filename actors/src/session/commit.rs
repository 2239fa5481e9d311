//! Commits: hands rows to the journal, and holds everything that depends on them at the output gate. The answer to a
//! command is sent on the journal's thread, right after the flush.

use actix::{AsyncContext, Context as ActorContext};

use super::{Held, SessionActor};
use crate::{
    domain::ids::{Seq, UserId},
    failpoint,
    journal::CommitError,
    messages::{CommandReply, Order, Refusal, ReplyTo},
    ports::{Change, Commit, Fence},
    rows::{keys, records},
    supervisor::Wake,
    trace::Trace,
};

/// The rows of one commit, and what has to happen once they are durable.
pub(super) struct CommitDraft {
    pub trace: Trace,
    pub changes: Vec<Change>,
    /// There are jobs for the push sender.
    pub push_jobs: bool,
    /// There are events to deliver.
    pub announced: bool,
    /// The users who leave the session with it.
    pub left: Vec<UserId>,
}

impl CommitDraft {
    pub(super) fn new(trace: Trace) -> Self {
        Self { trace, changes: Vec::new(), push_jobs: false, announced: false, left: Vec::new() }
    }

    /// Rows that belong to no command.
    pub(super) fn of_rows(changes: Vec<Change>) -> Self {
        Self { changes, ..Self::new(Trace::none()) }
    }
}

impl SessionActor {
    /// The row of the outbox as it stands.
    pub(super) fn outbox_row(&mut self) -> Change {
        self.delivery.row_stored = true;
        Change::Put(keys::outbox(self.inbox.session()), records::encode(&self.outbox))
    }

    /// Hands the draft to the journal. `last` is the `seq` of its last event; `release` is the answer that waits for
    /// the flush.
    pub(super) fn commit(
        &mut self,
        mut draft: CommitDraft,
        last: Option<Seq>,
        release: Option<(ReplyTo<CommandReply>, CommandReply)>,
        ctx: &mut ActorContext<Self>,
    ) {
        if draft.announced {
            draft.changes.push(self.outbox_row());
        }
        let (session, trace) = (self.inbox.session().clone(), draft.trace);
        let (ticket, flushed) = self.gate.issue();
        if let Some(last) = last.filter(|_| draft.announced) {
            self.gate.hold(Held::Deliver(last));
        }
        if draft.push_jobs {
            self.gate.hold(Held::PushJobs);
        }
        for user in draft.left {
            self.gate.hold(Held::Left(user));
        }
        let next = last.unwrap_or(self.committed_seq);
        debug_assert!(next >= self.committed_seq, "the log only grows");
        let fence = Fence { session: session.clone(), epoch: self.epoch, expected: self.committed_seq, next };
        self.committed_seq = next;
        let commit = Commit { fence: Some(fence), changes: draft.changes };
        let actor = ctx.address();
        let waiting = tracing::debug_span!(parent: &trace.span, "journal", seq = next);
        let done = move |outcome: Result<(), CommitError>| {
            drop(waiting);
            let _entered = trace.span.enter();
            // The gate first: a client that has the answer and asks again meets an actor that knows of it.
            let (wake, refusal) = match outcome {
                Ok(()) => {
                    tracing::debug!(seq = next, "commit is durable");
                    (flushed.durable(ticket), None)
                }
                Err(error) => {
                    tracing::warn!(request_id = trace.id(), %session, %error, "commit refused");
                    (flushed.fail(), Some(Refusal::outcome_unknown()))
                }
            };
            if let Some((reply, durable)) = release {
                drop(reply.send(refusal.map_or(Ok(durable), Err)));
            }
            if wake {
                actor.do_send(Wake);
            }
        };
        self.deps.journal.append(commit, Box::new(done));
        failpoint::reach(self.inbox.session(), "after_append");
    }

    /// Commits rows that belong to no event: outbox, push jobs, snapshot.
    pub(super) fn commit_rows(&mut self, draft: CommitDraft, ctx: &mut ActorContext<Self>) {
        self.commit(draft, None, None, ctx);
    }

    /// Sends a refusal. It may have seen a change that is not durable yet, so it waits at the gate like any answer.
    pub(super) fn refuse(&mut self, order: Order, refusal: Refusal) {
        self.after_flush(move || drop(order.reply.send(Err(refusal))));
    }

    /// Calls `send` once everything that it has seen is durable.
    pub(super) fn after_flush(&mut self, send: impl FnOnce() + Send + 'static) {
        if self.gate.is_open() {
            send();
        } else {
            self.gate.hold(Held::Answer(Box::new(send)));
        }
    }
}
