//! Checks the seals of the engine's rows: a row that is read is as it was written, or it is reported as damaged.

use std::collections::HashSet;

use bytes::Bytes;
use parking_lot::Mutex;
use tandem_actors::{keys::Key, ports::StoreError};

use super::{
    rows::Rows,
    seal::{Sealing, all_sealed},
};

/// The largest number of damaged rows that are logged, each once.
const MOST_TOLD: usize = 10_000;

/// Removes seals, and reports the broken ones.
pub(super) struct Seals {
    /// Every row has a seal: the store began with them.
    all_sealed: bool,
    sealing: Sealing,
    damaged: Mutex<HashSet<Key>>,
}

impl Seals {
    pub fn of(rows: &dyn Rows) -> Result<Self, StoreError> {
        Ok(Self { all_sealed: rows.get(&all_sealed())?.is_some(), sealing: rows.sealing(), damaged: Mutex::default() })
    }

    /// Whether every row has a seal.
    pub fn all(&self) -> bool {
        self.all_sealed
    }

    /// The value of a row that was requested by its key.
    pub fn open(&self, key: &Key, stored: Bytes) -> Result<Bytes, StoreError> {
        self.sealing.unseal(key, stored, self.all_sealed).map_err(|error| self.told(key, error))
    }

    /// The value of a row in a scan. `None` for a damaged row, which is left out, so that it does not affect the other
    /// rows. A damaged event is an error, because its session would continue from a wrong state.
    pub fn open_among_others(&self, key: &Key, stored: Bytes) -> Result<Option<Bytes>, StoreError> {
        match self.open(key, stored) {
            Ok(value) => Ok(Some(value)),
            Err(error) if key.as_bytes().first() == Some(&b'e') => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Logs the damage, once for each row.
    pub fn told(&self, key: &Key, error: StoreError) -> StoreError {
        let mut damaged = self.damaged.lock();
        if damaged.len() < MOST_TOLD && damaged.insert(key.clone()) {
            metrics::counter!("tandem_store_damaged_rows_total").increment(1);
            tracing::error!(%error, "a stored row cannot be read; all other rows are unaffected");
        }
        error
    }
}
