//! What credentials allow on a channel *now*. A token lists what its user might do when it was issued; sessions begin and end after that.
//!
//! On a channel of a session, for a token that names a user of the coordinator:
//! - whoever has left the session (withdrawn, or erased the account) has no rights, whatever the token lists;
//! - whoever is a partner of a session that goes on, or was resolved lately, has the rights of a token that would be issued now, if the
//!   coordinator issued this one to them: a session that has just begun needs no new token;
//! - for everybody else, and on all other channels, the token is taken at its word.
//!
//! Keys, and tokens that name no user, are the operator's own and always taken at their word.

use std::{sync::Arc, time::Duration};

use tandem_actors::{
    domain::{
        ids::{SessionId, UserId},
        stage::SessionStatus,
        time::Timestamp,
    },
    records::Membership,
};

use super::{
    super::{
        auth::{Capability, Grant, Operation, Proof},
        protocol::{ErrorInfo, Modes},
    },
    Hub,
};
use crate::realtime::token::capability;

/// What the coordinator's tokens cover.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Whether partners may publish on their session's channel.
    pub client_publish: bool,
    /// A resolved session is covered for this long.
    pub resolved_for: Duration,
}

impl Scope {
    /// Whether a token that is issued now covers the session of this membership.
    fn covers(&self, membership: &Membership, now: Timestamp) -> bool {
        let lately = || membership.resolved_at.is_some_and(|at| now.since(at) <= self.resolved_for);
        membership.status.is_live() || (membership.status == SessionStatus::Resolved && lately())
    }
}

impl Hub {
    /// # Errors
    /// 40160 if the operation is not allowed on the channel, 50000 if the store cannot be read.
    pub fn permit(&self, grant: &Grant, channel: &str, operation: Operation) -> Result<(), ErrorInfo> {
        if self.capability_on(grant, channel)?.is_some_and(|capability| capability.allows(channel, operation)) {
            return Ok(());
        }
        let message = format!("operation not permitted with the provided capability: {}", operation.name());
        Err(ErrorInfo::not_permitted(message))
    }

    /// The channel modes that are allowed.
    ///
    /// # Errors
    /// 50000 if the store cannot be read.
    pub fn modes(&self, grant: &Grant, channel: &str) -> Result<Modes, ErrorInfo> {
        Ok(self.capability_on(grant, channel)?.map_or(Modes::NONE, |capability| capability.modes(channel)))
    }

    /// What counts on this channel; none if the credentials' owner has left.
    fn capability_on(&self, grant: &Grant, channel: &str) -> Result<Option<Arc<Capability>>, ErrorInfo> {
        let as_issued = || Ok(Some(grant.capability.clone()));
        let Some((user, session)) = self.user_of(grant).zip(self.session_of(channel)) else { return as_issued() };
        match self.membership(&user, &session)? {
            Some(membership) if membership.left => Ok(None),
            Some(membership) if grant.of_app && self.services.scope.covers(&membership, self.services.now()) => {
                let text = capability(&self.services.names, &user, [&session], 1, self.services.scope.client_publish);
                let own = Capability::parse(&text)?;
                // No token may do more than its key.
                let own = self.key(&grant.key_name).and_then(|key| key.capability.intersect(&own));
                Ok(Some(own.map_or_else(
                    || grant.capability.clone(),
                    |own| (*grant.capability).clone().united_with(own).into(),
                )))
            }
            Some(_) | None => as_issued(),
        }
    }

    fn membership(&self, user: &UserId, session: &SessionId) -> Result<Option<Membership>, ErrorInfo> {
        self.services.rows.membership(user, session).map_err(|error| {
            tracing::error!(%error, "a membership could not be read");
            ErrorInfo::internal("it cannot be found out what is allowed here; try again")
        })
    }

    /// The user of the coordinator that a token names.
    fn user_of(&self, grant: &Grant) -> Option<UserId> {
        let client_id = grant.client_id.concrete().filter(|_| self.is_main && grant.proof != Proof::Key)?;
        client_id.parse().ok()
    }

    /// The session that a channel belongs to.
    fn session_of(&self, channel: &str) -> Option<SessionId> {
        let names = &self.services.names;
        names.parse_session(channel).or_else(|| names.parse_presence(channel).map(|(session, _)| session))
    }

    /// A user has left a session: what the user's sockets have of it ends, and so does the user's presence there, also that of
    /// connections without a socket.
    pub fn rights_ended(&self, session: &SessionId, user: &UserId) {
        for peer in self.peers.iter().filter(|peer| self.user_of(&peer.grant()).as_ref() == Some(user)) {
            if let Some(outbox) = peer.transport() {
                outbox.note_rights_changed();
            }
        }
        let names = &self.services.names;
        for name in std::iter::once(names.session(session)).chain(names.presence(session)) {
            let Some(channel) = self.known_channel(&name) else { continue };
            let mut connections = Vec::new();
            channel.present(&mut |member| {
                if *member.client_id == *user.as_str() {
                    connections.push(member.connection_id.clone());
                }
            });
            for connection in connections {
                self.leave_as(&channel, &connection, Some(user.as_str()));
            }
        }
    }
}
