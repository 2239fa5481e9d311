//! What the fuzz targets (`tests/fuzz`) do with stored rows. The tests do it with the corpus.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    domain::Session,
    idempotency::StoredAnswer,
    records::{AccountWork, EventRow, Membership, PushJob, SNAPSHOT_VERSION, Snapshot, decode, encode},
};

fn comes_back<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let read: T = decode(bytes).ok()?;
    let written = encode(&read);
    let again: T = decode(&written).expect("what is written can be read");
    assert_eq!(encode(&again), written);
    Some(read)
}

/// Reads any bytes as each kind of row. A row that can be read comes back as it was, and a session can be written as a
/// snapshot.
///
/// # Panics
/// If that does not hold.
pub fn record(bytes: &[u8]) {
    if let Some(row) = comes_back::<EventRow>(bytes) {
        let _ = Session::start(&row.event).map(|session| encode(&Snapshot { v: SNAPSHOT_VERSION, session }));
    }
    comes_back::<Snapshot<Session>>(bytes);
    comes_back::<StoredAnswer>(bytes);
    comes_back::<Membership>(bytes);
    comes_back::<AccountWork>(bytes);
    comes_back::<PushJob>(bytes);
}

#[cfg(test)]
mod tests {
    use tandem_corpus::replay;

    #[test]
    fn the_corpus_of_records_passes() {
        replay("record", super::record);
    }
}
