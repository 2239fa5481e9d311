//! Commands: creating a session, and changing one.

use sha2::{Digest, Sha256};

use super::{Coordinator, quota::Reservation};
use crate::{
    domain::{
        Actor, Caller, Code, Command, Context, CreateSession, Query, Rejection,
        command::Issuer,
        ids::{self, SessionId, UserId},
    },
    messages::{CommandReply, IdempotencyKey, Order, Refusal, SessionMessage},
    trace::Trace,
};

impl Coordinator {
    /// Creates a session. With an idempotency key the session's id is derived from the caller and the key, so that a
    /// repeated request reaches the same actor.
    pub async fn create(
        &self,
        caller: Caller,
        create: CreateSession,
        key: Option<IdempotencyKey>,
    ) -> Result<CommandReply, Refusal> {
        let session = match &key {
            Some(key) => derived_id(&caller.id, key),
            None => self.fresh_id()?,
        };
        let order = |reply| {
            let trace = Trace::of_command(&session, "create");
            SessionMessage::Create {
                create: create.clone(),
                order: Order { caller: caller.clone(), key, trace, reply },
            }
        };
        let Some(person) = create.person() else {
            let _reservation = self.reservation_for(&session, &caller.id)?;
            return self.ask(&session, order).await;
        };
        let _one_at_a_time = self.pairs.lock(&caller.id, person).await;
        if let Some(live) = self.live_session_of(&caller.id, person)?
            && live != session
        {
            if self.deps.domain.serves_app(&caller) && self.is_member(&live, &caller.id)? {
                let data = self.query(&live, &caller.id, Query::ExistingSession).await?;
                return Ok(CommandReply { created: false, data, replayed: false });
            }
            let message = "there is a live session with this person already";
            let details = serde_json::json!({ "sessionId": live, "existingSessionId": live });
            return Err(Rejection::new(Code::Conflict, message).with_details(details).into());
        }
        let _reservation = self.reservation_for(&session, &caller.id)?;
        self.ask(&session, order).await
    }

    /// Reserves one of the caller's live sessions. A session that exists already needs no reservation: the request is
    /// a repetition.
    fn reservation_for(&self, session: &SessionId, user: &UserId) -> Result<Option<Reservation>, Refusal> {
        match self.membership(session, user)? {
            None => self.reserve_session(user).map(Some),
            Some(_) => Ok(None),
        }
    }

    fn fresh_id(&self) -> Result<SessionId, Refusal> {
        self.deps
            .ids
            .fresh()
            .parse()
            .map_err(|error| Refusal::Internal(format!("the id generator made an invalid id: {error}")))
    }

    /// Executes a command of a member, or of a user with an invitation. Membership is checked before the session is
    /// woken, so that a stranger gets the same answer in the same time whatever state the session is in.
    pub async fn execute(
        &self,
        session: &SessionId,
        caller: Caller,
        command: Command,
        key: Option<IdempotencyKey>,
    ) -> Result<CommandReply, Refusal> {
        match command.issuer() {
            Issuer::InvitedPerson => return self.answer_invitation(session, caller, command, key).await,
            Issuer::Participant => {}
            Issuer::Inviter if self.is_member(session, &caller.id)? => {}
            Issuer::Inviter => return Err(Rejection::no_such_invitation().into()),
            Issuer::Member | Issuer::Timer if self.is_member(session, &caller.id)? => {}
            Issuer::Member | Issuer::Timer => return Err(Rejection::no_such_session().into()),
        }
        self.order(session, caller, command, key).await
    }

    /// Answers an invitation for a user who has its link. If the session is unavailable, the decision is made on its
    /// stored state: only a user who could use the invitation learns that the session is unavailable.
    async fn answer_invitation(
        &self,
        session: &SessionId,
        caller: Caller,
        command: Command,
        key: Option<IdempotencyKey>,
    ) -> Result<CommandReply, Refusal> {
        let joins = command == Command::AcceptInvitation && self.membership(session, &caller.id)?.is_none();
        let _reservation = if joins { Some(self.reserve_session(&caller.id)?) } else { None };
        let unavailable = match self.order(session, caller.clone(), command.clone(), key).await {
            Err(unavailable @ Refusal::Unavailable { .. }) => unavailable,
            answered => return answered,
        };
        let Some(known) = self.read_for_members(session).await? else {
            return Err(Rejection::no_such_invitation().into());
        };
        let deps = &self.deps;
        let (by, now) = (Actor::User(caller), deps.clock.now());
        let context = Context { by, now, ids: &*deps.ids, settings: &deps.domain };
        match known.session.decide(&command, &context) {
            Err(rejection) => Err(rejection.into()),
            Ok(_) => Err(unavailable),
        }
    }
}

/// `c` and 24 characters of `[a-z0-9]`, the same for the same caller and key.
fn derived_id(caller: &UserId, key: &IdempotencyKey) -> SessionId {
    let digest = Sha256::new().chain_update(caller.as_str()).chain_update([0]).chain_update(key.digest).finalize();
    ids::from_numbers(digest).parse().expect("`from_numbers` makes an id of this form")
}
