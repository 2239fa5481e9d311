//! The numbers of the events that compaction has taken out of a session's log, because later events had replaced them.
//! They show that a gap in the log is not a loss. They are read only if there is a gap in the events after the
//! snapshot.
//!
//! There is a row for each block of numbers, so that rows stay short even if the log is long.

use serde::{Deserialize, Serialize};

use crate::{
    domain::ids::{Seq, SessionId},
    ports::{Direction, Store, StoreError},
    rows::{keys, records},
};

/// The length of a block.
const BLOCK: Seq = 4096;

/// The block of an event.
pub(crate) fn block_of(seq: Seq) -> Seq {
    seq / BLOCK
}

/// Ranges of numbers, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gaps(Vec<(Seq, Seq)>);

impl Gaps {
    /// Adds the number of an event.
    pub fn add(&mut self, seq: Seq) {
        let at = self.0.partition_point(|(_, last)| *last < seq);
        if self.0.get(at).is_some_and(|(first, _)| *first <= seq) {
            return;
        }
        let joins_before = at > 0 && self.0[at - 1].1 + 1 == seq;
        let joins_after = self.0.get(at).is_some_and(|(first, _)| seq + 1 == *first);
        match (joins_before, joins_after) {
            (true, true) => self.0[at - 1].1 = self.0.remove(at).1,
            (true, false) => self.0[at - 1].1 = seq,
            (false, true) => self.0[at].0 = seq,
            (false, false) => self.0.insert(at, (seq, seq)),
        }
    }

    /// The first number at or after `seq` that is not in a gap.
    pub fn skip(&self, seq: Seq) -> Seq {
        let from = self.0.partition_point(|(_, last)| *last < seq);
        // A gap over the end of a block is two gaps.
        self.0[from..].iter().fold(seq, |seq, (first, last)| if *first <= seq { seq.max(last + 1) } else { seq })
    }

    /// Appends the gaps of the next block.
    pub fn extend(&mut self, later: Gaps) {
        self.0.extend(later.0);
    }
}

/// All gaps of a session's log.
///
/// # Errors
/// If the store fails, or a row is damaged.
pub(crate) fn read_gaps(store: &dyn Store, session: &SessionId) -> Result<Gaps, StoreError> {
    let rows = store.scan(&keys::compacted_of(session), None, Direction::Forward, usize::MAX)?;
    let mut gaps = Gaps::default();
    for (_, row) in rows {
        gaps.extend(records::decode(&row)?);
    }
    Ok(gaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjacent_gaps_are_merged_and_skipped() {
        let mut gaps = Gaps::default();
        for seq in [7, 3, 5, 4, 4, 9, 3] {
            gaps.add(seq);
        }
        assert_eq!(gaps.0, [(3, 5), (7, 7), (9, 9)]);
        assert_eq!([1, 3, 5, 6, 7, 8, 9].map(|seq| gaps.skip(seq)), [1, 6, 6, 6, 8, 8, 10]);
        gaps.add(8);
        assert_eq!(gaps.0, [(3, 5), (7, 9)]);
        let mut next_block = Gaps::default();
        [10, 11, 13].into_iter().for_each(|seq| next_block.add(seq));
        gaps.extend(next_block);
        assert_eq!([7, 10, 12, 13].map(|seq| gaps.skip(seq)), [12, 12, 12, 14]);
    }
}
