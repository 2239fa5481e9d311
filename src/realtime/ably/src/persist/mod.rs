//! The rows that survive a restart: logs and presence sets of persisted channels, connections that can be resumed,
//! and revocations.
//!
//! Keys of connections: `c <app> 0 <connection>`; of revocations: `v <app> 0 <name>`.

mod callbacks;
mod entry_row;
mod expiry;
mod handover;
mod logs;
mod members;

use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use self::{callbacks::Callbacks, expiry::Expiry};
pub use self::{expiry::Step, handover::Handover, logs::StoredEntry};
use crate::{
    auth::{ClientId, revocation::Revocation},
    protocol::ErrorInfo,
    storage::{Change, Direction, RowKey, Storage, StorageError},
    time::Timestamp,
};

/// A connection that can be resumed after a restart.
#[derive(Clone, Serialize, Deserialize)]
pub struct ConnectionRow {
    pub secret: String,
    pub key_name: String,
    pub client_id: Option<String>,
    /// When it lost its socket. None while it has one.
    pub dropped_at: Option<i64>,
}

impl ConnectionRow {
    pub fn client_id_of(client_id: &ClientId) -> Option<String> {
        match client_id {
            ClientId::None => None,
            ClientId::Any => Some("*".to_owned()),
            ClientId::Is(id) => Some(id.as_ref().to_owned()),
        }
    }
}

#[derive(Clone)]
pub struct PersistentRows {
    storage: Arc<dyn Storage>,
    expiry: Arc<Expiry>,
    callbacks: Callbacks,
}

impl PersistentRows {
    /// # Errors
    /// If the thread that calls back cannot start.
    pub fn new(storage: Arc<dyn Storage>) -> std::io::Result<Self> {
        Ok(Self { storage, expiry: Arc::default(), callbacks: Callbacks::start()? })
    }

    pub fn has_room(&self) -> bool {
        self.storage.has_room()
    }

    /// Queues changes. `done` hears when they are durable.
    fn write(&self, changes: Vec<Change>, done: impl FnOnce(Result<(), ErrorInfo>) + Send + 'static) {
        let told = |result: Result<(), StorageError>| {
            done(result.map_err(|_| not_stored()));
        };
        self.storage.write(changes, self.callbacks.defer(Box::new(told)));
    }

    /// Calls `done` when all earlier changes are durable.
    pub fn settled(&self, done: impl FnOnce(Result<(), ErrorInfo>) + Send + 'static) {
        self.write(Vec::new(), done);
    }

    pub fn store_connection(&self, app: &str, connection_id: &str, row: &ConnectionRow) {
        self.write(vec![Change::Put(connection_key(app, connection_id), encode(row))], |_| ());
    }

    /// Queues the deletion. `done` hears when it is durable, or failed.
    pub fn delete_connection(&self, app: &str, connection_id: &str, done: impl FnOnce() + Send + 'static) {
        self.write(vec![Change::Delete(connection_key(app, connection_id))], |_| done());
    }

    pub fn connection(&self, app: &str, connection_id: &str) -> Result<Option<ConnectionRow>, StorageError> {
        self.storage.get(&connection_key(app, connection_id))?.map(|bytes| decode(&bytes)).transpose()
    }

    /// The ids of all stored connections.
    pub fn connections(&self, app: &str) -> Result<Vec<String>, StorageError> {
        let prefix = row_key(&[b"c", app.as_bytes(), b"\0"]);
        let id = |key: &[u8]| String::from_utf8(key[prefix.len()..].to_vec()).ok();
        Ok(self.scan_all(&prefix)?.iter().filter_map(|(key, _)| id(key)).collect())
    }

    /// Queues a revocation. `done` hears when it is durable. A revocation that replaces an earlier one has the same
    /// key.
    pub fn keep_revocation(
        &self,
        app: &str,
        revocation: &Revocation,
        done: impl FnOnce(Result<(), ErrorInfo>) + Send + 'static,
    ) {
        let name = match revocation.applies_at_once() {
            true => HEXLOWER.encode(&Sha256::digest(encode(&(&revocation.key_name, &revocation.target)))),
            false => crate::random::random_id(12),
        };
        let key = row_key(&[b"v", app.as_bytes(), b"\0", name.as_bytes()]);
        self.write(vec![Change::Put(key, encode(revocation))], done);
    }

    pub fn revocations(&self, app: &str) -> Result<Vec<Revocation>, StorageError> {
        let rows = self.scan_all(&row_key(&[b"v", app.as_bytes(), b"\0"]))?;
        rows.iter().map(|(_, bytes)| decode(bytes)).collect()
    }

    /// Deletes revocations whose tokens have all expired.
    pub fn forget_revocations(&self, app: &str, now: Timestamp) -> Result<(), StorageError> {
        let rows = self.scan_all(&row_key(&[b"v", app.as_bytes(), b"\0"]))?;
        let is_over = |bytes: &[u8]| decode::<Revocation>(bytes).is_ok_and(|row| row.is_over(now));
        let over: Vec<Change> =
            rows.into_iter().filter(|(_, bytes)| is_over(bytes)).map(|(key, _)| Change::Delete(key)).collect();
        if !over.is_empty() {
            self.write(over, |_| ());
        }
        Ok(())
    }

    fn scan_all(&self, prefix: &[u8]) -> Result<Vec<(RowKey, Bytes)>, StorageError> {
        let mut all: Vec<(RowKey, Bytes)> = Vec::new();
        loop {
            let after = all.last().map(|(key, _)| key.clone());
            let page = self.storage.scan(prefix, after.as_deref(), Direction::Forward, 512)?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }
}

pub fn not_stored() -> ErrorInfo {
    ErrorInfo::unavailable("the message could not be stored")
}

fn row_key(parts: &[&[u8]]) -> RowKey {
    parts.concat()
}

fn encode<T: Serialize>(row: &T) -> Bytes {
    rmp_serde::to_vec_named(row).expect("rows hold only what MessagePack can").into()
}

/// The error omits the library's text, which may quote private data.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StorageError> {
    rmp_serde::from_slice(bytes).map_err(|_| StorageError::new("a stored row cannot be read: it has another form"))
}

fn connection_key(app: &str, connection_id: &str) -> RowKey {
    row_key(&[b"c", app.as_bytes(), b"\0", connection_id.as_bytes()])
}
