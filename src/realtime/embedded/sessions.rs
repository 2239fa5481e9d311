//! What channels mean to the coordinator: whose events they carry, whose presence they show, and what a partner may do
//! there *now*. A token lists what its user might do when it was issued; sessions begin and end after that.
//!
//! On a channel of a session, for a token that names a user:
//! - a user who has left the session (withdrawn, or erased the account) has no rights, whatever the token lists. Nobody
//!   has rights while a session is removed. After that, its channel is one that nobody publishes on;
//! - a partner of a session that is live, or was resolved lately, has the rights that a new token would list, if the
//!   coordinator signed the token's request: a session that has just begun needs no new token;
//! - all others have the rights that the token lists. So does everybody on all other channels.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tandem_ably::{Application, ChannelBinding, EventRef, PresenceChange, Rights, storage::StorageError};
use tandem_actors::{
    domain::{
        event::is_reserved,
        ids::{SessionId, UserId},
        stage::SessionStatus,
        time::Timestamp,
    },
    keys,
    ports::{self, Clock, PresenceSink, PresenceSource, Store},
    records::{self, Membership},
};

use crate::realtime::{
    channels::ChannelNames,
    token::{ClientPublish, capability},
};

/// What the coordinator's tokens cover.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Whether partners may publish on their session's channel.
    pub client_publish: ClientPublish,
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

/// The coordinator, as the endpoint sees it.
pub(super) struct Sessions {
    pub names: ChannelNames,
    scope: Scope,
    clock: Arc<dyn Clock>,
    store: Arc<dyn Store>,
    sink: OnceLock<Arc<dyn PresenceSink>>,
}

impl Sessions {
    pub fn new(names: ChannelNames, scope: Scope, clock: Arc<dyn Clock>, store: Arc<dyn Store>) -> Self {
        Self { names, scope, clock, store, sink: OnceLock::new() }
    }

    pub fn report_to(&self, sink: Arc<dyn PresenceSink>) {
        if self.sink.set(sink).is_err() {
            tracing::warn!("the presence sink was set a second time; the first one stays");
        }
    }

    /// The session that a channel belongs to.
    fn session_of(&self, channel: &str) -> Option<SessionId> {
        let of_presence = || self.names.parse_presence(channel).map(|(session, _)| session);
        self.names.parse_session(channel).or_else(of_presence)
    }

    fn membership(&self, user: &UserId, session: &SessionId) -> Result<Option<Membership>, StorageError> {
        let row = self.store.get(&keys::membership(user, session)).map_err(StorageError::new)?;
        row.map(|bytes| records::decode(&bytes)).transpose().map_err(StorageError::new)
    }
}

impl Sessions {
    /// The session was removed a moment ago.
    fn is_being_removed(&self, session: &SessionId) -> Result<bool, StorageError> {
        self.store.get(&keys::removed(session)).map(|row| row.is_some()).map_err(StorageError::new)
    }
}

impl Application for Sessions {
    fn now(&self) -> tandem_ably::Timestamp {
        tandem_ably::Timestamp::from_millis(self.clock.now().as_millis())
    }

    fn binding(&self, channel: &str) -> ChannelBinding {
        ChannelBinding {
            stream: self.names.parse_session(channel).map(|session| session.as_str().into()),
            reports_presence: self.names.parse_presence(channel).is_some(),
        }
    }

    fn is_reserved(&self, name: &str) -> bool {
        is_reserved(name)
    }

    fn rights(&self, client_id: &str, channel: &str) -> Result<Rights, StorageError> {
        let user = client_id.parse::<UserId>().ok();
        let Some((user, session)) = user.zip(self.session_of(channel)) else { return Ok(Rights::AsIssued) };
        Ok(match self.membership(&user, &session)? {
            Some(membership) if membership.left => Rights::Ended,
            Some(membership) if self.scope.covers(&membership, self.clock.now()) => {
                Rights::AtLeast(capability(&self.names, &user, [&session], 1, self.scope.client_publish))
            }
            Some(_) => Rights::AsIssued,
            None if self.is_being_removed(&session)? => Rights::Ended,
            None => Rights::AsIssued,
        })
    }

    fn presence_changed(&self, channel: &str, change: PresenceChange<'_>) {
        let Some((session, number)) = self.names.parse_presence(channel) else { return };
        let (Ok(user), Some(sink)) = (change.client_id.parse(), self.sink.get()) else { return };
        let change = ports::PresenceChange {
            user,
            connection: connection_name(change.connection_id, number),
            present: change.present,
            vanished: change.vanished,
            at: Timestamp::from_millis(change.at.as_millis()),
            source: PresenceSource::Embedded,
        };
        sink.presence(&session, change);
    }

    fn delivered(&self, event: &EventRef, client_id: &str) {
        if let (Ok(session), Ok(user), Some(sink)) = (event.stream.parse(), client_id.parse(), self.sink.get()) {
            sink.delivered(&session, &user, event.seq);
        }
    }
}

/// Members of a session's presence channels are told apart by the channel's number.
pub(super) fn connection_name(connection: &str, number: usize) -> String {
    format!("{connection}/{number}")
}
