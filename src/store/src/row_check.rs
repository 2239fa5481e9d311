//! Checks each row that is read from the engine: it is as it was written, or it is reported as damaged.

use std::collections::HashSet;

use bytes::Bytes;
use parking_lot::Mutex;
use tandem_actors::{keys::Key, ports::StoreError};

use super::{
    rows::Rows,
    seal::{RowCoding, Seals, all_sealed},
};

/// The largest number of damaged rows that are logged, each once.
const MOST_TOLD: usize = 10_000;

/// Decodes rows, and reports the damaged ones.
pub(super) struct RowCheck {
    seals: Seals,
    coding: RowCoding,
    damaged: Mutex<HashSet<Key>>,
}

/// Which rows of the store have a seal, as the store's own row says.
pub(super) fn seals_of(rows: &dyn Rows) -> Result<Seals, StoreError> {
    Ok(Seals::if_all(rows.get(&all_sealed())?.is_some()))
}

impl RowCheck {
    pub fn of(rows: &dyn Rows) -> Result<Self, StoreError> {
        Ok(Self { seals: seals_of(rows)?, coding: rows.row_coding(), damaged: Mutex::default() })
    }

    /// Which rows have a seal.
    pub fn seals(&self) -> Seals {
        self.seals
    }

    /// The value of a row that was requested by its key.
    pub fn value(&self, key: &Key, stored: Bytes) -> Result<Bytes, StoreError> {
        self.coding.decode(key, stored, self.seals).map_err(|error| self.log_damage(key, error))
    }

    /// The value of a row in a scan. `None` for a damaged row, which is left out, so that it does not affect the other
    /// rows. A damaged event is an error, because its session would continue from a wrong state.
    pub fn value_in_scan(&self, key: &Key, stored: Bytes) -> Result<Option<Bytes>, StoreError> {
        match self.value(key, stored) {
            Ok(value) => Ok(Some(value)),
            Err(error) if key.as_bytes().first() == Some(&b'e') => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Logs the damage, once for each row.
    pub fn log_damage(&self, key: &Key, error: StoreError) -> StoreError {
        let mut damaged = self.damaged.lock();
        if damaged.len() < MOST_TOLD && damaged.insert(key.clone()) {
            metrics::counter!("tandem_store_damaged_rows_total").increment(1);
            tracing::error!(%error, "a stored row cannot be read; all other rows are unaffected");
        }
        error
    }
}
