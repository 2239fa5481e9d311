//! The door to all sessions: finds the actor, puts the message in, waits for the answer. Nothing outside knows where a
//! session lives.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::{
    domain::{
        Caller, Code, Command, CreateSession, Query, Rejection,
        command::Rename,
        ids::{InvitationId, Seq, SessionId, UserId},
        stage::SessionStatus,
    },
    idempotency::{self, IdempotencyKey},
    journal::Obstacle,
    keys,
    messages::{Message, Order, Refusal, Reply, ReplyTo},
    pairs::PairLocks,
    ports::{BoxFuture, Change, Direction, PresenceChange, PresenceSink, PushCheck, PushVerdict, Store},
    records::{self, Membership},
    session::Shell,
    supervisor::Supervisor,
};

/// A handle to all sessions of this node; cheap to clone.
#[derive(Clone)]
pub struct Coordinator {
    pub(crate) supervisor: Supervisor,
    pub(crate) shell: Arc<Shell>,
    pairs: PairLocks,
}

impl Coordinator {
    pub fn new(shell: Arc<Shell>, supervisor: Supervisor) -> Self {
        Self { supervisor, shell, pairs: PairLocks::default() }
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
        let Some(person) = create.person() else { return self.ask(&session, order).await };
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
        self.ask(&session, order).await
    }

    fn is_member(&self, session: &SessionId, user: &UserId) -> Result<bool, Refusal> {
        let row = self.store().get(&keys::membership(user, session))?;
        Ok(row.is_some_and(|row| records::decode::<Membership>(&row).is_ok_and(|membership| !membership.left)))
    }

    fn fresh_id(&self) -> Result<SessionId, Refusal> {
        self.shell.ids.fresh().parse().map_err(|error| Refusal::Internal(format!("a fresh id is none: {error}")))
    }

    /// Carries out a command of a member, or of somebody who holds an invitation.
    pub async fn execute(
        &self,
        session: &SessionId,
        caller: Caller,
        command: Command,
        key: Option<IdempotencyKey>,
    ) -> Result<Reply, Refusal> {
        self.ask(session, |reply| Message::Command { command, order: Order { caller, key, reply } }).await
    }

    pub async fn query(&self, session: &SessionId, viewer: &UserId, query: Query) -> Result<Bytes, Refusal> {
        self.ask(session, |reply| Message::Query { viewer: Some(viewer.clone()), query, reply }).await
    }

    /// The invitation as anybody who has its id may see it.
    pub async fn invitation(&self, invitation: &InvitationId) -> Result<Bytes, Refusal> {
        let session = self.session_of_invitation(invitation)?;
        self.ask(&session, |reply| Message::Query { viewer: None, query: Query::PublicInvitation, reply }).await
    }

    /// The invitation for somebody who has followed its link and signed in.
    pub async fn acknowledge(&self, invitation: &InvitationId, viewer: &UserId) -> Result<Bytes, Refusal> {
        let session = self.session_of_invitation(invitation)?;
        self.query(&session, viewer, Query::AcknowledgedInvitation).await
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
        self.ask(session, |reply| Message::Events { viewer: viewer.clone(), after, limit, reply }).await
    }

    /// A sign of life, or of leaving, of a client without a realtime connection.
    pub async fn heartbeat(&self, session: &SessionId, user: &UserId, active: bool) -> Result<Bytes, Refusal> {
        self.ask(session, |reply| Message::Heartbeat { user: user.clone(), active, reply }).await
    }

    /// How many of the user's sessions have something that they have not seen.
    pub async fn unread_count(&self, user: &UserId) -> Result<u32, Refusal> {
        let mut unread = 0;
        for (session, membership) in self.memberships(user)? {
            if membership.status == SessionStatus::Archived {
                continue;
            }
            let ask = |reply| Message::Unread { user: user.clone(), reply };
            unread += u32::from(self.ask(&session, ask).await?);
        }
        Ok(unread)
    }

    /// Lets every session of the user know the name that the user goes by from now on.
    pub async fn rename(&self, caller: Caller, rename: Rename) -> Result<(), Refusal> {
        self.everywhere(caller, Command::Rename(rename)).await
    }

    /// Lets every session of the user know whether partners see when the user was there.
    pub async fn show_activity(&self, caller: Caller, shown: bool) -> Result<(), Refusal> {
        self.everywhere(caller, Command::ShowActivity { shown }).await
    }

    /// Takes the user out of every session, and their words with them.
    pub async fn erase(&self, caller: Caller) -> Result<(), Refusal> {
        let user = caller.id.clone();
        self.everywhere(caller, Command::EraseAccount).await?;
        // Stored answers hold what they answered.
        let stored = self.store().scan(&keys::idempotent_answers_of(&user), None, Direction::Forward, usize::MAX)?;
        let gone: Vec<Change> = stored.into_iter().flat_map(|(key, row)| idempotency::deletion(key, &row)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let later = |_| Refusal::unavailable("not everything could be erased; try again", Duration::from_secs(1));
        self.shell.journal.write(gone).await.map_err(later)
    }

    /// The sessions that the user was ever a member of.
    pub fn sessions_ever(&self, user: &UserId) -> Result<Vec<SessionId>, Refusal> {
        Ok(self.memberships_ever(user)?.into_iter().map(|(session, _)| session).collect())
    }

    async fn everywhere(&self, caller: Caller, command: Command) -> Result<(), Refusal> {
        for (session, _) in self.memberships_ever(&caller.id)? {
            match self.execute(&session, caller.clone(), command.clone(), None).await {
                Err(Refusal::Rejected(rejection)) if rejection.code == Code::NotFound => {}
                Err(refusal) => return Err(refusal),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// Frees a session from quarantine. False if it was not in it.
    pub fn release(&self, session: &SessionId) -> bool {
        self.supervisor.release(session)
    }

    pub fn quarantine(&self, session: &SessionId) -> Option<Arc<str>> {
        self.supervisor.quarantine(session)
    }

    pub fn resident(&self) -> usize {
        self.supervisor.resident()
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
                Ok(PushVerdict::Send { .. }) => match coordinator.unread_count(&user).await {
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
