//! Commands: decide, apply, commit. The answer is sent on the journal's thread, after the flush.

use actix::Context as ActorContext;
use bytes::Bytes;

use super::{
    Held, SessionActor,
    commit::CommitDraft,
    reads::to_json,
    replay::Admission,
    rows::{RowEffects, invitation_row},
};
use crate::{
    domain::{
        Actor, Caller, Code, Command, Context, CreateSession, Event, Rejection, Session, Timer,
        app::Marker,
        ids::{Seq, UserId},
        time::Timestamp,
        view,
    },
    failpoint,
    messages::{CommandReply, Order, Refusal, SessionMessage},
    ports::{Change, Direction, StoreError},
    rows::{
        keys,
        records::{self, EventRow},
    },
    stored::{idempotency::StoredAnswer, nicknames},
    trace::Trace,
};

impl SessionActor {
    pub(super) fn create(&mut self, create: CreateSession, order: Order, ctx: &mut ActorContext<Self>) {
        let order = match self.admit(order) {
            Admission::Fresh(order) => order,
            Admission::Unflushed(order) => {
                return self.gate.hold(Held::Retry(Box::new(SessionMessage::Create { create, order })));
            }
            Admission::Decided(order, stored) => {
                return self.replay(order, &stored, |session, _, context| {
                    view::created(session, &context.viewer, context.now, context.settings)
                        .ok_or_else(Rejection::no_such_session)
                });
            }
            Admission::Refused => return,
        };
        if self.session.is_some() {
            // The session's id is derived from the caller's idempotency key, and the answer stored under the key has
            // expired.
            let refusal =
                Rejection::new(Code::Conflict, "this Idempotency-Key has created a session already; send a new key");
            return self.refuse(order, refusal.into());
        }
        let _entered = order.trace.span.clone().entered();
        let id = self.inbox.session().clone();
        let context = self.context(Actor::User(order.caller.clone()));
        match Session::create(id, &create, &context) {
            Ok(events) => {
                let Some((session, rest)) = begin(&events) else {
                    return self.refuse(order, Refusal::Internal("a session began without an event".into()));
                };
                let invitation = invitation_row(&session);
                self.session = Some(session);
                self.ask_presence(ctx);
                let mut draft = CommitDraft { changes: vec![invitation], ..CommitDraft::new(order.trace.clone()) };
                self.record(&events, Some(rest), &mut draft);
                let Some(session) = &self.session else { return };
                let answer = view::created(session, &order.caller.id, self.now(), &self.deps.domain);
                self.answer(order, true, &answer, draft, first_and_last(&events), ctx);
            }
            Err(rejection) => self.refuse(order, rejection.into()),
        }
    }

    pub(super) fn command(&mut self, mut command: Command, order: Order, ctx: &mut ActorContext<Self>) {
        let order = match self.admit(order) {
            Admission::Fresh(order) => order,
            Admission::Unflushed(order) => {
                return self.gate.hold(Held::Retry(Box::new(SessionMessage::Command { command, order })));
            }
            Admission::Decided(order, stored) => {
                return self.replay(order, &stored, |session, events, context| {
                    view::answer_again(session, events, &context.viewer, &command, context.now, context.settings)
                });
            }
            Admission::Refused => return,
        };
        let erasure = matches!(command, Command::EraseAccount);
        if erasure && !self.gate.is_flushed() {
            // An erasure rewrites the log as the store shows it, so the store has to show all of it. The gate need not
            // be open: two erasures that wait would hold each other up for ever.
            return self.gate.hold(Held::Retry(Box::new(SessionMessage::Command { command, order })));
        }
        if let Command::Viewed(viewed) = &mut command
            && !self.gate.is_open()
        {
            // Nobody has seen what is not durable yet.
            viewed.everything_is(self.delivery.durable_seq());
        }
        let _entered = order.trace.span.clone().entered();
        failpoint::reach(self.inbox.session(), "before_decide");
        let Some(session) = &self.session else { return self.refuse(order, Rejection::no_such_session().into()) };
        let context = self.context(Actor::User(order.caller.clone()));
        let decided = session.decide(&command, &context);
        if matches!(command, Command::Nudge) {
            let (request_id, session) = (order.trace.id(), self.inbox.session());
            tracing::info!(request_id, %session, by = %order.caller.id, sent = decided.is_ok(), "nudge");
        }
        match decided {
            Ok(events) => {
                let mut draft = CommitDraft::new(order.trace.clone());
                if erasure && let Err(error) = self.redact_log(&order.caller, &mut draft) {
                    return self.refuse(order, error.into());
                }
                self.record(&events, None, &mut draft);
                let Some(session) = &self.session else { return };
                let viewer = order.caller.id.clone();
                draft.changes.extend(self.account_work_done(&viewer, &command));
                let mut answer = view::answer(session, &events, &viewer, &command, self.now(), &self.deps.domain);
                if let Err(error) = nicknames::put_into(&mut answer, &*self.deps.store, &viewer) {
                    tracing::error!(request_id = draft.trace.id(), %error, "a nickname cannot be read");
                }
                if matches!(command, Command::Viewed(_)) {
                    let seen = session.last_seen(&viewer);
                    self.saw(&viewer, seen);
                }
                if erasure {
                    self.snapshot(&mut draft.changes);
                    draft.changes.push(keys::note_erasure(self.deps.clock.settled(), &viewer));
                }
                self.answer(order, command.creates(), &answer, draft, first_and_last(&events), ctx);
            }
            Err(mut rejection) => {
                let events = std::mem::take(&mut rejection.events);
                tracing::debug!(code = ?rejection.code, "command rejected");
                let mut draft = CommitDraft::new(order.trace.clone());
                draft.changes.extend(self.account_work_done(&order.caller.id, &command));
                if !events.is_empty() || !draft.changes.is_empty() {
                    self.record(&events, None, &mut draft);
                    self.commit(draft, events.last().map(|event| event.seq), None, ctx);
                }
                self.refuse(order, rejection.into());
            }
        }
    }

    /// Records once what a member's query reveals about the member's client, before the query is answered. The answer
    /// waits for the flush like every other.
    pub(super) fn notice(&mut self, viewer: &UserId, marker: Marker, ctx: &mut ActorContext<Self>) {
        if !self.deps.journal.has_room() {
            return; // The client asks again.
        }
        let Some(session) = self.session.as_ref().filter(|session| session.is_member(viewer)) else { return };
        let caller = Caller::nameless(viewer.clone());
        let events = session.decide(&Command::Notice(marker), &self.context(Actor::User(caller))).unwrap_or_default();
        if events.is_empty() {
            return;
        }
        let mut draft = CommitDraft::new(Trace::of_command(self.inbox.session(), "notice"));
        self.record(&events, None, &mut draft);
        self.commit(draft, events.last().map(|event| event.seq), None, ctx);
    }

    /// Handles a due timer. A timer may end the session for good, so it is decided by the settled time `now`.
    pub(super) fn due(&mut self, timer: Timer, at: Timestamp, now: Timestamp, ctx: &mut ActorContext<Self>) {
        if !self.deps.journal.has_room() {
            return; // The row is still there, and is found again.
        }
        self.rows.fired(timer);
        let mut draft = CommitDraft::new(Trace::of_command(self.inbox.session(), "timer"));
        let row = keys::due(at, self.inbox.session(), timer.number());
        draft.changes.push(Change::Delete(row));
        let events = match &self.session {
            Some(session) => session
                .decide(&Command::Timer(timer), &Context { now, ..self.context(Actor::System) })
                .unwrap_or_default(),
            None => Vec::new(),
        };
        self.record(&events, None, &mut draft);
        self.commit(draft, events.last().map(|event| event.seq), None, ctx);
    }

    fn context(&self, by: Actor) -> Context<'_> {
        Context { by, now: self.now(), ids: &*self.deps.ids, settings: &self.deps.domain }
    }

    /// Applies events and adds their rows to the draft, with the decision whom to tell and how. The first `applied`
    /// events are part of the state already.
    fn record(&mut self, events: &[Event], applied: Option<usize>, draft: &mut CommitDraft) {
        for (index, event) in events.iter().enumerate() {
            let Some(session) = &mut self.session else { return };
            if applied.is_none_or(|applied| index >= applied) {
                session.apply(event);
            }
            debug_assert!(event.seq <= session.seq(), "the state includes the event");
            let routed = self.route(event, &draft.trace, &mut draft.changes);
            draft.announced |= routed.announced;
            draft.push_jobs |= routed.push_jobs;
            let request_id = draft.trace.request_id.clone();
            let row = EventRow { event: event.clone(), routing: routed.decided, request_id };
            draft.changes.push(Change::Put(keys::event(self.inbox.session(), event.seq), records::encode(&row)));
            if event.is_announced() {
                draft.changes.push(Change::Put(keys::visible_event(self.inbox.session(), event.seq), Bytes::new()));
            }
        }
        failpoint::reach(self.inbox.session(), "after_apply");
        let Some(session) = &self.session else { return };
        let RowEffects { left, members_changed } = self.rows.follow(session, &self.deps.domain, &mut draft.changes);
        draft.left.extend(left);
        if members_changed && std::mem::take(&mut self.members_listed) {
            self.inbox.list_members(Vec::new());
        }
        if session.seq() - self.snapshot_seq >= self.deps.residency.snapshot_every {
            self.snapshot(&mut draft.changes);
        } else {
            self.compact_if_some(&mut draft.changes);
        }
    }

    fn answer(
        &mut self,
        order: Order,
        created: bool,
        answer: &impl serde::Serialize,
        mut draft: CommitDraft,
        events: Option<(Seq, Seq)>,
        ctx: &mut ActorContext<Self>,
    ) {
        let Order { caller, key, reply, trace: _ } = order;
        let last = events.map(|(_, last)| last);
        debug_assert!(last.is_none_or(|last| last == self.seq()), "the answer shows the state after its events");
        tracing::debug!(seq = last, "command decided");
        let data = match to_json(answer) {
            Ok(json) => json,
            Err(refusal) => {
                drop(reply.send(Err(refusal)));
                return self.commit(draft, last, None, ctx);
            }
        };
        let answer = CommandReply { created, data, replayed: false };
        // A command without events may be repeated: there is nothing to do twice.
        if let (Some(key), Some(events)) = (&key, events) {
            let stored = StoredAnswer::decided(self.inbox.session(), key, created, events, self.deps.clock.settled());
            draft.changes.push(stored.change(&caller.id, key));
            draft.changes.push(stored.change_by_time(&caller.id, key));
            self.pending_keys.insert(&caller.id, key);
        }
        if draft.changes.is_empty() {
            return self.after_flush(move || drop(reply.send(Ok(answer))));
        }
        self.commit(draft, last, Some((reply, answer)), ctx);
    }

    /// Removes a partner's private text from every stored event.
    fn redact_log(&mut self, caller: &Caller, draft: &mut CommitDraft) -> Result<(), StoreError> {
        self.reads.erasures += 1;
        let log = keys::events(self.inbox.session());
        let rows = self.deps.store.scan(&log, None, Direction::Forward, usize::MAX)?;
        let rows: Vec<EventRow> = rows.iter().map(|(_, row)| EventRow::decode(row)).collect::<Result<_, _>>()?;
        for mut row in rows {
            row.event = row.event.redacted(&caller.id);
            self.rewrite_event(&row, &mut draft.changes);
        }
        Ok(())
    }
}

/// The first and the last `seq` of the events that a command made.
fn first_and_last(events: &[Event]) -> Option<(Seq, Seq)> {
    Some((events.first()?.seq, events.last()?.seq))
}

/// The state after the first event, and how many events it contains.
fn begin(events: &[Event]) -> Option<(Session, usize)> {
    events.first().and_then(Session::start).map(|session| (session, 1))
}
