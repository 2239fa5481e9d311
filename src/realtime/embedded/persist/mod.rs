//! What outlives a restart: the logs and presence sets of persisted channels, connections that may be resumed, and revocations. Rows of
//! the node's store, written through its journal.
//!
//! Keys of connections: `c <app> 0 <connection>`; of revocations: `v <app> 0 <name>`.

mod entry_row;
mod expiry;
mod handover;
mod logs;
mod members;

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tandem_actors::{
    domain::{
        ids::{SessionId, UserId},
        time::Timestamp,
    },
    journal::{CommitError, Journal},
    keys::{self, Key},
    ports::{Change, Commit, Direction, Store, StoreError},
    records::{self, Membership},
};

use self::expiry::Expiry;
pub use self::{expiry::Step, handover::Handover, logs::Stored};
use super::{
    auth::{ClientId, revocation::Revocation},
    protocol::ErrorInfo,
};

/// A connection that may be resumed after a restart.
#[derive(Clone, Serialize, Deserialize)]
pub struct PeerRow {
    pub secret: String,
    pub key_name: String,
    pub client_id: Option<String>,
    /// When its socket was lost; none while it has one.
    pub dropped_at: Option<i64>,
}

impl PeerRow {
    pub fn client_id_of(client_id: &ClientId) -> Option<String> {
        match client_id {
            ClientId::None => None,
            ClientId::Any => Some("*".to_owned()),
            ClientId::Is(id) => Some(id.as_ref().to_owned()),
        }
    }
}

#[derive(Clone)]
pub struct Rows {
    store: Arc<dyn Store>,
    journal: Journal,
    expiry: Arc<Expiry>,
}

impl Rows {
    pub fn new(store: Arc<dyn Store>, journal: Journal) -> Self {
        Self { store, journal, expiry: Arc::default() }
    }

    pub fn has_room(&self) -> bool {
        self.journal.has_room()
    }

    /// Queues changes; `done` hears when they are durable.
    fn write(&self, changes: Vec<Change>, done: impl FnOnce(Result<(), ErrorInfo>) + Send + 'static) {
        let told = move |result: Result<(), CommitError>| {
            done(result.map_err(|error| {
                match error {
                    // The journal's watch says why.
                    CommitError::Refused => tracing::debug!(%error, "realtime rows were not written"),
                    error => tracing::error!(%error, "realtime rows were not written"),
                }
                ErrorInfo::unavailable("the message could not be stored")
            }));
        };
        self.journal.append(Commit { fence: None, changes }, Box::new(told));
    }

    /// Calls `done` when everything that was queued before is durable.
    pub fn settled(&self, done: impl FnOnce(Result<(), ErrorInfo>) + Send + 'static) {
        self.write(Vec::new(), done);
    }

    pub fn keep_peer(&self, app: &str, connection: &str, row: &PeerRow) {
        self.write(vec![Change::Put(peer_key(app, connection), records::encode(row))], |_| ());
    }

    pub fn forget_peer(&self, app: &str, connection: &str) {
        self.write(vec![Change::Delete(peer_key(app, connection))], |_| ());
    }

    pub fn peer(&self, app: &str, connection: &str) -> Result<Option<PeerRow>, StoreError> {
        self.store.get(&peer_key(app, connection))?.map(|bytes| records::decode(&bytes)).transpose()
    }

    /// The ids of all stored connections.
    pub fn peers(&self, app: &str) -> Result<Vec<String>, StoreError> {
        let prefix = keys::realtime(&[b"c", app.as_bytes(), b"\0"]);
        let id = |key: &Key| String::from_utf8(key.as_bytes()[prefix.as_bytes().len()..].to_vec()).ok();
        Ok(self.scan_all(&prefix)?.iter().filter_map(|(key, _)| id(key)).collect())
    }

    /// Queues a revocation; `done` hears when it is durable. One that replaces an earlier one takes its row.
    pub fn keep_revocation(
        &self,
        app: &str,
        revocation: &Revocation,
        done: impl FnOnce(Result<(), ErrorInfo>) + Send + 'static,
    ) {
        let name = match revocation.is_complete() {
            true => hex(&Sha256::digest(records::encode(&(&revocation.key_name, &revocation.target)))),
            false => super::random_id(12),
        };
        let key = keys::realtime(&[b"v", app.as_bytes(), b"\0", name.as_bytes()]);
        self.write(vec![Change::Put(key, records::encode(revocation))], done);
    }

    pub fn revocations(&self, app: &str) -> Result<Vec<Revocation>, StoreError> {
        let rows = self.scan_all(&keys::realtime(&[b"v", app.as_bytes(), b"\0"]))?;
        rows.iter().map(|(_, bytes)| records::decode(bytes)).collect()
    }

    /// Deletes the revocations that concern no token any more.
    pub fn forget_revocations(&self, app: &str, now: Timestamp) -> Result<(), StoreError> {
        let rows = self.scan_all(&keys::realtime(&[b"v", app.as_bytes(), b"\0"]))?;
        let is_over = |bytes: &[u8]| records::decode::<Revocation>(bytes).is_ok_and(|row| row.is_over(now));
        let over: Vec<Change> =
            rows.into_iter().filter(|(_, bytes)| is_over(bytes)).map(|(key, _)| Change::Delete(key)).collect();
        if !over.is_empty() {
            self.write(over, |_| ());
        }
        Ok(())
    }

    /// A user's part in a session, if there is one.
    pub fn membership(&self, user: &UserId, session: &SessionId) -> Result<Option<Membership>, StoreError> {
        self.store.get(&keys::membership(user, session))?.map(|bytes| records::decode(&bytes)).transpose()
    }

    fn scan_all(&self, prefix: &Key) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let mut all: Vec<(Key, Bytes)> = Vec::new();
        loop {
            let after = all.last().map(|(key, _)| key.clone());
            let page = self.store.scan(prefix, after.as_ref(), Direction::Forward, 512)?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }
}

fn peer_key(app: &str, connection: &str) -> Key {
    keys::realtime(&[b"c", app.as_bytes(), b"\0", connection.as_bytes()])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
