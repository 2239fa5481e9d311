//! The door to all sessions: finds the actor, puts the message in, waits for the answer. Nothing outside knows where a
//! session lives.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::{
    domain::{
        Actor, Caller, Code, Command, Context, CreateSession, Query, Rejection,
        ids::{InvitationId, Seq, SessionId, UserId},
        view,
    },
    journal::Obstacle,
    keys,
    messages::{IdempotencyKey, Message, Order, Refusal, Reply, ReplyTo},
    pairs::PairLocks,
    ports::{BoxFuture, PresenceChange, PresenceSink, PushCheck, PushVerdict, Store},
    quota::{Beginning, Begun},
    session::{self, Shell, reads::to_json},
    stored,
    supervisor::{Arbiters, Limits, Quarantine, Supervisor},
};

/// A handle to all sessions of this node; cheap to clone.
#[derive(Clone)]
pub struct Coordinator {
    pub(crate) supervisor: Supervisor,
    pub(crate) shell: Arc<Shell>,
    pairs: PairLocks,
    pub(crate) beginning: Beginning,
}

impl Coordinator {
    /// Starts no actor yet: a session's actor starts with its first message. `arbiters` are the threads that the actors run on.
    pub fn new(shell: Arc<Shell>, arbiters: Arbiters, limits: Limits) -> Self {
        let supervisor = Supervisor::new(shell.clock.clone(), arbiters, limits, session::factory(shell.clone()));
        Self { supervisor, shell, pairs: PairLocks::default(), beginning: Beginning::default() }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.shell.store
    }

    async fn ask<T>(&self, session: &SessionId, message: impl FnOnce(ReplyTo<T>) -> Message) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.supervisor.send(session, message(reply))?;
        // What a frozen actor has in hand, it may hold for good.
        match tokio::time::timeout(self.supervisor.longest_answer(), self.unless_stalled(answer)).await {
            Ok(answer) => answer,
            Err(_) => Err(Refusal::outcome_unknown()),
        }
    }

    /// The answer, unless the disk does not answer.
    async fn unless_stalled<T>(&self, mut answer: oneshot::Receiver<Result<T, Refusal>>) -> Result<T, Refusal> {
        let journal = &self.shell.journal;
        loop {
            match tokio::time::timeout(journal.stall_after(), &mut answer).await {
                Ok(answer) => return answer.unwrap_or_else(|_| Err(Refusal::outcome_unknown())),
                Err(_) if journal.stalled().is_some() => return Err(Obstacle::Stalled.into()),
                Err(_) => {}
            }
        }
    }

    /// Creates a session. With an idempotency key the session's id follows from caller and key, so that the same request sent
    /// again meets the same actor.
    pub async fn create(
        &self,
        caller: Caller,
        create: CreateSession,
        key: Option<IdempotencyKey>,
    ) -> Result<Reply, Refusal> {
        let session = match &key {
            Some(key) => derived_id(&caller.id, key),
            None => self.fresh_id()?,
        };
        let order =
            |reply| Message::Create { create: create.clone(), order: Order { caller: caller.clone(), key, reply } };
        let Some(person) = create.person() else {
            let _place = self.place_for(&session, &caller.id)?;
            return self.ask(&session, order).await;
        };
        let _one_at_a_time = self.pairs.lock(&caller.id, person).await;
        if let Some(live) = self.live_session_of(&caller.id, person)?
            && live != session
        {
            if self.shell.domain.serves_app(&caller) && self.is_member(&live, &caller.id)? {
                let data = self.query(&live, &caller.id, Query::ExistingSession).await?;
                return Ok(Reply { created: false, data, replayed: false });
            }
            let message = "there is a live session with this person already";
            let details = serde_json::json!({ "sessionId": live, "existingSessionId": live });
            return Err(Rejection::new(Code::Conflict, message).with_details(details).into());
        }
        let _place = self.place_for(&session, &caller.id)?;
        self.ask(&session, order).await
    }

    /// A place among the caller's live sessions. A session that is there already needs none: the request came again.
    fn place_for(&self, session: &SessionId, user: &UserId) -> Result<Option<Begun>, Refusal> {
        match self.membership(session, user)? {
            None => self.begin_session(user).map(Some),
            Some(_) => Ok(None),
        }
    }

    fn fresh_id(&self) -> Result<SessionId, Refusal> {
        self.shell.ids.fresh().parse().map_err(|error| Refusal::Internal(format!("a fresh id is none: {error}")))
    }

    /// Carries out a command of a member, or of somebody who holds an invitation. Whether the caller is one of these is decided before
    /// anything is woken, so that a stranger meets the same answer in the same time whatever state the session is in.
    pub async fn execute(
        &self,
        session: &SessionId,
        caller: Caller,
        command: Command,
        key: Option<IdempotencyKey>,
    ) -> Result<Reply, Refusal> {
        match command {
            Command::AcceptInvitation | Command::DeclineInvitation => {
                self.answer_invitation(session, caller, command, key).await
            }
            Command::EraseAccount => self.order(session, caller, command, key).await,
            _ => {
                let is_invitation = matches!(command, Command::ResendInvitation);
                if !self.is_member(session, &caller.id)? {
                    let none =
                        if is_invitation { Rejection::no_such_invitation() } else { Rejection::no_such_session() };
                    return Err(none.into());
                }
                self.order(session, caller, command, key).await
            }
        }
    }

    pub(crate) async fn order(
        &self,
        session: &SessionId,
        caller: Caller,
        command: Command,
        key: Option<IdempotencyKey>,
    ) -> Result<Reply, Refusal> {
        self.ask(session, |reply| Message::Command { command, order: Order { caller, key, reply } }).await
    }

    /// For somebody who has the link. A session that cannot answer is no excuse to tell more: who could not use the invitation anyway hears
    /// that, and only who could is asked to come back.
    async fn answer_invitation(
        &self,
        session: &SessionId,
        caller: Caller,
        command: Command,
        key: Option<IdempotencyKey>,
    ) -> Result<Reply, Refusal> {
        let is_new = self.membership(session, &caller.id)?.is_none();
        let _place = match command {
            Command::AcceptInvitation if is_new => Some(self.begin_session(&caller.id)?),
            _ => None,
        };
        let unavailable = match self.order(session, caller.clone(), command.clone(), key).await {
            Err(unavailable @ Refusal::Unavailable { .. }) => unavailable,
            answered => return answered,
        };
        let Some(known) = self.read_for_members(session)? else { return Err(Rejection::no_such_invitation().into()) };
        let shell = &self.shell;
        let (by, now) = (Actor::User(caller), shell.clock.now());
        let context = Context { by, now, ids: &*shell.ids, settings: &shell.domain };
        match known.session.decide(&command, &context) {
            Err(rejection) => Err(rejection.into()),
            Ok(_) => Err(unavailable),
        }
    }

    /// What a member may see. A session in quarantine shows its last good state.
    pub async fn query(&self, session: &SessionId, viewer: &UserId, query: Query) -> Result<Bytes, Refusal> {
        if !self.is_member(session, viewer)? {
            return Err(Rejection::no_such_session().into());
        }
        if self.quarantine(session).is_some() {
            return self.query_stored(session, viewer, query);
        }
        match self.ask_member(session, viewer, query).await {
            // It went into quarantine while it was asked.
            Err(Refusal::Unavailable { .. }) if self.quarantine(session).is_some() => {
                self.query_stored(session, viewer, query)
            }
            answer => answer,
        }
    }

    pub(crate) async fn ask_member(
        &self,
        session: &SessionId,
        viewer: &UserId,
        query: Query,
    ) -> Result<Bytes, Refusal> {
        self.ask(session, |reply| Message::Query { viewer: Some(viewer.clone()), query, reply }).await
    }

    /// The invitation as anybody who has its id may see it, also while its session cannot answer.
    pub async fn invitation(&self, invitation: &InvitationId) -> Result<Bytes, Refusal> {
        let session = self.session_of_invitation(invitation)?;
        self.ask_about_invitation(&session, None, Query::PublicInvitation).await
    }

    async fn ask_about_invitation(
        &self,
        session: &SessionId,
        viewer: Option<&UserId>,
        query: Query,
    ) -> Result<Bytes, Refusal> {
        match self.ask(session, |reply| Message::Query { viewer: viewer.cloned(), query, reply }).await {
            Err(Refusal::Unavailable { .. }) => {
                let known = self.read_for_members(session)?;
                let known = known.ok_or_else(|| Refusal::from(Rejection::no_such_invitation()))?;
                to_json(&view::query(&known.session, viewer, &query, self.shell.clock.now(), &self.shell.domain)?)
            }
            answer => answer,
        }
    }

    /// The invitation for somebody who has followed its link and signed in.
    pub async fn acknowledge(&self, invitation: &InvitationId, viewer: &UserId) -> Result<Bytes, Refusal> {
        let session = self.session_of_invitation(invitation)?;
        self.ask_about_invitation(&session, Some(viewer), Query::AcknowledgedInvitation).await
    }

    pub fn session_of_invitation(&self, invitation: &InvitationId) -> Result<SessionId, Refusal> {
        let row = self.store().get(&keys::invitation(invitation))?;
        let id = row.as_deref().and_then(|row| std::str::from_utf8(row).ok()).and_then(|id| id.parse().ok());
        id.ok_or_else(|| Rejection::no_such_invitation().into())
    }

    /// The announced events after `after`.
    pub async fn events(
        &self,
        session: &SessionId,
        viewer: &UserId,
        after: Seq,
        limit: usize,
    ) -> Result<Bytes, Refusal> {
        if !self.is_member(session, viewer)? {
            return Err(Rejection::no_such_session().into());
        }
        if self.quarantine(session).is_some() {
            let known = self.read_for_members(session)?.ok_or_else(|| self.unavailable(session))?;
            let page = stored::events_page(self.store(), &known.session, viewer, &known.erased, after, limit)?;
            return to_json(&page);
        }
        self.ask(session, |reply| Message::Events { viewer: viewer.clone(), after, limit, reply }).await
    }

    /// Why nothing of a session in quarantine can be shown.
    pub(crate) fn unavailable(&self, session: &SessionId) -> Refusal {
        match self.quarantine(session) {
            Some(quarantine) => quarantine.refusal(),
            None => Refusal::unavailable("the session cannot be read", Duration::from_secs(30)),
        }
    }

    /// A sign of life, or of leaving, of a client without a realtime connection.
    pub async fn heartbeat(&self, session: &SessionId, user: &UserId, active: bool) -> Result<Bytes, Refusal> {
        if !self.is_member(session, user)? {
            return Err(Rejection::no_such_session().into());
        }
        self.ask(session, |reply| Message::Heartbeat { user: user.clone(), active, reply }).await
    }

    /// Frees a session from quarantine and tries it. `Ok(false)` if it was not in quarantine.
    ///
    /// # Errors
    /// If it is in quarantine again, or has not answered in time.
    pub async fn try_release(&self, session: &SessionId) -> Result<bool, Refusal> {
        let released = self.release(session);
        if released {
            self.ask(session, |reply| Message::Ping { reply }).await?;
        }
        Ok(released)
    }

    /// All sessions in quarantine.
    pub fn quarantined(&self) -> Vec<(SessionId, Arc<Quarantine>)> {
        self.supervisor.quarantined()
    }

    /// Frees a session from quarantine. False if it was not in it.
    pub fn release(&self, session: &SessionId) -> bool {
        self.supervisor.release(session)
    }

    pub fn quarantine(&self, session: &SessionId) -> Option<Arc<Quarantine>> {
        self.supervisor.quarantine(session)
    }

    /// The number of sessions in memory.
    pub fn resident(&self) -> usize {
        self.supervisor.resident()
    }

    /// For the end of the process: refuses all waiting messages and starts no more actors.
    pub fn stop(&self) {
        self.supervisor.stop();
    }
}

impl PresenceSink for Coordinator {
    fn presence(&self, session: &SessionId, change: PresenceChange) {
        self.supervisor.send_if_awake(session, Message::Presence(change));
    }

    fn delivered(&self, session: &SessionId, user: &UserId, seq: Seq) {
        self.supervisor.send_if_awake(session, Message::Delivered { user: user.clone(), seq });
    }
}

impl PushCheck for Coordinator {
    fn check(&self, session: &SessionId, user: &UserId, seq: Seq) -> BoxFuture<PushVerdict> {
        let (coordinator, session, user) = (self.clone(), session.clone(), user.clone());
        Box::pin(async move {
            let (reply, verdict) = oneshot::channel();
            let ask = Message::CheckPush { user: user.clone(), seq, reply };
            if coordinator.supervisor.send(&session, ask).is_err() {
                return PushVerdict::Later;
            }
            match verdict.await {
                Ok(PushVerdict::Send { .. }) => match coordinator.unread_count(&user) {
                    Ok(unread) => PushVerdict::Send { unread },
                    Err(_) => PushVerdict::Later,
                },
                Ok(verdict) => verdict,
                Err(_) => PushVerdict::Later,
            }
        })
    }
}

/// `c` and 24 characters of `[a-z0-9]`, the same for the same caller and key.
fn derived_id(caller: &UserId, key: &IdempotencyKey) -> SessionId {
    let digest = Sha256::new().chain_update(caller.as_str()).chain_update([0]).chain_update(key.digest).finalize();
    let alphabet = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let text: String = digest.iter().take(24).map(|byte| char::from(alphabet[usize::from(*byte) % 36])).collect();
    format!("c{text}").parse().expect("25 characters of the id's alphabet")
}
