//! What HTTP asks of the sessions. Answers come as the bytes of a JSON object, made by the domain for one viewer; this
//! layer puts the envelope around them and never looks inside.

use bytes::Bytes;
use tandem_actors::{
    domain::{
        Caller, Command, CreateSession, Query,
        command::Rename,
        ids::{InvitationId, Seq, SessionId, UserId},
        private_text::PrivateText,
    },
    ports::BoxFuture,
};

pub use tandem_actors::{Erasure, IdempotencyKey, ListFilter, PeopleFilter, Refusal, Reply, WithPerson};

type Answer<T> = BoxFuture<Result<T, Refusal>>;

pub trait Coordinator: Send + Sync + 'static {
    fn create(&self, caller: Caller, create: CreateSession, key: Option<IdempotencyKey>) -> Answer<Reply>;

    fn execute(
        &self,
        session: SessionId,
        caller: Caller,
        command: Command,
        key: Option<IdempotencyKey>,
    ) -> Answer<Reply>;

    fn query(&self, session: SessionId, viewer: UserId, query: Query) -> Answer<Bytes>;

    /// `{events, seq, hasMore}`
    fn events(&self, session: SessionId, viewer: UserId, after: Seq, limit: usize) -> Answer<Bytes>;

    /// `NOT_FOUND` if there is no such invitation.
    fn session_of_invitation(&self, invitation: InvitationId) -> Answer<SessionId>;

    /// What anybody who has the link may see of an invitation.
    fn invitation(&self, invitation: InvitationId) -> Answer<Bytes>;

    /// What somebody sees of an invitation who has followed its link and signed in.
    fn acknowledge(&self, invitation: InvitationId, viewer: UserId) -> Answer<Bytes>;

    /// `{items, sessions, cursor, hasMore}`
    fn list(&self, user: UserId, filter: ListFilter) -> Answer<Bytes>;

    /// `{people, cursor, hasMore}`
    fn people(&self, user: UserId, filter: PeopleFilter) -> Answer<Bytes>;

    /// `{person}`; `NOT_FOUND` for everybody whom the user shares no session with.
    fn person(&self, user: UserId, person: UserId) -> Answer<Bytes>;

    /// `{sessions}`
    fn sessions_with(&self, user: UserId, person: UserId, which: WithPerson) -> Answer<Bytes>;

    /// Names the person of one of the user's relationships.
    fn set_nickname(&self, user: UserId, relationship: String, nickname: Option<PrivateText>) -> Answer<()>;

    /// `{count, bySession}`
    fn badge(&self, user: UserId) -> Answer<Bytes>;

    fn unread_count(&self, user: UserId) -> Answer<u32>;

    /// The sessions that the user's realtime token may cover, newest first.
    fn active_sessions(&self, user: UserId) -> Answer<Vec<SessionId>>;

    /// How many of the user's sessions are going on.
    fn live_sessions(&self, user: UserId) -> Answer<usize>;

    /// `{present, expiresAt}`
    fn heartbeat(&self, session: SessionId, user: UserId, active: bool) -> Answer<Bytes>;

    /// Lets the user's sessions know the name that the user goes by from now on.
    fn rename(&self, user: UserId, rename: Rename) -> Answer<()>;

    /// Lets the user's sessions know whether partners see when the user was there.
    fn show_activity(&self, user: UserId, shown: bool) -> Answer<()>;

    /// Takes the user out of all sessions.
    fn erase(&self, user: UserId) -> Answer<Erasure>;

    /// For the operator: how each event of the session was routed, and why. A JSON object.
    fn why(&self, session: SessionId, seq: Option<Seq>) -> Answer<Bytes>;

    /// For the operator: frees a session from quarantine, tries it, and says what came of it. A JSON object.
    fn release(&self, session: SessionId) -> Answer<Bytes>;

    /// For the operator: all sessions in quarantine, and why. A JSON object.
    fn quarantined(&self) -> Answer<Bytes>;
}
