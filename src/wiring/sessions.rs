//! The coordinator as HTTP sees it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::json;
use tandem_actors::{
    Coordinator, Erasure, IdempotencyKey, ListFilter, PeopleFilter, Refusal, Reply, WithPerson,
    domain::{
        Caller, Code, Command, CreateSession, Query, Rejection,
        command::Rename,
        ids::{InvitationId, Seq, SessionId, UserId},
        private_text::PrivateText,
        time::Timestamp,
    },
    explain::Explanation,
    journal::{CommitError, Journal},
    ports::{BoxFuture, Clock, Store},
    supervisor::Quarantine,
};

use crate::{http::coordinator as http, push};

/// Which sessions a realtime token covers.
#[derive(Clone, Debug)]
pub struct TokenScope {
    /// At most so many, newest change first.
    pub most: usize,
    /// A resolved session is covered for this long.
    pub resolved_for: Duration,
}

pub struct Sessions {
    pub coordinator: Coordinator,
    pub store: Arc<dyn Store>,
    pub journal: Journal,
    pub clock: Arc<dyn Clock>,
    pub scope: TokenScope,
    /// Live sessions that one user may have.
    pub live_per_user: usize,
}

type Answer<T> = BoxFuture<Result<T, Refusal>>;

fn ready<T: Send + 'static>(answer: Result<T, Refusal>) -> Answer<T> {
    Box::pin(std::future::ready(answer))
}

impl http::Coordinator for Sessions {
    fn create(&self, caller: Caller, create: CreateSession, key: Option<IdempotencyKey>) -> Answer<Reply> {
        let coordinator = self.coordinator.clone();
        Box::pin(async move { coordinator.create(caller, create, key).await })
    }

    fn execute(
        &self,
        session: SessionId,
        caller: Caller,
        command: Command,
        key: Option<IdempotencyKey>,
    ) -> Answer<Reply> {
        let coordinator = self.coordinator.clone();
        Box::pin(async move { coordinator.execute(&session, caller, command, key).await })
    }

    fn query(&self, session: SessionId, viewer: UserId, query: Query) -> Answer<Bytes> {
        let coordinator = self.coordinator.clone();
        Box::pin(async move { coordinator.query(&session, &viewer, query).await })
    }

    fn events(&self, session: SessionId, viewer: UserId, after: Seq, limit: usize) -> Answer<Bytes> {
        let coordinator = self.coordinator.clone();
        Box::pin(async move { coordinator.events(&session, &viewer, after, limit).await })
    }

    fn session_of_invitation(&self, invitation: InvitationId) -> Answer<SessionId> {
        ready(self.coordinator.session_of_invitation(&invitation))
    }

    fn invitation(&self, invitation: InvitationId) -> Answer<Bytes> {
        let coordinator = self.coordinator.clone();
        Box::pin(async move { coordinator.invitation(&invitation).await })
    }

    fn acknowledge(&self, invitation: InvitationId, viewer: UserId) -> Answer<Bytes> {
        let coordinator = self.coordinator.clone();
        Box::pin(async move { coordinator.acknowledge(&invitation, &viewer).await })
    }

    fn list(&self, user: UserId, filter: ListFilter) -> Answer<Bytes> {
        let coordinator = self.coordinator.clone();
        Box::pin(async move { coordinator.list(&user, filter).await })
    }

    fn people(&self, user: UserId, filter: PeopleFilter) -> Answer<Bytes> {
        let coordinator = self.coordinator.clone();
        Box::pin(async move { coordinator.people(&user, filter).await })
    }

    fn person(&self, user: UserId, person: UserId) -> Answer<Bytes> {
        let coordinator = self.coordinator.clone();
        Box::pin(async move { coordinator.person(&user, &person).await })
    }

    fn sessions_with(&self, user: UserId, person: UserId, which: WithPerson) -> Answer<Bytes> {
        let coordinator = self.coordinator.clone();
        Box::pin(async move { coordinator.sessions_with(&user, &person, which).await })
    }

    fn set_nickname(&self, user: UserId, relationship: String, nickname: Option<PrivateText>) -> Answer<()> {
        let coordinator = self.coordinator.clone();
        Box::pin(async move { coordinator.set_nickname(&user, &relationship, nickname).await })
    }

    fn badge(&self, user: UserId) -> Answer<Bytes> {
        let coordinator = self.coordinator.clone();
        Box::pin(async move { coordinator.badge(&user).await })
    }

    fn unread_count(&self, user: UserId) -> Answer<u32> {
        ready(self.coordinator.unread_count(&user).map_err(Refusal::from))
    }

    fn active_sessions(&self, user: UserId) -> Answer<Vec<SessionId>> {
        let resolved_for = i64::try_from(self.scope.resolved_for.as_millis()).unwrap_or(i64::MAX);
        let since = Timestamp::from_millis(self.clock.now().as_millis().saturating_sub(resolved_for));
        ready(self.coordinator.active_sessions(&user, since, self.scope.most))
    }

    fn live_sessions(&self, user: UserId) -> Answer<usize> {
        ready(self.coordinator.live_sessions(&user, self.live_per_user).map_err(Refusal::from))
    }

    fn heartbeat(&self, session: SessionId, user: UserId, active: bool) -> Answer<Bytes> {
        let coordinator = self.coordinator.clone();
        Box::pin(async move { coordinator.heartbeat(&session, &user, active).await })
    }

    fn rename(&self, user: UserId, rename: Rename) -> Answer<()> {
        let coordinator = self.coordinator.clone();
        Box::pin(async move { coordinator.rename(Caller::nameless(user), rename).await })
    }

    fn show_activity(&self, user: UserId, shown: bool) -> Answer<()> {
        let coordinator = self.coordinator.clone();
        Box::pin(async move { coordinator.show_activity(Caller::nameless(user), shown).await })
    }

    fn erase(&self, user: UserId) -> Answer<Erasure> {
        let (coordinator, store, journal) = (self.coordinator.clone(), self.store.clone(), self.journal.clone());
        Box::pin(async move {
            let sessions = coordinator.sessions_ever(&user)?;
            let erasure = coordinator.erasure_of(&user)?;
            coordinator.erase(Caller::nameless(user.clone())).await?;
            coordinator.forget_nicknames(&user).await?;
            let later = |error: CommitError| Refusal::unavailable(error.to_string(), Duration::from_secs(1));
            push::explain::forget(&*store, &journal, &user, &sessions).await.map_err(later)?;
            Ok(erasure)
        })
    }

    fn why(&self, session: SessionId, seq: Option<Seq>) -> Answer<Bytes> {
        ready(why(&*self.store, Some(&self.coordinator), &session, seq))
    }

    fn release(&self, session: SessionId) -> Answer<Bytes> {
        let coordinator = self.coordinator.clone();
        Box::pin(async move {
            let outcome = coordinator.try_release(&session).await;
            let quarantine = coordinator.quarantine(&session);
            let released = matches!(outcome, Ok(true)) && quarantine.is_none();
            let problem = outcome.err().map(|refusal| refusal.to_string()).filter(|_| quarantine.is_none());
            let quarantine = quarantine.map(|quarantine| told(&quarantine));
            let answer = json!({ "sessionId": session, "released": released, "quarantine": quarantine,
                "problem": problem });
            Ok(answer.to_string().into())
        })
    }

    fn quarantined(&self) -> Answer<Bytes> {
        let sessions = self.coordinator.quarantined().into_iter();
        let sessions: Vec<_> = sessions
            .map(|(session, quarantine)| {
                let mut told = told(&quarantine);
                told["sessionId"] = json!(session);
                told
            })
            .collect();
        ready(Ok(json!({ "sessions": sessions }).to_string().into()))
    }
}

/// What an operator needs to know of a quarantine.
fn told(quarantine: &Quarantine) -> serde_json::Value {
    json!({ "reason": quarantine.reason(), "cause": quarantine.cause, "advice": quarantine.advice(), "since": quarantine.since })
}

/// Each announced event of a session: how it was told to whom, why, and what became of the pushes. Without a coordinator: for
/// a store that no node has open.
pub fn why(
    store: &dyn Store,
    coordinator: Option<&Coordinator>,
    session: &SessionId,
    seq: Option<Seq>,
) -> Result<Bytes, Refusal> {
    let Explanation { events, unreadable } = tandem_actors::explain::explain(store, session, seq)?;
    let pushes = push::explain(store, session, seq)?;
    let quarantine = coordinator.and_then(|coordinator| coordinator.quarantine(session));
    if events.is_empty() && pushes.is_empty() && unreadable.is_empty() && quarantine.is_none() {
        return Err(Rejection::new(Code::NotFound, "nothing was told of such a session or event").into());
    }
    let quarantine = quarantine.map(|quarantine| told(&quarantine));
    let answer = json!({ "sessionId": session, "quarantine": quarantine, "unreadable": unreadable, "events": events,
        "pushes": pushes });
    Ok(answer.to_string().into())
}
