//! The removal of a session that has been over for long enough. One commit deletes all of its rows, so that after a
//! kill it is there as a whole or not at all. A row stays for what other rooms keep about the session; the coordinator
//! deletes that afterwards. The actor ends with the removal: a later message starts one that finds nothing.

use actix::{AsyncContext, Context as ActorContext};

use super::{Held, SessionActor, commit::CommitDraft};
use crate::{
    domain::{Session, ids::UserId, time::Timestamp},
    failpoint,
    messages::{Refusal, Removal, ReplyTo, SessionMessage},
    ports::{Change, StoreError},
    rows::{
        keys::{self, Key},
        pages::pages,
        records,
    },
    stored::idempotency,
    supervisor::{ExitStatus, Wake},
    trace::Trace,
};

/// The note about the removal counts from so many times `retention.erased` later: removals go on for ever, so the store
/// rewrites its files for them less often than for erasures.
const NOTES_WAIT: u32 = 7;

impl SessionActor {
    /// Removes the session if it was over `before` that time. `known` is the time in the row that was due.
    pub(super) fn remove(
        &mut self,
        known: Timestamp,
        before: Timestamp,
        reply: ReplyTo<Removal>,
        ctx: &mut ActorContext<Self>,
    ) {
        if let Some(obstacle) = self.deps.journal.obstacle() {
            return drop(reply.send(Err(obstacle.into())));
        }
        if !self.gate.is_flushed() {
            // The rows are deleted that the store shows, so it has to show all of them.
            return self.gate.hold(Held::Retry(Box::new(SessionMessage::Remove { known, before, reply })));
        }
        let since = self.session.as_ref().and_then(Session::over_since);
        if since != Some(known) {
            // The session went on after the row was written, or an earlier version did not know what is planned.
            let mut changes = vec![Change::Delete(keys::over(known, self.inbox.session()))];
            changes
                .extend(since.map(|since| Change::Put(keys::over(since, self.inbox.session()), bytes::Bytes::new())));
            self.commit_rows(CommitDraft::of_rows(changes), ctx);
            return drop(reply.send(Ok(Removal::Corrected)));
        }
        self.outbox.forget_old(self.deps.clock.uptime(), self.deps.delivery.leave_grace);
        if known > before || !self.outbox.is_empty() || !self.delivery.is_idle() {
            return drop(reply.send(Ok(Removal::NotYet)));
        }
        let Some(session) = self.session.take() else { return };
        match self.all_rows(&session) {
            Ok(rows) => self.delete(&session, rows, reply, ctx),
            Err(error) => {
                self.session = Some(session);
                drop(reply.send(Err(Refusal::from(error))));
            }
        }
    }

    fn delete(
        &mut self,
        session: &Session,
        mut changes: Vec<Change>,
        reply: ReplyTo<Removal>,
        ctx: &mut ActorContext<Self>,
    ) {
        let id = session.id();
        let participants: Vec<UserId> = session.participants().cloned().collect();
        let count_from = self.deps.clock.settled() + self.deps.retention.erased * NOTES_WAIT;
        changes.push(keys::note_removal(count_from, id));
        changes.push(Change::Put(keys::removed(id), records::encode(&participants)));
        failpoint::reach(id, "before_removal");
        self.removed = true;
        self.inbox.list_members(Vec::new());
        let draft = CommitDraft {
            changes,
            left: participants,
            ..CommitDraft::new(Trace::of_command(self.inbox.session(), "removal"))
        };
        self.commit(draft, None, None, ctx);
        self.gate.hold(Held::Answer(Box::new(move || drop(reply.send(Ok(Removal::Removed))))));
        self.gate.hold(Held::Removed);
        ctx.notify(Wake);
    }

    /// The deletion of every row of the session.
    fn all_rows(&self, session: &Session) -> Result<Vec<Change>, StoreError> {
        let (store, id) = (&*self.deps.store, session.id());
        let mut gone: Vec<Key> = vec![keys::snapshot(id), keys::outbox(id), keys::invitation(session.invitation_id())];
        let under = [keys::events(id), keys::visible_events(id), keys::compacted_of(id), keys::account_work_of(id)];
        for page in under.into_iter().flat_map(|prefix| pages(store, prefix)) {
            gone.extend(page?.into_iter().map(|(key, _)| key));
        }
        let mut changes: Vec<Change> = gone.into_iter().map(Change::Delete).collect();
        self.rows.clear(id, &mut changes);
        for user in session.participants() {
            changes.extend(idempotency::deletions_of(store, user, id)?);
        }
        Ok(changes)
    }

    /// The removal is durable.
    pub(super) fn leave_after_removal(&mut self, ctx: &mut ActorContext<Self>) {
        self.deps.store.release(self.inbox.session(), self.epoch);
        let status = if self.inbox.close_if_empty() { ExitStatus::Passivated } else { ExitStatus::Removed };
        self.exit(status, ctx);
    }
}
