//! The entry to all sessions: finds a session's actor, puts a message into its inbox and waits for the answer. Nothing
//! outside knows where a session lives.

mod accounts;
mod answer_sweep;
mod badge;
mod commands;
mod erasure;
mod forgetting;
mod index;
mod list;
mod maintenance;
mod nicknames;
mod oversight;
mod pairs;
pub mod people;
mod queries;
mod quota;
mod removal;
mod reports;
mod timers;

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

pub use self::{
    badge::Badge,
    erasure::Erasure,
    list::{ListFilter, SessionsPage},
    maintenance::stored_time,
    oversight::SessionOverview,
};
use self::{pairs::PairLocks, quota::Reservations};
use crate::{
    domain::{Caller, Command, ids::SessionId},
    journal::Obstacle,
    messages::{CommandReply, IdempotencyKey, Order, Refusal, ReplyTo, SessionMessage},
    ports::Store,
    session::{self, SessionDeps},
    supervisor::{Arbiters, Quarantine, SupervisionLimits, Supervisor},
    trace::Trace,
};

/// A handle to all sessions of this node; cheap to clone.
#[derive(Clone)]
pub struct Coordinator {
    pub(crate) supervisor: Supervisor,
    pub(crate) deps: Arc<SessionDeps>,
    pairs: PairLocks,
    pub(crate) reservations: Reservations,
}

impl Coordinator {
    /// Starts no actor yet: a session's actor starts with its first message. `arbiters` are the threads that the actors
    /// run on.
    pub fn new(deps: Arc<SessionDeps>, arbiters: Arbiters, limits: SupervisionLimits) -> Self {
        let supervisor = Supervisor::new(deps.clock.clone(), arbiters, limits, session::factory(deps.clone()));
        Self { supervisor, deps, pairs: PairLocks::default(), reservations: Reservations::default() }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.deps.store
    }

    /// Runs a long read of the store on a thread of its own, so that the caller's thread serves others meanwhile.
    pub(crate) async fn read<T: Send + 'static>(&self, read: impl FnOnce(&Self) -> T + Send + 'static) -> T {
        let this = self.clone();
        self.deps.readers.read(move || read(&this)).await
    }

    async fn ask<T>(
        &self,
        session: &SessionId,
        message: impl FnOnce(ReplyTo<T>) -> SessionMessage,
    ) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.supervisor.send(session, message(reply))?;
        self.wait_for(answer).await
    }

    /// Waits for the answer, but not while the disk is stalled, and not for ever: a frozen actor may keep the message.
    async fn wait_for<T>(&self, mut answer: oneshot::Receiver<Result<T, Refusal>>) -> Result<T, Refusal> {
        let journal = &self.deps.journal;
        let mut patience = self.supervisor.answer_timeout();
        // One timer serves both limits, because a second one for each answer would cost time.
        while !patience.is_zero() {
            let step = journal.stall_after().min(patience);
            match tokio::time::timeout(step, &mut answer).await {
                Ok(answer) => return answer.unwrap_or_else(|_| Err(Refusal::outcome_unknown())),
                Err(_) if journal.stalled().is_some() => return Err(Obstacle::Stalled.into()),
                Err(_) => patience -= step,
            }
        }
        Err(Refusal::outcome_unknown())
    }

    pub(crate) async fn order(
        &self,
        session: &SessionId,
        caller: Caller,
        command: Command,
        key: Option<IdempotencyKey>,
    ) -> Result<CommandReply, Refusal> {
        let trace = Trace::of_command(session, (&command).into());
        self.ask(session, |reply| SessionMessage::Command { command, order: Order { caller, key, trace, reply } }).await
    }

    /// Releases a session from quarantine and activates it. `Ok(false)` if it was not in quarantine.
    ///
    /// # Errors
    /// If it is in quarantine again, or has not answered in time.
    pub async fn try_release(&self, session: &SessionId) -> Result<bool, Refusal> {
        let released = self.release(session);
        if released {
            self.ask(session, |reply| SessionMessage::Ping { reply }).await?;
        }
        Ok(released)
    }

    /// All sessions in quarantine.
    pub fn quarantined(&self) -> Vec<(SessionId, Arc<Quarantine>)> {
        self.supervisor.quarantined()
    }

    /// Releases a session from quarantine. False if it was not in quarantine.
    pub fn release(&self, session: &SessionId) -> bool {
        self.supervisor.release(session)
    }

    /// Why the session is in quarantine, if it is.
    pub fn quarantine(&self, session: &SessionId) -> Option<Arc<Quarantine>> {
        self.supervisor.quarantine(session)
    }

    /// The number of sessions in memory.
    pub fn resident(&self) -> usize {
        self.supervisor.resident()
    }

    /// How long stored answers are given again.
    pub fn answers_kept_for(&self) -> Duration {
        self.deps.retention.answers
    }

    /// For the end of the process: refuses all waiting messages and starts no more actors.
    pub fn stop(&self) {
        self.supervisor.stop();
    }
}
