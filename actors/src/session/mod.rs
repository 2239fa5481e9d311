//! The actor of one session. Only it changes the session's state. It handles one message at a time, on the state that
//! the earlier messages left, whether or not that state is durable yet. Everything that would show a change to a
//! client waits at the [`OutputGate`] until the change is durable.
//!
//! From the lowest layer to the highest: `commit` hands rows to the journal; `rewritten` shows rows on their way;
//! `routing` decides who is told of an event; `delivery` publishes; `watch` follows partners who leave; `replay`
//! answers repeated requests; `commands` decides and applies; `reads` answers queries; `compaction` writes snapshots;
//! `passivation` leaves memory; `removal` deletes a session that is over. `rows` keeps the index rows in step.

mod account;
mod commands;
mod commit;
mod compaction;
mod delivery;
mod deps;
mod load;
mod outbox;
mod output_gate;
mod passivation;
mod presence;
mod presence_set;
mod publications;
pub(crate) mod reads;
mod removal;
mod replay;
mod rewritten;
mod routing;
pub(crate) mod rows;
mod seen;
mod watch;

use std::{collections::BTreeMap, sync::Arc};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::time::Instant;

pub use self::deps::{DeliverySettings, ResidencySettings, RetentionSettings, SessionDeps};
pub use self::watch::HeartbeatAnswer;
use self::{outbox::Outbox, output_gate::OutputGate, presence_set::PresenceSet, seen::ShownEvents};
use crate::{
    domain::{
        Session,
        ids::{Seq, UserId},
        time::Timestamp,
    },
    messages::SessionMessage,
    ports::OwnerEpoch,
    stored::{self, idempotency::PendingKeys},
    supervisor::{ActorFactory, ExitGuard, ExitStatus, Inbox, Next, Wake},
};

/// What waits at the output gate.
enum Held {
    /// An answer or a refusal that shows the change.
    Answer(Box<dyn FnOnce() + Send>),
    /// An answer that shows events.
    Shown(ShownEvents),
    /// A message that can only be handled once the store shows all commits.
    Retry(Box<SessionMessage>),
    /// Everything up to this event may be published.
    Deliver(Seq),
    /// Push jobs were written.
    PushJobs,
    /// A user has left the session.
    Left(UserId),
    /// The snapshot for passivation is written.
    Passivate,
    /// No row of the session is there any more.
    Removed,
}

/// The actor of one awake session.
pub(crate) struct SessionActor {
    deps: Arc<SessionDeps>,
    inbox: Inbox,
    exit: ExitGuard,
    epoch: OwnerEpoch,
    /// `None` until the session is created: there is also an actor for an unknown id.
    session: Option<Session>,
    /// The index rows that the store has, or will have once the gate opens.
    rows: rows::KnownRows,
    gate: OutputGate<Held>,
    pending_keys: PendingKeys,
    presence: PresenceSet,
    outbox: Outbox,
    delivery: delivery::DeliveryState,
    /// What each partner is known to have seen, beyond what they said with `viewed`.
    seen: BTreeMap<UserId, seen::SeenEvents>,
    snapshot_seq: Seq,
    gaps: compaction::KnownGaps,
    rewritten: rewritten::RewrittenRows,
    reads: reads::PendingReads,
    /// The `seq` of the last event that the journal has got.
    committed_seq: Seq,
    active_at: Instant,
    passivating: bool,
    /// The session's rows are being deleted. The next actor takes the messages that wait.
    removed: bool,
    /// Whether the slot lists the members as the store shows them.
    members_listed: bool,
}

/// The factory that the supervisor starts session actors with.
pub(crate) fn factory(deps: Arc<SessionDeps>) -> ActorFactory {
    Box::new(move |inbox, exit| {
        let actor = SessionActor::activate(inbox, deps.clone(), exit)?;
        Some(actor.start().recipient())
    })
}

/// How many messages are handled before other sessions on the same arbiter get their turn.
const TURN: usize = 64;

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        metrics::gauge!("tandem_sessions_resident").increment(1.0);
        self.schedule_passivation(ctx);
        self.account_work(ctx);
        self.ask_presence(ctx);
        self.deliver(ctx);
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        metrics::gauge!("tandem_sessions_resident").decrement(1.0);
    }
}

impl Handler<Wake> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Context<Self>) {
        let _turn = self.inbox.take_turn();
        self.let_pass(ctx);
        for _ in 0..TURN {
            if self.gate.has_failed() {
                return self.exit(self.refused_status(), ctx);
            }
            if self.removed {
                return;
            }
            match self.inbox.next() {
                Next::Message(message) => self.receive(*message, ctx),
                Next::Empty => {
                    // An item may have become durable before the journal's thread knew that it waits.
                    self.let_pass(ctx);
                    return self.settle(ctx);
                }
                Next::Replaced => return self.exit(ExitStatus::Replaced, ctx),
            }
        }
        ctx.notify(Wake);
    }
}

impl SessionActor {
    fn exit(&mut self, status: ExitStatus, ctx: &mut Context<Self>) {
        use actix::ActorContext;
        self.exit.set(status);
        ctx.stop();
    }

    /// The exit of an actor whose commit was refused. A full disk is not the session's fault.
    fn refused_status(&self) -> ExitStatus {
        let journal = &self.deps.journal;
        if journal.is_alive() && !journal.has_room() { ExitStatus::StoreAway } else { ExitStatus::CommitFailed }
    }

    /// The `seq` of the last event, flushed or not; 0 if there is no session.
    fn seq(&self) -> Seq {
        self.session.as_ref().map_or(0, Session::seq)
    }

    fn now(&self) -> Timestamp {
        self.deps.clock.now()
    }

    fn let_pass(&mut self, ctx: &mut Context<Self>) {
        while let Some(held) = self.gate.pass() {
            self.pass(held, ctx);
        }
    }

    fn pass(&mut self, held: Held, ctx: &mut Context<Self>) {
        match held {
            Held::Answer(send) => send(),
            Held::Shown(shown) => self.show(shown),
            Held::Retry(message) => self.receive(*message, ctx),
            Held::Deliver(seq) => {
                crate::failpoint::reach(self.inbox.session(), "after_flush");
                self.delivery.durable(seq);
                self.deliver(ctx);
            }
            Held::PushJobs => self.deps.jobs_committed(),
            Held::Left(user) => self.deps.realtime.rights_ended(self.inbox.session(), &user),
            Held::Passivate => self.passivate(ctx),
            Held::Removed => self.leave_after_removal(ctx),
        }
    }

    fn receive(&mut self, message: SessionMessage, ctx: &mut Context<Self>) {
        if let SessionMessage::WhoIsPresent { reply } = message {
            return drop(reply.send(self.partners_present()));
        }
        self.passivating = false;
        self.active_at = Instant::now();
        match message {
            SessionMessage::WhoIsPresent { .. } => {}
            SessionMessage::Create { create, order } => self.create(create, order, ctx),
            SessionMessage::Command { command, order } => self.command(command, order, ctx),
            SessionMessage::Due { timer, at, now } => self.due(timer, at, now, ctx),
            SessionMessage::Query { viewer, query, reader, reply } => {
                self.query(viewer.as_ref(), query, reader, reply, ctx);
            }
            SessionMessage::Events(request) => self.events(request, ctx),
            SessionMessage::AccountWork => self.account_work(ctx),
            SessionMessage::Ping { reply } => drop(reply.send(Ok(()))),
            SessionMessage::Heartbeat { user, active, reply } => self.heartbeat(user, active, reply, ctx),
            SessionMessage::Presence(change) => self.presence_changed(change, None, ctx),
            SessionMessage::Delivered { user, seq } => self.received(&user, seq),
            SessionMessage::CheckPush { user, seq, reply } => self.check_push(user, seq, reply, ctx),
            SessionMessage::Remove { known, before, reply } => self.remove(known, before, reply, ctx),
            SessionMessage::Drain => {}
        }
    }

    /// The inbox is empty.
    fn settle(&mut self, ctx: &mut Context<Self>) {
        // A request named an unknown id: leave no trace of it.
        if !self.gate.is_open() {
            return;
        }
        if self.session.is_none() && self.inbox.close_if_empty() {
            self.exit(ExitStatus::Passivated, ctx);
        } else if !std::mem::replace(&mut self.members_listed, true) {
            // While an erasure waits, only the store knows who has left.
            let waiting = stored::account_work(&*self.deps.store, self.inbox.session());
            if waiting.is_ok_and(|work| work.is_empty()) {
                self.inbox.list_members(self.rows.members().cloned().collect());
            }
        }
    }
}
