//! The embedded realtime endpoint: [`tandem_ably`] for the sessions of this node, so that a self-hosted node needs no
//! Ably account.

mod rows;
mod sessions;

use std::{net::IpAddr, sync::Arc};

use tandem_ably::{ApiKey, Endpoint, ErrorInfo, InvalidConfig};
use tandem_actors::{
    domain::{
        ids::{SessionId, UserId},
        time::Timestamp,
    },
    journal::Journal,
    ports::{BoxFuture, Clock, PresenceMember, PresenceSink, Publication, Realtime, RealtimeError, Store},
};

pub use self::sessions::Scope;
pub use tandem_ably::{CredentialsOverview, Overview};

use self::{
    rows::JournalRows,
    sessions::{Sessions, connection_name},
};
use super::channels::ChannelNames;

/// The endpoint of this node, shared by all workers.
#[derive(Clone)]
pub struct EmbeddedEndpoint {
    /// The server itself.
    pub endpoint: Arc<Endpoint>,
    sessions: Arc<Sessions>,
}

impl EmbeddedEndpoint {
    /// `keys` are those of the node's app, whose id is the first key's name before the dot.
    ///
    /// # Errors
    /// If a thread cannot start.
    pub fn new(
        config: tandem_ably::Config,
        names: ChannelNames,
        scope: Scope,
        keys: Vec<ApiKey>,
        clock: Arc<dyn Clock>,
        store: Arc<dyn Store>,
        journal: Journal,
    ) -> std::io::Result<Self> {
        let sessions = Arc::new(Sessions::new(names, scope, clock, store.clone()));
        let rows = Arc::new(JournalRows { store, journal });
        Ok(Self { endpoint: Endpoint::new(config, keys, sessions.clone(), rows)?, sessions })
    }

    /// Whether the configuration may be served on this address.
    ///
    /// # Errors
    /// For test apps on anything but a loopback address: everybody could make some.
    pub fn check_listen(config: &tandem_ably::Config, address: IpAddr) -> Result<(), InvalidConfig> {
        if config.sandbox && !address.is_loopback() {
            let problem =
                format!("needs a loopback address to listen on, as 127.0.0.1, but server.listen has {address}");
            return Err(InvalidConfig { setting: "sandbox", problem });
        }
        Ok(())
    }

    /// Sets where presence and deliveries are reported to. Called once, before the first connection.
    pub fn report_to(&self, sink: Arc<dyn PresenceSink>) {
        self.sessions.report_to(sink);
    }

    /// Ends all tokens that a user has, and the connections that hold one. The answer comes when that is durable.
    pub fn end_tokens_of(&self, user: &UserId) -> impl Future<Output = Result<(), ErrorInfo>> + Send + 'static {
        self.endpoint.end_tokens_of(user.as_str())
    }

    /// Deletes the history of these sessions' channels and of a user's own channel.
    pub async fn forget(&self, user: &UserId, sessions: &[SessionId]) -> Result<(), ErrorInfo> {
        let mut channels = self.channels_of(sessions);
        channels.push(self.sessions.names.user(user));
        self.endpoint.forget(user.as_str(), &channels).await
    }

    /// Each channel of these sessions, once.
    fn channels_of(&self, sessions: &[SessionId]) -> Vec<String> {
        let names = &self.sessions.names;
        let of_session = |session| std::iter::once(names.session(session)).chain(names.presence(session));
        let mut channels: Vec<String> = sessions.iter().flat_map(of_session).collect();
        channels.sort();
        channels.dedup();
        channels
    }

    /// Publishes a test message. The coordinator's channels carry events that partners rely on, so they take none.
    ///
    /// # Errors
    /// Why it was not published.
    pub async fn publish_test(&self, channel: &str, name: &str, json: String) -> Result<(), String> {
        if self.sessions.names.is_coordinators(channel) {
            return Err("this channel is the coordinator's".into());
        }
        let id = format!("test:{:016x}", rand::random::<u64>());
        let published = self.endpoint.publish(channel, id, name, json).map_err(|error| error.message.into_owned())?;
        let stored = published.await.unwrap_or_else(|_| Err(ErrorInfo::unavailable("the node is stopping")));
        stored.map_err(|error| error.message.into_owned())
    }

    fn publish_one(&self, publication: Publication) -> Result<tandem_ably::PendingWrite, RealtimeError> {
        let refused = |reason: String| RealtimeError::Refused { reason };
        let Publication { channel, id, name, data, .. } = publication;
        let json = String::from_utf8(data.into()).map_err(|_| refused("the data is not JSON text".into()))?;
        let published = self.endpoint.publish(&self.sessions.names.of(&channel), id, name, json);
        published.map_err(|error| refused(error.message.into_owned()))
    }
}

impl Realtime for EmbeddedEndpoint {
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<Result<(), RealtimeError>> {
        // The messages are published now, in order. The future only waits for the store.
        let outcomes: Vec<_> = batch.into_iter().map(|publication| self.publish_one(publication)).collect();
        Box::pin(async move {
            for outcome in outcomes {
                let stored = outcome?.await;
                stored.unwrap_or_else(|_| Err(ErrorInfo::unavailable("the node is stopping"))).map_err(|error| {
                    RealtimeError::Unavailable { reason: error.message.into_owned(), retry_after: None }
                })?;
            }
            Ok(())
        })
    }

    fn members(&self, session: &SessionId) -> BoxFuture<Result<Vec<PresenceMember>, RealtimeError>> {
        let members = self.members_in_memory(session).unwrap_or_default();
        Box::pin(std::future::ready(Ok(members)))
    }

    fn members_in_memory(&self, session: &SessionId) -> Option<Vec<PresenceMember>> {
        let mut members = Vec::new();
        for (number, name) in self.sessions.names.presence(session).enumerate() {
            self.endpoint.each_member(&name, &mut |member| {
                if let Ok(user) = member.client_id.parse() {
                    let at = Timestamp::from_millis(member.timestamp);
                    members.push(PresenceMember {
                        user,
                        connection: connection_name(&member.connection_id, number),
                        at,
                    });
                }
            });
        }
        Some(members)
    }

    fn rights_ended(&self, session: &SessionId, user: &UserId) {
        self.endpoint.rights_ended(user.as_str(), &self.channels_of(std::slice::from_ref(session)));
    }

    fn forget(&self, session: &SessionId, users: Vec<UserId>) -> BoxFuture<Result<(), RealtimeError>> {
        let (embedded, session) = (self.clone(), session.clone());
        Box::pin(async move {
            for user in users {
                embedded.rights_ended(&session, &user);
            }
            let forgotten = embedded.endpoint.forget_channels(&embedded.channels_of(&[session])).await;
            forgotten
                .map_err(|error| RealtimeError::Unavailable { reason: error.message.into_owned(), retry_after: None })
        })
    }
}
