//! The rows in which a store notes facts about itself.

use rand::Rng;
use tandem_actors::{
    keys::{self, Key},
    ports::{Change, StoreError},
    records,
};

use crate::{
    rows::Rows,
    seal::{Seals, seal, unseal},
};

/// The layout of keys, records and files. Layout 1 has rows without seals, 1 and 2 have no journal, 3 has no digests. A
/// later version of Tandem writes a higher number.
pub(crate) const SCHEMA: u32 = 4;
pub(crate) const WITHOUT_JOURNAL: [u32; 2] = [1, 2];
pub(crate) const WITHOUT_DIGESTS: u32 = 3;

/// The row that names the journal of a store.
pub(crate) fn log_key() -> Key {
    keys::meta("journal")
}

/// The row with the number of the last group whose changes are in the engine.
pub(crate) fn checkpoint_key() -> Key {
    keys::meta("group")
}

/// A number that the store keeps in a row of its own.
pub(crate) fn own_number(rows: &dyn Rows, key: &Key) -> Result<Option<u64>, StoreError> {
    let row = rows.get(key)?.map(|stored| unseal(key, stored, Seals::OnEveryRow)).transpose()?;
    row.map(|row| records::decode::<u64>(&row)).transpose()
}

pub(crate) fn schema_row() -> Change {
    Change::Put(keys::meta("schema"), records::encode(&SCHEMA))
}

/// The row that binds a new journal to an engine's rows.
pub(crate) fn new_log() -> Change {
    seal(&Change::Put(log_key(), records::encode(&rand::rng().random::<u64>())))
}
