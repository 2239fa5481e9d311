//! Divides ranges that have become long, and ranges that are about to become long.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

use tandem_actors::{
    keys::Key,
    ports::{Direction, StoreError},
};

use super::{
    Digests, TURN, has_no_digest,
    ranges::{Digest, DividedRange, FILL, FULL, Part, hash},
};
use crate::{
    recent::Generation,
    rows::{Bounds, Rows},
};

impl Digests {
    /// Divides the ranges that become long with the rows of a generation, before they are in the engine.
    pub(super) fn predivide(
        &self,
        generation: &Generation,
        engine: &dyn Rows,
        take_break: &dyn Fn(Duration),
    ) -> Result<(), StoreError> {
        let (mut began, mut done) = (Instant::now(), 0);
        let mut rows = generation.rows.iter().filter(|(key, _)| !has_no_digest(key)).peekable();
        while let Some((first, _)) = rows.peek() {
            let part = self.state.read().ranges.first(&Bounds::between(first, None), 1);
            let mut here = Vec::new();
            while let Some(row) = rows.next_if(|(key, _)| part.to.as_ref().is_none_or(|to| *key < to)) {
                here.push(row);
            }
            done += here.len();
            self.predivide_range(part, &here, engine)?;
            if done >= TURN {
                take_break(began.elapsed());
                (began, done) = (Instant::now(), 0);
            }
        }
        Ok(())
    }

    fn predivide_range(
        &self,
        part: Part,
        here: &[(&Key, &Option<bytes::Bytes>)],
        engine: &dyn Rows,
    ) -> Result<(), StoreError> {
        let [(start, digests)] = &part.ranges[..] else { return Ok(()) };
        if digests.len() + here.len() <= FULL {
            return Ok(());
        }
        let known: HashSet<u64> = digests.iter().map(|digest| digest.hash()).collect();
        let added = here.iter().filter(|(key, row)| row.is_some() && !known.contains(&hash(key))).count();
        if digests.len() + added <= FULL {
            return Ok(());
        }
        let mut keys = BTreeSet::new();
        if !digests.is_empty() {
            keys.extend(stored_keys(start, part.to.as_ref(), engine)?);
        }
        keys.extend(here.iter().map(|(key, _)| (*key).clone()));
        if let Some(divided) = divide_range(start.clone(), digests, &keys.into_iter().collect::<Vec<_>>()) {
            let mut state = self.state.write();
            state.ranges.divide(&divided);
            state.predivided.push((divided.start, part.to));
            state.moment += 1;
        }
        Ok(())
    }

    /// The ranges that were divided in advance, as the file lacks them.
    pub(super) fn predivided(&self) -> Vec<DividedRange> {
        let state = self.state.read();
        let into = |start: &Key, to: &Option<Key>| state.ranges.first(&Bounds::between(start, to.as_ref()), usize::MAX);
        let divided = state.predivided.iter().map(|(start, to)| (start, into(start, to)));
        divided.map(|(start, part)| DividedRange { start: start.clone(), into: part.ranges }).collect()
    }

    /// Divides ranges with many rows, and merges empty ranges into the one before.
    pub(super) fn divide(&self, starts: Vec<Key>, engine: &dyn Rows) -> Result<Vec<DividedRange>, StoreError> {
        let mut divided = Vec::new();
        for start in starts {
            let part = self.state.read().ranges.first(&Bounds::between(&start, None), 1);
            let [(_, digests)] = &part.ranges[..] else { continue };
            if digests.len() > FULL {
                let keys = stored_keys(&start, part.to.as_ref(), engine)?;
                divided.extend(divide_range(start, digests, &keys));
            } else if digests.is_empty() && !start.as_bytes().is_empty() {
                divided.push(DividedRange { start, into: Vec::new() });
            }
        }
        Ok(divided)
    }
}

/// The keys that the engine has in a range.
fn stored_keys(start: &Key, to: Option<&Key>, engine: &dyn Rows) -> Result<Vec<Key>, StoreError> {
    let rows = engine.range(&Bounds::between(start, to), Direction::Forward, usize::MAX)?;
    engine.settle()?;
    Ok(rows.into_iter().map(|(key, _)| key).filter(|key| !has_no_digest(key)).collect())
}

/// Divides the digests of a range by the keys of its rows, also of those that it does not have yet. A digest without a
/// row belongs to a missing row, whose key is unknown. Each new range gets that digest, so that the row counts as
/// missing in all of them.
fn divide_range(start: Key, digests: &[Digest], keys: &[Key]) -> Option<DividedRange> {
    if keys.len() <= FULL {
        return None;
    }
    let mut left: HashMap<u64, Digest> = digests.iter().map(|digest| (digest.hash(), *digest)).collect();
    let mut of = |keys: &[Key]| keys.iter().filter_map(|key| left.remove(&hash(key))).collect::<Vec<_>>();
    let mut into: Vec<_> = keys.chunks(FILL).map(|keys| (keys[0].clone(), of(keys))).collect();
    into[0].0 = start.clone();
    into.iter_mut().for_each(|(_, digests)| digests.extend(left.values()));
    Some(DividedRange { start, into })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path, sync::Arc};

    use bytes::Bytes;
    use parking_lot::Mutex;
    use tandem_actors::ports::Change;

    use super::{
        super::{LoadedDigests, load, loaded, write},
        *,
    };
    use crate::{disk::RealDisk, recent::Recent, seal::RowCoding};

    fn key(number: usize) -> Key {
        Key::from_bytes(format!("x{number:04}"))
    }

    /// An engine in memory, which outlives the digests.
    #[derive(Clone, Default)]
    struct MemoryRows(Arc<Mutex<BTreeMap<Key, Bytes>>>);

    impl Rows for MemoryRows {
        fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
            Ok(self.0.lock().get(key).cloned())
        }

        fn range(&self, bounds: &Bounds, direction: Direction, limit: usize) -> Result<Vec<(Key, Bytes)>, StoreError> {
            let rows = self.0.lock();
            let within =
                rows.iter().filter(|(key, _)| bounds.contains(key)).map(|(key, row)| (key.clone(), row.clone()));
            assert_eq!(direction, Direction::Forward);
            Ok(within.take(limit).collect())
        }

        fn write(&self, changes: &[&Change]) -> Result<(), StoreError> {
            for change in changes {
                match RowCoding::default().encode(change) {
                    Change::Put(key, row) => self.0.lock().insert(key, row),
                    Change::Delete(key) => self.0.lock().remove(&key),
                };
            }
            Ok(())
        }
    }

    fn generation(group: u64, changes: &[Change]) -> Arc<Generation> {
        let recent = Recent::default();
        recent.take(group, 0, changes.iter(), |_| false);
        recent.freeze().expect("there are rows")
    }

    fn digests(directory: &Path, writing: Option<Arc<Generation>>) -> Digests {
        let loaded = loaded(load(directory)).expect("the file is read");
        Digests::new(loaded, writing, Arc::new(RealDisk), RowCoding::default())
    }

    /// The most rows that a scan of one row reads, and all flaws of all rows.
    fn read(digests: &Digests, rows: &MemoryRows) -> (usize, usize, usize) {
        let (mut at, mut most, mut wrong, mut missing) = (Some(Key::from_bytes([])), 0, 0, 0);
        while let Some(from) = at {
            let seen = digests.see(|ranges| ranges.first(&Bounds::between(&from, None), 1));
            let bounds = Bounds::between(seen.part.from(), seen.part.to.as_ref());
            let found = rows.range(&bounds, Direction::Forward, usize::MAX).expect("rows");
            let flaws = seen.compare(&digests.coding, &found);
            most = most.max(found.len());
            wrong += flaws.wrong.len();
            missing += flaws.missing.len();
            at = seen.part.to;
        }
        (most, wrong, missing)
    }

    #[test]
    fn a_scan_reads_little_also_while_many_rows_are_written_and_after_a_kill() {
        let (directory, rows) = (tempfile::tempdir().expect("a directory"), MemoryRows::default());
        let new = LoadedDigests { log: 1, group: 0, keyed: false, ranges: super::super::Ranges::new(), file: None };
        write(&new, directory.path(), &RealDisk).expect("a file");
        let put = |number: usize, row: &'static str| Change::Put(key(number), row.into());
        // Many new rows, then changes, deletions and further rows between them.
        let first: Vec<_> = (0..2_000).map(|number| put(number * 4, "first")).collect();
        let delete = |number: usize| Change::Delete(key(number * 12));
        let between = (500..3_500).filter(|number| number % 12 > 0).map(|number| put(number, "second"));
        let second: Vec<_> = (0..300).map(delete).chain(between).collect();
        let mut expected = BTreeMap::new();
        for (group, changes) in [(1, first), (2, second)] {
            let generation = generation(group, &changes);
            for change in &changes {
                match change {
                    Change::Put(key, row) => expected.insert(key.clone(), row.clone()),
                    Change::Delete(key) => expected.remove(key),
                };
            }
            let noted = digests(directory.path(), None);
            noted.begin(&generation, &rows, &|_| ()).expect("prepared");
            let all: Vec<_> = changes.iter().collect();
            rows.write(&all[..all.len() / 2]).expect("written");
            let (most, ..) = read(&noted, &rows);
            assert!(most <= FULL, "{most} rows while generation {group} is written");
            drop(noted);

            // A kill, and a start that reads the generation from the journal.
            let noted = digests(directory.path(), Some(generation.clone()));
            noted.begin(&generation, &rows, &|_| ()).expect("prepared");
            let (most, wrong, missing) = read(&noted, &rows);
            assert!(most <= FULL && (wrong, missing) == (0, 0), "{most}, {wrong}, {missing} after a kill");
            rows.write(&all).expect("written");
            noted.finish(&generation, &rows, &|_| ()).expect("noted");
            for noted in [noted, digests(directory.path(), None)] {
                let (most, wrong, missing) = read(&noted, &rows);
                assert!(most <= FULL && (wrong, missing) == (0, 0), "{most}, {wrong}, {missing}");
                assert_eq!(noted.rows(), expected.len() as u64);
            }
        }
        rows.0.lock().remove(&key(501));
        rows.write(&[&put(502, "first")]).expect("written");
        let (_, wrong, missing) = read(&digests(directory.path(), None), &rows);
        assert_eq!((wrong, missing), (1, 1), "what is wrong is still found");
    }

    #[test]
    fn a_row_that_is_missing_when_its_range_is_divided_in_advance_stays_missing() {
        let (directory, rows) = (tempfile::tempdir().expect("a directory"), MemoryRows::default());
        let new = LoadedDigests { log: 1, group: 0, keyed: false, ranges: super::super::Ranges::new(), file: None };
        write(&new, directory.path(), &RealDisk).expect("a file");
        let put = |number: usize| Change::Put(key(number), "row".into());
        let steps = [(1, (0..40).map(|number| put(number * 10)).collect()), (2, (1..400).map(put).collect::<Vec<_>>())];
        for (group, changes) in steps {
            let generation = generation(group, &changes);
            let noted = digests(directory.path(), None);
            noted.begin(&generation, &rows, &|_| ()).expect("prepared");
            rows.write(&changes.iter().collect::<Vec<_>>()).expect("written");
            noted.finish(&generation, &rows, &|_| ()).expect("noted");
            // The next generation does not write it.
            rows.0.lock().remove(&key(0));
        }
        let (_, wrong, missing) = read(&digests(directory.path(), None), &rows);
        assert!(wrong == 0 && missing > 0, "{wrong} and {missing}");
    }

    #[test]
    fn a_range_with_a_missing_row_is_divided_and_the_row_is_missing_in_each_part() {
        let digests: Vec<_> =
            (0..FULL + 40).map(|number| Digest::of_value(&RowCoding::default(), &key(number), b"row")).collect();
        let there: Vec<_> = (0..FULL + 40).filter(|number| *number != 50).map(key).collect();
        let DividedRange { into, .. } = divide_range(key(0), &digests, &there).expect("it is long");
        assert!(into.len() > 2);
        for (_, digests) in &into {
            assert!(digests.iter().any(|digest| digest.is_of(&key(50))) && digests.len() <= FILL + 1);
        }
        let all: usize = into.iter().map(|(_, digests)| digests.len() - 1).sum();
        assert_eq!(all, there.len(), "each row is in one part");
        let missing_many: Vec<_> = there[..FULL].to_vec();
        assert_eq!(divide_range(key(0), &digests, &missing_many), None, "what is there is short");
    }
}
