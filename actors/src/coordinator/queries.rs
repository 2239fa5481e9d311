//! Queries of members and invited users.

use std::time::Duration;

use bytes::Bytes;

use super::Coordinator;
use crate::{
    domain::{
        Query, Rejection,
        ids::{InvitationId, Seq, SessionId, UserId},
        view,
    },
    messages::{EventsRequest, Reader, Refusal, SessionMessage},
    rows::keys,
    session::reads::to_json,
    stored,
};

impl Coordinator {
    /// Answers a member's query. A session in quarantine answers from its last good state.
    pub async fn query(&self, session: &SessionId, viewer: &UserId, query: Query) -> Result<Bytes, Refusal> {
        self.query_for(Reader::Client, session, viewer, query).await
    }

    /// As [`Self::query`], for this reader.
    pub async fn query_for(
        &self,
        reader: Reader,
        session: &SessionId,
        viewer: &UserId,
        query: Query,
    ) -> Result<Bytes, Refusal> {
        if !self.is_member(session, viewer)? {
            return Err(Rejection::no_such_session().into());
        }
        if self.quarantine(session).is_some() {
            return self.query_stored(session, viewer, query).await;
        }
        match self.ask_member(reader, session, viewer, query).await {
            // It went into quarantine meanwhile.
            Err(Refusal::Unavailable { .. }) if self.quarantine(session).is_some() => {
                self.query_stored(session, viewer, query).await
            }
            answer => answer,
        }
    }

    pub(crate) async fn ask_member(
        &self,
        reader: Reader,
        session: &SessionId,
        viewer: &UserId,
        query: Query,
    ) -> Result<Bytes, Refusal> {
        self.ask(session, |reply| SessionMessage::Query { viewer: Some(viewer.clone()), query, reader, reply }).await
    }

    /// The public view of an invitation, for every holder of its id, also while its session cannot answer.
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
        let reader = Reader::Client;
        match self.ask(session, |reply| SessionMessage::Query { viewer: viewer.cloned(), query, reader, reply }).await {
            Err(Refusal::Unavailable { .. }) => {
                let known = self.read_for_members(session).await?;
                let known = known.ok_or_else(|| Refusal::from(Rejection::no_such_invitation()))?;
                to_json(&view::query(&known.session, viewer, &query, self.deps.clock.now(), &self.deps.domain)?)
            }
            answer => answer,
        }
    }

    /// The view of an invitation for a signed-in user who has followed its link.
    pub async fn acknowledge(&self, invitation: &InvitationId, viewer: &UserId) -> Result<Bytes, Refusal> {
        let session = self.session_of_invitation(invitation)?;
        self.ask_about_invitation(&session, Some(viewer), Query::AcknowledgedInvitation).await
    }

    /// The session that an invitation leads to.
    pub fn session_of_invitation(&self, invitation: &InvitationId) -> Result<SessionId, Refusal> {
        let row = self.store().get(&keys::invitation(invitation))?;
        let id = row.as_deref().and_then(|row| std::str::from_utf8(row).ok()).and_then(|id| id.parse().ok());
        id.ok_or_else(|| Rejection::no_such_invitation().into())
    }

    /// A page of the announced events after `after`, at most `limit`.
    pub async fn events(
        &self,
        session: &SessionId,
        viewer: &UserId,
        after: Seq,
        limit: usize,
    ) -> Result<Bytes, Refusal> {
        self.events_for(Reader::Client, session, viewer, after, limit).await
    }

    /// As [`Self::events`], for this reader.
    pub async fn events_for(
        &self,
        reader: Reader,
        session: &SessionId,
        viewer: &UserId,
        after: Seq,
        limit: usize,
    ) -> Result<Bytes, Refusal> {
        if !self.is_member(session, viewer)? {
            return Err(Rejection::no_such_session().into());
        }
        if self.quarantine(session).is_some() {
            let (session, viewer) = (session.clone(), viewer.clone());
            return self.read(move |node| node.stored_events(&session, &viewer, after, limit)).await;
        }
        let viewer = viewer.clone();
        self.ask(session, |reply| SessionMessage::Events(EventsRequest { viewer, after, limit, reader, reply })).await
    }

    fn stored_events(&self, session: &SessionId, viewer: &UserId, after: Seq, limit: usize) -> Result<Bytes, Refusal> {
        let known = self.state_for_members(session)?.ok_or_else(|| self.unavailable(session))?;
        to_json(&stored::events_page(self.store(), &known.session, viewer, &known.erased, after, limit)?)
    }

    /// The refusal for a session of which nothing can be shown.
    pub(crate) fn unavailable(&self, session: &SessionId) -> Refusal {
        match self.quarantine(session) {
            Some(quarantine) => quarantine.refusal(),
            None => Refusal::unavailable("the session cannot be read", Duration::from_secs(30)),
        }
    }

    /// Reports that a client without a realtime connection is active or has left.
    pub async fn heartbeat(&self, session: &SessionId, user: &UserId, active: bool) -> Result<Bytes, Refusal> {
        if !self.is_member(session, user)? {
            return Err(Rejection::no_such_session().into());
        }
        self.ask(session, |reply| SessionMessage::Heartbeat { user: user.clone(), active, reply }).await
    }
}
