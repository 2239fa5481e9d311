//! Connections outlive their sockets: a lost one can be resumed for a while, those of the coordinator's app also after a restart.

use std::{sync::Arc, time::Duration};

use crate::time::Timestamp;
use subtle::ConstantTimeEq;

use super::Hub;
use crate::{
    auth::{ClientId, Grant},
    channel::Repeats,
    outbox::Outbox,
    peer::{Peer, Tenure},
    persist::PeerRow,
    protocol::{Action, ErrorInfo, Outbound},
    random_id,
};

/// How long a connection is kept that has nothing to continue: clients come back at once.
const UNUSED_TTL: Duration = Duration::from_secs(15);

impl Hub {
    pub fn peer(&self, id: &str) -> Option<Arc<Peer>> {
        self.peers.get(id).map(|peer| peer.value().clone())
    }

    pub fn peers(&self) -> Vec<Arc<Peer>> {
        self.peers.iter().map(|peer| peer.value().clone()).collect()
    }

    /// Gives a socket a new connection.
    pub fn connect(&self, outbox: &Arc<Outbox>, grant: Arc<Grant>, client_id: ClientId) -> (Arc<Peer>, Tenure, String) {
        let id: Arc<str> = random_id(10).into();
        let peer = Arc::new(Peer::new(id.clone(), &random_id(16), grant.clone(), client_id.clone(), Repeats::Known));
        self.peers.insert(id, peer.clone());
        let (tenure, key) = self.occupy(&peer, outbox, grant, client_id);
        (peer, tenure, key)
    }

    /// Gives a socket the connection that it had.
    ///
    /// # Errors
    /// 80018 if the key makes no sense, 80008 if there is nothing left to resume. A new connection is due then.
    pub fn resume(
        &self,
        key: &str,
        outbox: &Arc<Outbox>,
        grant: &Arc<Grant>,
        client_id: &ClientId,
    ) -> Result<(Arc<Peer>, Tenure, String), ErrorInfo> {
        let malformed =
            || ErrorInfo::connection_id_invalid("unable to recover connection: the connection key is not valid");
        let expired = || ErrorInfo::connection_expired("unable to recover connection: the connection has expired");
        let (id, secret) = key.split_once('!').ok_or_else(malformed)?;
        if id.len() != 10 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) || secret.is_empty() {
            return Err(malformed());
        }
        let peer = self.peer(id).or_else(|| self.adopt(id, secret, grant, client_id)).ok_or_else(expired)?;
        if !peer.accepts(secret) {
            return Err(expired());
        }
        // Whoever found the key of a connection has no use for it.
        if peer.client_id() != *client_id || peer.grant().key_name != grant.key_name {
            return Err(malformed());
        }
        let (tenure, key) = self.occupy(&peer, outbox, grant.clone(), client_id.clone());
        Ok((peer, tenure, key))
    }

    fn occupy(
        &self,
        peer: &Arc<Peer>,
        outbox: &Arc<Outbox>,
        grant: Arc<Grant>,
        client_id: ClientId,
    ) -> (Tenure, String) {
        let secret = random_id(16);
        if peer.was_used() {
            self.keep_peer(peer, &secret, &grant, &client_id, None);
        }
        let tenure = peer.occupy(outbox.clone(), &secret, grant, client_id);
        (tenure, format!("{}!{secret}", peer.id))
    }

    /// The connection has new credentials.
    pub fn regrant(&self, peer: &Peer, grant: Grant, client_id: ClientId) {
        let changed = peer.client_id() != client_id || peer.grant().key_name != grant.key_name;
        let secret = peer.regrant(Arc::new(grant), client_id.clone());
        if changed && peer.was_used() {
            self.keep_peer(peer, &secret, &peer.grant(), &client_id, None);
        }
    }

    /// There is something to continue: from here on the connection outlives its socket, and a restart.
    pub fn note_used(&self, peer: &Peer) {
        if let Some(secret) = peer.note_used() {
            self.keep_peer(peer, &secret, &peer.grant(), &peer.client_id(), None);
        }
    }

    /// A connection of before the restart, for whoever has its key, as long as it would not have expired.
    fn adopt(&self, id: &str, secret: &str, grant: &Arc<Grant>, client_id: &ClientId) -> Option<Arc<Peer>> {
        if !self.is_main {
            return None;
        }
        let row = self
            .services
            .rows
            .peer(&self.app, id)
            .inspect_err(|error| tracing::error!(%error, "a connection could not be read"))
            .ok()??;
        let lost_at = row.dropped_at.map_or(self.services.started_at, Timestamp::from_millis);
        let in_time = self.services.now().since(lost_at) <= self.services.config.connection_state_ttl;
        let has_key = bool::from(row.secret.as_bytes().ct_eq(secret.as_bytes()));
        let is_own = row.client_id == PeerRow::client_id_of(client_id) && *row.key_name == *grant.key_name;
        if !in_time || !has_key || !is_own {
            return None;
        }
        let peer = Arc::new(Peer::new(id.into(), &row.secret, grant.clone(), client_id.clone(), Repeats::MayBeStored));
        let peer = self.peers.entry(peer.id.clone()).or_insert(peer).value().clone();
        self.restored.give_back(&peer);
        Some(peer)
    }

    fn keep_peer(&self, peer: &Peer, secret: &str, grant: &Grant, client_id: &ClientId, dropped_at: Option<i64>) {
        if self.is_main {
            let row = PeerRow {
                secret: secret.to_owned(),
                key_name: grant.key_name.as_ref().to_owned(),
                client_id: PeerRow::client_id_of(client_id),
                dropped_at,
            };
            self.services.rows.keep_peer(&self.app, &peer.id, &row);
        }
    }

    /// The socket is lost: members leave after the grace, the connection is forgotten after its time.
    pub fn dropped(self: &Arc<Self>, peer: Arc<Peer>, tenure: Tenure, grace: Option<Duration>) {
        if !peer.vacate(tenure) || self.services.is_stopping() {
            return;
        }
        let hub = self.clone();
        let mut ttl = self.services.config.connection_state_ttl;
        if !peer.was_used() {
            ttl = ttl.min(UNUSED_TTL);
            let account = self.accounts.of(&peer.grant(), &peer.client_id());
            if let Some(oldest) = self.accounts.linger(account.as_deref(), peer.id.clone()) {
                self.forget_unused(&oldest);
            }
        }
        let grace = grace.unwrap_or(self.services.config.presence_grace).min(ttl);
        let rest = ttl - grace;
        actix_web::rt::spawn(async move {
            tokio::time::sleep(grace).await;
            if !peer.is_vacant_since(tenure) {
                return;
            }
            hub.leave_everywhere(&peer);
            tokio::time::sleep(rest).await;
            if peer.is_vacant_since(tenure) {
                hub.forget(&peer);
            }
        });
    }

    /// Forgets a connection without a socket and without anything to continue.
    fn forget_unused(&self, id: &str) {
        self.peers.remove_if(id, |_, peer| !peer.was_used() && peer.transport().is_none());
    }

    /// The client said goodbye, or its time is over.
    pub fn forget(&self, peer: &Peer) {
        self.leave_everywhere(peer);
        self.peers.remove(&peer.id);
        if self.is_main && peer.was_used() {
            self.services.rows.forget_peer(&self.app, &peer.id);
        }
    }

    /// Ends every connection's socket with an error.
    pub fn disconnect_all(&self, error: &ErrorInfo) {
        for peer in self.peers() {
            if let Some(outbox) = peer.transport() {
                outbox.end(Some(&Outbound { error: Some(error), ..Outbound::new(Action::Disconnected) }));
            }
        }
    }

    /// Deletes the rows of connections that did not come back after the restart. Called once their time is over.
    pub fn forget_absent(&self) {
        match self.services.rows.peers(&self.app) {
            Ok(stored) => {
                let absent = stored.iter().filter(|id| self.peer(id).is_none());
                absent.for_each(|id| self.services.rows.forget_peer(&self.app, id));
            }
            Err(error) => tracing::error!(%error, "stored connections could not be read"),
        }
    }
}
