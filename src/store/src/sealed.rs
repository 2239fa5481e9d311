//! The engine's rows with their seals: what is read is what was written, or it is damaged and told.

use std::collections::HashSet;

use bytes::Bytes;
use parking_lot::Mutex;
use tandem_actors::{keys::Key, ports::StoreError};

use super::{
    rows::Rows,
    seal::{all_sealed, unseal},
};

/// Damaged rows that are told, each once.
const MOST_TOLD: usize = 10_000;

/// Takes seals off, and tells which are broken.
pub(super) struct Seals {
    /// Every row has a seal: the store began with them.
    all_sealed: bool,
    damaged: Mutex<HashSet<Key>>,
}

impl Seals {
    pub fn of(rows: &dyn Rows) -> Result<Self, StoreError> {
        Ok(Self { all_sealed: rows.get(&all_sealed())?.is_some(), damaged: Mutex::default() })
    }

    /// The value of a row that somebody has asked for.
    pub fn open(&self, key: &Key, stored: Bytes) -> Result<Bytes, StoreError> {
        unseal(key, stored, self.all_sealed).map_err(|error| self.told(key, error))
    }

    /// The value of a row among others; `None` for a damaged one. It is left out, so that it costs what it belongs to
    /// and not what is read with it. An event is never left out: its session would go on from a wrong place.
    pub fn open_among_others(&self, key: &Key, stored: Bytes) -> Result<Option<Bytes>, StoreError> {
        match self.open(key, stored) {
            Ok(value) => Ok(Some(value)),
            Err(error) if key.as_bytes().first() == Some(&b'e') => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Tells the operator, once for each row.
    pub fn told(&self, key: &Key, error: StoreError) -> StoreError {
        let mut damaged = self.damaged.lock();
        if damaged.len() < MOST_TOLD && damaged.insert(key.clone()) {
            metrics::counter!("tandem_store_damaged_rows_total").increment(1);
            tracing::error!(%error, "a stored row cannot be used; the rest is not touched by it");
        }
        error
    }
}
