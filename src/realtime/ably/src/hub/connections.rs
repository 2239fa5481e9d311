//! Connections outlive their sockets: a client can resume one for a while. Connections of the main app can be resumed
//! after a restart, too.

use std::{sync::Arc, time::Duration};

use subtle::ConstantTimeEq;

use super::Hub;
use crate::{
    auth::{ClientId, Grant},
    channel::RepeatDetection,
    connection::{ConnectionState, SocketLease},
    outbox::Outbox,
    persist::ConnectionRow,
    protocol::{Action, ErrorInfo, Outbound},
    random::random_id,
    time::Timestamp,
};

/// How long an unused connection is kept. There is nothing to continue, and clients come back at once.
const UNUSED_TTL: Duration = Duration::from_secs(15);

impl Hub {
    pub fn connection(&self, id: &str) -> Option<Arc<ConnectionState>> {
        self.connections.get(id).map(|connection| connection.value().clone())
    }

    pub fn connections(&self) -> Vec<Arc<ConnectionState>> {
        self.connections.iter().map(|connection| connection.value().clone()).collect()
    }

    /// Makes a new connection for a socket.
    pub fn connect(
        &self,
        outbox: &Arc<Outbox>,
        grant: Arc<Grant>,
        client_id: ClientId,
    ) -> (Arc<ConnectionState>, SocketLease, String) {
        let id: Arc<str> = random_id(10).into();
        let connection = Arc::new(ConnectionState::new(
            id.clone(),
            &random_id(16),
            grant.clone(),
            client_id.clone(),
            RepeatDetection::ByConnection,
        ));
        self.connections.insert(id, connection.clone());
        let (lease, key) = self.lease_to(&connection, outbox, grant, client_id);
        (connection, lease, key)
    }

    /// Gives a socket its earlier connection.
    ///
    /// # Errors
    /// 80018 if the key is malformed. 80008 if the connection no longer exists. The caller makes a new connection
    /// then.
    pub fn resume(
        &self,
        key: &str,
        outbox: &Arc<Outbox>,
        grant: &Arc<Grant>,
        client_id: &ClientId,
    ) -> Result<(Arc<ConnectionState>, SocketLease, String), ErrorInfo> {
        let malformed =
            || ErrorInfo::connection_id_invalid("unable to recover connection: the connection key is not valid");
        let expired = || ErrorInfo::connection_expired("unable to recover connection: the connection has expired");
        let (id, secret) = key.split_once('!').ok_or_else(malformed)?;
        if id.len() != 10 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) || secret.is_empty() {
            return Err(malformed());
        }
        let connection = self
            .connection(id)
            .or_else(|| self.restore_connection(id, secret, grant, client_id))
            .ok_or_else(expired)?;
        if !connection.accepts(secret) {
            return Err(expired());
        }
        // A found key is of no use to another client.
        if connection.client_id() != *client_id || connection.grant().key_name != grant.key_name {
            return Err(malformed());
        }
        let (lease, key) = self.lease_to(&connection, outbox, grant.clone(), client_id.clone());
        Ok((connection, lease, key))
    }

    fn lease_to(
        &self,
        connection: &Arc<ConnectionState>,
        outbox: &Arc<Outbox>,
        grant: Arc<Grant>,
        client_id: ClientId,
    ) -> (SocketLease, String) {
        let secret = random_id(16);
        if connection.was_used() {
            self.store_connection(connection, &secret, &grant, &client_id, None);
        }
        let lease = connection.lease_to(outbox.clone(), &secret, grant, client_id);
        (lease, format!("{}!{secret}", connection.id))
    }

    /// Sets new credentials of a connection.
    pub fn regrant(&self, connection: &ConnectionState, grant: Grant, client_id: ClientId) {
        let changed = connection.client_id() != client_id || connection.grant().key_name != grant.key_name;
        let secret = connection.regrant(Arc::new(grant), client_id.clone());
        if changed && connection.was_used() {
            self.store_connection(connection, &secret, &connection.grant(), &client_id, None);
        }
    }

    /// Marks the connection as used: from now on it outlives its socket and a restart.
    pub fn note_used(&self, connection: &ConnectionState) {
        if let Some(secret) = connection.note_used() {
            self.store_connection(connection, &secret, &connection.grant(), &connection.client_id(), None);
        }
    }

    /// Restores a connection from before the restart, if the client has its key and it has not expired.
    fn restore_connection(
        &self,
        id: &str,
        secret: &str,
        grant: &Arc<Grant>,
        client_id: &ClientId,
    ) -> Option<Arc<ConnectionState>> {
        if !self.is_main {
            return None;
        }
        let row = self
            .services
            .rows
            .connection(&self.app, id)
            .inspect_err(|error| tracing::error!(%error, "a connection could not be read"))
            .ok()??;
        let lost_at = row.dropped_at.map_or(self.services.started_at, Timestamp::from_millis);
        let in_time = self.services.now().since(lost_at) <= self.services.config.connection_state_ttl;
        let has_key = bool::from(row.secret.as_bytes().ct_eq(secret.as_bytes()));
        let is_own = row.client_id == ConnectionRow::client_id_of(client_id) && *row.key_name == *grant.key_name;
        if !in_time || !has_key || !is_own {
            return None;
        }
        let connection = Arc::new(ConnectionState::new(
            id.into(),
            &row.secret,
            grant.clone(),
            client_id.clone(),
            RepeatDetection::ByLog,
        ));
        let connection = self.connections.entry(connection.id.clone()).or_insert(connection).value().clone();
        self.restored.give_back(&connection);
        Some(connection)
    }

    fn store_connection(
        &self,
        connection: &ConnectionState,
        secret: &str,
        grant: &Grant,
        client_id: &ClientId,
        dropped_at: Option<i64>,
    ) {
        if self.is_main {
            let row = ConnectionRow {
                secret: secret.to_owned(),
                key_name: grant.key_name.as_ref().to_owned(),
                client_id: ConnectionRow::client_id_of(client_id),
                dropped_at,
            };
            self.services.rows.store_connection(&self.app, &connection.id, &row);
        }
    }

    /// The socket is lost. The members leave after the grace, and the connection ends after its time to live.
    pub fn socket_lost(
        self: &Arc<Self>,
        connection: Arc<ConnectionState>,
        lease: SocketLease,
        grace: Option<Duration>,
    ) {
        if !connection.end_lease(lease) || self.services.is_stopping() {
            return;
        }
        let hub = self.clone();
        let mut ttl = self.services.config.connection_state_ttl;
        if !connection.was_used() {
            ttl = ttl.min(UNUSED_TTL);
            let account = self.accounts.of(&connection.grant(), &connection.client_id());
            if let Some(oldest) = self.accounts.add_unused(account.as_deref(), connection.id.clone()) {
                self.forget_unused(&oldest);
            }
        }
        let grace = grace.unwrap_or(self.services.config.presence_grace).min(ttl);
        let rest = ttl - grace;
        actix_web::rt::spawn(async move {
            tokio::time::sleep(grace).await;
            if !connection.had_no_socket_since(lease) {
                return;
            }
            hub.leave_everywhere(&connection);
            tokio::time::sleep(rest).await;
            if connection.had_no_socket_since(lease) {
                hub.forget(&connection);
            }
        });
    }

    /// Forgets an unused connection without a socket.
    fn forget_unused(&self, id: &str) {
        self.connections.remove_if(id, |_, connection| !connection.was_used() && connection.transport().is_none());
    }

    /// Forgets a connection whose client has closed it, or whose time is over.
    pub fn forget(self: &Arc<Self>, connection: &ConnectionState) {
        // First: a client that sees the members leave must not be able to resume the connection.
        connection.end();
        self.leave_everywhere(connection);
        if !(self.is_main && connection.was_used()) {
            self.connections.remove(&connection.id);
            return;
        }
        // It stays in memory until its row is gone. Otherwise a resume would restore it from the row.
        let (hub, id) = (self.clone(), connection.id.clone());
        self.services.rows.delete_connection(&self.app, &connection.id, move || drop(hub.connections.remove(&id)));
    }

    /// Ends all sockets with an error.
    pub fn disconnect_all(&self, error: &ErrorInfo) {
        for connection in self.connections() {
            if let Some(outbox) = connection.transport() {
                outbox.end(Some(&Outbound { error: Some(error), ..Outbound::new(Action::Disconnected) }));
            }
        }
    }

    /// Deletes the rows of connections that did not come back after the restart. Called after their time to live.
    pub fn delete_absent_connections(&self) {
        match self.services.rows.connections(&self.app) {
            Ok(stored) => {
                let absent = stored.iter().filter(|id| self.connection(id).is_none());
                absent.for_each(|id| self.services.rows.delete_connection(&self.app, id, || ()));
            }
            Err(error) => tracing::error!(%error, "stored connections could not be read"),
        }
    }
}
