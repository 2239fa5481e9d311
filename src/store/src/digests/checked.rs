//! The engine's rows, each compared with its digest.

use std::sync::Arc;

use bytes::Bytes;
use tandem_actors::{
    keys::Key,
    ports::{Direction, StoreError},
};

use super::{Digests, Flaws, Part, has_no_digest, ranges::{Digest, FILL, Ranges, hash}};
use crate::{
    journaled::Generation,
    names::record,
    opened::Opened,
    rows::{Bounds, Rows},
    sealed::Seals,
};

/// The kind of row that a session's state depends on.
const EVENTS: u8 = b'e';
/// How far beyond the last event that is there others are looked for.
const FURTHER: u64 = 10_000;
/// Ranges that are read at once.
const MOST: usize = 64;

pub(crate) struct Checked {
    pub engine: Opened,
    pub digests: Digests,
    pub seals: Seals,
    /// A scan with a flaw fails. Otherwise what is wrong is left out and told, unless an event may be among it.
    pub is_strict: bool,
}

impl Checked {
    /// Writes the rows of a generation down as what the engine has from now on.
    pub fn finish(&self, generation: &Generation) -> Result<(), StoreError> {
        self.digests.finish(generation, &self.engine)
    }

    pub fn begin(&self, generation: &Arc<Generation>) {
        self.digests.begin(generation);
    }

    /// Some ranges, their rows, and what is wrong with them.
    fn read(&self, ranges: impl Fn(&Ranges) -> Part) -> Result<(Part, Vec<(Key, Bytes)>, Flaws), StoreError> {
        loop {
            let seen = self.digests.see(&ranges);
            let bounds = Bounds::between(seen.part.from(), seen.part.to.as_ref());
            let rows = self.engine.range(&bounds, Direction::Forward, usize::MAX)?;
            let flaws = seen.compare(&rows);
            if flaws.is_none() || self.digests.moment() == seen.moment {
                return Ok((seen.part, rows, flaws));
            }
        }
    }

    /// All that is wrong, a line each. Returns how many rows there are.
    pub fn look_through(&self, mut tell: impl FnMut(Flaws)) -> Result<u64, StoreError> {
        let (mut at, mut count) = (Some(Key::from_bytes([])), 0);
        while let Some(from) = at {
            let bounds = Bounds::between(&from, None);
            let (part, rows, flaws) = self.read(|ranges| ranges.first(&bounds, MOST))?;
            count += rows.len() as u64;
            if !flaws.is_none() {
                tell(flaws);
            }
            at = part.to;
        }
        Ok(count)
    }

    fn judge(&self, bounds: &Bounds, flaws: Flaws, rows: &mut Vec<(Key, Bytes)>) -> Result<(), StoreError> {
        let mut first = None;
        for key in &flaws.wrong {
            let error = self.seals.told(key, StoreError::outdated(record(key)));
            if bounds.contains(key) {
                first.get_or_insert(error);
            }
        }
        for (start, missing) in &flaws.missing {
            let what = format!("one of {} rows that are gone, at or after {},", missing.len(), record(start));
            let error = self.seals.told(start, StoreError::outdated(what));
            if self.is_strict || is_event_of(&bounds.from, rows, missing) {
                first.get_or_insert(error);
            }
        }
        let is_of_events = bounds.from.first() == Some(&EVENTS);
        if let Some(error) = first.filter(|_| is_of_events || self.is_strict) {
            return Err(error);
        }
        rows.retain(|(key, _)| !flaws.wrong.contains(key));
        Ok(())
    }
}

/// Whether one of the rows that are gone can be among the events that are read from `from` on. Others that share a range
/// with them are not touched.
fn is_event_of(from: &[u8], rows: &[(Key, Bytes)], missing: &[Digest]) -> bool {
    let Some(length) = from.iter().position(|byte| *byte == 0) else { return true };
    let session = &from[..=length];
    let last = rows.iter().filter_map(|(key, _)| key.as_bytes().strip_prefix(session)?.first_chunk::<8>()).next_back();
    let last = last.map_or(0, |seq| u64::from_be_bytes(*seq));
    (1..=last + FURTHER).any(|seq| {
        let key = Key::from_bytes([session, &seq.to_be_bytes()].concat());
        missing.iter().any(|digest| digest.is_of(hash(&key)))
    })
}

impl Rows for Checked {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        loop {
            let (moment, expected, is_written) = {
                let state = self.digests.state.read();
                let is_written = state.writing.as_ref().is_some_and(|writing| writing.rows.contains_key(key));
                (state.moment, state.ranges.get(key), is_written)
            };
            let stored = self.engine.get(key)?;
            let found = stored.as_ref().map(|stored| Digest::of_stored(key, stored));
            if is_written || found == expected || has_no_digest(key) {
                return Ok(stored);
            }
            if self.digests.moment() == moment {
                return Err(self.seals.told(key, StoreError::outdated(record(key))));
            }
        }
    }

    fn range(&self, bounds: &Bounds, direction: Direction, limit: usize) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let (mut left, mut found) = (bounds.clone(), Vec::new());
        let most = (limit / FILL + 1).min(MOST);
        loop {
            let (part, mut rows, flaws) = self.read(|ranges| match direction {
                Direction::Forward => ranges.first(&left, most),
                Direction::Backward => ranges.last(&left, most),
            })?;
            if !flaws.is_none() {
                self.judge(&left, flaws, &mut rows)?;
            }
            rows.retain(|(key, _)| left.contains(key));
            if direction == Direction::Backward {
                rows.reverse();
            }
            found.extend(rows);
            let next = match direction {
                Direction::Forward => part.to.as_ref().map(|to| to.as_bytes().to_vec()),
                Direction::Backward => Some(part.from().as_bytes().to_vec()),
            };
            match (direction, next) {
                (Direction::Forward, Some(next)) if next < left.to => {
                    (left.from, left.beyond_from) = (next, false);
                }
                (Direction::Backward, Some(next)) if next > left.from => left.to = next,
                _ => {
                    found.truncate(limit);
                    return Ok(found);
                }
            }
            if found.len() >= limit {
                found.truncate(limit);
                return Ok(found);
            }
        }
    }

    fn write(&self, changes: &[&tandem_actors::ports::Change]) -> Result<(), StoreError> {
        self.engine.write(changes)
    }

    fn batch_bytes(&self) -> usize {
        self.engine.batch_bytes()
    }

    fn check_identity(&self) -> Result<(), StoreError> {
        self.engine.check_identity()
    }

    fn close(&self) {
        self.engine.close();
    }
}
