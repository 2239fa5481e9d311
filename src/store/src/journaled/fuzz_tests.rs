use tandem_actors::{domain::time::Timestamp, ports::Commit};

use super::group::{Encoder, MOST_AROUND, decode, most_bytes, time};

fn encoded(at: Timestamp, group: &[Commit]) -> Vec<u8> {
    let mut record = Vec::new();
    let mut encoder = Encoder::begin(&mut record, at, group.len());
    group.iter().for_each(|commit| encoder.commit(commit.fence.as_ref(), &commit.changes));
    record
}

fn decoded(record: &[u8]) -> Option<Vec<Commit>> {
    let mut group = Vec::new();
    decode(record, |commit| group.push(commit)).ok()?;
    Some(group)
}

/// Decodes any bytes as a group of the journal. A decoded group comes back as it was, and fits into its estimate.
///
/// # Panics
/// If that does not hold.
pub fn group(bytes: &[u8]) {
    let Some(group) = decoded(bytes) else { return };
    let at = time(bytes).unwrap_or_default();
    let written = encoded(at, &group);
    let most: usize = group.iter().map(|commit| MOST_AROUND + most_bytes(&commit.changes)).sum();
    assert!(written.len() <= 1 + 10 + 10 + most);
    assert_eq!(time(&written), Some(at));
    let again = decoded(&written).expect("what is written can be read");
    assert_eq!(format!("{again:?}"), format!("{group:?}"));
    assert_eq!(decoded(&written[..written.len() - 1]).map(|group| group.len()), None, "a group that ends early");
}
